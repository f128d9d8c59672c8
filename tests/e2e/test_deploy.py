"""Deploy, look, restart, replace, delete: what an owner does with the command line."""

import json
import os
import threading

import harness

CARD = "---\ntitle: T\nsdk: gradio\n---\n"


def app(text):
    return f"import gradio as gr\ngr.Interface(lambda x: {text!r}, 'text', 'text', api_name='say').launch()\n"


class Deploy(harness.Case):
    @classmethod
    def setUpClass(cls):
        harness.needs_root()

    def setUp(self):
        super().setUp()
        self.d = self.daemon()

    def test_a_folder_becomes_a_running_space(self):
        self.d.deploy(self.folder({"README.md": CARD, "app.py": app("one")}), "me/app")
        self.assertEqual(self.d.runtime("me/app")["stage"], "RUNNING")
        listed = json.loads(self.d.cli("ls", "-o", "json").stdout)
        self.assertEqual([s["id"] for s in listed], ["me/app"])
        self.assertEqual(self.d.call("me/app", "say", ["x"]), ("complete", ["one"]))

    def test_a_changed_folder_replaces_the_running_version_without_losing_a_call(self):
        self.d.deploy(self.folder({"app.py": app("one")}), "me/app")
        answers, stop = [], threading.Event()

        def keep_asking():
            while not stop.is_set():
                answers.append(self.d.call("me/app", "say", ["x"]))

        asker = threading.Thread(target=keep_asking)
        asker.start()
        self.d.deploy(self.folder({"app.py": app("two")}), "me/app")
        harness.wait_for("the new version's answer", lambda: ("complete", ["two"]) in answers)
        stop.set()
        asker.join()
        self.assertEqual({kind for kind, _ in answers}, {"complete"})
        self.assertEqual(self.d.get("/api/spaces/me/app").json["version"]["number"], 2)

    def test_a_broken_version_leaves_the_old_one_serving_and_says_why(self):
        self.d.deploy(self.folder({"app.py": app("one")}), "me/app")
        done = self.d.cli("deploy", self.folder({"app.py": "import gradio\nraise RuntimeError('no luck')\n"}), "me/app",
                          "--wait", check=False)
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("no luck", done.stderr + done.stdout)
        self.assertEqual(self.d.call("me/app", "say", ["x"]), ("complete", ["one"]))
        runtime = self.d.runtime("me/app")
        self.assertEqual(runtime["stage"], "RUNNING")
        self.assertIn("no luck", runtime["failed"]["reason"])

    def test_requirements_that_the_base_lacks_are_refused_by_name(self):
        files = {"app.py": app("one"), "requirements.txt": "gradio\nsurely-not-here==1.0\n# a comment\nnor_this>=2\n"}
        done = self.d.cli("deploy", self.folder(files), "me/needy", "--wait", check=False)
        self.assertNotEqual(done.returncode, 0)
        text = done.stdout + done.stderr
        self.assertIn("surely-not-here", text)
        self.assertIn("nor", text)
        self.assertEqual(self.d.runtime("me/needy")["stage"], "BUILD_ERROR")

    def test_an_app_that_exits_at_import_says_so(self):
        done = self.d.cli("deploy", self.folder({"app.py": "print('bye bye')\nraise SystemExit(3)\n"}), "me/gone",
                          "--wait", check=False)
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("bye bye", done.stdout + done.stderr)
        self.assertEqual(self.d.runtime("me/gone")["stage"], "RUNTIME_ERROR")

    def test_a_malformed_card_is_refused_with_its_line(self):
        done = self.d.cli("deploy", self.folder({"README.md": "---\ntitle: [1, 2\n---\n", "app.py": app("x")}), "me/bad",
                          check=False)
        self.assertNotEqual(done.returncode, 0)
        self.assertRegex(done.stderr, r"README\.md:\d+")
        self.assertEqual(self.d.get("/api/spaces/me/bad").status, 404)

    def test_a_folder_without_an_app_file_is_refused(self):
        done = self.d.cli("deploy", self.folder({"README.md": CARD}), "me/empty", check=False)
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("app.py", done.stderr)

    def test_logs_show_what_the_app_printed_and_follow(self):
        files = {"app.py": "print('first light', flush=True)\n" + app("one")}
        self.d.deploy(self.folder(files), "me/app")
        self.assertIn("first light", self.d.cli("logs", "me/app").stdout)

    def test_restart_gives_a_new_process_and_pause_stops_it(self):
        self.d.deploy("kitchen", "me/kitchen")
        before = set(harness.processes_with(self.d.state_id))
        self.d.cli("restart", "me/kitchen")
        harness.wait_for("another process", lambda: set(harness.processes_with(self.d.state_id)) - before)
        harness.wait_for("RUNNING", lambda: self.d.runtime("me/kitchen")["stage"] == "RUNNING")
        self.assertEqual(self.d.call("me/kitchen", "echo", ["x"]), ("complete", ["x"]))
        self.d.cli("pause", "me/kitchen")
        harness.wait_for("PAUSED", lambda: self.d.runtime("me/kitchen")["stage"] == "PAUSED")

    def test_delete_takes_everything_away(self):
        self.d.deploy("kitchen", "me/kitchen")
        self.assertNotEqual(self.d.cli("delete", "me/kitchen", check=False).returncode, 0, "it must ask first")
        self.d.cli("delete", "me/kitchen", "--yes")
        self.assertEqual(self.d.get("/api/spaces/me/kitchen").status, 404)
        harness.wait_for("no files", lambda: not os.listdir(f"{self.d.state}/files"))
        harness.wait_for("no snapshot", lambda: not [s for s in os.listdir(f"{self.d.state}/snapshots") if len(s) == 64])

    def test_spaces_come_back_after_a_restart_of_the_daemon(self):
        self.d.deploy(self.folder({"app.py": app("one")}), "me/app")
        self.assertEqual(self.d.stop(), 0)
        self.d.start()
        harness.wait_for("RUNNING", lambda: self.d.runtime("me/app")["stage"] == "RUNNING")
        self.assertEqual(self.d.call("me/app", "say", ["x"]), ("complete", ["one"]))

    def test_an_app_that_dies_while_serving_is_started_again_and_the_caller_told(self):
        self.d.deploy("kitchen", "me/kitchen")
        kind, data = self.d.call("me/kitchen", "die", ["x"])
        self.assertEqual(kind, "error")
        self.assertIn("restart", json.dumps(data))
        harness.wait_for("RUNNING", lambda: self.d.runtime("me/kitchen")["stage"] == "RUNNING")
        self.assertEqual(self.d.call("me/kitchen", "echo", ["x"]), ("complete", ["x"]))


