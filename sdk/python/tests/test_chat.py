"""gr.Examples, gr.Chatbot and gr.ChatInterface."""

import unittest

from harness import WorkerTest
from spacekit import diff

CHAT = """
import gradio as gr
%s
demo = gr.ChatInterface(answer, title="Chat", examples=["hi", "ho"], api_name="chat",
    additional_inputs=[gr.Slider(0, 9, 5, label="Depth")])
demo.launch()
"""
KINDS = {
    "plain": "def answer(message, history, depth): return f'{message} {len(history)} {depth}'",
    "generator": """
def answer(message, history, depth):
    text = f"{message} {len(history)} {depth}"
    for i in range(1, len(text) + 1): yield text[:i]
""",
    "async": "async def answer(message, history, depth): return f'{message} {len(history)} {depth}'",
    "async generator": """
async def answer(message, history, depth):
    yield "..."
    yield f"{message} {len(history)} {depth}"
""",
    "messages": """
def answer(message, history, depth, request: gr.Request):
    return [gr.ChatMessage(f"{message} {len(history)} {depth}", metadata={"title": "thought"})]
""",
}


def text(content):
    return [{"type": "text", "text": content}]


class Chat(WorkerTest):
    def page_function(self, worker):
        """The handler behind the Send button; the other with three inputs is for the API."""
        return [f["fn"] for f in worker.functions if f["inputs"] == 3 and not f["state_inputs"]][0]

    def test_each_kind_of_function(self):
        for kind, code in KINDS.items():
            with self.subTest(kind=kind):
                worker = self.start(CHAT % code).ready()
                ui = self.page_function(worker)
                box, history = worker.value(ui, "hi", [], 7)
                self.assertEqual(box, "")
                self.assertEqual([m["role"] for m in history], ["user", "assistant"])
                self.assertEqual(history[1]["content"], text("hi 0 7"))
                box, history = worker.value(ui, "ho", history, 7)
                self.assertEqual(history[3]["content"], text("ho 2 7"))
                answer = worker.value("chat", "a", None, 1, session="api")
                self.assertEqual(worker.value("chat", "b", None, 1, session="api")[1], None)
                if kind != "messages":
                    self.assertEqual(answer, ["a 0 1", None])
                worker.stop()

    def test_answer_grows_by_appends(self):
        worker = self.start(CHAT % KINDS["generator"]).ready()
        ui = self.page_function(worker)
        messages = worker.messages(worker.call(ui, "hi", [], 7))
        edits = [op for m in messages[2:-1] for op in m["ops"][1]]
        self.assertEqual(edits[0], ["append", [1, "content", 0, "text"], "i"])
        value = messages[0]["data"][1]
        for message in messages[1:-1]:
            value = diff.apply(value, message["ops"][1])
        self.assertTrue("hi 0 7".startswith(value[1]["content"][0]["text"]))
        self.assertEqual(messages[-1]["data"][1][1]["content"], text("hi 0 7"))

    def test_the_page_waits_in_the_same_queue_as_the_api(self):
        worker = self.start(CHAT % KINDS["plain"]).ready()
        groups = {f["group"] for f in worker.functions if f["queue"]}
        self.assertEqual(len(groups), 1)


class ExamplesAndChatbot(WorkerTest):
    APP = """
import gradio as gr
def talk(history):
    return history + [gr.ChatMessage("text"), {"role": "assistant", "content": ("cat.png", "a cat")}]
def run(a, b): return "%s-%s" % (a, b)
with gr.Blocks() as demo:
    a, b, o = gr.Textbox(label="A"), gr.Number(label="B"), gr.Textbox()
    bot = gr.Chatbot([{"role": "assistant", "content": "welcome"}])
    image = gr.Image(type="filepath")
    gr.Button().click(talk, bot, bot)
    gr.Examples([["x", 1], ["y", 2]], [a, b], o, run, run_on_click=True)
    gr.Examples(["cat.png"], image, label="Pictures")
demo.launch()
"""
    FILES = {"cat.png": b"\x89PNG"}

    def test_examples_load_their_row(self):
        sets = [c["props"] for c in self.worker.config["components"] if c["type"] == "dataset"]
        self.assertEqual(sets[0]["samples"], [["x", 1], ["y", 2]])
        self.assertEqual(sets[0]["headers"], ["A", "B"])
        self.assertEqual(self.worker.value("load_example", 1), ["y", 2])
        self.assertIn("no example 2", self.worker.run("load_example", 2)["error"])
        self.assertIn("no example", self.worker.run("load_example", "x")["error"])
        loads = self.worker.functions[1]
        self.assertEqual((loads["queue"], loads["api_visibility"]), (False, "undocumented"))
        after = self.worker.config["dependencies"][2]
        self.assertEqual((after["trigger_after"], after["api_visibility"]), (1, "private"))
        self.assertEqual(self.worker.value(2, "x", 3), ["x-3"])

    def test_examples_of_files_are_served(self):
        picture = [c["props"] for c in self.worker.config["components"] if c["type"] == "dataset"][
            1
        ]
        self.assertTrue(picture["samples"][0][0]["url"].endswith("/cat.png"))
        self.assertEqual(self.worker.value("load_example_1", 0)[0]["orig_name"], "cat.png")

    def test_messages_are_normalised(self):
        bot = [c["props"] for c in self.worker.config["components"] if c["type"] == "chatbot"][0]
        welcome = {
            "role": "assistant",
            "metadata": None,
            "content": text("welcome"),
            "options": None,
        }
        self.assertEqual(bot["value"], [welcome])
        value = self.worker.value("talk", [welcome])[0]
        self.assertEqual(value[0], welcome)
        self.assertEqual(value[1]["content"], text("text"))
        part = value[2]["content"][0]
        self.assertEqual((part["type"], part["alt_text"]), ("file", "a cat"))
        self.assertIn("list of messages", self.worker.run("talk", ["x"])["error"])

    def test_client_cannot_name_a_path_in_a_message(self):
        file = {"path": "/etc/passwd", "url": "x", "meta": {"_type": "gradio.FileData"}}
        message = {"role": "user", "content": [{"type": "file", "file": file}]}
        self.assertIn("not uploaded here", self.worker.run("talk", [message])["error"])


if __name__ == "__main__":
    unittest.main()
