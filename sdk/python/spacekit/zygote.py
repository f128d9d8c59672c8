"""The zygote: a process that has done the app's imports and is forked for each worker.

pid 1 of the sandbox orders the forks over descriptor 3 (docs/worker-protocol.md, "Zygote"). The app
itself runs only in forks, so its globals are fresh in each; what is shared is what its imports left.
What they registered for the end of the process (atexit) runs at the end of each worker, as if it had
done its imports itself, and of no other fork: zygote and minders leave by os._exit.
"""

import _signal
import _socket
import gc
import os
import sys
from struct import calcsize, unpack_from

from . import safe_to_fork
from .preload import preload

CONTROL = 3
ORDER = "=QIIII"
ORDER_TEXT = 16384
PR_SET_CHILD_SUBREAPER = 36
# What the app's imports have set for these is the workers' to obey: ignored children would hide how
# they end from zygote and minder, and an app's handler is to be called in the app alone.
OURS = (_signal.SIGCHLD, _signal.SIGTERM, _signal.SIGINT)
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
    handlers = {number: _signal.signal(number, _signal.SIG_DFL) for number in OURS}
    gc.collect()
    gc.freeze()
    _flush()
    say = "ready"
    try:
        while _wait_for_one(lambda *order: _become_worker(*order, handlers, blas), prctl, say):
            say = None
    finally:
        os._exit(0)


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


def _wait_for_one(become, prctl, say):
    """False when pid 1 is gone.

    Each worker has a minder above it, which is a child of pid 1: forked twice, and there before the
    order, which saves its time. The process between goes when the minder has the order.
    """
    between = os.fork()
    if between == 0:
        _stand_between(become, prctl)
    if say:
        _say(say)
    _, status = os.waitpid(between, 0)
    return os.waitstatus_to_exitcode(status) != GONE


def _stand_between(become, prctl):
    """Does not return."""
    between = os.getpid()
    code = 0
    try:
        code = _wait_for_minder(become, prctl, between)
    finally:
        os._exit(code)


def _wait_for_minder(become, prctl, between):
    try:
        minder = os.fork()
    except OSError as error:  # waits like a minder, so that the zygote does not try without end
        order = _next_order()
        return GONE if order is None else _say_failed(order, error)
    if minder == 0:
        _mind(become, prctl, between)
    _, status = os.waitpid(minder, 0)
    return max(0, os.waitstatus_to_exitcode(status))


def _say_failed(order, error):
    _say("failed %d fork: %s" % (order[0], error.strerror or error))
    return 1


# -- the minder ------------------------------------------------------------------------------------


def _mind(become, prctl, between):
    """Does not return. Reaps the orphans of its worker, which are not the worker's to wait for, and
    keeps them below itself, so that pid 1 can tell them from those of another fork."""
    code = GONE
    try:
        order = _next_order()
        if order is not None:
            try:
                if prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) < 0:
                    raise OSError("become a reaper of orphans")
                code = _mind_one(order, become, between)
            except OSError as error:  # the limit of processes, mostly
                code = _say_failed(order, error)
    finally:
        os._exit(code)


def _mind_one(order, become, between):
    in_place, told = os.pipe()
    worker = os.fork()
    if worker == 0:
        os.close(told)
        become(order, in_place)
    # pid 1 sends what is meant for the worker to the worker.
    _signal.pthread_sigmask(_signal.SIG_BLOCK, _signal.valid_signals())
    os.kill(between, _signal.SIGKILL)
    while os.getppid() == between:  # pid 1 believes only its own children
        os.sched_yield()
    os.closerange(0, 4096)  # all it has; with `told` the worker goes on
    while True:
        pid, status = os.waitpid(-1, 0)
        if pid == worker:
            return _end_as(os.waitstatus_to_exitcode(status))


def _end_as(code):
    """As the worker has ended, for pid 1 to see."""
    if code < 0:
        if code not in (-_signal.SIGKILL, -_signal.SIGSTOP):
            _signal.signal(-code, _signal.SIG_DFL)
        _signal.pthread_sigmask(_signal.SIG_UNBLOCK, {-code})
        os.kill(os.getpid(), -code)
    return code


# -- in the fork -----------------------------------------------------------------------------------


def _become_worker(order, in_place, handlers, blas):
    """Does not return, and lets nothing out: the frames above belong to the zygote."""
    from . import worker

    number, arguments, variables, sock, log = order
    try:
        control = os.dup(CONTROL)
        try:
            _take_place(arguments, variables, sock, log)
            for each, handler in handlers.items():
                if handler is not None:  # not set by Python: cannot be set again
                    _signal.signal(each, handler)
            _reseed()
            blas.give_back()
            os.read(in_place, 1)  # its end: the minder is a child of pid 1
            os.close(in_place)
        except BaseException as error:
            os.write(control, b"failed %d " % number + str(error).encode("utf-8", "replace")[:200])
            os._exit(1)  # no worker yet: what imports registered for its end is not to run
        os.write(control, b"forked %d" % number)
        os.close(control)
        worker.run()
    except BaseException as error:
        worker.leave_by(error)
    finally:
        os._exit(1)


def _take_place(arguments, variables, sock, log):
    """Session, descriptors, environment, as for a fresh program."""
    os.setsid()
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
