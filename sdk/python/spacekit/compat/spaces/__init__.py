"""`@spaces.GPU` and the few other names of Hugging Face's `spaces` package.

A Space gets its accelerator by its hardware, for as long as it runs; there is nothing to borrow per
call. So the decorator checks its arguments and hands the function back unchanged.
"""

from spacekit import COMPAT_VERSION as __version__
from spacekit.errors import unsupported as _unsupported

__spacekit__ = True


def GPU(task=None, duration=60, size="large", **other):
    """`@spaces.GPU` or `@spaces.GPU(duration=120)`; duration may be a function of the inputs."""
    if other:
        raise TypeError("spaces.GPU has no argument %r" % sorted(other)[0])
    if task is None:
        return lambda fn: fn
    if not callable(task):
        raise TypeError("spaces.GPU decorates a function")
    return task


def __getattr__(name):
    if name.startswith("__"):
        raise AttributeError(name)
    raise _unsupported("spaces." + name)
