"""Taking more than was given: memory, disk, processes, CPU, timers."""

import signal
import time

from escape import PYTHON, Case, launch, story


@story(26, "hogs of memory: heap, memfd, shared, page cache; pipes and mappings", "killed at the limit, or an errno; "
       "a neighbour lives")
def memory(t):
    quiet = t.sandbox(space=8)
    neighbour = t.start(quiet, "stay", "polite", until="polite")
    for kind in ("memory", "memfd", "shared"):
        box = t.sandbox(memory=48 << 20)
        exited, _ = t.attack("hogs", kind, sandbox=box)
        t.expect((exited.signal, exited.oom) == (signal.SIGKILL, True), kind)
        t.expect(exited.usage.memory_peak <= 48 << 20, "%s: %d" % (kind, exited.usage.memory_peak))
        t.expect(t.run(box, ["/bin/true"])[0].status == 0, "the sandbox did not live on")
        t.stop(box)
    for kind, limits in (("pipes", dict(nofile=128)), ("maps", dict(memory=64 << 20)), ("cache", dict(memory=48 << 20))):
        exited, lines = t.attack("hogs" if kind != "cache" else "more", kind, **limits)
        t.expect(exited.signal == signal.SIGKILL or "stopped" in lines, "%s: %r" % (kind, lines))
    t.expect(t.usage(quiet).oom_kills == 0, "the neighbour was hit")
    t.launcher.ask(launch.WORKER_STOP, body=b"\x88\x13\0\0", sandbox=quiet, worker=neighbour)
    t.expect(t.launcher.event(launch.WORKER_EXITED, worker=neighbour).status == 7, "the neighbour")
    return "SIGKILL at the limit, EMFILE, ENOSPC"


@story(27, "swapping out beyond the limit", "none")
def swap(t):
    box = t.sandbox(memory=48 << 20)
    exited, _ = t.attack("hogs", "memory", sandbox=box)
    t.expect(exited.oom and exited.usage.memory_peak <= 48 << 20, "peak %d" % exited.usage.memory_peak)
    _, text = t.run(box, ["/bin/sh", "-c", "grep VmSwap /proc/*/status | awk '{ s += $2 } END { print s + 0 }'"])
    t.expect(text == "0\n", text)
    return "none"


@story(28, "bombs of forks, threads and vforks", "EAGAIN at the limit; dead in less than a second")
def bombs(t):
    for program, kind in (("hogs", "forks"), ("hogs", "threads"), ("more", "vforks")):
        box = t.sandbox(pids=40)
        worker = t.start(box, program, kind, until="\n")
        t.expect(t.usage(box).pids <= 40, kind)
        began = time.monotonic()
        t.stop(box)
        t.expect(time.monotonic() - began < 1.0, "%s: %.1f s" % (kind, time.monotonic() - began))
        t.launcher.event(launch.WORKER_EXITED, worker=worker)
    return "EAGAIN, dead in < 1 s"


@story(29, "64 threads that burn CPU", "the quota")
def cpu(t):
    box = t.sandbox(cpu=200, pids=100, memory=1 << 30)
    t.start(box, "hogs", "burn", until="burning")
    while t.usage(box).throttled_ns == 0:
        time.sleep(0.01)
    first, began = t.usage(box).cpu_ns, time.monotonic()
    time.sleep(1.5)  # what is measured is a rate, not an event
    rate = (t.usage(box).cpu_ns - first) / 1e9 / (time.monotonic() - began)
    t.expect(rate < 0.2 * 1.1, "%.3f cores of 0.2" % rate)
    t.stop(box)
    return "within 10 % of the quota"


@story(30, "filling the layer, /tmp, /dev/shm and state; using up inodes", "ENOSPC at the limit")
def disk(t):
    box = t.sandbox(layer=4 << 20, shm=2 << 20, memory=256 << 20, inodes=500)
    for kind, most in (("tmp", 4), ("shm", 2), ("home", 4), ("state", 64)):
        if kind == "home" and t.uid == 0:
            t.run(box, ["/bin/true"])
        _, lines = t.attack("hogs", kind, sandbox=box)
        error, count = lines["stopped"].split()
        t.expect(error == "No_space_left_on_device" and int(count) <= most, "%s: %r" % (kind, lines))
        t.run(box, ["/bin/sh", "-c", "rm -f /tmp/fill /home/user/fill /dev/shm/fill /run/space/state/fill"])
    _, lines = t.attack("hogs", "inodes", sandbox=box)
    t.expect(lines["stopped"].split()[0] == "No_space_left_on_device", repr(lines))
    return "ENOSPC"


@story(49, "a core dump with the limit raised", "no dump; the hard limit is 0")
def core(t):
    exited, text = t.run(t.sandbox(), [PYTHON, "-c", "import resource, os\ntry:\n resource.setrlimit(resource.RLIMIT_CORE,"
                                       " (1 << 20, 1 << 20)); print('raised')\nexcept (ValueError, OSError): print('refused',"
                                       " *resource.getrlimit(resource.RLIMIT_CORE), flush=True)\nos.abort()"])
    t.expect((exited.signal, text) == (signal.SIGABRT, "refused 0 0\n"), text)
    return "refused, no dump"


@story(56, "100 starts, each directly after a kill", "every one lives")
def again(t):
    for _ in range(100):
        box = t.sandbox()
        exited, _ = t.run(box, ["/bin/true"])
        t.expect((exited.status, exited.signal) == (0, 0), "killed at birth")
        t.stop(box)
    return "all live"


@story(58, "50 cycles of start and stop", "descriptors, mounts, groups, namespaces as before")
def cycles(t):
    for space in range(50):
        box = t.sandbox(space=0x58)
        t.run(box, ["/bin/sh", "-c", "echo %d > /tmp/x" % space])
        t.stop(box)
    return "flat"  # the runner compares the host


CASES += [
    Case(59, "floods of timers; realtime scheduling, nice -20, realtime I/O", ["more", "time"],
         {"fifo": "EPERM", "deadline": "EPERM", "nice": "EPERM|EACCES", "ioprio": "EPERM", "timers": "EAGAIN",
          "rtprio_limit": "0"}),
    Case(60, "locked memory, huge pages, System V memory, message queues", ["more", "ipc"],
         {"mlock": "ENOMEM", "hugetlb": "ENOMEM|EPERM", "shm_huge": "EPERM|ENOMEM|EACCES", "sysv": "ENOSPC|ENOMEM|EINVAL|OK",
          "mq": "EMFILE|ENOSPC|EINVAL|EPERM|EACCES|ENOMEM", "raise_mlock": "EPERM", "raise_nofile": "EPERM"},
         limits=dict(memory=96 << 20),
         expected="ENOMEM, EMFILE, ENOSPC or EPERM by the limits"),
]


@story(60, "System V memory that stays after the end", "gone with the sandbox")
def sysv_stays(t):
    code = "import ctypes; print(ctypes.CDLL(None).shmget(0x5950, 4096, 0o1666) >= 0)"
    box = t.sandbox()
    t.expect(t.run(box, [PYTHON, "-c", code])[1] == "True\n", "shmget")
    t.stop(box)
    _, text = t.run(t.sandbox(), [PYTHON, "-c", "print(open('/proc/sysvipc/shm').read().count('\\n'))"])
    with open("/proc/sysvipc/shm", encoding="utf-8") as file:
        t.expect(file.read().count("\n") == 1 and text == "1\n", text)
    return "gone"
