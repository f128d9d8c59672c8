"""`spaces deploy DIR --watch`: what is saved runs, what does not run says why, and nothing is left."""

import os
import signal
import subprocess
import threading
import unittest

import harness


def app(word):
    return f'import gradio as gr\ngr.Interface(lambda name: "{word} " + name, "text", "text").launch()\n'


class Watch:
    """The command, and its lines (both streams) as they come."""

    def __init__(self, daemon, folder, ref):
        self.process = subprocess.Popen(
            [f"{harness.BUILD}/spaces", "deploy", folder, ref, "--watch"], stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True, start_new_session=True,
            env={**os.environ, "SPACES_URL": daemon.url, "SPACES_TOKEN": daemon.token})
        self.lines, self.seen = [], 0
        self.reader = threading.Thread(target=lambda: self.lines.extend(iter(self.process.stdout.readline, "")))
        self.reader.start()

    def until(self, text):
        """The lines since the last one that was waited for, to the next one with the text in it."""
        def look():
            for at in range(self.seen, len(self.lines)):
                if text in self.lines[at]:
                    return at + 1
        end = harness.wait_for(f"'{text}' from spaces deploy --watch", look)
        lines, self.seen = self.lines[self.seen:end], end
        return lines

    def interrupt(self):
        os.killpg(self.process.pid, signal.SIGINT)
        code = self.process.wait(harness.DEADLINE_S)
        self.reader.join(harness.DEADLINE_S)
        self.process.stdout.close()
        return code


class DeployWatch(harness.Case):
    @classmethod
    def setUpClass(cls):
        harness.needs_root()

    def setUp(self):
        super().setUp()
        self.d = self.daemon()
        self.path = self.folder({"app.py": app("one")})
        self.watch = Watch(self.d, self.path, "me/app")
        self.addCleanup(lambda: self.watch.process.poll() is None and self.watch.interrupt())
        self.watch.until("is RUNNING")

    def save(self, name, text):
        """As editors do: beside it, then renamed."""
        with open(os.path.join(self.path, name + "~"), "w", encoding="utf-8") as file:
            file.write(text)
        os.rename(os.path.join(self.path, name + "~"), os.path.join(self.path, name))

    def say(self):
        kind, data = self.d.call("me/app", "predict", ["Ada"])
        self.assertEqual(kind, "complete")
        return data[0]

    def versions(self):
        return self.d.get("/api/spaces/me/app").json["version"]["number"]

    def test_what_is_saved_runs_and_ctrl_c_ends_it_as_ctrl_c_does(self):
        self.assertEqual(self.say(), "one Ada")
        self.save("app.py", app("two"))
        self.watch.until("is RUNNING")
        self.assertEqual(self.say(), "two Ada")
        self.assertEqual(self.watch.interrupt(), -signal.SIGINT)
        self.assertEqual([line for line in harness.processes_with(self.path).values() if "spaces deploy" in line], [])

    def test_a_save_that_does_not_run_says_why_and_the_next_one_mends_it(self):
        self.save("app.py", "import gradio\nraise RuntimeError('no luck')\n")
        said = "".join(self.watch.until("spaces: deploy me/app: it does not run"))
        self.assertIn("no luck", said)
        self.assertEqual(self.say(), "one Ada")
        self.save("app.py", app("three"))
        self.watch.until("is RUNNING")
        self.assertEqual(self.say(), "three Ada")

    def test_a_save_takes_the_place_of_one_that_still_starts(self):
        self.save("app.py", "import time\nprint('long ago', flush=True)\ntime.sleep(600)\n")
        self.watch.until("version 2")
        self.save("app.py", app("four"))
        self.watch.until("version 3")
        self.watch.until("is RUNNING")
        self.assertEqual(self.say(), "four Ada")

    def test_a_folder_that_is_made_later_is_watched_too(self):
        os.mkdir(os.path.join(self.path, "words"))
        self.save("words/hi.py", "WORD = 'hi'\n")
        self.watch.until("is RUNNING")
        self.save("app.py", app("x").replace('"x "', "__import__('words.hi').hi.WORD + ' '"))
        self.watch.until("is RUNNING")
        self.save("words/hi.py", "WORD = 'ho'\n")
        self.watch.until("is RUNNING")
        self.assertEqual(self.say(), "ho Ada")

    def test_what_an_editor_lays_beside_a_file_deploys_nothing(self):
        before = self.versions()
        for name in (".app.py.swp", "#app.py#", "app.pyc"):
            self.save(name, "x")
        os.symlink("nobody@nowhere", os.path.join(self.path, ".#app.py"))
        self.save("app.py", app("five"))
        self.watch.until("is RUNNING")
        self.assertEqual(self.say(), "five Ada")
        self.assertEqual(self.versions(), before + 1)


if __name__ == "__main__":
    unittest.main()
