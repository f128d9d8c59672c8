"""Each example is loaded and used."""

import glob
import os
import struct
import unittest
import zlib

from harness import SDK, WorkerTest

EXAMPLES = os.path.join(os.path.dirname(os.path.dirname(SDK)), "examples")


class Examples(WorkerTest):
    def example(self, name):
        with open(os.path.join(EXAMPLES, name, "app.py")) as file:
            return self.start(file.read()).ready()

    def test_each_loads_without_a_word_of_complaint(self):
        names = [os.path.dirname(p) for p in glob.glob(EXAMPLES + "/*/app.py")]
        self.assertGreaterEqual(len(names), 6)
        for name in names:
            with self.subTest(name=name):
                worker = self.example(name)
                self.assertEqual(worker.log().count("\n"), 1, worker.log())
                self.check_card(name + "/README.md")
                worker.stop()

    def check_card(self, path):
        """Plain `key: value` lines; a value with a colon in it would be another thing in YAML."""
        with open(path) as file:
            start, card, body = file.read().split("---\n", 2)
        self.assertEqual(start, "")
        for line in card.splitlines():
            key, _, value = line.partition(": ")
            self.assertRegex(key, "^[a-zA-Z_]+$")
            self.assertTrue(value.startswith('"') or ": " not in value, line)
        self.assertTrue(body.strip())

    def test_hello(self):
        self.assertEqual(self.example("hello").value("predict", "Ada"), ["Hello Ada! 👋"])

    def test_slow_queue_is_cancelled_at_once(self):
        worker = self.example("slow-queue")
        self.assertEqual(worker.first["max_size"], 20)
        number = worker.call("think", "x")
        worker.tell({"type": "ping", "n": 1})
        worker.hear_type("pong")
        worker.cancel(number)
        self.assertEqual(worker.messages(number)[-1]["type"], "cancelled")

    def test_stream(self):
        worker = self.example("stream")
        messages = worker.messages(worker.call("write", 6, 40))
        self.assertEqual(messages[-1]["data"], ["Once upon a time there was "])
        self.assertGreater(len(messages), 3)
        stop = worker.functions[1]
        self.assertEqual((stop["backend"], stop["cancels"], stop["queue"]), (False, [0], False))
        self.assertEqual(worker.config["dependencies"][1]["cancels"], [0])

    def test_progress(self):
        worker = self.example("progress")
        messages = worker.messages(worker.call("count_primes", 1000))
        self.assertEqual(messages[-1]["data"][0], 168)
        seen = [m["progress_data"][0] for m in messages if m["type"] == "progress"]
        self.assertEqual((seen[0]["progress"], seen[0]["desc"]), (0, "Warming up"))
        self.assertEqual((seen[-1]["index"], seen[-1]["length"]), (50, 50))
        toast = [m for m in messages if m["type"] == "log"]
        self.assertEqual((toast[0]["level"], toast[0]["log"]), ("success", "168 primes below 1000"))

    def test_counter_counts_per_session(self):
        worker = self.example("counter")
        for session, step, expected in (("a", 2, 2), ("a", 5, 7), ("b", 1, 1)):
            data = worker.value("add", step, None, None, session=session)
            self.assertEqual((data[0], data[1], data[2]), (None, expected, None))
        self.assertEqual(worker.value("reset", session="a")[1], 0)
        self.assertEqual(worker.value("add", 1, None, None, session="a")[1], 1)

    def test_image_gives_the_negative(self):
        worker = self.example("image")
        folder = worker.base + "/files/u/1"
        os.makedirs(folder)
        with open(folder + "/x.png", "wb") as file:
            file.write(png(2, 2, [b"\x00\x01\x02\xff\xfe\xfd", b"\x10\x20\x30\x40\x50\x60"]))
        file_data = {"path": folder + "/x.png", "meta": {"_type": "gradio.FileData"}}
        data = worker.value("predict", file_data)
        with open(data[0]["path"], "rb") as file:
            made = file.read()
        self.assertEqual(
            made, png(2, 2, [b"\xff\xfe\xfd\x00\x01\x02", b"\xef\xdf\xcf\xbf\xaf\x9f"])
        )
        self.assertEqual(data[1]["width"], 2)
        self.assertIn("Choose a PNG", worker.run("predict", None)["error"])

    def test_errors(self):
        worker = self.example("errors")
        end = worker.run("polite", "")
        self.assertEqual(
            (end["error"], end["title"]), ("Please type your name first.", "Name missing")
        )
        self.assertEqual(worker.run("bug", "x")["error"], "division by zero")
        messages = worker.messages(worker.call("warns", "x"))
        self.assertEqual([m["type"] for m in messages], ["log", "return"])
        self.assertEqual(messages[0]["level"], "warning")
        end = worker.messages(worker.call("dies_half_way", "x"))
        self.assertEqual([m["type"] for m in end], ["yield"] * 3 + ["error"])


def png(width, height, lines):
    def chunk(kind, body):
        crc = struct.pack(">I", zlib.crc32(kind + body))
        return struct.pack(">I", len(body)) + kind + body + crc

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    body = zlib.compress(b"".join(b"\0" + line for line in lines))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", body) + chunk(b"IEND", b"")


if __name__ == "__main__":
    unittest.main()
