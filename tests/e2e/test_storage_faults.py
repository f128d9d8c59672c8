"""What is kept on disk, when something goes wrong with it: deletes cut short, records and images that are damaged."""

import contextlib
import os
import sqlite3
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


class Records(Case):
    def records(self, d, sql, *values):
        """The store, while nobody has it open."""
        with contextlib.closing(sqlite3.connect(d.state + "/store.db")) as db:
            rows = db.execute(sql, values).fetchall()
            db.commit()
        return rows

    def damage(self, d, name, record=b"\x00 no JSON"):
        key = "/spaces/" + self.ids[name]
        old = self.records(d, "SELECT value FROM kv WHERE key = ?", key)[0][0]
        self.records(d, "UPDATE kv SET value = ? WHERE key = ?", record, key)
        return old

    def kept(self, d, name):
        """What the Space has on the disk, in words."""
        space, found = self.ids[name], set()
        for what in (f"files/{space}/o/output", f"logs/{space}/run.log", f"data/{space}.img"):
            found |= {what.split("/")[0]} if os.path.exists(f"{d.state}/{what}") else set()
        snapshots = [s for s in os.listdir(d.state + "/snapshots") if len(s) == 64]
        return found | {"snapshot"} if self.snapshot in snapshots else found

    def prepare(self):
        d = self.start("me/Broken")
        self.snapshot = d.get("/api/spaces/me/Broken").json["version"]["snapshot"]
        d.deploy(self.folder({"app.py": APP + "# another\n"}), "me/other")
        self.ids["me/other"] = (set(os.listdir(d.state + "/files")) - set(self.ids.values())).pop()
        with open(f"{d.state}/files/{self.ids['me/Broken']}/o/output", "wb"):
            pass
        files = os.stat(d.state + "/files")
        os.makedirs(d.state + "/data", exist_ok=True)
        os.chown(d.state + "/data", files.st_uid, files.st_gid)
        with open(f"{d.state}/data/{self.ids['me/Broken']}.img", "wb"):
            pass
        d.stop()
        d.expected_errors.append("space.broken")
        return d

    ALL = {"files", "logs", "data", "snapshot"}

    def test_a_record_that_cannot_be_read_stops_nobody_and_its_space_keeps_name_and_files(self):
        d = self.prepare()
        old = self.damage(d, "me/Broken")
        d.start()
        harness.wait_for("the other one", lambda: d.runtime("me/other")["stage"] == "RUNNING")
        runtime = d.runtime("me/broken")
        self.assertEqual(runtime["stage"], "RUNTIME_ERROR")
        for words in ("record in the store cannot be read", "nothing of it is removed", "put a backup"):
            self.assertIn(words, runtime["reason"])
        self.assertRegex(d.log_text(), " error space.broken id=%s space=me/broken " % self.ids["me/Broken"])
        # Nobody else's, and not its owner's to change: what would be stored is what was not read.
        self.assertEqual(d.get("/api/spaces/me/broken", token=d.user("stranger")).status, 404)
        for method, path, body in (("POST", "restart", None), ("POST", "pause", None), ("PUT", "settings", {"private": False}),
                                   ("POST", "storage", {"tier": "small"}), ("POST", "variables", {"key": "A", "value": "b"}),
                                   ("POST", "duplicate", {"repository": "me/copy"})):
            reply = d.request(method, "/api/spaces/me/Broken/" + path, body)
            self.assertEqual(reply.status, 409, (path, reply.body))
            self.assertIn("cannot be read", reply.json["error"])
        self.assertIn("cannot be read", d.cli("deploy", self.app, "me/BROKEN", check=False).stderr)
        self.assertEqual(d.post("/api/spaces/me/other/duplicate", {"repository": "me/broken"}).status, 409)
        # A version that goes meanwhile takes nothing with it that the broken one may need.
        self.snapshots_of_others_go(d)
        self.assertEqual(self.kept(d, "me/Broken"), self.ALL)
        d.stop()
        self.records(d, "UPDATE kv SET value = ? WHERE key = ?", old, "/spaces/" + self.ids["me/Broken"])
        os.unlink(f"{d.state}/data/{self.ids['me/Broken']}.img")
        d.start()
        harness.wait_for("it to run again", lambda: d.runtime("me/Broken")["stage"] == "RUNNING")
        self.assertEqual(d.call("me/Broken", "echo", ["back"]), ("complete", ["back"]))

    def snapshots_of_others_go(self, d):
        """The same files as the broken Space's are deployed and deleted."""
        d.deploy(self.app, "me/same")
        self.assertEqual(d.get("/api/spaces/me/same").json["version"]["snapshot"], self.snapshot)
        d.cli("delete", "me/same", "--yes")
        harness.wait_for("its files to go", lambda: len(os.listdir(d.state + "/files")) == 2)

    def test_a_record_of_a_newer_spacesd_is_kept_as_it_is(self):
        d = self.prepare()
        old = self.damage(d, "me/Broken", b'{"v":2,"owner":"me","name":"Broken"}')
        d.start()
        self.assertEqual(d.get("/api/spaces/me/broken").json["id"], "me/Broken")
        d.stop()
        self.assertEqual(self.damage(d, "me/Broken", old), b'{"v":2,"owner":"me","name":"Broken"}')
        self.assertEqual(self.kept(d, "me/Broken"), self.ALL)

    def test_a_record_without_what_every_space_has_is_not_taken_for_whole(self):
        d = self.prepare()
        for record in (b"{}", b"[]", b'{"v":1,"owner":"me","name":"Broken"}'):
            self.damage(d, "me/Broken", record)
            d.start()
            self.assertIn("cannot be read (a field is missing", d.runtime("me/broken")["reason"], record)
            d.stop()
            self.assertEqual(self.kept(d, "me/Broken"), self.ALL, record)

    def test_a_record_that_no_name_leads_to_keeps_its_files(self):
        d = self.prepare()
        self.damage(d, "me/Broken")
        self.records(d, "DELETE FROM kv WHERE key = '/names/me/broken'")
        d.start()
        harness.wait_for("the other one", lambda: d.runtime("me/other")["stage"] == "RUNNING")
        self.assertRegex(d.log_text(), " error space.broken id=%s space=/ " % self.ids["me/Broken"])
        self.assertEqual(self.kept(d, "me/Broken"), self.ALL)

    def test_a_broken_space_can_be_deleted_and_then_its_name_is_free(self):
        d = self.prepare()
        self.damage(d, "me/Broken")
        d.start()
        d.cli("delete", "me/broken", "--yes")
        harness.wait_for("its files to go", lambda: not self.kept(d, "me/Broken") - {"snapshot"})
        d.deploy(self.app, "me/Broken")
        d.stop()
        d.start()
        harness.wait_for("the new one", lambda: d.runtime("me/Broken")["stage"] == "RUNNING")

    def test_a_folder_that_cannot_be_made_is_one_spaces_trouble(self):
        d = self.prepare()
        space = f"{d.state}/files/{self.ids['me/Broken']}"
        os.rename(space, space + ".away")
        with open(space, "wb"):
            pass
        d.start()
        harness.wait_for("the other one", lambda: d.runtime("me/other")["stage"] == "RUNNING")
        runtime = d.runtime("me/Broken")
        self.assertEqual(runtime["stage"], "RUNTIME_ERROR")
        self.assertIn("folders cannot be made", runtime["reason"])
        d.stop()
        os.unlink(space)
        os.rename(space + ".away", space)
        os.unlink(f"{d.state}/data/{self.ids['me/Broken']}.img")
        d.start()
        harness.wait_for("it to run", lambda: d.runtime("me/Broken")["stage"] == "RUNNING")


if __name__ == "__main__":
    unittest.main()
