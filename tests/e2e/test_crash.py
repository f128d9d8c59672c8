"""kill -9 with ten requests in line: those not started run exactly once, the started are lost and told so."""

import os
import signal

import harness

SLOW = 1


def tail_of(path):
    try:
        with open(path, encoding="utf-8") as file:
            return file.read().split()
    except FileNotFoundError:
        return []


class Crash(harness.Case):
    @classmethod
    def setUpClass(cls):
        harness.needs_root()

    def setUp(self):
        super().setUp()
        self.d = self.daemon()
        self.d.deploy("kitchen", "me/kitchen")
        space = os.listdir(f"{self.d.state}/files")[0]
        self.ran = f"{self.d.state}/files/{space}/o/ran"

    def fill(self):
        """One request runs, ten wait; detached, as curl users send them: (running id, waiting ids)."""
        ids = []
        for i in range(11):
            seconds = 20 + i if i == 0 else 0.01 * i
            reply = self.d.post("/app/me/kitchen/gradio_api/call/slow", {"data": [seconds]}, token=None)
            self.assertEqual(reply.status, 200, reply.body)
            ids.append(reply.json["event_id"])
            if i == 0:
                harness.wait_for("the first to run", lambda: tail_of(self.ran))
        return ids[0], ids[1:]

    def result(self, event):
        text = self.d.get(f"/app/me/kitchen/gradio_api/call/slow/{event}", token=None).body.decode()
        return text.strip().split("\n\n")[-1]

    def check_after(self, running, waiting):
        harness.wait_for("RUNNING", lambda: self.d.runtime("me/kitchen")["stage"] == "RUNNING")
        for event in waiting:
            self.assertIn("event: complete", self.result(event))
        lost = self.result(running)
        self.assertIn("event: error", lost)
        self.assertIn("restart", lost)
        runs = tail_of(self.ran)
        self.assertEqual(sorted(runs), sorted(set(runs)), "something ran twice")
        self.assertEqual(len(runs), 11, runs)

    def nothing_of_the_old_life(self, old):
        harness.wait_for("the old processes to be gone", lambda: not (old & set(harness.processes_with(self.d.state_id))))

    def test_the_daemon_is_killed(self):
        running, waiting = self.fill()
        old = set(harness.processes_with(self.d.state_id))
        self.d.kill()
        self.nothing_of_the_old_life(old)
        self.d.start()
        self.check_after(running, waiting)

    def test_the_launcher_is_killed(self):
        self.d.expected_errors.append("launcher.lost")
        running, waiting = self.fill()
        old = set(harness.processes_with(self.d.state_id))
        os.kill(self.d.launcher_pid(), signal.SIGKILL)
        self.assertEqual(self.d.process.wait(harness.DEADLINE_S), 1)
        self.d.release()
        self.nothing_of_the_old_life(old)
        self.d.start()
        self.check_after(running, waiting)

    def test_both_are_killed(self):
        running, waiting = self.fill()
        old = set(harness.processes_with(self.d.state_id))
        launcher = self.d.launcher_pid()
        os.kill(launcher, signal.SIGSTOP)  # so that it cannot tidy up between the two kills
        self.d.process.kill()
        os.kill(launcher, signal.SIGKILL)
        self.d.process.wait(harness.DEADLINE_S)
        self.d.release()
        self.nothing_of_the_old_life(old)
        self.d.start()
        self.check_after(running, waiting)

    def test_a_supervised_daemon_comes_back_by_itself(self):
        d = self.daemon(supervise=True)
        d.deploy("kitchen", "me/kitchen")
        d.expected_errors.append("supervise.restart")
        children = [pid for pid, line in harness.processes_with(d.state).items()
                    if "spacesd --" in line or "/spacesd " in line]
        child = max(pid for pid in children if pid != d.process.pid)
        os.kill(child, signal.SIGKILL)
        d.wait_ready()
        harness.wait_for("RUNNING", lambda: d.runtime("me/kitchen")["stage"] == "RUNNING")
        self.assertEqual(d.call("me/kitchen", "echo", ["back"]), ("complete", ["back"]))
