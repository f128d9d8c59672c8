"""Two visitors of one Space: cancelling A's endless plain function leaves B's running result and C's State."""

import time

import harness

HEADER = "---\ntitle: T\n---\n"
APP = """
import ctypes, os, threading, time
import gradio as gr

release = threading.Event()

def endless(how):
    print("endless begins", flush=True)
    if how == "python":
        while True:
            pass
    ctypes.CDLL(None).sleep(3600)

def wait():
    print("wait begins", flush=True)
    release.wait(60)
    return "for B, from " + str(os.getpid())

def let_go():
    release.set()

def add(word, state):
    state = (state or []) + [word]
    return " ".join(state), state

with gr.Blocks() as demo:
    text, out, state = gr.Textbox(), gr.Textbox(), gr.State([])
    gr.Button().click(endless, text, None, api_name="endless", concurrency_limit=2, concurrency_id="two")
    gr.Button().click(wait, None, out, api_name="wait", concurrency_limit=2, concurrency_id="two")
    gr.Button().click(let_go, None, None, api_name="let_go")
    gr.Button().click(add, [text, state], [out, state], api_name="add")
demo.launch()
"""
ENDLESS, WAIT, LET_GO, ADD = range(4)
SPACE = "me/two"


class Neighbours(harness.Case):
    @classmethod
    def setUpClass(cls):
        harness.needs_root()

    def open(self, session):
        stream = self.d.stream(SPACE, session)
        self.addCleanup(stream.close)
        return stream

    def join(self, fn, data, session):
        reply = self.d.join(SPACE, fn, data, session)
        self.assertEqual(reply.status, 200, reply.body)
        return reply.json["event_id"]

    def add(self, word, expected):
        event = self.join(ADD, [word, None], "c")
        stream = self.open("c")
        output = stream.until("process_completed", event)[-1]["output"]
        self.assertEqual(output["data"][0], expected)
        stream.close()

    def begun(self, what):
        harness.wait_for(what, lambda: what + " begins" in self.d.cli("logs", SPACE).stdout)

    def cancel_the_endless(self, how):
        """A is cancelled while B runs beside it; B's answer must be of the worker that it began in."""
        self.d = self.daemon(args=["--set", "space.backoff=10ms"])
        self.d.deploy(self.folder({"README.md": HEADER, "app.py": APP}), SPACE)
        self.add("one", "one")
        b_event = self.join(WAIT, [], "b")
        b = self.open("b")
        self.begun("wait")
        a_event = self.join(ENDLESS, [how], "a")
        a = self.open("a")
        self.begun("endless")

        asked = time.monotonic()
        reply = self.d.post(f"/app/{SPACE}/gradio_api/cancel",
                            {"session_hash": "a", "fn_index": ENDLESS, "event_id": a_event})
        self.assertEqual(reply.status, 200, reply.body)
        end = a.until("process_completed", a_event)[-1]
        self.assertEqual(end["output"]["data"], [], "cancelled, without values")
        self.assertLess(time.monotonic() - asked, 10, "A is told soon, whatever its function does")

        # Longer than a cancelled call is given: an ending of the worker would have come by now.
        harness.wait_for("the time to kill", lambda: time.monotonic() - asked > 3.5)
        self.add("two", "one two")
        self.join(LET_GO, [], "d")
        done = b.until("process_completed", b_event)[-1]
        self.assertTrue(done["success"], done)
        self.assertIn("for B", done["output"]["data"][0])
        return done["output"]["data"][0]  # names the worker

    def slots_are_free(self):
        """Two waits at a time again: the limit of the group is 2, and no slot is held by what is over."""
        events = [self.join(WAIT, [], "e"), self.join(WAIT, [], "f")]
        first, second = self.open("e"), self.open("f")
        harness.wait_for("both to run", lambda: self.d.cli("logs", SPACE).stdout.count("wait begins") >= 3)
        self.join(LET_GO, [], "d")
        for stream, event in ((first, events[0]), (second, events[1])):
            done = stream.until("process_completed", event)[-1]
            self.assertTrue(done["success"], done)
        return done["output"]["data"][0]

    def test_a_python_loop_is_interrupted_and_neighbours_notice_nothing(self):
        worker = self.cancel_the_endless("python")
        self.add("three", "one two three")
        self.assertEqual(self.slots_are_free(), worker, "nobody's worker was ended")

    def test_a_call_that_cannot_be_interrupted_is_ended_when_nobody_else_runs(self):
        worker = self.cancel_the_endless("c")
        self.add("three", "one two three")  # by then perhaps in another worker: State is kept
        harness.wait_for("the worker to be replaced", lambda: "did not stop when it was cancelled"
                         in self.d.cli("logs", SPACE).stdout)
        self.add("four", "one two three four")
        self.assertNotEqual(self.slots_are_free(), worker)


