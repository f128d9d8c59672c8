"""Bases through the whole daemon: imported, listed, used by Spaces, kept while they are used, swept."""

import os
import shutil
import sys
import tempfile
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "support"))
import harness  # noqa: E402
import oci_image as oci  # noqa: E402
import small_base  # noqa: E402

APP = '''import gradio as gr

def where(path):
    try:
        return open(path).read()
    except OSError as e:
        return e.strerror

gr.Interface(where, "text", "text", api_name="where").launch()
'''
CARD = "---\ntitle: in a base\n%s---\n"


def setUpModule():
    harness.needs_root()
    if not shutil.which("skopeo"):
        raise unittest.SkipTest("needs skopeo")
    if small_base.missing():
        raise unittest.SkipTest(small_base.missing())
    Case.made = tempfile.mkdtemp(prefix="spacesd-images-")
    os.chmod(Case.made, 0o755)
    small_base.build(Case.made + "/root", python=True)
    oci.image(Case.made + "/python", [oci.layer_of(Case.made + "/root")])
    oci.image(Case.made + "/empty", [oci.layer(oci.entry("usr"))])


def tearDownModule():
    shutil.rmtree(getattr(Case, "made", "/nonexistent"), ignore_errors=True)


class Case(harness.Case):
    made = ""

    def app(self, base=None):
        return self.folder({"app.py": APP, "README.md": CARD % ("base: %s\n" % base if base else "")})

    def bring(self, d, name, image):
        return d.cli("base", "import", name, "oci:%s/%s" % (self.made, image))

    def base(self, d, name):
        return d.get("/api/bases/" + name).json


class Bases(Case):
    def test_an_app_runs_in_an_imported_base_and_the_base_stays_while_it_is_used(self):
        d = self.daemon()
        done = self.bring(d, "small", "python")
        self.assertRegex(done.stdout, "^base small is ready: [0-9a-f]{64}, ")
        self.assertIn("layer 1 of 1", done.stderr)
        d.deploy(self.app("small"), "admin/inside")
        self.assertEqual(d.call("admin/inside", "where", ["/etc/base-mark"]), ("complete", [small_base.MARK]))
        self.assertEqual(d.runtime("admin/inside")["base"], {"name": "small", "digest": self.base(d, "small")["digest"]})
        refused = d.cli("base", "rm", "small", check=False)
        self.assertEqual((refused.returncode, "used by admin/inside" in refused.stderr), (4, True), refused.stderr)
        # A worker that dies comes back in the same sandbox; a restart makes another: both in the base.
        d.cli("restart", "admin/inside", "--wait")
        self.assertEqual(d.call("admin/inside", "where", ["/etc/base-mark"]), ("complete", [small_base.MARK]))
        d.cli("delete", "admin/inside", "--yes")
        harness.wait_for("the base to be free", lambda: d.cli("base", "rm", "small", check=False).returncode == 0)
        harness.wait_for("its files to go", lambda: os.listdir(d.state + "/bases") == ["staging"])

    def test_the_operators_base_is_that_of_a_space_that_names_none(self):
        d = self.daemon()
        self.bring(d, "small", "python")
        d.stop()
        d.args += ["--set", "base.default=small"]
        d.start()
        d.deploy(self.app(), "admin/plain")
        d.deploy(self.app("host"), "admin/hosts")
        self.assertEqual(d.call("admin/plain", "where", ["/etc/base-mark"])[1], [small_base.MARK])
        self.assertEqual(d.call("admin/hosts", "where", ["/etc/base-mark"])[1], ["No such file or directory"])
        self.assertIn("base.default", d.cli("base", "rm", "small", check=False).stderr)

    def test_a_space_whose_base_is_not_there_says_so(self):
        d = self.daemon()
        failed = d.cli("deploy", self.app("nowhere"), "admin/lost", "--wait", check=False)
        self.assertNotEqual(failed.returncode, 0)
        self.assertIn("this host has no base 'nowhere'", failed.stderr)
        self.assertEqual(d.runtime("admin/lost")["stage"], "CONFIG_ERROR")

    def test_a_base_without_python_fails_with_a_sentence(self):
        d = self.daemon()
        self.bring(d, "empty", "empty")
        failed = d.cli("deploy", self.app("empty"), "admin/bare", "--wait", check=False)
        self.assertIn("/usr/bin/python3", failed.stderr)

    def test_what_is_being_made_when_the_daemon_is_killed_is_swept(self):
        d = self.daemon()
        pipe = os.path.join(self.made, "pipe-%d" % os.getpid())
        os.mkfifo(pipe)
        self.addCleanup(os.unlink, pipe)
        os.chmod(pipe, 0o666)
        self.assertEqual(d.post("/api/bases", {"name": "slow", "source": "docker-archive:" + pipe}).status, 202)
        harness.wait_for("a folder", lambda: os.listdir(d.state + "/bases/staging"))
        d.kill()
        d.start()
        self.assertEqual(os.listdir(d.state + "/bases/staging"), [])
        self.assertEqual(d.get("/api/bases").json, [])

    def test_a_base_that_takes_too_long_is_given_up(self):
        d = self.daemon(args=["--set", "base.timeout=1s"])
        d.expected_errors = []
        pipe = os.path.join(self.made, "pipe-%d" % os.getpid())
        os.mkfifo(pipe)
        self.addCleanup(os.unlink, pipe)
        os.chmod(pipe, 0o666)
        failed = d.cli("base", "import", "slow", "docker-archive:" + pipe, check=False)
        self.assertIn("base.timeout", failed.stderr)
        self.assertEqual((self.base(d, "slow")["state"], os.listdir(d.state + "/bases/staging")), ("failed", []))
        self.bring(d, "slow", "empty")  # the name is free again
        self.assertEqual(self.base(d, "slow")["state"], "ready")

    def test_bases_end_at_the_limit(self):
        d = self.daemon(args=["--set", "base.max=1"])
        self.bring(d, "one", "empty")
        self.assertIn("base.max", d.cli("base", "import", "two", "oci:%s/empty" % self.made, check=False).stderr)

    def test_only_operators_make_and_remove_bases(self):
        d = self.daemon()
        token = d.user("somebody")
        body = {"name": "x", "source": "oci:%s/empty" % self.made}
        self.assertEqual([d.post("/api/bases", body, token=token).status, d.request("DELETE", "/api/bases/x", token=token).status,
                          d.get("/api/bases", token=token).status, d.get("/api/bases", token=None).status],
                         [403, 403, 200, 401])

    def test_names_and_sources_that_are_none_are_refused(self):
        d = self.daemon()
        for name, source in (("host", "debian:12"), ("A", "debian:12"), ("", "debian:12"), ("a/b", "debian:12"), ("x", "oci:relative"),
                             ("x", "--help@sha256:"), ("x", "dir:/etc"), ("x", "docker://a"), ("x" * 64, "debian:12")):
            self.assertEqual(d.post("/api/bases", {"name": name, "source": source}).status, 400, (name, source))

    def test_the_same_files_under_two_names_are_there_once(self):
        d = self.daemon()
        self.bring(d, "one", "empty")
        self.bring(d, "two", "empty")
        self.assertEqual(self.base(d, "one")["digest"], self.base(d, "two")["digest"])
        d.cli("base", "rm", "one")
        self.assertEqual(sorted(os.listdir(d.state + "/bases")), sorted(["staging", self.base(d, "two")["digest"]]))
        d.stop()
        d.start()
        self.assertEqual(self.base(d, "two")["state"], "ready")


if __name__ == "__main__":
    unittest.main()
