"""The first-light story on a Debian with systemd: what `make install` put there, started by our unit.

Runs in the guest of `make guest-test` only: it starts, restarts and stops the real spacesd.service.
"""

import http.client
import json
import os
import re
import subprocess
import sys
import time
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
STATE = "/var/lib/spacesd"
UNIT = "spacesd.service"
GROUP = "/sys/fs/cgroup/system.slice/" + UNIT
DEADLINE_S = 120


def setUpModule():
    if not os.path.exists("/usr/local/lib/systemd/system/" + UNIT):
        raise unittest.SkipTest("needs guest: runs inside of `make guest-test`")


def systemctl(*args):
    return subprocess.run(["systemctl", *args], capture_output=True, text=True, check=False)


def show(*names):
    text = systemctl("show", UNIT, *[f"--property={name}" for name in names]).stdout
    return dict(line.split("=", 1) for line in text.splitlines())


def main_pid():
    """The daemon's; a stopped unit has none, and 0 must never be killed."""
    pid = int(show("MainPID")["MainPID"])
    if pid <= 1:
        raise AssertionError("the unit has no process\n" + journal())
    return pid


def journal():
    return subprocess.run(["journalctl", "-u", UNIT, "--no-pager", "-n", "40", "-o", "cat"], capture_output=True,
                          text=True, check=False).stdout


