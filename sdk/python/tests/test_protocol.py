"""The life of a worker: hello, ready, call, ping, shutdown, and what is not the protocol."""

import json
import unittest

from harness import WorkerTest

APP = """
import gradio as gr, os, sys, threading, time
print("this goes to the log")
def echo(x): return x
def wait_for(name):
    while not os.path.exists(name): time.sleep(0.01)
    return name
def touch(name):
    open(name, "w").close()
    return name
def nan(): return {"a": float("nan"), "b": [float("inf"), 1.5], "c": (1, 2), 3: "k"}
def big(n): return "x" * int(n)
def odd(): return "\\ud800 and \\n\\u2028"
def thing(): return object()
with gr.Blocks() as demo:
    i, o, n, j = gr.Textbox(), gr.Textbox(), gr.Number(), gr.JSON()
    b = gr.Button()
    b.click(echo, i, o)
    b.click(wait_for, i, o, concurrency_limit=None)
    b.click(touch, i, o)
    b.click(nan, None, j)
    b.click(big, n, o)
    b.click(odd, None, o)
    b.click(thing, None, j)
demo.launch()
"""


class Calls(WorkerTest):
    APP = APP

    def test_ready_names_the_engine_and_version(self):
        first = self.worker.first
        self.assertEqual(first["version"], 1)
        self.assertIn("spacekit", first["engine"])
        self.assertTrue(self.worker.log().startswith("spacekit: engine spacekit"))
        self.assertIn("this goes to the log", self.worker.log())
        self.assertEqual(first["max_threads"], 40)
        self.assertIsNone(first["max_size"])

    def test_call_is_answered_once_with_its_id(self):
        end = self.worker.run("echo", "hi")
        self.assertEqual(end["type"], "return")
        self.assertEqual((end["data"], end["attempt"], end["generator"]), (["hi"], 1, False))
        self.assertLess(end["duration"], 5)

    def test_unicode_survives(self):
        self.assertEqual(self.worker.value("echo", 'grüße 👋 \u0000 \\ "'), ['grüße 👋 \u0000 \\ "'])

    def test_lone_surrogate_does_not_break_the_line(self):
        self.assertEqual(self.worker.value("odd"), ["? and \n\u2028"])

    def test_nan_and_infinity_become_null(self):
        self.assertEqual(
            self.worker.value("nan"), [{"a": None, "b": [None, 1.5], "c": [1, 2], "3": "k"}]
        )

    def test_value_without_json_form_is_an_error_with_a_sentence(self):
        end = self.worker.run("thing")
        self.assertEqual(end["type"], "error")
        self.assertIn("type object cannot be sent", end["error"])

    def test_value_just_below_the_limit_is_sent(self):
        self.assertEqual(len(self.worker.value("big", (1 << 20) - 4)[0]), (1 << 20) - 4)

    def test_value_above_the_limit_is_an_error_with_a_sentence(self):
        end = self.worker.run("big", 1 << 20)
        self.assertEqual(end["type"], "error")
        self.assertIn("at most 1 MiB", end["error"])

    def test_wrong_number_of_inputs_is_an_error(self):
        end = self.worker.run("echo", "a", "b")
        self.assertIn("needs 1 input values, 2 were sent", end["error"])
        self.assertEqual(self.worker.run("echo", data=None)["type"], "error")

    def test_unknown_function_is_an_error(self):
        for number in (99, -1, None, 1.5):
            self.assertIn("does not exist", self.worker.run(number, "x")["error"])

    def test_ping_is_answered_while_a_function_runs(self):
        name = self.worker.base + "/go1"
        number = self.worker.call("wait_for", name)
        self.worker.tell({"type": "ping", "n": 7})
        self.assertEqual(self.worker.hear(), {"type": "pong", "n": 7})
        open(name, "w").close()
        self.assertEqual(self.worker.messages(number)[-1]["data"], [name])

    def test_functions_run_side_by_side(self):
        """Ten wait for a file that the eleventh makes: they must all have been started."""
        names = [self.worker.base + "/side%d" % n for n in range(10)]
        waiting = [self.worker.call("wait_for", name) for name in names]
        for name in names:
            self.worker.call("touch", name)
        returned = set()
        while not set(waiting) <= returned:
            returned.add(self.worker.hear_type("return")["id"])

    def test_unknown_types_and_keys_are_ignored(self):
        self.worker.tell({"type": "from_the_future", "x": 1})
        self.assertEqual(self.worker.value("echo", "still here", new_key=[1]), ["still here"])

    def test_call_may_arrive_in_pieces_and_several_at_once(self):
        call = {"type": "call", "attempt": 1, "fn": 0, "session": "s", "data": ["x" * 100000]}
        lines = b"".join(
            json.dumps(dict(call, id="%032d" % n)).encode() + b"\n" for n in range(900, 903)
        )
        for start in range(0, len(lines), 9973):
            self.worker.tell_raw(lines[start : start + 9973])
        found = {self.worker.hear_type("return")["id"] for _ in range(3)}
        self.assertEqual(found, {"%032d" % n for n in range(900, 903)})


