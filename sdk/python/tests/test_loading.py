"""Apps that cannot be loaded say why; names and arguments that are not there are errors."""

import subprocess
import sys
import unittest

from harness import SDK, WorkerTest

HEAD = "import gradio as gr\n"
SIMPLE = HEAD + "demo = gr.Interface(lambda x: x, 'text', 'text')\n"


class Loading(WorkerTest):
    def test_missing_file(self):
        message = self.failure(None)
        self.assertEqual(message["stage"], "CONFIG_ERROR")
        self.assertIn("No application file: the Space has no app.py", message["message"])

    def test_file_outside_of_the_space_is_refused(self):
        message = self.failure(SIMPLE, hello={"app_file": "../../etc/passwd"})
        self.assertEqual(message["stage"], "CONFIG_ERROR")

    def test_other_file_name_and_its_modules(self):
        files = {"src/main.py": "import helper\n" + SIMPLE + "demo.launch()", "helper.py": "X = 1"}
        self.start(None, files=files, hello={"app_file": "src/main.py"}).ready()

    def test_exception_says_what_and_where(self):
        message = self.failure("x = 1\nraise ValueError('no model')\n")
        self.assertEqual(message["stage"], "RUNTIME_ERROR")
        self.assertEqual(message["message"], "ValueError: no model (app.py, line 2)")

    def test_exception_in_a_module_names_the_apps_line_and_logs_the_traceback(self):
        worker = self.start("import helper\n", files={"helper.py": "1 / 0\n"})
        message = worker.hear_type("failed")["message"]
        self.assertEqual(message, "ZeroDivisionError: division by zero (app.py, line 1)")
        self.assertIn("helper.py", worker.log())
        self.assertNotIn("loader.py", worker.log())

    def test_syntax_error(self):
        message = self.failure("def f(:\n")["message"]
        self.assertIn("SyntaxError", message)
        self.assertIn("line 1", message)

    def test_missing_module(self):
        message = self.failure("import does_not_exist_here\n")["message"]
        self.assertIn("No module named 'does_not_exist_here' (app.py, line 1)", message)

    def test_exit_at_import(self):
        message = self.failure("import sys\nprint('bye')\nsys.exit(3)\n")
        self.assertEqual(message["stage"], "RUNTIME_ERROR")
        self.assertIn("ended (exit 3) before it launched an app", message["message"])

    def test_hard_exit_at_import_is_seen_as_eof(self):
        worker = self.start("import os\nos._exit(5)\n")
        self.assertIsNone(worker.hear())
        self.assertEqual(worker.ended(), 5)

    def test_no_app(self):
        self.assertIn("has no app", self.failure("x = 1\n")["message"])

    def test_module_level_app_without_launch(self):
        for name in ("demo", "app", "iface", "anything"):
            app = SIMPLE.replace("demo =", name + " =")
            self.assertEqual(self.start(app).ready().value("predict", "x"), ["x"])

    def test_several_apps_without_launch(self):
        app = (
            HEAD + "a = gr.Interface(len, 'text', 'text')\nb = gr.Interface(len, 'text', 'text')\n"
        )
        self.assertIn("several apps", self.failure(app)["message"])

    def test_launched_app_wins(self):
        app = SIMPLE + "other = gr.Interface(lambda x: 'other', 'text', 'text')\nother.launch()\n"
        self.assertEqual(self.start(app).ready().value("predict", "x"), ["other"])

    def test_app_is_main(self):
        app = SIMPLE + "if __name__ == '__main__': demo.queue().launch()\n"
        self.start(app).ready()

    def test_code_after_launch_runs_and_its_error_does_not_undo_it(self):
        worker = self.start(
            SIMPLE + "demo.launch()\nprint('after')\nraise ValueError('late')\n"
        ).ready()
        worker.wait_for_log("after\n")
        worker.wait_for_log("ValueError: late")
        self.assertEqual(worker.value("predict", "x"), ["x"])

    def test_endless_loop_after_launch_does_not_hold_it_up(self):
        worker = self.start(
            SIMPLE + "demo.launch()\nimport time\nwhile True: time.sleep(1)\n"
        ).ready()
        self.assertEqual(worker.value("predict", "x"), ["x"])

    def test_ping_is_answered_while_the_app_loads(self):
        app = "import os, time\nwhile not os.path.exists('go'): time.sleep(0.01)\n" + SIMPLE
        worker = self.start(app)
        worker.tell({"type": "ping", "n": 1})
        self.assertEqual(worker.hear(), {"type": "pong", "n": 1})
        open(worker.app_folder + "/go", "w").close()
        worker.ready()

    def test_app_that_prints_a_lot_and_garbage(self):
        app = "import sys\nsys.stdout.buffer.write(bytes(range(256)) * 40000)\n" + SIMPLE
        self.assertEqual(self.start(app).ready().value("predict", "x"), ["x"])

    def test_file_of_the_app_wins_over_ours(self):
        files = {"gradio.py": "raise ValueError('mine')\n"}
        self.assertIn("mine", self.failure("import gradio\n", files=files)["message"])


