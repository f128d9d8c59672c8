"""A sandbox whose root is a base instead of the host's files. The launcher is driven directly.

The numbers in the tests' comments are those of the attack list in docs/escape.md.
"""

import os
import shutil
import sys
import tempfile
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "support"))
sys.path.insert(0, HERE)
import launch_driver as launch  # noqa: E402
import small_base  # noqa: E402
import test_sandbox  # noqa: E402

BASE = "cd" * 32
SH = "/bin/sh"


def setUpModule():
    if small_base.missing():
        raise unittest.SkipTest(small_base.missing())
    test_sandbox.setUpModule()
    Case.made = tempfile.mkdtemp(prefix="spaces-base-")
    small_base.build(Case.made + "/small")
    small_base.build(Case.made + "/python", python=True)


def tearDownModule():
    shutil.rmtree(getattr(Case, "made", "/nonexistent"), ignore_errors=True)
    test_sandbox.tearDownModule()


def put(launcher, kind):
    """A copy of a base that was made, where the launcher looks for it."""
    root = os.path.join(launcher.state, "bases", BASE, "root")
    os.makedirs(os.path.dirname(root))
    shutil.copytree(os.path.join(Case.made, kind), root, symlinks=True)
    small_base.give(os.path.join(launcher.state, "bases"), launch.DAEMON_UID)
    return root


class Case(unittest.TestCase):
    made = ""

    def setUp(self):
        self.l = launch.Launcher()
        self.root = put(self.l, "small")
        self.assertTrue(self.l.hello().complete)

    def tearDown(self):
        self.assertEqual(self.l.close(), 0)
        self.assertEqual(launch.processes_of(self.l.state_id), [])
        self.assertEqual(launch.groups_of(self.l.state_id), [])
        self.assertEqual(launch.mounts_of(self.l.state), [])
        self.l.remove()

    def sh(self, script, box=None):
        """What a shell of the base prints, and its exit code."""
        exited, text = self.l.run(box or self.l.sandbox(base=BASE), [SH, "-c", script])
        return exited.status, text


