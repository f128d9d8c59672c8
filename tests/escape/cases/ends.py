"""Living on after the end, and reaching other processes."""

import signal
import struct
import time

from escape import PYTHON, Case, launch, story


@story(31, "a daemon that has left its session, ignores TERM and closes all; a stubborn program", "dead with the worker")
def daemons(t):
    box = t.sandbox()
    exited, lines = t.attack("stay", "daemon", sandbox=box)
    t.expect(exited.status == 0 and "daemon" in lines, repr(lines))
    t.expect(t.usage(box).pids == 1, "%d left" % t.usage(box).pids)
    worker = t.start(box, "stay", "stubborn", until="stubborn")
    t.stop(box, grace_ms=100)
    t.expect(t.launcher.event(launch.WORKER_EXITED, worker=worker).signal == signal.SIGKILL, "TERM")
    return "dead, the group empty"


@story(32, "a fork loop while it is stopped", "all dead")
def fork_loop(t):
    box = t.sandbox(pids=40, cpu=500)
    worker = t.start(box, "hogs", "forkloop", until="looping")
    began = time.monotonic()
    t.launcher.event(launch.WORKER_EXITED, worker=worker, timeout=10)
    t.stop(box)
    t.expect(time.monotonic() - began < 5, "took %.1f s" % (time.monotonic() - began))
    return "all dead"


@story(33, "stopping and deleting a frozen Space", "it dies")
def frozen(t):
    box = t.sandbox()
    worker = t.start(box, "stay", "sleep", until="sleeping")
    answer = t.launcher.ask(launch.FREEZE, body=struct.pack("<?", True), sandbox=box)
    if answer.kind != launch.OK:
        return "not offered: " + answer.text
    began = time.monotonic()
    t.stop(box)
    t.launcher.event(launch.WORKER_EXITED, worker=worker)
    t.expect(time.monotonic() - began < 3, "took %.1f s" % (time.monotonic() - began))
    return "it dies"


@story(34, "a flood of zombies", "pid 1 reaps what is orphaned; the number of processes bounds the rest")
def zombies(t):
    box = t.sandbox(pids=64)
    t.start(box, "stay", "zombies", until="made")
    deadline = time.monotonic() + 10
    while t.usage(box).pids > 22 and time.monotonic() < deadline:
        time.sleep(0.02)
    t.expect(t.usage(box).pids <= 22, "%d" % t.usage(box).pids)
    t.stop(box)
    return "reaped"


@story(35, "kill(1, 9), kill(-1), pids of the host", "EPERM or ESRCH; only its own")
def kills(t):
    box = t.sandbox()
    _, text = t.run(box, t.argv("signals", t.launcher.process.pid))
    lines = dict(line.split(" ", 1) for line in text.splitlines())
    # As uid 1000 the kernel refuses; a root inside may send, and pid 1 of a namespace hears nothing from within it.
    for name in ("init_kill", "init_term", "init_stop"):
        t.expect(lines[name] == "EPERM" or (t.uid == 0 and lines[name] == "OK"), text)
    t.expect(lines["host"] == "ESRCH", text)
    t.expect(lines["own_child"] == "-15", text)
    t.expect(t.run(box, ["/bin/true"])[0].status == 0, "pid 1 is gone")
    return "EPERM, ESRCH" if t.uid else "unheard, ESRCH"


CASES += [Case(46, "its own filters until no more go in; a listener on itself", ["filters"],
               {"filters": "ENOMEM", "listener": "OK", "tsync": "OK", "init": "EPERM|EACCES"},
               expected="its own process alone; ENOMEM at the end")]


@story(46, "and pid 1 and other workers after that", "unharmed")
def after_filters(t):
    box = t.sandbox()
    t.attack("filters", sandbox=box)
    t.expect(t.run(box, [PYTHON, "-c", "print('well')"])[1] == "well\n", "another worker suffers")
    return "unharmed"


@story(57, "the launcher is killed while 10 Spaces run", "nothing of them lives; the next one sweeps", uids=(1000,))
def killed(t):
    import os

    from escape import launch as driver
    other = driver.Launcher(state_id=os.urandom(8).hex())
    try:
        other.snapshot({"stay.py": open(os.path.join(os.path.dirname(os.path.dirname(os.path.dirname(__file__))), "e2e",
                                                     "attacks", "stay.py"), encoding="utf-8").read()})
        other.hello()
        for space in range(10):
            box = other.sandbox(space=space + 1)
            other.read_log(other.worker(box, [PYTHON, "/home/user/app/stay.py", "stubborn"]), b"stubborn")
        other.process.kill()
        other.process.wait()
        deadline = time.monotonic() + 10
        while driver.processes_of(other.state_id) and time.monotonic() < deadline:
            time.sleep(0.02)
        t.expect(driver.processes_of(other.state_id) == [], "some live on")
        for worker in list(other.logs):
            other.close_log(worker)
        other.sock.close()
        other.start()
        other.hello()
        t.expect(other.close() == 0, "the next one")
        t.expect(driver.groups_of(other.state_id) == [], repr(driver.groups_of(other.state_id)))
    finally:
        other.process.kill()
        other.process.wait()
        other.remove()
    return "nothing lives, swept"