class Unsupported(WorkerTest):
    def sentence(self, code, name):
        message = self.failure(HEAD + code)["message"]
        expected = 'spacekit (compatible with Gradio 6.25, not Gradio) has no %s; set "gradio: pip"'
        self.assertIn(expected % name, message)

    def test_names(self):
        self.sentence("gr.Audio()\n", "gr.Audio")
        self.sentence("from gradio import TabbedInterface\n", "gr.TabbedInterface")
        self.sentence("import gradio.routes\n", "module gradio.routes")
        self.sentence("import spaces\nspaces.aoti_compile\n", "spaces.aoti_compile")

    def test_hasattr_answers(self):
        app = SIMPLE + "assert not hasattr(gr, 'Audio') and hasattr(gr, 'Textbox')\n"
        self.start(app).ready()

    def test_arguments(self):
        for code, name in (
            ("gr.Textbox(every=3)", "Textbox(every=...)"),
            ("gr.Image(streaming=True)", "Image(streaming=True)"),
            ("gr.Textbox(nonsense=1)", "Textbox(nonsense=...)"),
            ("gr.Blocks(nonsense=1)", "Blocks(nonsense=...)"),
            ("gr.State(delete_callback=print)", "State(delete_callback=...)"),
            ("gr.Interface(len, 'text', 'text', batch=True)", "Interface(batch=...)"),
            (
                "with gr.Blocks() as d: gr.Button().click(len, batch=True)",
                "event listener(batch=...)",
            ),
            ("with gr.Blocks() as d: gr.Blocks()", "Blocks inside of Blocks"),
            ("gr.Interface(len, 'audio', 'text')", "component 'audio'"),
        ):
            with self.subTest(code=code):
                self.sentence(code + "\n", name)

    def test_arguments_with_a_security_meaning_are_refused(self):
        for argument in (
            "auth=('a', 'b')",
            "allowed_paths=['/']",
            "blocked_paths=['x']",
            "max_file_size='1mb'",
            "strict_cors=False",
        ):
            with self.subTest(argument=argument):
                code = SIMPLE[len(HEAD) :] + "demo.launch(%s)\n" % argument
                self.sentence(code, "launch(%s=...)" % argument.partition("=")[0])
        self.sentence("gr.Blocks().queue(api_open=False)\n", "queue(api_open=False)")

    def test_unknown_launch_argument_is_a_type_error(self):
        self.assertIn("no argument 'x'", self.failure(SIMPLE + "demo.launch(x=1)\n")["message"])

    def test_cosmetic_arguments_are_ignored_with_one_line(self):
        app = HEAD + (
            "with gr.Blocks(theme=gr.themes.Soft(primary_hue='red'), css='b{}') as demo:\n"
            "    gr.Markdown('x', show_copy_button=True)\n"
            "demo.launch(share=True, server_name='0.0.0.0', server_port=7860, show_error=True)\n"
        )
        log = self.start(app).ready().log()
        self.assertIn("launch(server_name, server_port, share) ignored", log)
        self.assertEqual(log.count("themes are ignored"), 1)
        self.assertEqual(log.count("show_copy_button=... is ignored"), 1)

    def test_version(self):
        app = SIMPLE + (
            "print(gr.__version__, gr.__spacekit__)\nimport importlib.metadata as m, spaces\n"
            "try: m.version('gradio'); print('HAS DIST')\nexcept m.PackageNotFoundError: print('none')\n"
            "@spaces.GPU\ndef f(x): return x\n@spaces.GPU(duration=9)\ndef g(x): return x\n"
            "print(f(1) + g(2))\ndemo.launch()\n"
        )
        log = self.start(app).ready().log()
        self.assertIn("6.25.0+spacekit.1 True\nnone\n3\n", log)


class Cost(unittest.TestCase):
    def test_import_of_gradio_leaves_heavy_modules_alone(self):
        code = (
            "import sys; sys.path += [%r, %r]; before = set(sys.modules); import gradio as gr\n"
            "with gr.Blocks() as d:\n"
            "    t = gr.Textbox(); n = gr.Slider(); gr.Image(); gr.Button().click(len, t, n)\n"
            "heavy = {'asyncio', 'inspect', 'dataclasses', 'typing', 'pathlib', 'numpy', 're',\n"
            "         'enum', 'json', 'threading', 'socket', 'ctypes', 'pickle'}\n"
            "print(sorted(heavy & (set(sys.modules) - before)))"
        ) % (SDK, SDK + "/spacekit/compat")
        shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
        self.assertEqual(shown.stdout.strip(), "[]", shown.stderr)


if __name__ == "__main__":
    unittest.main()
