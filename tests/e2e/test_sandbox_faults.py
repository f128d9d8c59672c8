"""What the launcher and pid 1 do when the kernel does not do its part, by fault point."""

import os
import signal
import struct
import sys
import time
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "support"))
sys.path.insert(0, HERE)
import launch_driver as launch  # noqa: E402


def setUpModule():
    if os.geteuid() != 0:
        raise unittest.SkipTest("needs root: spaces-launcher builds sandboxes as root")
    with open(os.path.join(launch.BUILD, "spaces-launcher"), "rb") as program:
        if b"init.exec" not in program.read():
            raise unittest.SkipTest("needs a build with fault points: make build FAULTS=1")


def is_sleeper(pid):
    with open("/proc/%d/cmdline" % pid, "rb") as line:
        return line.read() == b"/bin/sleep\0001000\0"


class Case(unittest.TestCase):
    def launcher(self, fault):
        self.l = launch.Launcher(env={"SP_FAULT": fault})
        self.addCleanup(self.leave)
        hello = self.l.hello()
        if not hello.complete:
            self.skipTest("needs userns: " + hello.missing)
        self.l.snapshot({"app.py": ""})
        return self.l.sandbox()

    def leave(self):
        self.assertEqual(self.l.close(), 0)
        self.assertEqual(launch.processes_of(self.l.state_id), [])
        self.assertEqual(launch.groups_of(self.l.state_id), [])
        self.l.remove()

    def worker_stop(self, box, worker, grace_ms):
        stop = self.l.ask(launch.WORKER_STOP, body=struct.pack("<I", grace_ms), sandbox=box, worker=worker)
        self.assertEqual(stop.kind, launch.OK)


class Start(Case):
    def test_a_worker_that_is_not_executed_in_time_fails_and_the_next_one_starts(self):
        box = self.launcher("init.exec:1")
        began = time.monotonic()
        with self.assertRaisesRegex(RuntimeError, "could not be executed in 5000 ms"):
            self.l.worker(box, ["/bin/true"])
        self.assertLess(time.monotonic() - began, 10)
        self.assertEqual(self.l.run(box, ["/bin/true"])[0].status, 0)


class Freeze(Case):
    """A FREEZE that waits for the kernel for ever."""

    def pending(self):
        box = self.launcher("freeze.look:1-")
        worker = self.l.worker(box, ["/bin/sleep", "1000"])
        return box, worker, self.l.send(launch.FREEZE, body=b"\1", sandbox=box)

    def test_a_worker_is_killed_while_a_freeze_is_pending(self):
        box, worker, seq = self.pending()
        began = time.monotonic()
        self.worker_stop(box, worker, 0)
        self.l.event(launch.WORKER_EXITED, worker=worker)
        self.assertLess(time.monotonic() - began, 1.5)  # not by the freeze that is given up after 2 s
        self.assertIn("being stopped", self.l.answer(seq).text)
        self.assertEqual(self.l.run(box, ["/bin/true"])[0].status, 0)

    def test_a_sandbox_is_stopped_while_a_freeze_is_pending(self):
        box, worker, seq = self.pending()
        began = time.monotonic()
        self.l.stop(box, 0)
        self.assertLess(time.monotonic() - began, 1.5)
        self.assertIn("being stopped", self.l.answer(seq).text)

    def test_a_freeze_is_answered_though_pid_1_dies_meanwhile(self):
        box, worker, seq = self.pending()
        (sleeper,) = filter(is_sleeper, launch.processes_of(self.l.state_id))
        with open("/proc/%d/stat" % sleeper) as stat:
            os.kill(int(stat.read().rsplit(")", 1)[1].split()[1]), signal.SIGKILL)
        began = time.monotonic()
        self.l.event(launch.SANDBOX_GONE, sandbox=box)
        self.assertIn("being stopped", self.l.answer(seq).text)
        self.assertLess(time.monotonic() - began, 1.5)


if __name__ == "__main__":
    unittest.main()
