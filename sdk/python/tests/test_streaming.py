"""Generators: edits, credits, coalescing."""

import time
import unittest

from harness import WorkerTest
from spacekit import diff

APP = """
import gradio as gr, os, time, asyncio
def words(n):
    text = ""
    for i in range(int(n)):
        text += "word%d " % i
        yield text
def flood(n):
    for i in range(int(n)): yield str(i)
def paced(n):
    for i in range(int(n)):
        yield str(i)
        time.sleep(0.07)
def late(name):
    for i in range(30): yield str(i)      # faster than allowed: the last one waits
    while not os.path.exists(name): time.sleep(0.01)
    yield "end"
def history(n):
    messages = []                         # the same list each time, as apps do
    for i in range(int(n)):
        messages.append({"role": "user", "content": ""})
        yield messages
        messages[-1]["content"] += "hi"
        yield messages
def two(n):
    for i in range(int(n)): yield "a" * i, "same"
def nothing(n):
    if False: yield
def fails(n):
    yield "one"
    raise ValueError("after one")
def toasts(n):
    yield gr.update(value="x", visible=True)
    yield gr.skip()
async def aflood(n):
    for i in range(int(n)): yield str(i)
async def awords(n):
    text = ""
    for i in range(int(n)):
        text += "w"
        yield text
        await asyncio.sleep(0)
class Holder:
    def method(self, n):
        yield "m1"
        yield "m2"
with gr.Blocks() as demo:
    n, t, o, o2, j = gr.Number(), gr.Textbox(), gr.Textbox(), gr.Textbox(), gr.JSON()
    b = gr.Button()
    for f in (words, flood, paced, nothing, fails, toasts, aflood, awords): b.click(f, n, o)
    b.click(late, t, o)
    b.click(history, n, j)
    b.click(two, n, [o, o2])
    b.click(Holder().method, n, o)
    b.click(lambda n: words(n), n, o, api_name="hidden")
    b.click(lambda n: awords(n), n, o, api_name="ahidden")
demo.launch()
"""


def replay(messages):
    """The values a client shows, applying data and edits; checks the numbering on the way."""
    shown, values = [], None
    yields = [m for m in messages if m["type"] == "yield"]
    for index, message in enumerate(yields):
        assert message["seq"] == index + 1, message
        if index == 0:
            values = message["data"]
        else:
            values = [diff.apply(v, ops) for v, ops in zip(values, message["ops"])]
        shown.append(repr(values))
    return shown, values


