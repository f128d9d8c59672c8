"""Starts a real spacesd on a state folder of its own, talks to it, and proves that nothing is left.

    class MyStory(harness.Case):
        def test_a_sentence(self):
            d = self.daemon()
            d.deploy("echo", "me/echo")

Waits are for events with a deadline; a deadline is generous because machines are shared.
"""

import http.client
import json
import os
import re
import shutil
import signal
import subprocess
import tempfile
import time
import unittest
import urllib.parse

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.path.join(ROOT, os.environ.get("BUILD", "build-test"))
APPS = os.path.join(ROOT, "tests", "e2e", "apps")
DEADLINE_S = 60


def wait_for(what, check, deadline_s=DEADLINE_S, every_s=0.02):
    """Asks until the answer is true; the failure names what was waited for."""
    end = time.monotonic() + deadline_s
    while True:
        value = check()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"waited {deadline_s} s for {what}; the last answer was {value!r}")
        time.sleep(every_s)


def processes_with(text):
    """pids whose command line or environment-independent cgroup path holds the text."""
    found = {}
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/cmdline", "rb") as file:
                line = file.read().replace(b"\0", b" ").decode("utf-8", "replace")
            with open(f"/proc/{pid}/cgroup", encoding="utf-8") as file:
                line += file.read()
            with open(f"/proc/{pid}/stat", encoding="utf-8") as file:
                if file.read().rsplit(")", 1)[1].split()[0] == "Z":
                    continue
        except OSError:
            continue
        if text in line and int(pid) != os.getpid():
            found[int(pid)] = line.strip()
    return found


def mounts_with(text):
    with open("/proc/self/mountinfo", encoding="utf-8") as file:
        return [line for line in file if text in line]


def cgroups_with(text):
    found = []
    for base, dirs, _ in os.walk("/sys/fs/cgroup"):
        found += [os.path.join(base, d) for d in dirs if text in d]
    return found


class Reply:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    @property
    def json(self):
        return json.loads(self.body)


class Daemon:
    """One spacesd; `expected_errors` are patterns of log lines that this story brings about.
    `wrap` are words before the command."""

    def __init__(self, state=None, args=(), env=None, supervise=False, wrap=()):
        self.wrap = list(wrap)
        self.state = state or tempfile.mkdtemp(prefix="spacesd-test-")
        self.log_path = self.state + ".log"
        self.args, self.env, self.supervise = list(args), dict(env or {}), supervise
        self.expected_errors = []
        self.process = None
        self.url = None
        self.log_mark = 0
        self.start()

    # --- life ---------------------------------------------------------------------------------------

    def start(self):
        command = [*self.wrap, f"{BUILD}/spacesd", "--state", self.state, "--listen", "127.0.0.1:0", *self.args]
        if self.supervise:
            command.append("--supervise")
        self.log = open(self.log_path, "ab")
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=self.log, stdin=subprocess.DEVNULL,
                                        env={**os.environ, **self.env}, start_new_session=True)
        self.wait_ready()

    def wait_ready(self):
        line = self.process.stdout.readline().decode()
        if not line.startswith("ready url="):
            raise AssertionError(f"spacesd did not start: {line!r}\n{self.log_text()[-4000:]}")
        self.url = line.split("=", 1)[1].strip()
        with open(os.path.join(self.state, "admin.token"), encoding="utf-8") as file:
            self.token = file.read().strip()
        with open(os.path.join(self.state, "state.id"), encoding="utf-8") as file:
            self.state_id = file.read().strip()

    def log_text(self):
        with open(self.log_path, encoding="utf-8", errors="replace") as file:
            return file.read()

    def stop(self):
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(DEADLINE_S)
        code = self.process.returncode if self.process else None
        self.release()
        return code

    def kill(self):
        """kill -9 of the daemon alone."""
        self.process.kill()
        self.process.wait(DEADLINE_S)
        self.release()

    def release(self):
        if self.process and self.process.stdout:
            self.process.stdout.close()
        self.log.close()

    def launcher_pid(self):
        for pid, line in processes_with(self.state).items():
            if "spaces-launcher" in line and self.state_id in line and ppid_is_not_launcher(pid):
                return pid
        return None

    def leftovers(self):
        """What a story must not leave; empty after every test."""
        left = [f"process {pid}: {line[:200]}" for pid, line in processes_with(self.state_id).items()]
        left += [f"process {pid}: {line[:200]}" for pid, line in processes_with(self.state + " ").items()]
        left += [f"mount {line}" for line in mounts_with(self.state)]
        left += [f"cgroup {path}" for path in cgroups_with(self.state_id)]
        return left

    def unexpected_errors(self):
        lines = [line for line in self.log_text().splitlines() if re.search(r"Z error |Sanitizer|runtime error:", line)]
        return [line for line in lines if not any(re.search(p, line) for p in self.expected_errors)]

    # --- talking ------------------------------------------------------------------------------------

    def request(self, method, path, body=None, token="admin", headers=None, timeout=DEADLINE_S):
        host = urllib.parse.urlsplit(self.url)
        connection = http.client.HTTPConnection(host.hostname, host.port, timeout=timeout)
        head = dict(headers or {})
        if token == "admin":
            token = self.token
        if token:
            head["Authorization"] = f"Bearer {token}"
        if isinstance(body, (dict, list)):
            body = json.dumps(body)
            head.setdefault("Content-Type", "application/json")
        try:
            connection.request(method, path, body, head)
            answer = connection.getresponse()
            return Reply(answer.status, dict(answer.getheaders()), answer.read())
        finally:
            connection.close()

    def get(self, path, **kw):
        return self.request("GET", path, **kw)

    def post(self, path, body=None, **kw):
        return self.request("POST", path, body, **kw)

    def cli(self, *args, check=True, token=None, timeout=DEADLINE_S * 2):
        done = subprocess.run([f"{BUILD}/spaces", *args], capture_output=True, text=True, timeout=timeout,
                              stdin=subprocess.DEVNULL,
                              env={**os.environ, "SPACES_URL": self.url, "SPACES_TOKEN": token or self.token,
                                   "NO_COLOR": "1"})
        if check and done.returncode != 0:
            raise AssertionError(f"spaces {' '.join(args)}: exit {done.returncode}\n{done.stdout}{done.stderr}\n"
                                 f"{self.log_text()[-3000:]}")
        return done

    def deploy(self, app, name, **kw):
        """An app of tests/e2e/apps, or a folder; waits until it runs."""
        folder = app if os.path.isabs(app) else os.path.join(APPS, app)
        return self.cli("deploy", folder, name, "--wait", **kw)

    def runtime(self, name):
        return self.get(f"/api/spaces/{name}/runtime").json

    def user(self, name):
        """Another user's token."""
        return self.post("/api/users", {"name": name}).json["token"]

    # --- an app's clients, as curl would be ------------------------------------------------------------

    def call(self, space, api, data, token=None):
        """POST /call and read its stream to the end: (event, data)."""
        reply = self.post(f"/app/{space}/gradio_api/call/{api}", {"data": data}, token=token)
        if reply.status != 200:
            raise AssertionError(f"/call/{api}: {reply.status} {reply.body[:500]!r}")
        text = self.get(f"/app/{space}/gradio_api/call/{api}/{reply.json['event_id']}", token=token).body.decode()
        events = [block.split("\n", 1) for block in text.strip().split("\n\n")]
        kind, data = events[-1]
        return kind.removeprefix("event: "), json.loads(data.removeprefix("data: "))

    def join(self, space, fn, data, session, token=None):
        return self.post(f"/app/{space}/gradio_api/queue/join",
                         {"data": data, "fn_index": fn, "session_hash": session}, token=token)

    def stream(self, space, session, token=None):
        return Stream(self, f"/app/{space}/gradio_api/queue/data?session_hash={session}", token)


