"""Files in and out, and what a client or an app may not name."""

import os
import tempfile
import unittest

from harness import WorkerTest

APP = """
import gradio as gr, os, tempfile
def read(path):
    with open(path, "rb") as f: return path.name + "|" + f.read().decode()
def write(text):
    path = os.path.join(tempfile.mkdtemp(), "out put;.txt")
    with open(path, "w") as f: f.write(text)
    return path
def path_of(text): return text
def same(path): return path
def raw(data): return data.decode()
def many(paths): return paths
def made(x): return b"bytes"
def image(x): return "cat.png"
def needs_pillow(x): return "never"
with gr.Blocks() as demo:
    f, g, h = gr.File(label="f"), gr.File(type="binary"), gr.File(file_count="multiple")
    t, i, p = gr.Textbox(), gr.Image(type="filepath", value="cat.png"), gr.Image(type="pil")
    b = gr.Button()
    b.click(read, f, t)
    b.click(write, t, f)
    b.click(path_of, t, f)
    b.click(same, f, f)
    b.click(raw, g, t)
    b.click(many, h, h)
    b.click(made, t, f)
    b.click(image, t, i)
    b.click(needs_pillow, p, t)
demo.launch()
"""


class Files(WorkerTest):
    APP = APP
    FILES = {"cat.png": b"\x89PNG", ".secret": "s", "code.py": "x"}

    def upload(self, name="a b.txt", text="hello"):
        folder = self.worker.base + "/files/u/" + os.urandom(8).hex()
        os.makedirs(folder)
        with open(os.path.join(folder, name), "w") as file:
            file.write(text)
        return {"path": os.path.join(folder, name), "meta": {"_type": "gradio.FileData"}}

    def test_upload_is_read(self):
        value = self.upload()
        self.assertEqual(self.worker.value("read", value), [value["path"] + "|hello"])
        self.assertEqual(self.worker.value("raw", self.upload()), ["hello"])

    def test_output_is_copied_into_a_folder_nobody_guesses(self):
        value = self.worker.value("write", "content")[0]
        start = self.worker.base + "/files/o/"
        self.assertTrue(value["path"].startswith(start))
        folder, name = value["path"][len(start) :].split("/")
        self.assertRegex(folder, "^[0-9a-f]{32}$")
        self.assertEqual((name, value["orig_name"]), ("out_put_.txt", "out put;.txt"))
        self.assertEqual((value["size"], value["mime_type"]), (7, "text/plain"))
        self.assertEqual(value["url"], "/app/me/test/gradio_api/file=" + value["path"])
        self.assertEqual(value["meta"], {"_type": "gradio.FileData"})
        self.assertIs(value["is_stream"], False)
        with open(value["path"]) as file:
            self.assertEqual(file.read(), "content")
        self.assertIn("content", self.worker.value("read", value)[0])  # and comes back as input

    def test_url_is_absolute_when_the_daemon_says_where_it_is(self):
        """Clients hand the URL on as it is."""
        request = {"headers": {}, "query": {}, "client": {"host": "x"}, "base": "https://hub.test"}
        value = self.worker.value("write", "content", request=request)[0]
        expected = "https://hub.test/app/me/test/gradio_api/file=" + value["path"]
        self.assertEqual(value["url"], expected)

    def test_upload_is_handed_back_without_a_copy(self):
        value = self.upload()
        self.assertEqual(self.worker.value("same", value)[0]["path"], value["path"])

    def test_several_files_and_bytes(self):
        values = [self.upload(), self.upload()]
        back = self.worker.value("many", values)[0]
        self.assertEqual([v["path"] for v in back], [v["path"] for v in values])
        self.assertEqual(self.worker.value("made", "")[0]["size"], 5)

    def test_client_cannot_name_a_path_outside(self):
        upload = os.path.dirname(self.upload()["path"])
        os.symlink("/etc/passwd", upload + "/link")
        for path in (
            "/etc/passwd",
            "/proc/self/environ",
            upload + "/link",
            upload + "/../../../app/app.py",
            self.worker.app_folder + "/app.py",
            "app.py",
            "",
            "\0",
            upload,
            self.worker.base + "/files",
            self.worker.base + "/files/uu/x",
            7,
            None,
            ["x"],
        ):
            with self.subTest(path=path):
                end = self.worker.run("read", {"path": path, "meta": {"_type": "gradio.FileData"}})
                self.assertEqual(end["type"], "error")
                self.assertRegex(end["error"], "not uploaded here|was expected|not there any more")

    def test_vanished_upload_says_so(self):
        value = self.upload()
        os.unlink(value["path"])
        self.assertIn("not there any more", self.worker.run("read", value)["error"])

    def test_app_cannot_serve_what_is_outside_of_its_folder(self):
        for path in (
            "/etc/passwd",
            ".secret",
            self.worker.app_folder + "/.secret",
            "/proc/self/environ",
        ):
            with self.subTest(path=path):
                self.assertIn("lies outside", self.worker.run("path_of", path)["error"])
        self.assertIn("does not exist", self.worker.run("path_of", "nothing.txt")["error"])
        self.assertEqual(self.worker.value("path_of", "code.py")[0]["size"], 1)

    def test_image_value_of_the_page_is_a_file(self):
        block = [c for c in self.worker.config["components"] if c["type"] == "image"][0]
        self.assertTrue(block["props"]["value"]["url"].endswith("/cat.png"))
        self.assertEqual(self.worker.value("image", "")[0]["mime_type"], "image/png")

    def test_missing_pillow_is_an_error_with_a_way_out(self):
        try:
            import PIL  # noqa: F401
        except ImportError:
            end = self.worker.run("needs_pillow", self.upload())
            self.assertIn('use type="filepath"', end["error"])
        else:
            self.skipTest("Pillow is installed here")


class PageFiles(unittest.TestCase):
    def test_folders_of_the_pages_own_files_stay_young(self):
        """The daemon removes outputs whose folder is old; a default value must not go that way."""
        from spacekit import files

        with tempfile.TemporaryDirectory() as base:
            os.environ["SPACEKIT_FILES_DIR"] = base
            self.addCleanup(os.environ.pop, "SPACEKIT_FILES_DIR")
            made = os.path.dirname(files.new_path("cat.png"))
            os.utime(made, (1, 1))
            files.keep_page_files()
            self.assertGreater(os.stat(made).st_mtime, 1000000)


if __name__ == "__main__":
    unittest.main()