class Root(Case):
    def test_a_program_of_the_base_runs_and_the_hosts_are_not_there(self):
        self.assertEqual(self.sh("cat /etc/base-mark; test -e /usr/bin/python3 || echo no python; echo /home/user/app/*"),
                         (0, small_base.MARK + "no python\n/home/user/app/app.py\n"))

    def test_the_next_sandbox_without_a_base_has_the_hosts_root(self):
        self.assertEqual(self.sh("cat /etc/base-mark")[0], 0)
        _, text = self.l.run(self.l.sandbox(), [SH, "-c", "cat /etc/base-mark || ls /usr/bin/python3"])
        self.assertIn("/usr/bin/python3\n", text)
        self.assertNotIn(small_base.MARK, text)

    def test_a_base_cannot_be_written_and_belongs_to_root(self):
        status, text = self.sh("for f in / /etc /usr/bin /var /opt /proc/sys /srv; do touch $f/x 2>/dev/null && echo wrote $f; done;"
                               "echo x >>/etc/base-mark; stat -c %u /etc/base-mark /usr; touch /tmp/x /home/user/x && echo own")
        self.assertEqual((status, text.splitlines()[-3:]), (0, ["0", "0", "own"]))
        self.assertRegex(text, "(?m)^.*: (Read-only file system|Permission denied)$")
        self.assertNotIn("wrote", text)
        with open(self.root + "/etc/base-mark", encoding="utf-8") as file:
            self.assertEqual(file.read(), small_base.MARK)

    def test_a_setuid_program_of_a_base_gives_nothing(self):  # 23
        os.chmod(self.root + "/usr/bin/busybox", 0o6755)
        self.assertEqual(self.sh("id -u; id -g"), (0, "1000\n1000\n"))

    def test_links_of_a_base_at_our_mount_points_lead_nowhere(self):  # 19
        outside = tempfile.mkdtemp(prefix="spaces-outside-")
        self.addCleanup(shutil.rmtree, outside)
        for name in ("proc", "dev", "sys", "tmp", "run", "home", "var", "opt", "mnt", "data", "etc/resolv.conf", "etc/hosts"):
            path = os.path.join(self.root, name)
            if os.path.isdir(path):
                shutil.rmtree(path)
            elif os.path.lexists(path):
                os.unlink(path)
            os.symlink(outside, path)
        status, text = self.sh("test -d /proc/self && echo proc; echo x >/dev/null && echo dev; touch /tmp/t /home/user/app/h"
                               " && echo own; ls /opt/spacekit; for f in /proc /dev /tmp /home; do readlink $f; done; echo end")
        self.assertEqual((status, text), (0, "proc\ndev\nown\nspacekit_mark.py\nend\n"))
        self.assertEqual(os.listdir(outside), [])

    def test_a_base_whose_etc_is_a_link_gets_a_folder_there(self):  # 19
        shutil.rmtree(self.root + "/etc")
        os.symlink("/proc/1/root", self.root + "/etc")
        self.assertEqual(self.sh("cat /etc/hosts"), (0, "127.0.0.1 localhost\n::1 localhost ip6-localhost ip6-loopback\n"))

    def test_nothing_inside_tells_where_the_base_lies(self):  # 36
        status, text = self.sh("cat /proc/self/mountinfo; cat /proc/mounts")
        self.assertEqual(status, 0)
        lines = [line for line in text.splitlines() if "/run/files" not in line]  # the known gap
        self.assertEqual([line for line in lines if self.l.state in line or "bases" in line], [])
        self.assertEqual(sum(" /proc " in line for line in text.splitlines()), 2)  # and none of the shared root

    def test_a_spare_of_the_pool_serves_a_base(self):
        first, second = self.l.sandbox(base=BASE), self.l.sandbox(base=BASE)
        self.assertEqual(self.sh("cat /etc/base-mark", first), self.sh("cat /etc/base-mark", second))
        self.l.stop(first)
        self.l.stop(second)


class Refused(Case):
    def start(self, base):
        with self.assertRaises(RuntimeError) as caught:
            self.l.sandbox(base=base)
        return str(caught.exception)

    def test_what_is_no_name_of_a_base_is_refused(self):
        for base in ("../" + "a" * 61, "x", "AB" * 32):
            self.assertIn("base is not", self.start(base))

    def test_a_base_that_is_not_there_is_a_sentence_and_leaves_nothing(self):
        self.assertIn("prepare the base", self.start("ef" * 32))

    def test_a_link_instead_of_a_base_is_refused(self):
        bases = os.path.join(self.l.state, "bases")
        os.symlink("/", os.path.join(bases, "ab" * 32))
        os.mkdir(os.path.join(bases, "ef" * 32))
        os.symlink("/", os.path.join(bases, "ef" * 32, "root"))
        for name in ("ab" * 32, "ef" * 32):
            self.assertIn("prepare the base", self.start(name))


class InABase(test_sandbox.Case):
    """Programs that test_sandbox.py tries in the host's root, here on the interpreter of a base."""

    def setUp(self):
        super().setUp()
        put(self.l, "python")
        self.l.base = BASE


class App(InABase):
    def test_an_app_runs_on_the_interpreter_of_the_base(self):
        exited, text = self.l.run(self.l.sandbox(), [test_sandbox.PYTHON, "-c", "import sys; sys.path.append('/opt/spacekit');"
                                                     "import spacekit_mark, ssl, sqlite3, json;"
                                                     "print(spacekit_mark.MARK, open('/etc/base-mark').read(), end='')"])
        self.assertEqual((exited.status, text), (0, "sdk " + small_base.MARK))


class KernelInABase(test_sandbox.Kernel, InABase):
    pass


class FilesInABase(test_sandbox.Files, InABase):
    pass


if __name__ == "__main__":
    unittest.main()