class Streaming(WorkerTest):
    APP = APP

    def stream(self, fn, *data, credit=True):
        """All messages, giving one credit per yield."""
        number = self.worker.call(fn, *data)
        found = []
        while not found or found[-1]["type"] not in ("return", "error", "cancelled"):
            found.append(self.worker.hear())
            if credit and found[-1]["type"] == "yield":
                self.worker.tell({"type": "credit", "id": number, "attempt": 1, "n": 1})
        return found

    def test_first_is_whole_then_text_is_appended(self):
        messages = self.stream("words", 3)
        kinds = [m["type"] for m in messages]
        self.assertEqual(kinds, ["yield"] * 3 + ["return"])
        self.assertEqual(messages[0]["data"], ["word0 "])
        self.assertEqual(messages[1]["ops"], [[["append", [], "word1 "]]])
        self.assertEqual(messages[3]["data"], ["word0 word1 word2 "])
        self.assertTrue(messages[3]["generator"])

    def test_changed_list_is_sent_as_edits_though_it_is_the_same_object(self):
        messages = self.stream("history", 2)
        self.assertEqual(messages[1]["ops"], [[["replace", [0, "content"], "hi"]]])
        self.assertEqual(messages[2]["ops"], [[["add", [1], {"role": "user", "content": ""}]]])
        _, values = replay(messages)
        self.assertEqual(values, messages[-1]["data"])

    def test_unchanged_output_has_no_edits(self):
        messages = self.stream("two", 3)
        self.assertEqual(messages[1]["ops"][1], [])
        self.assertEqual(messages[-1]["data"], ["aa", "same"])

    def test_flood_is_coalesced_and_its_end_is_never_lost(self):
        begin = time.monotonic()
        messages = self.stream("flood", 20000)
        took = time.monotonic() - begin
        self.assertEqual(messages[-1]["data"], ["19999"])
        self.assertLessEqual(len(messages) - 1, 4 + 16 * took + 1)

    def test_yields_slower_than_the_limit_all_arrive(self):
        shown, _ = replay(self.stream("paced", 8))
        self.assertEqual(shown, [repr([str(i)]) for i in range(8)])

    def test_coalesced_value_is_sent_though_the_generator_pauses(self):
        """The 30th is held back by the rate; it must come while the generator waits for us."""
        name = self.worker.base + "/late"
        number = self.worker.call("late", name)
        seen = []
        while not seen or diff.apply(seen[-1], []) != "29":
            message = self.worker.hear_type("yield")
            seen.append(message["data"][0] if "data" in message else message["ops"][0][0][2])
        open(name, "w").close()
        self.assertEqual(self.worker.messages(number)[-1]["data"], ["end"])

    def test_without_credit_the_generator_stands_still(self):
        number = self.worker.call("paced", 12)
        for _ in range(8):
            self.worker.hear_type("yield")
        self.worker.tell({"type": "ping", "n": 1})
        self.worker.hear_type("pong")
        self.worker.sock.settimeout(0.4)
        with self.assertRaises(TimeoutError):
            self.worker.hear()
        self.worker.sock.settimeout(20)
        self.worker.tell({"type": "credit", "id": number, "attempt": 1, "n": 100})
        messages = self.worker.messages(number)
        self.assertEqual([m["seq"] for m in messages[:-1]], [9, 10, 11, 12])
        self.assertEqual(messages[-1]["data"], ["11"])

    def test_async_generator_waits_for_credit_too(self):
        number = self.worker.call("aflood", 10**9)
        for _ in range(8):
            last = self.worker.hear_type("yield")
        self.assertEqual(last["seq"], 8)
        self.worker.sock.settimeout(0.3)
        with self.assertRaises(TimeoutError):
            self.worker.hear()
        self.worker.sock.settimeout(20)
        self.worker.tell({"type": "credit", "id": number, "attempt": 1, "n": 2})
        self.assertEqual([self.worker.hear()["seq"] for _ in range(2)], [9, 10])
        self.worker.cancel(number)
        self.assertEqual(self.worker.messages(number)[-1]["type"], "cancelled")

    def test_async_generator_streams(self):
        messages = self.stream("awords", 4)
        _, values = replay(messages)
        self.assertEqual(values, ["wwww"])
        self.assertEqual(messages[-1]["data"], ["wwww"])

    def test_generator_that_yields_nothing_leaves_the_outputs(self):
        self.assertEqual(self.stream("nothing", 1)[-1]["data"], [{"__type__": "update"}])

    def test_error_after_a_yield_is_the_end(self):
        messages = self.stream("fails", 1)
        self.assertEqual([m["type"] for m in messages], ["yield", "error"])
        self.assertEqual(messages[1]["error"], "after one")

    def test_updates_are_streamed(self):
        messages = self.stream("toasts", 1)
        self.assertEqual(
            messages[0]["data"], [{"__type__": "update", "value": "x", "visible": True}]
        )
        self.assertEqual(messages[-1]["data"], [{"__type__": "update"}])

    def test_method_is_known_to_be_a_generator(self):
        self.assertEqual(self.stream("method", 1)[-1]["data"], ["m2"])
        functions = {f["api_name"]: f["generator"] for f in self.worker.functions}
        self.assertTrue(functions["method"] and functions["words"] and functions["aflood"])
        self.assertFalse(functions["hidden"])

    def test_generator_handed_back_by_a_plain_function_streams(self):
        self.assertEqual(self.stream("hidden", 3)[-1]["data"], ["word0 word1 word2 "])
        self.assertEqual(self.stream("ahidden", 3)[-1]["data"], ["www"])


class Edits(unittest.TestCase):
    CASES = [
        ("abc", "abcd"),
        ("abc", "xbc"),
        ("", "x"),
        ("x", ""),
        (1, "1"),
        (1, 2),
        (1, True),
        (None, 0),
        ([1, 2, 3], [1]),
        ([1], [1, 2, 3]),
        ([], [[]]),
        ({"a": 1}, {"b": 1}),
        ({"a": 1}, []),
        ({"a": {"b": ["x"]}}, {"a": {"b": ["xy", None]}}),
        ([{"c": "a"}], [{"c": "ab"}, {"c": ""}]),
        ([1, 2, 3, 4], [4, 3]),
        ({"a": None}, {}),
        ("same", "same"),
        ([1.5], [1.5]),
    ]

    def test_applied_edits_give_the_new_value(self):
        import copy

        for old, new in self.CASES:
            for a, b in ((old, new), (new, old)):
                with self.subTest(a=a, b=b):
                    changes = diff.edits(copy.deepcopy(a), copy.deepcopy(b))
                    self.assertEqual(repr(diff.apply(copy.deepcopy(a), changes)), repr(b))
                    self.assertEqual(changes == [], repr(a) == repr(b))

    def test_random_values(self):
        import copy
        import random

        source = random.Random(7)

        def value(depth):
            kind = source.randrange(6 if depth else 4)
            if kind == 4:
                return [value(depth - 1) for _ in range(source.randrange(4))]
            if kind == 5:
                return {source.choice("abc"): value(depth - 1) for _ in range(source.randrange(4))}
            return source.choice([None, True, 0, 1, "", "a", "ab", "b", 2.5])

        for _ in range(2000):
            a, b = value(3), value(3)
            got = diff.apply(copy.deepcopy(a), diff.edits(a, b))
            self.assertEqual(got, b)


if __name__ == "__main__":
    unittest.main()