class Ends(WorkerTest):
    def test_closed_socket_ends_the_worker(self):
        worker = self.start(APP).ready()
        worker.sock.shutdown(1)
        self.assertEqual(worker.ended(), 0)

    def test_closed_socket_ends_a_worker_that_runs_a_function(self):
        worker = self.start(APP).ready()
        worker.call("wait_for", worker.base + "/never")
        worker.sock.shutdown(1)
        self.assertEqual(worker.ended(), 0)

    def test_shutdown_waits_for_running_calls(self):
        worker = self.start(APP).ready()
        name = worker.base + "/go"
        number = worker.call("wait_for", name)
        worker.tell({"type": "shutdown", "grace_ms": 15000})
        worker.tell({"type": "ping", "n": 1})
        worker.hear_type("pong")
        open(name, "w").close()
        self.assertEqual(worker.messages(number)[-1]["type"], "return")
        self.assertEqual(worker.ended(), 0)

    def test_shutdown_ends_after_the_grace(self):
        worker = self.start(APP).ready()
        worker.call("wait_for", worker.base + "/never")
        worker.tell({"type": "shutdown", "grace_ms": 50})
        self.assertEqual(worker.ended(), 0)

    def test_functions_registered_for_the_end_run(self):
        worker = self.start("import atexit; atexit.register(print, 'bye bye')\n" + APP).ready()
        worker.tell({"type": "shutdown", "grace_ms": 0})
        worker.ended()
        self.assertIn("bye bye", worker.log())

    def test_an_exit_in_a_handler_of_a_signal_ends_the_worker_with_its_code(self):
        head = (
            "import atexit, os, signal, sys\n"
            "atexit.register(print, 'bye bye')\n"
            "signal.signal(signal.SIGTERM, lambda *a: sys.exit(5))\n"
        )
        worker = self.start(head + APP + "\nos.kill(os.getpid(), signal.SIGTERM)\n")
        self.assertEqual(worker.ended(), 5)
        self.assertEqual(worker.log().count("bye bye"), 1)

    def test_an_exit_at_the_end_of_the_file_leaves_the_app_serving(self):
        worker = self.start(APP + "\nimport sys\nsys.exit(3)\n").ready()
        worker.tell({"type": "shutdown", "grace_ms": 0})
        self.assertEqual(worker.ended(), 0)

    def _bad(self, data):
        worker = self.start(APP).ready()
        worker.tell_raw(data)
        self.assertEqual(worker.ended(), 1)
        self.assertIn("protocol error", worker.log())

    def test_garbage_ends_the_worker(self):
        self._bad(b"hello there\n")

    def test_line_that_is_not_an_object_ends_the_worker(self):
        self._bad(b"[1]\n")

    def test_nan_in_a_line_ends_the_worker(self):
        self._bad(b'{"type":"ping","n":NaN}\n')

    def test_bad_utf8_ends_the_worker(self):
        self._bad(b'{"type":"\xff"}\n')

    def test_call_without_id_ends_the_worker(self):
        self._bad(b'{"type":"call","fn":0}\n')

    def test_endless_line_ends_the_worker(self):
        worker = self.start(APP).ready()
        try:
            for _ in range(30):
                worker.tell_raw(b"x" * 65536)
        except OSError:
            pass
        self.assertEqual(worker.ended(), 1)

    def test_wrong_version_ends_the_worker(self):
        worker = self.start(APP, hello={"version": 2})
        self.assertEqual(worker.ended(), 1)

    def test_app_cannot_find_the_socket(self):
        """Neither by the variable nor by its number; nor do its children inherit it."""
        app = (
            """
import os, subprocess
shown = subprocess.run(["sh", "-c", "ls -l /proc/self/fd"], capture_output=True, text=True,
    close_fds=False).stdout
print("SOCKETS", shown.count("socket:"), os.environ.get("SPACEKIT_FD"))
"""
            + APP
        )
        worker = self.start(app).ready()
        worker.tell({"type": "shutdown", "grace_ms": 0})
        worker.ended()
        self.assertIn("SOCKETS 0 None", worker.log())


if __name__ == "__main__":
    unittest.main()
