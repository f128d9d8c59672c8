"""More ways to take too much: python3 more.py KIND."""
import ctypes
import errno
import os
import resource
import sys
import time

from attack import attempt

libc = ctypes.CDLL(None, use_errno=True)


def call(name, *args):
    r = getattr(libc, name)(*args)
    if r < 0:
        raise OSError(ctypes.get_errno(), name)
    return r


def cache():
    """Page cache of big files counts for who made it."""
    try:
        for number in range(6):
            with open("/run/files/o/big%d" % number, "wb") as file:
                for _ in range(16):
                    file.write(b"x" * (1 << 20))
            os.unlink("/run/files/o/big%d" % number)
        print("stopped done", flush=True)
    except OSError as error:
        print("stopped", errno.errorcode[error.errno], flush=True)


def vforks():
    """posix_spawn is vfork and exec."""
    count = 0
    try:
        while True:
            os.posix_spawn("/bin/sleep", ["sleep", "600"], {})
            count += 1
    except OSError as error:
        print("stopped", errno.errorcode[error.errno], count, flush=True)
    time.sleep(600)


def timers():
    timer = ctypes.c_void_p()
    for _ in range(1000000):
        call("timer_create", 1, None, ctypes.byref(timer))


def times():
    attempt("fifo", lambda: os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1)))
    attributes = (ctypes.c_uint32 * 14)(56, 6, 0, 0, 0, 0, 1000000, 0, 2000000, 0, 2000000, 0, 0, 0)
    attempt("deadline", lambda: call("syscall", 314 if os.uname().machine == "x86_64" else 274, 0, attributes, 0))
    attempt("nice", lambda: os.setpriority(os.PRIO_PROCESS, 0, -20))
    attempt("ioprio", lambda: call("syscall", 251 if os.uname().machine == "x86_64" else 30, 1, 0, 1 << 13))
    attempt("timers", timers)
    print("rtprio_limit", resource.getrlimit(resource.RLIMIT_RTPRIO)[1])


def locked():
    size = 64 << 20
    libc.mmap.restype = ctypes.c_void_p
    memory = libc.mmap(None, size, 3, 0x22, -1, 0)
    call("mlock", ctypes.c_void_p(memory), ctypes.c_size_t(size))


def hugetlb():
    libc.mmap.restype = ctypes.c_void_p
    if libc.mmap(None, 64 << 21, 3, 0x22 | 0x40000 | 0x8000, -1, 0) == ctypes.c_void_p(-1).value:
        raise OSError(ctypes.get_errno(), "mmap")


def sysv():
    for key in range(200):
        call("shmget", 0, 1 << 30, 0o1600)


def queues():
    for number in range(100000):
        rt = ctypes.CDLL("librt.so.1", use_errno=True)
        if rt.mq_open(b"/q%d" % number, os.O_CREAT | os.O_RDWR, 0o600, None) < 0:
            raise OSError(ctypes.get_errno(), "mq_open")


def raise_limit(which):
    def action():
        hard = resource.getrlimit(which)[1]
        try:
            resource.setrlimit(which, (hard + 1, hard + 1))
        except ValueError:  # how Python says EPERM here
            raise OSError(errno.EPERM, "setrlimit") from None
    return action


def ipc():
    attempt("mlock", locked)
    attempt("hugetlb", hugetlb)
    attempt("shm_huge", lambda: call("shmget", 0, 1 << 30, 0o5600))
    attempt("sysv", sysv)
    attempt("mq", queues)
    attempt("raise_mlock", raise_limit(resource.RLIMIT_MEMLOCK))
    attempt("raise_nofile", raise_limit(resource.RLIMIT_NOFILE))


{"cache": cache, "vforks": vforks, "time": times, "ipc": ipc}[sys.argv[1]]()
