"""Loads the app file as `__main__` and finds the app in it."""

import _signal
import os
import sys

from . import blocks, context
from .report import print_error, sentence

Building = context.Building


class Failed(Exception):
    """The app cannot be loaded; becomes the `failed` message."""

    def __init__(self, stage, message, missing=None):
        super().__init__(message)
        self.stage = stage
        self.missing = missing


def load(app_file):
    """Runs the file. launch() reports through Building.on_launch; returns the Blocks, or raises."""
    path = os.path.abspath(app_file)
    Building.app_folder = os.getcwd()
    if not path.startswith(Building.app_folder + os.sep):
        raise Failed("CONFIG_ERROR", "app_file must lie inside of the Space: %s" % app_file)
    try:
        with open(path, "rb") as file:
            source = file.read()
    except FileNotFoundError:
        raise Failed(
            "CONFIG_ERROR", "No application file: the Space has no %s" % app_file
        ) from None
    except OSError as error:
        raise Failed("CONFIG_ERROR", "%s cannot be read: %s" % (app_file, error.strerror)) from None
    namespace = _run_as_main(path, source, app_file)
    return Building.launched or _find(namespace, app_file)


def _run_as_main(path, source, app_file):
    module = type(sys)("__main__")
    module.__file__ = path
    module.__builtins__ = __builtins__
    sys.modules["__main__"] = module
    sys.argv = [app_file]
    try:
        exec(compile(source, path, "exec", dont_inherit=True), module.__dict__)
    except SystemExit as error:
        if _is_of_a_signal(error):
            raise
        if Building.launched is None:
            code = 0 if error.code is None else error.code
            raise Failed(
                "RUNTIME_ERROR", "%s ended (exit %s) before it launched an app" % (app_file, code)
            ) from None
    except BaseException as error:
        if _is_of_a_signal(error):
            raise
        print_error(error)
        if Building.launched is None:
            raise Failed("RUNTIME_ERROR", sentence(error, path)) from None
    return module.__dict__


def _is_of_a_signal(error):
    """Raised in a handler of the app's: that ends the process, wherever the file had come to."""
    handlers = [_signal.getsignal(number) for number in _signal.valid_signals()]
    codes = {getattr(handler, "__code__", None) for handler in handlers} - {None}
    at = error.__traceback__
    while at is not None:
        if at.tb_frame.f_code in codes:
            return True
        at = at.tb_next
    return False


def _find(namespace, app_file):
    for name in ("demo", "app", "iface"):
        if isinstance(namespace.get(name), blocks.Blocks):
            return namespace[name]
    if len(blocks.apps) == 1:
        return blocks.apps[0]
    found = "no app" if not blocks.apps else "several apps and no launch()"
    raise Failed(
        "RUNTIME_ERROR", "%s has %s: call launch() on the one to serve" % (app_file, found)
    )