def ppid_is_not_launcher(pid):
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8") as file:
            parent = int(file.read().rsplit(")", 1)[1].split()[1])
        with open(f"/proc/{parent}/cmdline", "rb") as file:
            return b"spaces-launcher" not in file.read()
    except OSError:
        return True


class Stream:
    """A text/event-stream read message by message."""

    def __init__(self, daemon, path, token=None):
        host = urllib.parse.urlsplit(daemon.url)
        self.connection = http.client.HTTPConnection(host.hostname, host.port, timeout=DEADLINE_S)
        self.connection.request("GET", path, headers={"Authorization": f"Bearer {token}"} if token else {})
        self.response = self.connection.getresponse()

    def messages(self):
        for line in self.response:
            if line.startswith(b"data: "):
                yield json.loads(line[6:])

    def until(self, msg, event_id=None):
        """Messages up to and with the first of that kind."""
        seen = []
        for message in self.messages():
            seen.append(message)
            if message["msg"] == msg and event_id in (None, message.get("event_id")):
                return seen
        raise AssertionError(f"the stream ended without {msg}: {seen}")

    def close(self):
        self.connection.close()


class Case(unittest.TestCase):
    """Every daemon of a test is stopped, and checked for what it left and for unexpected errors."""

    def setUp(self):
        self.daemons = []

    def daemon(self, **kw):
        daemon = Daemon(**kw)
        self.daemons.append(daemon)
        return daemon

    def folder(self, files):
        """A folder with these files, removed after the test."""
        path = tempfile.mkdtemp(prefix="spacesd-app-")
        self.addCleanup(shutil.rmtree, path, ignore_errors=True)
        for name, text in files.items():
            target = os.path.join(path, name)
            os.makedirs(os.path.dirname(target), exist_ok=True)
            with open(target, "wb" if isinstance(text, bytes) else "w") as file:
                file.write(text)
        return path

    def tearDown(self):
        problems = []
        for daemon in self.daemons:
            if daemon.process.poll() is None:
                code = daemon.stop()
                if code != 0:
                    problems.append(f"spacesd exited with {code}")
            try:
                wait_for("nothing to be left", lambda d=daemon: not d.leftovers(), 15)
            except AssertionError:
                problems += daemon.leftovers()
            problems += daemon.unexpected_errors()
            if problems and os.environ.get("KEEP"):
                print(f"# kept {daemon.state}")
            else:
                shutil.rmtree(daemon.state, ignore_errors=True)
        if problems:
            tail = self.daemons[-1].log_text()[-6000:] if self.daemons else ""
            self.fail("left behind or logged:\n  " + "\n  ".join(problems) + "\n" + tail)
        for daemon in self.daemons:
            if os.path.exists(daemon.log_path):
                os.unlink(daemon.log_path)


def needs_root():
    if os.geteuid() != 0:
        raise unittest.SkipTest("needs root: sandboxes are made with privilege")
