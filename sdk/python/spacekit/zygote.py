"""The zygote: a process that has done the app's imports and is forked for each worker.

pid 1 of the sandbox orders the forks over descriptor 3 (docs/worker-protocol.md, "Zygote"). The app
itself runs only in forks, so its globals are fresh in each; what is shared is what its imports left.
"""

import _socket
import gc
import os
import sys
from struct import calcsize, unpack_from

from . import safe_to_fork
from .preload import preload

CONTROL = 3
ORDER = "=QIIII"
ORDER_TEXT = 4096
PR_SET_CHILD_SUBREAPER = 36
GONE = 3  # exit status: there is nobody to wait for any more


def run(app_file):
    """Called by worker.py. Does not return in the zygote; in a fork it becomes a worker."""
    _import_what_workers_import()
    before = safe_to_fork.open_files()
    blas = safe_to_fork.OneThreadForBlas()
    preload(app_file)
    prctl = _prctl()
    reason = safe_to_fork.reason_against(before)
    if reason:
        _say("refused " + reason)
        os._exit(0)
    gc.collect()
    gc.freeze()
    _flush()
    say = "ready"
    while _wait_for_one(lambda *order: _become_worker(*order, prctl, blas), say):
        say = None


def _import_what_workers_import():
    from . import call, config, endpoint, files, jsonio, loader, pool, report  # noqa: F401
    from . import requirements, sessions, streaming, wire, worker  # noqa: F401


def _prctl():
    import ctypes

    function = ctypes.CDLL(None, use_errno=True).prctl
    function.argtypes = (ctypes.c_int,) + (ctypes.c_ulong,) * 4
    return function


def _flush():
    sys.stdout.flush()
    sys.stderr.flush()


def _say(text):
    """Who says it, pid 1 learns from the kernel."""
    os.write(CONTROL, text.encode("utf-8", "replace")[:250])


# -- orders ----------------------------------------------------------------------------------------


def _next_order():
    """(worker, [arguments], [variables], socket, log); None when pid 1 is gone."""
    control = _socket.socket(fileno=CONTROL)
    try:
        control.settimeout(None)  # an import may have set a default
        data, more, _, _ = control.recvmsg(calcsize(ORDER) + ORDER_TEXT, _socket.CMSG_SPACE(8))
    finally:
        control.detach()
    if not data:
        return None
    sock, log = unpack_from("=ii", more[0][2])
    worker, argc, envc, length, _ = unpack_from(ORDER, data)
    text = data[calcsize(ORDER) : calcsize(ORDER) + length]
    words = [os.fsdecode(word) for word in text.split(b"\0")[: argc + envc]]
    return worker, words[:argc], words[argc:], sock, log


def _wait_for_one(become, say):
    """False when pid 1 is gone.

    A worker is forked twice, so that it is a child of pid 1, which waits for it and knows its end.
    The process between is there before the order, which saves its time.
    """
    between = os.fork()
    if between == 0:
        _fork_when_told(become)
    if say:
        _say(say)
    _, status = os.waitpid(between, 0)
    return os.waitstatus_to_exitcode(status) != GONE


def _fork_when_told(become):
    """Does not return."""
    between = os.getpid()
    try:
        order = _next_order()
        if order is None:
            os._exit(GONE)
        try:
            if os.fork() == 0:
                become(order, between)
        except OSError as error:  # the limit of processes, mostly
            _say("failed %d fork: %s" % (order[0], error.strerror))
    finally:
        os._exit(0)


# -- in the fork -----------------------------------------------------------------------------------


def _become_worker(order, between, prctl, blas):
    """Does not return, and lets nothing out: the frames above belong to the zygote."""
    number, arguments, variables, sock, log = order
    code = 1
    try:
        control = os.dup(CONTROL)
        try:
            _take_place(arguments, variables, sock, log, prctl)
            _reseed()
            blas.give_back()
            while os.getppid() == between:  # pid 1 believes only its own children
                os.sched_yield()
        except BaseException as error:
            os.write(control, b"failed %d " % number + str(error).encode("utf-8", "replace")[:200])
            return
        os.write(control, b"forked %d" % number)
        os.close(control)
        from . import worker

        worker.run()
    except SystemExit as error:
        code = error.code if isinstance(error.code, int) else int(error.code is not None)
    except BaseException:
        sys.excepthook(*sys.exc_info())
    finally:
        _flush()
        os._exit(code)


def _take_place(arguments, variables, sock, log, prctl):
    """Session, descriptors, environment, as for a fresh program."""
    os.setsid()
    # Orphans of this worker stay below it, so that pid 1 can tell them from those of another fork.
    if prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) < 0:
        raise OSError("become a reaper of orphans")
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.dup2(sock, CONTROL)
    os.close(sock)
    os.close(log)
    os.environ.clear()
    os.environ.update(word.split("=", 1) for word in variables)
    sys.argv[:] = arguments[1:]


def _reseed():
    """Forks of one zygote would draw the same numbers. (`secrets` and the like ask the kernel.)"""
    if "random" in sys.modules:
        sys.modules["random"].seed()
    if "numpy.random" in sys.modules:
        sys.modules["numpy.random"].seed(unpack_from("=8I", os.urandom(32)))
