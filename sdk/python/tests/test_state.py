"""gr.State: per session, copied at first use, kept outside of the worker."""

import os
import unittest

from harness import Worker, WorkerTest

APP = """
import gradio as gr, threading
class Thing:
    def __init__(self): self.n = 0
def count(step, n):
    return n + step, n + step
def append(x, items):
    items.append(x)          # changed in place and not returned
    return len(items)
def thing(t):
    t.n += 1
    return t.n, t
def lock(s):
    return "kept" if s else "new", threading.Lock()
def both(items, n):
    return len(items), n
def steps(n):
    for i in range(3):
        n += 1
        yield n, n
def fails(items):
    items.append("before the error")
    raise ValueError("x")
async def acount(n): return n + 1, n + 1
def choose(x): return x
def more(x): return gr.Dropdown(choices=["c", ("Dee", "d")], value="d")
def big(n): return "x" * int(n)
with gr.Blocks() as demo:
    n, t, o, d = gr.Number(), gr.Textbox(), gr.Textbox(), gr.Dropdown(["a", "b"])
    number, items, obj, unpicklable, blob = (
        gr.State(10), gr.State([]), gr.State(Thing()), gr.State(), gr.State(""))
    b = gr.Button()
    b.click(count, [n, number], [o, number])
    b.click(append, [t, items], o)
    b.click(thing, obj, [o, obj])
    b.click(lock, unpicklable, [o, unpicklable])
    b.click(both, [items, number], [o, n])
    b.click(steps, number, [o, number])
    b.click(fails, items, o)
    b.click(acount, number, [o, number])
    b.click(choose, d, o)
    b.click(more, t, d)
    b.click(big, n, blob)
demo.launch()
"""


class State(WorkerTest):
    APP = APP

    def test_state_positions_are_told_and_never_sent(self):
        entry = [f for f in self.worker.functions if f["api_name"] == "count"][0]
        self.assertEqual(entry["state_inputs"], [1])
        self.assertEqual(self.worker.value("count", 5, None, session="x"), ["15", None])
        self.assertEqual(self.worker.value("count", 1, None, session="x"), ["16", None])

    def test_sessions_do_not_share_even_mutable_initial_values(self):
        self.assertEqual(self.worker.value("append", "a", None, session="m1"), ["1"])
        self.assertEqual(self.worker.value("append", "b", None, session="m1"), ["2"])
        self.assertEqual(self.worker.value("append", "a", None, session="m2"), ["1"])

    def test_calls_without_a_session_share_nothing(self):
        for _ in range(2):
            self.assertEqual(self.worker.value("count", 5, None, session=""), ["15", None])
            self.assertEqual(self.worker.value("append", "a", None, session=None), ["1"])

    def test_generator_and_async_set_state(self):
        self.assertEqual(self.worker.value("steps", None, session="g"), ["13", None])
        self.assertEqual(self.worker.value("acount", None, session="g"), ["14", None])

    def test_session_end_forgets(self):
        self.worker.value("count", 5, None, session="e")
        files = set(os.listdir(self.worker.base + "/state"))
        self.worker.tell({"type": "session_end", "session": "e"})
        self.assertEqual(self.worker.value("both", None, None, session="e"), ["0", 10])
        self.worker.tell({"type": "session_end", "session": "e"})
        self.worker.tell({"type": "session_end", "session": "never seen"})
        self.worker.value("choose", "a")
        self.assertEqual(len(set(os.listdir(self.worker.base + "/state"))), len(files) - 1)

    def test_session_name_cannot_name_another_file(self):
        for name in ("../../x", "/etc/x", "a\0b", "\ud800", "x" * 128):
            with self.subTest(name=name):
                self.assertEqual(self.worker.value("count", 1, None, session=name)[0], "11")
        found = {len(name) for name in os.listdir(self.worker.base + "/state")}
        self.assertEqual(found, {32})

    def test_choices_set_by_a_handler_hold_for_that_session_only(self):
        update = self.worker.value("more", "x", session="c1")[0]
        self.assertEqual(
            update, {"__type__": "update", "choices": [["c", "c"], ["Dee", "d"]], "value": "d"}
        )
        self.assertEqual(self.worker.value("choose", "d", session="c1"), ["d"])
        self.assertIn("not in the list", self.worker.run("choose", "a", session="c1")["error"])
        self.assertIn("not in the list", self.worker.run("choose", "d", session="c2")["error"])

    def test_too_large_state_is_not_saved_and_said_so_by_size(self):
        self.worker.value("big", 5 << 20, session="big")
        self.worker.value("big", 5 << 20, session="big")
        self.assertEqual(self.worker.log().count("session state of 52"), 1, self.worker.log())


class Replaced(WorkerTest):
    """A second worker on the same folders, as after a kill."""

    def successor(self, worker, app=APP):
        worker.process.kill()
        worker.process.wait()
        worker.sock.close()
        next_worker = Worker(app, folders=worker.base)
        self.addCleanup(next_worker.stop)
        return next_worker.ready()

    def test_state_is_there_in_the_next_worker(self):
        one = self.start(APP).ready()
        one.value("count", 7, None)
        one.value("append", "a", None)
        one.value("thing", None)
        one.value("more", "x")
        one.messages(one.call("fails", None))
        two = self.successor(one)
        self.assertEqual(two.value("both", None, None), ["2", 17])
        self.assertEqual(two.value("thing", None), ["2", None])
        self.assertEqual(two.value("choose", "d"), ["d"])
        self.assertEqual(two.value("both", None, None, session="other"), ["0", 10])

    def test_what_cannot_be_pickled_is_named_once_and_costs_only_itself(self):
        one = self.start(APP).ready()
        one.value("count", 7, None)
        self.assertEqual(one.value("lock", None)[0], "new")
        self.assertEqual(one.value("lock", None)[0], "kept")
        self.assertEqual(one.log().count("holds a lock that cannot be saved"), 1, one.log())
        two = self.successor(one)
        self.assertEqual(two.value("both", None, None)[1], 17)
        self.assertEqual(two.value("lock", None)[0], "new")

    def test_broken_file_starts_anew_with_a_warning(self):
        one = self.start(APP).ready()
        one.value("count", 7, None)
        for name in os.listdir(one.base + "/state"):
            with open(one.base + "/state/" + name, "wb") as file:
                file.write(b"garbage")
        two = self.successor(one)
        self.assertEqual(two.value("both", None, None), ["0", 10])
        self.assertIn("cannot be read", two.log())

    def test_another_version_of_the_app_starts_anew(self):
        one = self.start(APP).ready()
        one.value("count", 7, None)
        two = self.successor(
            one,
            APP.replace("with gr.Blocks() as demo:", "with gr.Blocks() as demo:\n    gr.State(3)"),
        )
        self.assertEqual(two.value("both", None, None), ["0", 10])


if __name__ == "__main__":
    unittest.main()
