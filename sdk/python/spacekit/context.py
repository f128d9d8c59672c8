"""What the code that runs now belongs to: a request, or the layout being built."""

from _contextvars import ContextVar

# The Call that the current thread or task serves; None while the app is being built.
current_call = ContextVar("spacekit_call", default=None)


class Building:
    """The `with` blocks that are open. Apps are built by one thread, while they are imported."""

    root = None  # the outermost Blocks
    block = None  # the innermost layout block
    next_id = 0
    launched = None  # the Blocks that launch() was called on
    on_launch = None  # called with that Blocks, at most once; set by the worker
    app_folder = None


def new_id():
    number = Building.next_id
    Building.next_id += 1
    return number


_said = set()


def say_once(text):
    """One line in the app's log, however often it applies."""
    if text in _said:
        return
    _said.add(text)
    import sys

    print("spacekit: " + text, file=sys.stderr, flush=True)
