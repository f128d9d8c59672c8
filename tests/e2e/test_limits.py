"""What strangers can make grow ends at a setting, and the answer names it: docs/config.md.

Most of the limits live in unit tests; here are those that need the whole program.
"""

import os
import time

import harness
import raw

HEADER = "---\ntitle: T\n---\n"
SLOW = ("import time\nimport gradio as gr\n"
        "def slow(s):\n    time.sleep(s)\n    return 'done'\n"
        "gr.Interface(slow, 'number', 'text', api_name='slow').launch()\n")
LATE = "import time\ntime.sleep(2)\n" + SLOW
ECHO = "import gradio as gr\ngr.Interface(lambda x: x, 'text', 'text', api_name='echo').launch()\n"

SMALL = {
    "users.max": 3, "users.max_links": 2, "spaces.max_per_user": 1, "deploy.max_files": 3, "deploy.max_bytes": "32k", "deploy.parallel": 1,
    "limit.head": "2k", "limit.request_body": "64k", "limit.upload": "900k", "limit.files_per_space": "1M",
    "limit.log_followers": 1, "limit.api_wait": 1, "limit.held": 1, "queue.max_size": 1, "queue.call_detached": "1s",
}


def settings(values):
    return [word for name, value in values.items() for word in ("--set", f"{name}={value}")]


class Upload:
    """A form whose end does not come until it is told to."""

    def __init__(self, daemon, path, field, name, token, promised=1 << 19):
        self.sock = raw.connect(daemon)
        head = (f"POST {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n"
                f"Content-Type: multipart/form-data; boundary=b\r\nContent-Length: {promised}\r\n\r\n"
                f"--b\r\nContent-Disposition: form-data; name=\"{field}\"; filename=\"{name}\"\r\n\r\n")
        self.sock.sendall(head.encode())

    def send(self, data):
        self.sock.sendall(data)

    def answer(self):
        text = b""
        while b"\r\n\r\n" not in text or b"}" not in text:
            piece = self.sock.recv(65536)
            if not piece:
                break
            text += piece
        return text.decode()

    def close(self):
        self.sock.close()


