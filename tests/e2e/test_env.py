"""Variables and secrets of a Space: in its app's environment, changed by its owner, told to nobody else."""

import hashlib
import os
import stat
import subprocess
import sys
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import harness  # noqa: E402

APP = '''import hashlib, os, gradio as gr

def env(name):
    value = os.environ.get(name.removeprefix("#"), "-")
    return hashlib.sha256(value.encode()).hexdigest() if name.startswith("#") else value

gr.Interface(env, "text", "text", api_name="env").launch()
'''
SECRET = "hunter2-correct-horse-battery"


def setUpModule():
    harness.needs_root()


class Env(harness.Case):
    def start(self, **kw):
        d = self.daemon(**kw)
        d.deploy(self.folder({"app.py": APP}), "admin/env")
        return d

    def env(self, d, name, space="admin/env"):
        """What the app has; while it changes over, the old one may still answer."""
        return d.call(space, "env", [name])[1][0]

    def becomes(self, d, name, value, space="admin/env"):
        harness.wait_for("%s to be %s" % (name, value), lambda: self.env(d, name, space) == value)

    def set_secret(self, d, name, value, space="admin/env"):
        return subprocess.run([harness.BUILD + "/spaces", "secret", "set", space, name], input=value, text=True,
                              capture_output=True, check=False, timeout=60,
                              env={**os.environ, "SPACES_URL": d.url, "SPACES_TOKEN": d.token})

    def test_a_change_starts_the_app_anew_with_it(self):
        d = self.start()
        d.cli("variable", "set", "admin/env", "GREETING", "hello there")
        self.becomes(d, "GREETING", "hello there")
        self.assertEqual(self.set_secret(d, "API_KEY", SECRET + "\n").returncode, 0)
        self.becomes(d, "API_KEY", SECRET)
        self.assertEqual(self.env(d, "GREETING"), "hello there")
        d.cli("secret", "rm", "admin/env", "API_KEY")
        self.becomes(d, "API_KEY", "-")
        d.cli("variable", "rm", "admin/env", "GREETING")
        self.becomes(d, "GREETING", "-")

    def test_a_secret_is_in_no_answer_no_log_and_not_in_the_state_folder(self):
        d, hidden = self.start(), hashlib.sha256(SECRET.encode()).hexdigest()
        self.set_secret(d, "API_KEY", SECRET)
        self.becomes(d, "#API_KEY", hidden)  # an answer of the app itself would be kept
        self.assertIn("API_KEY", d.cli("secret", "list", "admin/env").stdout)
        for path in ("", "/secrets", "/variables", "/runtime", "/logs/run"):
            self.assertNotIn(SECRET, d.get("/api/spaces/admin/env" + path).body.decode(), path)
        self.assertNotIn(SECRET, d.get("/api/config").body.decode() + d.log_text())
        d.stop()
        for folder, _, names in os.walk(d.state):
            for name in names:
                with open(os.path.join(folder, name), "rb") as file:
                    self.assertNotIn(SECRET.encode(), file.read(), name)
        st = os.stat(d.state + "/secrets.key")
        self.assertEqual((stat.S_IMODE(st.st_mode), st.st_size), (0o600, 32))
        d.start()
        harness.wait_for("the app", lambda: d.runtime("admin/env")["stage"] == "RUNNING")
        self.assertEqual(self.env(d, "#API_KEY"), hidden)

    def test_with_another_key_file_the_space_says_which_secret_to_set(self):
        d = self.start()
        self.set_secret(d, "API_KEY", SECRET)
        self.becomes(d, "API_KEY", SECRET)
        d.stop()
        os.unlink(d.state + "/secrets.key")
        d.start()
        harness.wait_for("the refusal", lambda: d.runtime("admin/env")["stage"] == "CONFIG_ERROR")
        self.assertIn("API_KEY", d.runtime("admin/env")["reason"])
        self.set_secret(d, "API_KEY", "another")
        harness.wait_for("the app", lambda: d.runtime("admin/env")["stage"] == "RUNNING")
        self.assertEqual(self.env(d, "API_KEY"), "another")

    def test_a_duplicate_gets_the_variables_and_the_names_of_the_secrets(self):
        d = self.start()
        d.cli("variable", "set", "admin/env", "GREETING", "hello")
        self.set_secret(d, "API_KEY", SECRET)
        done = d.cli("duplicate", "admin/env", "admin/copy", "--public", "--wait")
        self.assertIn("spaces secret set admin/copy API_KEY", done.stdout)
        self.assertEqual((self.env(d, "GREETING", "admin/copy"), self.env(d, "API_KEY", "admin/copy")), ("hello", "-"))
        self.assertEqual(d.get("/api/spaces/admin/copy/secrets").json, {})

    def test_only_who_owns_a_space_sees_or_changes_them(self):
        d = self.start()
        token = d.user("somebody")
        for kind in ("variables", "secrets"):
            path = "/api/spaces/admin/env/" + kind
            self.assertEqual([d.get(path, token=token).status, d.post(path, {"key": "A", "value": "b"}, token=token).status,
                              d.request("DELETE", path, {"key": "A"}, token=token).status], [403, 403, 403])

    def test_names_that_are_none_or_ours_are_refused(self):
        d = self.start()
        path = "/api/spaces/admin/env/"
        for name in ("", "A B", "1A", "A=B", "SPACE_ID", "SPACEKIT_FD", "SYSTEM", "Ä", "A" * 129):
            self.assertEqual(d.post(path + "variables", {"key": name, "value": "x"}).status, 400, name)
        self.assertEqual(d.post(path + "variables", {"key": "A", "value": "x"}).json["A"]["value"], "x")
        self.assertEqual(d.post(path + "secrets", {"key": "A", "value": "x"}).status, 409)
        self.assertEqual(d.post(path + "variables", {"key": "A"}).status, 400)
        self.assertEqual(d.request("DELETE", path + "secrets", {"key": "NOT_THERE"}).json, {})

    def test_an_owner_may_change_what_we_would_set(self):
        d = self.start()
        d.cli("variable", "set", "admin/env", "LANG", "C")
        self.becomes(d, "LANG", "C")
        self.assertEqual(self.env(d, "SPACE_ID"), "admin/env")

    def test_variables_and_secrets_end_at_the_limit(self):
        d = self.start(args=["--set", "space.env=100"])
        path = "/api/spaces/admin/env/"
        self.assertEqual(d.post(path + "variables", {"key": "A", "value": "x" * 60}).status, 200)
        refused = d.post(path + "secrets", {"key": "B", "value": "y" * 60})
        self.assertEqual((refused.status, "space.env" in refused.json["error"]), (429, True))


if __name__ == "__main__":
    unittest.main()
