"""Drives the real worker.py over a socketpair, as the daemon does."""

import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import unittest

SDK = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.append(SDK)  # tests may import spacekit's pure parts
DEADLINE = 20.0  # s; only a failing test waits that long
ENDS = ("return", "error", "cancelled")


class Worker:
    """One worker process. `app` is the text of app.py; `files` are further files of the Space."""

    def __init__(self, app=None, files=None, folders=None, hello=None, python=sys.executable):
        self.made = None if folders else tempfile.mkdtemp(prefix="spacekit-test-")
        self.base = folders or self.made
        self.app_folder = os.path.join(self.base, "app")
        for name, text in dict(files or {}, **({"app.py": app} if app is not None else {})).items():
            path = os.path.join(self.app_folder, name)
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "w" if isinstance(text, str) else "wb") as file:
                file.write(text)
        os.makedirs(self.app_folder, exist_ok=True)
        self.sock, theirs = socket.socketpair()
        self.sock.settimeout(DEADLINE)
        self.log_path = os.path.join(self.base, "log")
        environment = dict(
            os.environ,
            SPACEKIT_FD=str(theirs.fileno()),
            PYTHONUNBUFFERED="1",
            SPACEKIT_STATE_DIR=self.base + "/state",
            SPACEKIT_FILES_DIR=self.base + "/files",
            TMPDIR=self.base + "/tmp",
        )
        os.makedirs(self.base + "/tmp", exist_ok=True)
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(
                [python, os.path.join(SDK, "worker.py")],
                cwd=self.app_folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=[theirs.fileno()],
            )
        theirs.close()
        self._rest = b""
        self._lines = []
        self._count = 0
        message = {
            "type": "hello",
            "version": 1,
            "features": [],
            "app_file": "app.py",
            "space": "me/test",
            "root": "/app/me/test",
            "threads": 40,
        }
        self.tell(dict(message, **(hello or {})))

    def tell(self, message):
        self.tell_raw(json.dumps(message).encode() + b"\n")

    def tell_raw(self, data):
        self.sock.sendall(data)

    def hear(self):
        """The next message; None at EOF."""
        while not self._lines:
            data = self.sock.recv(1 << 16)
            if not data:
                return None
            lines = (self._rest + data).split(b"\n")
            self._rest = lines.pop()
            self._lines += lines
        return json.loads(self._lines.pop(0), parse_constant=_no_constants)

    def hear_type(self, kind):
        """The next message of that type; what comes before is dropped."""
        while True:
            message = self.hear()
            if message is None:
                raise AssertionError("the worker ended before %r; log:\n%s" % (kind, self.log()))
            if message["type"] == kind:
                return message

    def ready(self):
        first = self.hear()
        if first is None or first["type"] != "ready":
            raise AssertionError("not ready: %r; log:\n%s" % (first, self.log()))
        self.config, self.info, self.functions = first["config"], first["info"], first["functions"]
        self.first = first
        return self

    def call(self, fn, *data, session="s", **more):
        """Starts a call; `fn` is an api_name or a number. Returns the id."""
        self._count += 1
        number = "%032x" % self._count
        if isinstance(fn, str):
            fn = [f["fn"] for f in self.functions if f["api_name"] == fn][0]
        message = {
            "type": "call",
            "id": number,
            "attempt": 1,
            "fn": fn,
            "session": session,
            "data": list(data),
            "event_data": None,
            "trigger": None,
            "request": {
                "headers": {},
                "query": {},
                "client": {"host": "10.0.0.1"},
                "username": None,
            },
        }
        self.tell(dict(message, **more))
        return number

    def messages(self, number):
        """All messages about a call, the last is its end."""
        found = []
        while True:
            message = self.hear()
            if message is None:
                raise AssertionError("the worker ended during a call; log:\n%s" % self.log())
            if message.get("id") == number:
                found.append(message)
                if message["type"] in ENDS:
                    return found

    def run(self, fn, *data, **more):
        """Calls and returns the final message."""
        return self.messages(self.call(fn, *data, **more))[-1]

    def value(self, fn, *data, **more):
        """Calls and returns the data, or fails with the error."""
        end = self.run(fn, *data, **more)
        if end["type"] != "return":
            raise AssertionError("%r; log:\n%s" % (end, self.log()))
        return end["data"]

    def cancel(self, number):
        self.tell({"type": "cancel", "id": number, "attempt": 1})

    def log(self):
        with open(self.log_path, errors="replace") as file:
            return file.read()

    def wait_for_log(self, text):
        """Until the app's log has `text`; fails at the deadline."""
        deadline = time.monotonic() + DEADLINE
        while text not in self.log():
            if time.monotonic() > deadline:
                raise AssertionError("no %r in the log:\n%s" % (text, self.log()))
            time.sleep(0.005)

    def ended(self):
        """The exit status."""
        return self.process.wait(DEADLINE)

    def stop(self):
        self.sock.close()
        try:
            self.process.wait(DEADLINE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        if self.made:
            shutil.rmtree(self.made, ignore_errors=True)


def _no_constants(name):
    raise AssertionError("%s is not JSON" % name)


class WorkerTest(unittest.TestCase):
    """A test with one worker per class when APP is given, and as many more as it starts."""

    APP = None
    FILES = None

    @classmethod
    def setUpClass(cls):
        cls.worker = None
        if cls.APP is not None:
            cls.worker = Worker(cls.APP, cls.FILES)
            try:
                cls.worker.ready()
            except BaseException:
                cls.worker.stop()
                raise

    @classmethod
    def tearDownClass(cls):
        if cls.worker is not None:
            cls.worker.stop()

    def start(self, *args, **kwargs):
        worker = Worker(*args, **kwargs)
        self.addCleanup(worker.stop)
        return worker

    def failure(self, app, **kwargs):
        """The `failed` message of an app that cannot be loaded."""
        message = self.start(app, **kwargs).hear_type("failed")
        self.assertIsInstance(message["message"], str)
        return message
