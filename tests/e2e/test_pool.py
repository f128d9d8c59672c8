"""Blank sandboxes kept ready ahead of demand: how many, for whom, and what happens when one dies."""

import os
import random
import signal
import sys
import time
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "support"))
import launch_driver as launch  # noqa: E402


def setUpModule():
    if os.geteuid() != 0:
        raise unittest.SkipTest("needs root: spaces-launcher builds sandboxes as root")
    if not os.path.exists(os.path.join(launch.BUILD, "spaces-launcher")):
        raise unittest.SkipTest("needs build: %s/spaces-launcher" % launch.BUILD)


def is_pid_1(pid):
    """Of a pid namespace of its own; False of one that is gone."""
    try:
        with open("/proc/%d/status" % pid, encoding="ascii") as f:
            numbers = next(line for line in f if line.startswith("NSpid:")).split()[1:]
    except OSError:
        return False
    return len(numbers) > 1 and numbers[-1] == "1"


class Pool(unittest.TestCase):
    def launcher(self, *options):
        l = launch.Launcher(options=options)
        self.addCleanup(l.remove)
        self.addCleanup(self.end, l)
        hello = l.hello()
        if not hello.complete:
            self.skipTest("needs userns: " + hello.missing)
        return l

    def end(self, l):
        if l.sock.fileno() >= 0:
            self.assertEqual(l.close(), 0)
        self.assertEqual(launch.processes_of(l.state_id), [])
        self.assertEqual(launch.groups_of(l.state_id), [])

    def spares(self, l, known=()):
        """pids of the pid 1s that serve no Space yet; not what the launcher forks for work of its own."""
        return sorted(pid for pid in set(launch.processes_of(l.state_id)) - {l.process.pid, *known} if is_pid_1(pid))

    def wait_for_spares(self, l, count, known=()):
        deadline = time.monotonic() + 20
        while len(spares := self.spares(l, known)) != count:
            self.assertLess(time.monotonic(), deadline, f"{spares} are not {count} spares")
            time.sleep(0.01)
        return spares

    def test_the_pool_keeps_as_many_spares_as_it_is_told(self):
        l = self.launcher("--pool", "3")
        first = self.wait_for_spares(l, 3)
        box = l.sandbox()
        self.wait_for_spares(l, 1 + 3)
        self.assertEqual(l.run(box, ["/bin/true"])[0].status, 0)
        l.stop(box, grace_ms=0)
        now = self.wait_for_spares(l, 3)
        self.assertEqual([pid for pid in first if pid not in now], first[:1], "the oldest spare has served")

    def test_without_a_pool_every_start_is_made_on_demand(self):
        l = self.launcher("--pool", "0")
        box = l.sandbox()
        self.assertEqual(l.run(box, ["/bin/true"])[0].status, 0)
        l.stop(box, grace_ms=0)
        self.assertEqual(self.spares(l), [])

    def test_a_burst_uses_all_spares_and_goes_on(self):
        l = self.launcher("--pool", "3")
        spares = self.wait_for_spares(l, 3)
        ids = range(1, 7)
        seqs = [l.send(launch.SANDBOX_START, body=l.start_body(space=i), sandbox=i) for i in ids]
        self.assertEqual([l.answer(seq).kind for seq in seqs], [launch.OK] * 6)
        pids = self.wait_for_spares(l, 6 + 3)
        self.assertLess(set(spares), set(pids))
        l.next_id = 100
        for box in ids:
            self.assertEqual(l.run(box, ["/bin/true"])[0].status, 0)
            l.stop(box, grace_ms=0)

    def test_a_spare_that_dies_at_its_adoption_does_not_fail_the_start(self):
        l = self.launcher()
        (spare,) = self.wait_for_spares(l, 1)
        os.kill(spare, signal.SIGSTOP)  # its order arrives, and it never gets to it
        l.next_id = 1
        seq = l.send(launch.SANDBOX_START, body=l.start_body(), sandbox=1)
        l.ask(launch.USAGE, sandbox=1)  # answered in order: the start has been read
        os.kill(spare, signal.SIGKILL)
        self.assertEqual(l.answer(seq).kind, launch.OK)
        self.assertEqual(l.run(1, ["/bin/true"])[0].status, 0)

    def test_a_stop_during_the_second_attempt_counts(self):
        l = self.launcher()
        (spare,) = self.wait_for_spares(l, 1)
        os.kill(spare, signal.SIGSTOP)
        l.next_id = 1
        seq = l.send(launch.SANDBOX_START, body=l.start_body(), sandbox=1)
        l.send(launch.SANDBOX_STOP, sandbox=1)
        answer = l.answer(seq)
        self.assertEqual((answer.kind, answer.text), (launch.FAILED, "stopped while it was starting"))
        self.wait_for_spares(l, 1)

    def test_a_start_that_the_space_itself_spoils_is_not_tried_again(self):
        l = self.launcher("--pool", "2")
        self.wait_for_spares(l, 2)
        with self.assertRaisesRegex(RuntimeError, "prepare the app's files"):
            l.sandbox(snapshot="cd" * 32)
        self.wait_for_spares(l, 2)

    def test_a_launcher_that_is_killed_while_it_makes_spares_leaves_none_and_its_socket_ends(self):
        """At any moment of a clone: a child that was too young for PDEATHSIG must not hold the socket."""
        l = self.launcher("--pool", "64")
        chance = random.Random(5)
        for i in range(40):
            if i:
                l.start()
                l.hello()
            time.sleep(chance.random() * 0.05)  # a moment, not a wait: each round kills at another one
            l.process.kill()
            l.process.wait()
            with self.assertRaises((EOFError, ConnectionError)):
                while True:
                    l.receive(timeout=5)
            l.sock.close()
            self.wait_for(lambda: not launch.processes_of(l.state_id), "the sandboxes to die")
        l.start()
        self.assertTrue(l.hello().complete)  # sweeps the groups

    def test_the_next_launcher_waits_until_the_one_before_has_ended(self):
        l = self.launcher()
        before = l.process
        self.assertEqual(l.run(l.sandbox(), ["/bin/true"])[0].status, 0)
        os.kill(before.pid, signal.SIGSTOP)
        l.sock.close()
        l.start()
        seq = l.send(launch.HELLO)
        with self.assertRaises(TimeoutError):
            l.receive(timeout=0.5)
        os.kill(before.pid, signal.SIGCONT)
        self.assertEqual(before.wait(launch.DEADLINE), 0)
        self.assertTrue(l.answer(seq).complete)
        self.assertEqual(l.run(l.sandbox(), ["/bin/true"])[0].status, 0)

    def wait_for(self, check, what):
        deadline = time.monotonic() + 10
        while not check():
            self.assertLess(time.monotonic(), deadline, what)
            time.sleep(0.01)

    def test_spares_that_die_are_replaced(self):
        l = self.launcher("--pool", "2")
        for pid in self.wait_for_spares(l, 2):
            os.kill(pid, signal.SIGKILL)
        self.wait_for_spares(l, 0)
        self.assertEqual(l.run(l.sandbox(), ["/bin/true"])[0].status, 0)
        self.wait_for_spares(l, 1 + 2)


if __name__ == "__main__":
    unittest.main()