class Refusals(harness.Case):
    """One daemon with small limits for all of these."""

    @classmethod
    def setUpClass(cls):
        harness.needs_root()
        cls.owner = harness.Case()
        cls.owner.setUp()
        cls.d = cls.owner.daemon(args=settings(SMALL))
        cls.d.deploy(cls.owner.folder({"README.md": HEADER, "app.py": SLOW}), "me/slow")
        cls.slow_id = os.listdir(f"{cls.d.state}/files")[0]
        cls.alice = cls.d.user("alice")

    @classmethod
    def tearDownClass(cls):
        cls.owner.tearDown()
        cls.owner.doCleanups()

    def refused(self, reply, status, setting):
        self.assertEqual(reply.status, status, reply.body[:300])
        self.assertIn(f"({setting})", reply.body.decode())

    def app(self, text=ECHO, **more):
        return self.folder({"README.md": HEADER, "app.py": text, **more})

    def failing_deploy(self, folder, name, **kw):
        done = self.d.cli("deploy", folder, name, check=False, **kw)
        self.assertNotEqual(done.returncode, 0, done.stdout)
        return done.stdout + done.stderr

    # --- accounts and Spaces ------------------------------------------------------------------------

    def test_users_end_at_users_max(self):
        replies = [self.d.post("/api/users", {"name": f"u{n}"}) for n in range(2)]
        self.assertEqual(replies[0].status, 201)
        self.refused(replies[1], 429, "users.max")

    def test_unused_login_links_make_room_for_new_ones(self):
        links = [self.d.post("/api/users/alice/login-link").json["login_url"].split("#")[1] for _ in range(3)]
        codes = [self.d.post("/api/login", {"token": link}, token=None).status for link in links]
        self.assertEqual(codes, [401, 200, 200])

    def test_spaces_of_a_user_end_at_the_limit_but_not_for_an_admin(self):
        self.d.cli("deploy", self.app(), "alice/first", token=self.alice)
        self.assertIn("(spaces.max_per_user)", self.failing_deploy(self.app(), "alice/second", token=self.alice))
        again = self.d.post("/api/spaces/me/slow/duplicate", {"repository": "alice/third"}, token=self.alice)
        self.refused(again, 429, "spaces.max_per_user")
        self.d.cli("deploy", self.app(ECHO + "# new\n"), "alice/first", token=self.alice)
        self.assertEqual(self.d.post("/api/spaces/me/slow/duplicate", {"repository": "alice/third"}).status, 202)
        for name in ("first", "third"):
            self.d.request("DELETE", f"/api/spaces/alice/{name}")

    def test_a_version_has_so_many_files(self):
        self.assertIn("(deploy.max_files)", self.failing_deploy(self.app(a="", b="", c=""), "me/files"))

    def test_a_version_has_so_many_bytes(self):
        self.assertIn("(deploy.max_bytes)", self.failing_deploy(self.app(a="x" * 40000), "me/bytes"))

    def test_versions_are_received_a_few_at_a_time(self):
        first = Upload(self.d, "/api/spaces/me/one/deploy", "file", "app.py", self.d.token, 20000)
        first.send(b"x" * 1000)
        harness.wait_for("the first to arrive", lambda: os.listdir(f"{self.d.state}/snapshots/staging"))
        self.assertIn("(deploy.parallel)", self.failing_deploy(self.app(), "me/two"))
        first.close()
        harness.wait_for("the first to be given up", lambda: not os.listdir(f"{self.d.state}/snapshots/staging"))
        self.d.cli("deploy", self.app(), "me/two")
        self.d.request("DELETE", "/api/spaces/me/two")

    # --- requests -----------------------------------------------------------------------------------

    def test_a_head_ends_at_the_limit(self):
        answer = raw.exchange(self.d, b"GET / HTTP/1.1\r\nHost: localhost\r\nX-Long: " + b"x" * 4000)
        self.assertIn(b" 431 ", answer)
        self.assertIn(b"(limit.head)", answer)

    def test_a_body_ends_at_the_limit(self):
        self.refused(self.d.post("/app/me/slow/gradio_api/queue/join", "x" * 70000), 413, "limit.request_body")

    def test_an_upload_ends_at_the_limit(self):
        up = Upload(self.d, "/app/me/slow/gradio_api/upload", "files", "x", self.d.token, 2 << 20)
        up.send(b"x" * 1000)
        try:
            up.send(b"x" * (2 << 20))
        except OSError:
            pass
        text = up.answer()
        self.assertIn(" 413 ", text)
        self.assertIn("(limit.upload)", text)
        up.close()

    def test_uploads_at_the_same_time_share_the_quota_of_the_space(self):
        first = Upload(self.d, "/app/me/slow/gradio_api/upload", "files", "x", self.d.token, 700 << 10)
        first.send(b"x" * (600 << 10))
        folder = f"{self.d.state}/files/{self.slow_id}/u"
        size = lambda: sum(os.path.getsize(os.path.join(base, name))
                           for base, _, names in os.walk(folder) for name in names)
        harness.wait_for("the first to be written", lambda: size() == 600 << 10)
        second = Upload(self.d, "/app/me/slow/gradio_api/upload", "files", "y", self.d.token, 700 << 10)
        second.send(b"x" * (600 << 10))
        self.assertIn("(limit.files_per_space)", second.answer())
        first.close()
        second.close()
        harness.wait_for("both to be gone", lambda: size() == 0)

    # --- waiting ------------------------------------------------------------------------------------

    def test_followers_of_an_output_end_at_the_limit(self):
        path = "/api/spaces/me/slow/logs/run?follow=1"
        first = harness.Stream(self.d, path, self.d.token)
        next(first.messages())
        self.refused(self.d.get(path), 429, "limit.log_followers")
        self.assertEqual(self.d.get("/api/spaces/me/slow/logs/run").status, 200)
        first.response.close()
        first.close()
        harness.wait_for("room", lambda: self.one_line(path))

    def one_line(self, path):
        stream = harness.Stream(self.d, path, self.d.token)
        status = stream.response.status
        stream.response.close()
        stream.close()
        return status == 200

    def test_above_the_limit_of_waits_the_answer_comes_at_once(self):
        self.d.cli("deploy", self.app(LATE), "me/late")
        path = "/api/spaces/me/late/runtime?wait=RUNNING"
        first = raw.connect(self.d)
        first.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        answers = harness.wait_for("an answer that was not held", lambda: self.at_once(path))
        self.assertEqual(answers["stage"], "APP_STARTING")
        self.assertIn(b"RUNNING", first.recv(65536))
        first.close()
        self.d.request("DELETE", "/api/spaces/me/late")

    def at_once(self, path):
        """Until the first is held, this one may be held instead; then it tells of a final stage."""
        reply = self.d.get(path).json
        return reply if reply["stage"] == "APP_STARTING" else None

    def test_requests_that_wait_for_a_start_end_at_the_limit(self):
        self.d.cli("deploy", self.app(LATE), "me/later")
        held = raw.connect(self.d)
        held.sendall(b"GET /app/me/later/config HTTP/1.1\r\nHost: localhost\r\n\r\n")
        self.refused(self.d.get("/app/me/later/gradio_api/info"), 503, "limit.held")
        self.assertIn(b" 200 ", held.recv(65536))
        held.close()
        self.d.request("DELETE", "/api/spaces/me/later")

    def running(self):
        return self.d.get("/api/spaces/me/slow/queue").json["running"]

    def test_a_queue_that_the_app_does_not_bound_ends_at_the_limit(self):
        self.d.join("me/slow", 0, [1], "runs")
        self.d.stream("me/slow", "runs").until("process_starts")
        self.assertEqual(self.d.join("me/slow", 0, [0], "waits").status, 200)
        full = self.d.join("me/slow", 0, [0], "late")
        self.assertEqual((full.status, full.json["detail"]), (503, "Queue is full. Max size is 1 and size is 1. (queue.max_size)"))
        self.d.stream("me/slow", "waits").until("process_completed")

    def test_a_call_that_nobody_fetches_is_given_up(self):
        harness.wait_for("an idle queue", lambda: self.running() == 0)
        began = time.monotonic()
        self.d.post("/app/me/slow/gradio_api/call/slow", {"data": [600]})
        harness.wait_for("it to run", lambda: self.running() == 1)
        harness.wait_for("it to be cancelled", lambda: self.running() == 0)
        self.assertGreater(time.monotonic() - began, 0.9)
        self.d.cli("restart", "me/slow", "--wait")


