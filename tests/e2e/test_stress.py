"""Many starts, many Spaces, and kills at bad moments: short forms of what `make soak` does at length."""

import os
import sys
import unittest

import harness

sys.path.insert(0, os.path.join(harness.ROOT, "tests", "support"))
os.environ.setdefault("BUILD", harness.BUILD)
import launch_driver as launch  # noqa: E402
import stress  # noqa: E402

POOL = 2
SLACK_KB = 64  # an allocator keeps a page here and there; a leak of one box a cycle is 5 kB x 60


class Stress(harness.Case):
    @classmethod
    def setUpClass(cls):
        harness.needs_root()

    def test_sixty_starts_and_stops_leave_every_count_as_it_was(self):
        l = launch.Launcher(options=("--pool", str(POOL)))
        self.addCleanup(l.remove)
        self.addCleanup(l.close)
        if not l.hello().complete:
            self.skipTest("needs userns: this host cannot isolate")
        before, after, _ = stress.cycles(l, 60, POOL)
        memory = "launcher's own memory, kB"
        self.assertLess(after.pop(memory), before.pop(memory) + SLACK_KB)
        self.assertEqual(after, before)

    def test_twenty_spaces_started_at_once_leave_the_daemon_answering(self):
        d = self.daemon()
        _, seen = stress.starts_at_once(d, self.folder(stress.APP), 20, harness.DEADLINE_S)
        self.assertLess(seen["readyz_p99_ms"], 50, seen)

    def test_ten_spaces_are_back_after_each_kind_of_kill_and_nothing_old_is_left(self):
        d = self.daemon()
        names = stress.make_spaces(d, self.folder(stress.APP), 10)
        for who in ("daemon", "launcher", "both"):
            with self.subTest(who):
                stress.wait_until_all_run(d, names)
                self.assertEqual(stress.kill_and_restart(d, who), set())
        stress.wait_until_all_run(d, names)

    def test_kills_at_random_moments_of_random_starts_leave_nothing_that_the_next_life_does_not_find(self):
        d = self.daemon()
        names = stress.make_spaces(d, self.folder(stress.APP), 6)
        left, asked = stress.random_kills(d, names, 5, seed=7, starts=20)
        self.assertEqual(left, set())
        self.assertGreater(asked, 5)
        stress.wait_until_all_run(d, names)
        self.assertEqual(d.call(names[0], "echo", ["well"]), ("complete", ["well"]))


if __name__ == "__main__":
    unittest.main()
