"""Cancel really stops the work, in each kind of function; and an error ends in one answer."""

import unittest

from harness import WorkerTest

APP = """
import gradio as gr, os, time, asyncio
def note(text):
    with open(os.environ["TMPDIR"] + "/notes", "a") as f: f.write(text + "\\n")
def spin(x):
    note("spin starts")
    try:
        while True: time.sleep(0.01)
    except Exception: note("swallowed")
    finally: note("spin tidies")
def steps(x):
    try:
        i = 0
        while True:
            i += 1
            yield str(i)
            time.sleep(0.01)
    finally: note("steps tidies")
def stubborn_steps(x):
    while True:
        try:
            yield "x"
            time.sleep(0.01)
        except GeneratorExit: return
def stuck_in_yield(x):
    try:
        for i in range(10**9): yield str(i)
    finally: note("stuck tidies")
async def aspin(x):
    note("aspin starts")
    try: await asyncio.sleep(3600)
    finally: note("aspin tidies")
async def agen(x):
    try:
        yield "one"
        await asyncio.sleep(3600)
    finally: note("agen tidies")
async def asuppress(x):
    try: await asyncio.sleep(3600)
    except asyncio.CancelledError: return "nothing happened"
def swallow(x):
    note("swallow starts")
    try:
        while True: time.sleep(0.01)
    except BaseException: return "nothing happened"
def quick(x): return x
async def aquick(x): return x
def boom(x): raise ValueError("boom: " + x)
def polite(x): raise gr.Error("not today", duration=3, title="Sorry")
def leaves(x): raise SystemExit(3)
def deep(x): return deep(x)
async def aboom(x): raise KeyError("k")
def few(x): return "only one"
def many(x): return "a", "b", "c"
with gr.Blocks() as demo:
    t, o, o2 = gr.Textbox(), gr.Textbox(), gr.Textbox()
    b = gr.Button()
    for f in (spin, steps, stubborn_steps, stuck_in_yield, aspin, agen, asuppress, swallow, quick,
              aquick, boom, polite, leaves, deep, aboom):
        b.click(f, t, o)
    for f in (few, many): b.click(f, t, [o, o2])
demo.launch()
"""


class Cancel(WorkerTest):
    APP = APP

    def notes(self):
        try:
            with open(self.worker.base + "/tmp/notes") as file:
                return file.read().split("\n")
        except FileNotFoundError:
            return []

    def wait_for_note(self, text):
        import time

        deadline = time.monotonic() + 20
        while text not in self.notes():
            self.assertLess(time.monotonic(), deadline, "no %r" % text)
            time.sleep(0.005)

    def cancelled(self, number):
        self.worker.cancel(number)
        messages = self.worker.messages(number)
        self.assertEqual(messages[-1]["type"], "cancelled", messages[-1])
        self.assertEqual(self.worker.value("quick", "alive"), ["alive"])

    def test_cancel_raises_in_a_plain_function(self):
        number = self.worker.call("spin", "")
        self.wait_for_note("spin starts")
        self.cancelled(number)
        self.wait_for_note("spin tidies")
        self.assertNotIn("swallowed", self.notes())

    def test_cancel_closes_a_generator(self):
        number = self.worker.call("steps", "")
        self.worker.hear_type("yield")
        self.cancelled(number)
        self.wait_for_note("steps tidies")

    def test_cancel_ends_a_generator_that_returns_at_generator_exit(self):
        number = self.worker.call("stubborn_steps", "")
        self.worker.hear_type("yield")
        self.cancelled(number)

    def test_cancel_ends_a_generator_that_waits_for_credit(self):
        number = self.worker.call("stuck_in_yield", "")
        for _ in range(8):
            self.worker.hear_type("yield")
        self.cancelled(number)
        self.wait_for_note("stuck tidies")

    def test_cancel_cancels_a_coroutine(self):
        number = self.worker.call("aspin", "")
        self.wait_for_note("aspin starts")
        self.cancelled(number)
        self.wait_for_note("aspin tidies")

    def test_cancel_ends_an_async_generator(self):
        number = self.worker.call("agen", "")
        self.worker.hear_type("yield")
        self.cancelled(number)
        self.wait_for_note("agen tidies")

    def test_function_that_swallows_it_is_cancelled_when_it_returns(self):
        number = self.worker.call("swallow", "")
        self.wait_for_note("swallow starts")
        self.cancelled(number)
        self.cancelled(self.worker.call("asuppress", ""))

    def test_cancel_right_behind_the_call(self):
        """Before, while, or after it runs: one answer each, and never a broken line."""
        for round in range(150):
            kind = ("quick", "spin", "steps", "aquick", "aspin", "agen")[round % 6]
            number = self.worker.call(kind, "x")
            self.worker.cancel(number)
            end = self.worker.messages(number)[-1]["type"]
            if kind in ("quick", "aquick"):
                self.assertIn(end, ("return", "cancelled"))
            else:
                self.assertEqual(end, "cancelled")
        self.assertEqual(self.worker.value("quick", "alive"), ["alive"])

    def test_cancel_of_what_is_over_does_nothing(self):
        number = self.worker.call("quick", "x")
        self.worker.messages(number)
        self.worker.cancel(number)
        self.worker.cancel("f" * 32)
        self.worker.tell({"type": "ping", "n": 5})
        self.assertEqual(self.worker.hear(), {"type": "pong", "n": 5})

    def test_cancel_of_another_attempt_does_nothing(self):
        number = self.worker.call("steps", "")
        self.worker.hear_type("yield")
        self.worker.tell({"type": "cancel", "id": number, "attempt": 2})
        self.assertEqual(self.worker.hear()["type"], "yield")
        self.cancelled(number)


class Errors(WorkerTest):
    APP = APP

    def test_exception_becomes_its_text_and_its_traceback_is_logged(self):
        end = self.worker.run("boom", "x")
        self.assertEqual(
            (end["type"], end["error"], end["title"], end["visible"], end["duration"]),
            ("error", "boom: x", "Error", True, 10),
        )
        log = self.worker.log()
        self.assertIn("ValueError: boom: x", log)
        self.assertIn("app.py", log)
        self.assertNotIn("endpoint.py", log)

    def test_gradio_error_keeps_its_fields(self):
        end = self.worker.run("polite", "x")
        self.assertEqual((end["error"], end["title"], end["duration"]), ("not today", "Sorry", 3))

    def test_exit_in_a_function_is_an_error_and_the_worker_lives(self):
        self.assertEqual(self.worker.run("leaves", "x")["error"], "3")
        self.assertEqual(self.worker.value("quick", "alive"), ["alive"])

    def test_endless_recursion_is_an_error(self):
        self.assertIn("recursion", self.worker.run("deep", "x")["error"])

    def test_error_of_an_async_function(self):
        self.assertEqual(self.worker.run("aboom", "x")["error"], "'k'")

    def test_too_few_returned_values_is_an_error_that_says_so(self):
        end = self.worker.run("few", "x")
        self.assertIn("needed: 2, returned: 1", end["error"])

    def test_too_many_returned_values_are_cut_with_a_warning(self):
        self.assertEqual(self.worker.value("many", "x"), ["a", "b"])
        self.assertIn("needed: 2, returned: 3", self.worker.log())

    def test_hidden_errors_are_null(self):
        worker = self.start(APP.replace("demo.launch()", "demo.launch(show_error=False)")).ready()
        self.assertIsNone(worker.run("boom", "x")["error"])
        self.assertEqual(worker.run("polite", "x")["error"], "not today")
        self.assertFalse(worker.config["show_error"])


if __name__ == "__main__":
    unittest.main()