class Times(harness.Case):
    @classmethod
    def setUpClass(cls):
        harness.needs_root()

    def test_old_files_are_removed(self):
        d = self.daemon()
        d.deploy("echo", "me/echo")
        body = b'--b\r\nContent-Disposition: form-data; name="files"; filename="f"\r\n\r\nhello\r\n--b--\r\n'
        paths = [d.request("POST", "/app/me/echo/gradio_api/upload", body,
                           headers={"Content-Type": "multipart/form-data; boundary=b"}).json[0] for _ in range(2)]
        files = f"{d.state}/files/{os.listdir(f'{d.state}/files')[0]}"
        old, new = (os.path.dirname(f"{files}/{path.removeprefix('/run/files/')}") for path in paths)
        output = f"{files}/o/old"
        d.stop()
        os.mkdir(output)
        os.utime(output, (time.time() - 3700,) * 2)
        os.utime(old, (time.time() - 25 * 3600,) * 2)
        d.start()
        harness.wait_for("the old ones to go", lambda: not os.path.exists(old) and not os.path.exists(output))
        self.assertTrue(os.path.exists(new))

    def test_a_stop_waits_for_a_running_request_no_longer_than_drain(self):
        d = self.daemon(args=["--set", "drain=1s", "--set", "space.stop_grace=0"])
        d.deploy(self.folder({"README.md": HEADER, "app.py": SLOW}), "me/slow")
        d.join("me/slow", 0, [600], "s")
        d.stream("me/slow", "s").until("process_starts")
        began = time.monotonic()
        self.assertEqual(d.stop(), 0)
        self.assertGreater(time.monotonic() - began, 0.9)
        self.assertLess(time.monotonic() - began, 30)

    def test_an_app_that_dies_waits_for_its_restart(self):
        d = self.daemon(args=["--set", "space.backoff=1s", "--set", "space.backoff_max=1500ms"])
        d.deploy(self.folder({"README.md": HEADER, "app.py": ECHO.replace("lambda x: x", "lambda x: __import__('os')._exit(1)")}),
                 "me/dies")
        waits = []
        for _ in range(2):
            d.call("me/dies", "echo", ["x"])
            began = time.monotonic()
            harness.wait_for("APP_STARTING", lambda: d.runtime("me/dies")["stage"] != "RUNNING")
            harness.wait_for("RUNNING", lambda: d.runtime("me/dies")["stage"] == "RUNNING")
            waits.append(time.monotonic() - began)
        self.assertGreater(waits[0], 0.9)
        self.assertGreater(waits[1], 1.4, "the second wait is longer")


