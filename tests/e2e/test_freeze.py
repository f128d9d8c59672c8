"""A Space that nobody uses is held still with its memory, and the next visit lets it go."""

import os
import sys
import time
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import harness  # noqa: E402

APP = '''import threading, time, gradio as gr

count = [0]
ticks = [0]

def spin():
    while True:
        ticks[0] += sum(range(20000)) > 0
        time.sleep(0.01)

threading.Thread(target=spin, daemon=True).start()

def add():
    count[0] += 1
    return count[0]

def slow(s):
    time.sleep(s)
    return "done"

with gr.Blocks() as demo:
    out, n = gr.Textbox(), gr.Number()
    gr.Button().click(add, None, out, api_name="add")
    gr.Button().click(slow, n, out, api_name="slow")
demo.launch()
'''


def setUpModule():
    if os.geteuid() != 0:
        raise unittest.SkipTest("needs root: spaces-launcher builds sandboxes as root")


class Freeze(harness.Case):
    def start(self, *settings, **more):
        d = self.daemon(args=[a for s in settings for a in ("--set", s)], **more)
        folder = d.state + "-app"
        os.makedirs(folder, exist_ok=True)
        with open(folder + "/app.py", "w", encoding="utf-8") as file:
            file.write(APP)
        self.addCleanup(lambda: harness.shutil.rmtree(folder, ignore_errors=True))
        self.folder = folder
        d.deploy(folder, "me/app")
        return d

    def wait_frozen(self, d):
        return harness.wait_for("the Space to be frozen", lambda: d.runtime("me/app")["frozen"])

    def usage(self, d):
        """Counters that were asked for after this call began: the first answer may be of before."""
        d.runtime("me/app")
        time.sleep(1.2)  # they are kept for a second
        first = d.runtime("me/app")["usage"]["cpu_ns"]
        return harness.wait_for("new counters", lambda: (d.runtime("me/app")["usage"]["cpu_ns"], first))[0]

    def add(self, d):
        event, data = d.call("me/app", "add", [])
        self.assertEqual(event, "complete", data)
        return data[0]

    def test_a_space_that_nobody_uses_is_frozen_and_answers_the_next_call(self):
        d = self.start("space.freeze_after=1s")
        self.assertEqual(self.add(d), "1")
        self.wait_frozen(d)
        runtime = d.runtime("me/app")
        self.assertEqual(runtime["stage"], "RUNNING")
        self.assertIn("wakes with the next visit", runtime["reason"])
        self.assertEqual(runtime["gcTimeout"], 1)
        began = time.monotonic()
        self.assertEqual(self.add(d), "2")  # it kept its memory
        self.assertLess(time.monotonic() - began, 5)
        runtime = d.runtime("me/app")
        self.assertEqual((runtime["stage"], runtime["reason"], runtime["frozen"]), ("RUNNING", "", None))
        self.wait_frozen(d)
        self.assertEqual(self.add(d), "3")

    def test_a_frozen_space_uses_no_cpu(self):
        d = self.start("space.freeze_after=1s")
        self.wait_frozen(d)
        before = self.usage(d)
        after = self.usage(d)
        self.assertEqual(d.runtime("me/app")["frozen"] is not None, True)
        self.assertEqual(after, before)

    def test_a_visit_of_the_page_of_the_app_wakes_it(self):
        d = self.start("space.freeze_after=1s")
        self.wait_frozen(d)
        self.assertEqual(d.get("/app/me/app/config").status, 200)
        harness.wait_for("it to go on", lambda: d.runtime("me/app")["frozen"] is None)

    def test_a_call_that_runs_and_an_open_stream_keep_it_awake(self):
        d = self.start("space.freeze_after=1s")
        event, data = d.call("me/app", "slow", [3])
        self.assertEqual((event, data), ("complete", ["done"]))
        stream = harness.Stream(d, "/app/me/app/gradio_api/heartbeat/s1")
        try:
            end = time.monotonic() + 3
            while time.monotonic() < end:
                self.assertIsNone(d.runtime("me/app")["frozen"])
                time.sleep(0.1)
        finally:
            stream.connection.close()

    def test_pings_are_not_missed_while_it_is_frozen(self):
        d = self.start("space.freeze_after=1s", "timeout.ping=1s")
        self.wait_frozen(d)
        end = time.monotonic() + 5  # several pings' time
        while time.monotonic() < end:
            self.assertIsNotNone(d.runtime("me/app")["frozen"])
            time.sleep(0.2)
        self.assertEqual(self.add(d), "1")

    def test_a_frozen_space_can_be_paused_restarted_deployed_and_deleted(self):
        d = self.start("space.freeze_after=1s")
        self.wait_frozen(d)
        d.cli("pause", "me/app")
        harness.wait_for("it to stop", lambda: not d.runtime("me/app")["usage"])
        d.cli("restart", "me/app", "--wait")
        self.wait_frozen(d)
        with open(self.folder + "/app.py", "a", encoding="utf-8") as file:
            file.write("# another version\n")
        d.deploy(self.folder, "me/app")
        self.assertEqual(self.add(d), "1")
        self.wait_frozen(d)
        d.cli("delete", "me/app", "--yes")
        harness.wait_for("its sandbox to go", lambda: not [p for p in harness.processes_with(d.state_id).values()
                                                           if "worker.py" in p])

    def test_a_sleep_time_of_its_own_goes_before_the_setting(self):
        d = self.start()
        self.assertIsNone(d.runtime("me/app")["gcTimeout"])
        self.assertIn("after 1 s", d.cli("sleep", "me/app", "1").stdout)
        self.wait_frozen(d)
        self.assertIn("never", d.cli("sleep", "me/app", "never").stdout)
        harness.wait_for("it to go on", lambda: d.runtime("me/app")["frozen"] is None)

    def test_a_space_that_the_kernel_does_not_let_go_on_is_started_anew(self):
        with open(os.path.join(harness.BUILD, "spaces-launcher"), "rb") as program:
            if b"cgroup.let_go" not in program.read():
                self.skipTest("needs a build with fault points: make build FAULTS=1")
        d = self.start("space.freeze_after=1s", "space.backoff=10ms", env={"SP_FAULT": "cgroup.let_go:1"})
        self.add(d)
        self.wait_frozen(d)
        d.call("me/app", "add", [])  # lost with the worker, or served by the next
        harness.wait_for("a worker that serves", lambda: d.call("me/app", "add", [])[0] == "complete")
        self.assertEqual(d.log_text().count("instance.not_let_go"), 1)
        d.expected_errors.append("instance.not_let_go")

    def test_a_daemon_that_stops_or_dies_takes_a_frozen_space_along(self):
        d = self.start("space.freeze_after=1s")
        self.wait_frozen(d)
        d.kill()
        harness.wait_for("nothing to be left", lambda: not d.leftovers())
        d.start()
        self.assertIn(d.runtime("me/app")["stage"], ("APP_STARTING", "RUNNING"))
        self.wait_frozen(d)


if __name__ == "__main__":
    unittest.main()