def processes():
    """Every living process that is one of ours or was started for a Space: (pid, uid, command)."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/cgroup", encoding="utf-8") as group, \
                    open(f"/proc/{pid}/cmdline", "rb") as command:
                if UNIT in group.read():
                    found.append((int(pid), os.stat(f"/proc/{pid}").st_uid,
                                  command.read().replace(b"\0", b" ").decode(errors="replace")))
        except OSError:
            continue
    return found


def groups():
    return sorted(os.path.relpath(os.path.join(base, name), GROUP) for base, names, _ in os.walk(GROUP)
                  for name in names)


def read(path):
    with open(path, encoding="utf-8") as file:
        return file.read().strip()


def call(space, api, data):
    """POST and its stream, as curl would do it."""
    def ask(method, path, body=None):
        connection = http.client.HTTPConnection("127.0.0.1", 7860, timeout=DEADLINE_S)
        connection.request(method, path, body, {"Authorization": "Bearer " + read(STATE + "/admin.token"),
                                                "Content-Type": "application/json"})
        answer = connection.getresponse()
        text = answer.read().decode()
        connection.close()
        if answer.status != 200:
            raise AssertionError(f"{method} {path}: {answer.status} {text[:500]}")
        return text
    event = json.loads(ask("POST", f"/app/{space}/gradio_api/call/{api}", json.dumps({"data": data})))["event_id"]
    text = ask("GET", f"/app/{space}/gradio_api/call/{api}/{event}")
    return json.loads(re.findall(r"^data: (.*)$", text, re.MULTILINE)[-1])


def spaces(*args):
    done = subprocess.run(["spaces", *args], capture_output=True, text=True, timeout=DEADLINE_S * 2, check=False,
                          stdin=subprocess.DEVNULL,
                          env={**os.environ, "SPACES_URL": "http://127.0.0.1:7860",
                               "SPACES_TOKEN": read(STATE + "/admin.token"), "NO_COLOR": "1"})
    if done.returncode != 0:
        raise AssertionError(f"spaces {' '.join(args)}: exit {done.returncode}\n{done.stdout}{done.stderr}{journal()}")
    return done.stdout


def wait_for(what, check):
    end = time.monotonic() + DEADLINE_S
    while not check():
        if time.monotonic() > end:
            raise AssertionError(f"waited {DEADLINE_S} s for {what}\n{journal()}")
        time.sleep(0.1)


class FirstLight(unittest.TestCase):
    """In order: each test goes on where the one before has left."""

    def test_1_the_unit_starts_and_says_when_it_is_ready(self):
        verify = subprocess.run(["systemd-analyze", "verify", "/usr/local/lib/systemd/system/" + UNIT],
                                capture_output=True, text=True, check=False)
        complaints = [line for line in verify.stderr.splitlines()
                      if UNIT in line and "DelegateSubgroup" not in line]  # systemd 252 does not know it
        self.assertEqual(complaints, [])
        started = systemctl("start", UNIT)
        self.assertEqual(started.returncode, 0, started.stderr + journal())
        now = show("ActiveState", "SubState", "Type", "StatusErrno")
        self.assertEqual((now["ActiveState"], now["SubState"], now["Type"]), ("active", "running", "notify"))
        self.assertEqual(http_status("/readyz"), 200)

    def test_2_the_daemon_is_its_own_user_and_both_live_in_their_own_leaf(self):
        main = main_pid()
        found = {pid: (uid, command) for pid, uid, command in processes()}
        self.assertEqual(found[main][0], int(subprocess.run(["id", "-u", "spacesd"], capture_output=True, text=True,
                                                            check=True).stdout))
        launchers = [pid for pid, (uid, command) in found.items() if "spaces-launcher" in command and uid == 0]
        self.assertTrue(launchers)
        for pid in (main, min(launchers)):
            self.assertEqual(read(f"/proc/{pid}/cgroup"), f"0::/system.slice/{UNIT}/supervisor")
        self.assertEqual(read(GROUP + "/cgroup.procs"), "")
        self.assertLessEqual({"cpu", "memory", "pids"}, set(read(GROUP + "/cgroup.subtree_control").split()))

    def test_3_doctor_finds_every_protection_that_is_required(self):
        weak = [item for item in json.loads(spaces("doctor", "-o", "json"))["checks"]
                if item.get("required") and not item.get("ok")]
        self.assertEqual(weak, [])

    def test_4_an_example_is_deployed_and_answers(self):
        spaces("deploy", ROOT + "/examples/hello", "demo/hello", "--public", "--wait")
        self.assertEqual(call("demo/hello", "predict", ["systemd"]), ["Hello systemd! 👋"])
        boxes = [name for name in groups() if re.match(r"spacesd-\w{16}/", name)]
        self.assertTrue(boxes)
        capped = [name for name in boxes if read(f"{GROUP}/{name}/memory.max") != "max"]
        self.assertTrue(capped, "no group has a memory limit")
        self.assertTrue(any(read(f"{GROUP}/{name}/cgroup.procs") for name in capped))

    def test_5_a_restart_of_the_unit_keeps_the_space(self):
        before = main_pid()
        again = systemctl("restart", UNIT)
        self.assertEqual(again.returncode, 0, again.stderr + journal())
        self.assertNotEqual(main_pid(), before)
        wait_for("the Space to run again", lambda: '"RUNNING"' in spaces("ls", "-o", "json"))
        self.assertEqual(call("demo/hello", "predict", ["again"]), ["Hello again! 👋"])

    def test_6_a_killed_daemon_is_started_again_and_serves(self):
        before = main_pid()
        os.kill(before, 9)
        wait_for("another main process", lambda: show("MainPID")["MainPID"] not in (str(before), "0"))
        wait_for("the unit to be ready", lambda: show("SubState")["SubState"] == "running")
        wait_for("the Space to run again", lambda: '"RUNNING"' in spaces("ls", "-o", "json"))
        self.assertEqual(call("demo/hello", "predict", ["you"]), ["Hello you! 👋"])

    def test_7_a_killed_launcher_takes_the_daemon_along_and_both_come_back(self):
        before = main_pid()
        launchers = [pid for pid, uid, command in processes()
                     if uid == 0 and command.startswith("/usr/local/libexec/spaces-launcher")]
        os.kill(min(launchers), 9)
        wait_for("another main process", lambda: show("MainPID")["MainPID"] not in (str(before), "0"))
        wait_for("the unit to be ready", lambda: show("SubState")["SubState"] == "running")
        wait_for("the Space to run again", lambda: '"RUNNING"' in spaces("ls", "-o", "json"))

    def test_8_stop_leaves_nothing(self):
        stopped = systemctl("stop", UNIT)
        self.assertEqual(stopped.returncode, 0, stopped.stderr)
        now = show("ActiveState", "Result", "ExecMainStatus")
        self.assertEqual((now["ActiveState"], now["Result"], now["ExecMainStatus"]), ("inactive", "success", "0"),
                         journal())
        self.assertEqual(processes(), [])
        self.assertFalse(os.path.exists(GROUP))
        with open("/proc/self/mountinfo", encoding="utf-8") as file:
            self.assertEqual([line for line in file if "spacesd" in line], [])
        self.assertNotIn("launcher.not_clean", journal())
        self.assertNotIn("launcher.lingers", journal())


def http_status(path):
    connection = http.client.HTTPConnection("127.0.0.1", 7860, timeout=DEADLINE_S)
    connection.request("GET", path)
    status = connection.getresponse().status
    connection.close()
    return status


if __name__ == "__main__":
    sys.exit("run by tests/support/tap.py in the guest")