class Use(harness.Case):
    """What one app may use ends at the settings, as it sees them from inside."""

    HOG = '''
import errno, os, resource, threading
import gradio as gr

def until_full(path):
    size = 0
    try:
        with open(path, "wb", buffering=0) as file:
            while size < 1 << 30:
                size += file.write(b"x" * 65536)
    except OSError as err:
        os.unlink(path)
        return size, errno.errorcode[err.errno]

def many(make, most):
    made = []
    try:
        while len(made) < most:
            made.append(make(len(made)))
    except (OSError, RuntimeError) as err:
        return len(made), errno.errorcode.get(getattr(err, "errno", 0), "thread")
    return len(made), "none"

def thread(_, stop=threading.Event()):
    one = threading.Thread(target=stop.wait, args=(1,))
    one.start()
    return one

def use(what):
    if what == "layer": return repr(until_full("/tmp/full"))
    if what == "shm": return repr(until_full("/dev/shm/full"))
    if what == "nofile": return repr(many(lambda n: open("/dev/null"), 5000))
    if what == "inodes": return repr(many(lambda n: open(f"/tmp/{n}", "x").close(), 5000))
    if what == "pids": return repr(many(thread, 500))

gr.Interface(use, "text", "text", api_name="use").launch()
'''

    def test_what_an_app_uses_ends_at_the_settings_of_spaces(self):
        harness.needs_root()
        d = self.daemon(args=settings({"space.layer": "2M", "space.shm": "1M", "space.nofile": 100,
                                       "space.layer_inodes": 300, "space.pids": 40}))
        d.deploy(self.folder({"README.md": HEADER, "app.py": self.HOG}), "me/hog")
        most = {"layer": (2 << 20, "ENOSPC"), "shm": (1 << 20, "ENOSPC"), "nofile": (100, "EMFILE"),
                "pids": (40, "thread"), "inodes": (300, "ENOSPC")}
        for what, (limit, error) in most.items():
            kind, data = d.call("me/hog", "use", [what])
            self.assertEqual(kind, "complete", (what, data))
            used, why = eval(data[0])
            self.assertEqual(why, error, what)
            self.assertLessEqual(used, limit, what)
            self.assertGreater(used, limit / 4, what)


