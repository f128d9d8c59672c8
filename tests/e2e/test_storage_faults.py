"""What is kept on disk, when something goes wrong with it: deletes cut short, records and images that are damaged."""

import os
import sys
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import harness  # noqa: E402

APP = '''import gradio as gr

def echo(text):
    return text

demo = gr.Interface(echo, "text", "text", api_name="echo")
demo.launch()
'''


class Case(harness.Case):
    def start(self, *spaces, args=(), env=None):
        d = self.daemon(args=args, env=env)
        self.app = self.folder({"app.py": APP})
        self.ids = {}
        for name in spaces:
            d.deploy(self.app, name)
            self.ids[name] = (set(os.listdir(d.state + "/files")) - set(self.ids.values())).pop()
        return d


class Trash(Case):
    def test_a_space_with_many_outputs_is_removed_beside_the_loop_and_after_a_kill_at_the_next_start(self):
        d = self.start("me/many", "me/other", env={"SP_FAULT": "trash.slow:1-"})
        outputs, trash = f"{d.state}/files/{self.ids['me/many']}/o", d.state + "/trash"
        for i in range(30000):
            os.close(os.open(f"{outputs}/{i}", os.O_CREAT | os.O_WRONLY, 0o600))
        d.cli("delete", "me/many", "--yes")
        harness.wait_for("the folder to be in the trash", lambda: os.listdir(trash))
        gone = f"{trash}/{os.listdir(trash)[0]}/o"
        harness.wait_for("the removal to have begun", lambda: len(os.listdir(gone)) < 30000)
        # At 10 ms for each file the rest takes minutes: whoever is answered now did not wait for it.
        self.assertEqual(d.call("me/other", "echo", ["still"]), ("complete", ["still"]))
        self.assertGreater(len(os.listdir(gone)), 0)
        self.assertNotIn(self.ids["me/many"], os.listdir(d.state + "/files"))
        d.kill()
        self.assertGreater(len(os.listdir(gone)), 0)
        d.env.clear()
        d.start()
        harness.wait_for("the trash to be empty", lambda: not os.listdir(trash))
        self.assertIn(self.ids["me/other"], os.listdir(d.state + "/files"))

    def test_a_stop_does_not_wait_until_the_trash_is_empty(self):
        d = self.start("me/many", env={"SP_FAULT": "trash.slow:1-"})
        for i in range(30000):
            os.close(os.open(f"{d.state}/files/{self.ids['me/many']}/o/{i}", os.O_CREAT | os.O_WRONLY, 0o600))
        d.cli("delete", "me/many", "--yes")
        harness.wait_for("the folder to be in the trash", lambda: os.listdir(d.state + "/trash"))
        self.assertEqual(d.stop(), 0)
        self.assertEqual(len(os.listdir(d.state + "/trash")), 1)
        d.env.clear()
        d.start()
        harness.wait_for("the trash to be empty", lambda: not os.listdir(d.state + "/trash"))


if __name__ == "__main__":
    unittest.main()
