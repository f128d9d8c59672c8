"""Raising an exception in another thread. Its own file because ctypes costs time to import."""

import ctypes

_set = ctypes.pythonapi.PyThreadState_SetAsyncExc
_set.argtypes = (ctypes.c_ulong, ctypes.py_object)
_set.restype = ctypes.c_int


def interrupt(thread, exception):
    """The thread gets it at its next bytecode; a call that blocks in C returns first."""
    _set(thread, exception)


_clear = ctypes.PYFUNCTYPE(ctypes.c_int, ctypes.c_ulong, ctypes.c_void_p)(
    ("PyThreadState_SetAsyncExc", ctypes.pythonapi)
)


def clear(thread):
    """Takes back what has not arrived yet."""
    _clear(thread, None)