class Duplicate(harness.Case):
    @classmethod
    def setUpClass(cls):
        harness.needs_root()

    def test_a_copy_is_private_has_its_own_sandbox_and_outlives_its_source(self):
        d = self.daemon()
        d.deploy("kitchen", "me/kitchen")
        ada = d.user("ada")
        d.cli("duplicate", "me/kitchen", "ada/copy", "--wait", token=ada)
        copy = d.get("/api/spaces/ada/copy", token=ada).json
        self.assertTrue(copy["private"])
        self.assertEqual(copy["originSpace"], {"name": "me/kitchen"})
        self.assertEqual(copy["version"]["snapshot"], d.get("/api/spaces/me/kitchen").json["version"]["snapshot"])
        self.assertEqual(d.get("/api/spaces/ada/copy", token=None).status, 404)
        self.assertEqual(d.get("/app/ada/copy/config", token=None).status, 404)
        d.cli("delete", "me/kitchen", "--yes")
        self.assertEqual(d.call("ada/copy", "echo", ["still here"], token=ada), ("complete", ["still here"]))
        d.cli("restart", "ada/copy", token=ada)
        harness.wait_for("RUNNING", lambda: d.get("/api/spaces/ada/copy/runtime", token=ada).json["stage"] == "RUNNING")
        self.assertEqual(d.call("ada/copy", "echo", ["again"], token=ada), ("complete", ["again"]))

    def test_a_taken_name_is_a_conflict_and_a_stranger_is_asked_to_sign_in(self):
        d = self.daemon()
        d.deploy("kitchen", "me/kitchen")
        ada = d.user("ada")
        body = {"repository": "ada/copy"}
        self.assertEqual(d.post("/api/spaces/me/kitchen/duplicate", body, token=None).status, 401)
        self.assertEqual(d.post("/api/spaces/me/kitchen/duplicate", body, token=ada).status, 202)
        again = d.post("/api/spaces/me/kitchen/duplicate", body, token=ada)
        self.assertEqual(again.status, 409)
        self.assertTrue(again.json["url"].endswith("/spaces/ada/copy"))
        self.assertEqual(d.post("/api/spaces/me/kitchen/duplicate", {"repository": "me/mine"}, token=ada).status, 403)
