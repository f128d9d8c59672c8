"""Comes to one limit and says what it saw: python3 limits.py KIND."""
import ctypes
import mmap
import os
import resource
import signal
import socket
import sys
import time

MIB = 1 << 20
libc = ctypes.CDLL(None, use_errno=True)


def say(*words):
    print(*words, flush=True)


def tried(name, call):
    """A line with what a call said; -1 counts as failed."""
    ctypes.set_errno(0)
    try:
        result = call()
        error = ctypes.get_errno() if result == -1 else 0
    except OSError as failed:
        error = failed.errno
    say(name, os.strerror(error).replace(" ", "_") if error else "OK")


def burn():
    """One process for each core and one more."""
    for _ in range((os.cpu_count() or 1) + 1):
        if os.fork() == 0:
            while True:
                pass
    say("burning")
    time.sleep(600)


def count():
    """Counts up by a line each 10 ms."""
    number = 0
    while True:
        number += 1
        say(number)
        time.sleep(0.01)


def child_hog():
    """The child takes the memory; the parent would live on."""
    with open("/run/space/state/kept", "w", encoding="ascii") as f:
        f.write("kept")
    say("main", os.getpid())
    if os.fork() == 0:
        kept = []
        while True:
            kept.append(bytearray(4 * MIB))
    time.sleep(600)


def hog(kept=None):
    while True:
        kept = (kept or []) + [bytearray(MIB)]


def pids():
    made = 0
    try:
        while True:
            if os.fork() == 0:
                time.sleep(600)
            made += 1
    except OSError as error:
        say("refused", error.errno, made + 1)
    time.sleep(600)


def bomb():
    """A fork bomb from one SIGUSR1 to the next."""
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1])
    say("ready")
    signal.sigwait([signal.SIGUSR1])
    first = os.fork()
    if first == 0:
        os.setpgid(0, 0)
        while True:
            try:
                os.fork()
            except OSError:
                pass
    signal.sigwait([signal.SIGUSR1])
    os.killpg(first, signal.SIGKILL)
    say("enough")
    time.sleep(600)


def writes():
    """24 MiB to the disk after a SIGUSR1: how long it took."""
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1])
    say("ready")
    signal.sigwait([signal.SIGUSR1])
    began = time.monotonic()
    fd = os.open("/run/files/o/fill", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    for _ in range(24):
        os.write(fd, b"x" * MIB)
    os.fsync(fd)
    say("wrote", time.monotonic() - began)
    time.sleep(600)


def zombies():
    """Children that are never reaped."""
    made = 0
    try:
        while True:
            if os.fork() == 0:
                os._exit(0)
            made += 1
    except OSError:
        say("zombies", made)
    time.sleep(600)


def clocks():
    """59: realtime, priority, timers."""
    fifo = ctypes.create_string_buffer((1).to_bytes(4, "little"))
    tried("fifo", lambda: libc.sched_setscheduler(0, 1, fifo))
    tried("nice", lambda: os.nice(-20))
    tried("ioprio", lambda: libc.syscall(251, 1, 0, 1 << 13))
    timer = ctypes.c_int()
    made = 0
    while made < 10**6 and libc.syscall(222, 1, None, ctypes.byref(timer)) == 0:
        made += 1
    say("timers", made)


def memories():
    """60: locked memory, huge pages, shared segments, queues."""
    part = mmap.mmap(-1, 64 * MIB)
    address = ctypes.addressof(ctypes.c_char.from_buffer(part))
    tried("mlock", lambda: libc.mlock(ctypes.c_void_p(address), 64 * MIB))
    libc.mmap.restype = ctypes.c_ssize_t
    tried("hugetlb", lambda: libc.mmap(None, 2 * MIB, 3, 0x40022, -1, 0))
    segment = libc.shmget(0x5061, MIB, 0o1600)
    say("shmget", "OK" if segment >= 0 else "refused")
    queues = 0
    while queues < 10**5 and libc.mq_open(b"/q%d" % queues, 0o102, 0o600, None) >= 0:
        queues += 1
    say("queues", queues)


def pages():
    """Page cache of a big file in the layer, and one of a mapping of a file."""
    say("core", resource.getrlimit(resource.RLIMIT_CORE)[1])
    with open("/tmp/big", "wb", buffering=0) as f:
        try:
            while True:
                f.write(b"x" * MIB)
        except OSError as error:
            say("stopped", os.strerror(error.errno).replace(" ", "_"))


def sockets():
    """Buffers of unix sockets, filled and never read."""
    kept = []
    try:
        while True:
            pair = socket.socketpair()
            pair[0].setblocking(False)
            kept.append(pair)
            try:
                while True:
                    pair[0].send(b"x" * 65536)
            except BlockingIOError:
                pass
    except OSError as error:
        say("stopped", os.strerror(error.errno).replace(" ", "_"))


def polite():
    def leave(*_):
        os._exit(7)
    signal.signal(signal.SIGTERM, leave)
    say("polite")
    time.sleep(600)


globals()[sys.argv[1]]()
