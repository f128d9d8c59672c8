"""The spaces command beside a scripted server: what it asks, prints and returns.

    BUILD=build /usr/bin/python3 -m unittest tests/unit/cli/test_cli.py
"""

import email.parser
import email.policy
import http.server
import json
import os
import pty
import re
import select
import signal
import socket
import subprocess
import tempfile
import threading
import time
import unittest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
SPACES = os.path.join(ROOT, os.environ.get("BUILD", "build"), "spaces")  # absolute: tests change the folder
PORTS = range(18100, 18200)
PATIENCE_S = 20

RUNTIME = {
    "stage": "RUNNING", "reason": "", "since": "2020-01-02T03:04:05.678Z",
    "hardware": {"current": "cpu-basic"},
    "limits": {"cpu_millis": 2000, "memory_bytes": 16000000000, "pids": 256},
    "usage": {"cpu_ns": 1500000000, "memory_bytes": 52428800, "memory_peak_bytes": 60000000, "pids": 3},
    "failed": None,
}
SPACE = {
    "id": "me/x", "author": "me", "private": False, "createdAt": "2020-01-02T03:04:05.678Z",
    "lastModified": "2020-01-02T03:04:05.678Z", "title": "Echo", "engine": "builtin",
    "version": {"id": "0123456789ab", "number": 3, "createdAt": "2020-01-02T03:04:05.678Z"},
    "originSpace": {"name": "you/x"}, "runtime": RUNTIME, "queue": {"waiting": 4, "running": 1},
    "url": "http://h/spaces/me/x", "app_url": "http://h/app/me/x", "weak_sandbox": True,
}


def space(**runtime):
    number = runtime.pop("number", 3)
    return {**SPACE, "version": {**SPACE["version"], "number": number},
            "runtime": {**RUNTIME, **runtime}}


class Script(http.server.ThreadingHTTPServer):
    """Answers from `answers`: (method, path without query) -> one (status, document), or a list of
    them that is used up to the last. Remembers what was asked."""

    daemon_threads = True

    def __init__(self, address):
        super().__init__(address, Handler)
        self.answers = {}
        self.asked = []
        self.hold = threading.Event()

    def server_bind(self):
        super(http.server.HTTPServer, self).server_bind()  # without a look-up of our own name
        self.server_name, self.server_port = self.server_address[:2]


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        pass

    def answer(self):
        path, _, query = self.path.partition("?")
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.server.asked.append((self.command, path, query, self.headers, body))
        found = self.server.answers.get((self.command, path), (404, {"error": "no such", "kind": "not_found"}))
        if isinstance(found, list):
            found = found.pop(0) if len(found) > 1 else found[0]
        if callable(found):
            found(self)
            return
        status, doc, *headers = found
        data = doc if isinstance(doc, bytes) else json.dumps(doc).encode() if doc is not None else b""
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    do_GET = do_POST = do_PUT = do_DELETE = answer


def start_server():
    for port in PORTS:
        try:
            server = Script(("127.0.0.1", port))
        except OSError:
            continue
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        return server
    raise OSError("no port is free in 18100-18199")


def sse(*lines):
    return b"".join(b"data: " + json.dumps({"data": line}).encode() + b"\n\n" for line in lines)


class Base(unittest.TestCase):
    def setUp(self):
        self.server = start_server()
        self.addCleanup(self.server.server_close)
        self.addCleanup(self.server.shutdown)
        self.addCleanup(self.server.hold.set)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        self.answers = self.server.answers

    def env(self, **more):
        env = {k: v for k, v in os.environ.items() if not k.startswith("SPACES_")}
        return {**env, "SPACES_URL": self.url, "SPACES_TOKEN": "secret", "LC_ALL": "C.UTF-8", **more}

    def run_spaces(self, *args, env=None, **kw):
        return subprocess.run([SPACES, *args], env=env or self.env(), capture_output=True, text=True,
                              stdin=subprocess.DEVNULL, timeout=PATIENCE_S, **kw)

    def ok(self, *args, **kw):
        done = self.run_spaces(*args, **kw)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout

    def fails(self, code, *args, **kw):
        done = self.run_spaces(*args, **kw)
        self.assertEqual(done.returncode, code, (done.stdout, done.stderr))
        return done.stderr

    def on_terminal(self, *args, typed=b"", stop_at=None, env=None):
        """Runs with a terminal on all three; returns (exit code, what was shown)."""
        ours, theirs = pty.openpty()
        proc = subprocess.Popen([SPACES, *args], env=env or self.env(TERM="xterm"), stdin=theirs,
                                stdout=theirs, stderr=theirs, start_new_session=True)
        os.close(theirs)
        os.write(ours, typed)
        shown = b""
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:
            if not select.select([ours], [], [], 0.2)[0]:
                continue
            try:
                piece = os.read(ours, 65536)
            except OSError:  # EIO: the other side is closed
                break
            if not piece:
                break
            shown += piece
            if stop_at and stop_at in shown:
                proc.send_signal(signal.SIGINT)
                stop_at = None
        os.close(ours)
        return proc.wait(timeout=PATIENCE_S), shown.decode()


class Reading(Base):
    def test_ls_prints_a_table_and_json_prints_the_answer(self):
        self.answers["GET", "/api/spaces"] = (200, [SPACE])
        out = self.ok("ls", "--search", "a b&c")
        self.assertRegex(out, r"(?m)^me/x +RUNNING +1\+4 +all +2020-01-02 +Echo$")
        self.assertIn("search=a%20b%26c", self.server.asked[0][2])
        self.assertEqual(self.server.asked[0][3]["Authorization"], "Bearer secret")
        self.assertEqual(json.loads(self.ok("ls", "-o", "json")), [SPACE])

    def test_ls_follows_the_pages_and_stays_with_the_server_it_was_told(self):
        link = '<http://elsewhere.invalid/api/spaces?limit=100&cursor=7>; rel="next"'
        self.answers["GET", "/api/spaces"] = [(200, [SPACE], ("Link", link)), (200, [{**SPACE, "id": "me/y"}])]
        ids = [row["id"] for row in json.loads(self.ok("ls", "-ojson"))]
        self.assertEqual(ids, ["me/x", "me/y"])
        self.assertIn("cursor=7", self.server.asked[1][2])

    def test_show_says_what_matters(self):
        failed = {"version": 4, "stage": "RUNTIME_ERROR", "reason": "it exited with 1", "log": []}
        self.answers["GET", "/api/spaces/me/x"] = (200, space(failed=failed))
        out = self.ok("show", "me/x")
        for text in ("RUNNING, since 2020-01-02", "3 (0123456789ab)", "you/x", "2.0 CPUs, 16.0 GB memory",
                     "52.4 MB memory (60.0 MB at most)", "version 4: RUNTIME_ERROR: it exited with 1",
                     "1 running, 4 waiting", "spaces doctor"):
            self.assertIn(text, out)
        self.assertEqual(json.loads(self.ok("show", "me/x", "-o", "json"))["id"], "me/x")

    def test_show_of_what_is_not_there_is_exit_3_and_the_servers_sentence(self):
        self.answers["GET", "/api/spaces/me/x"] = (404, {"error": "there is no Space 'me/x'", "kind": "not_found"})
        self.assertEqual(self.fails(3, "show", "me/x"), "spaces: show me/x: there is no Space 'me/x'\n")

    def test_a_strangers_title_moves_no_cursor(self):
        self.answers["GET", "/api/spaces"] = (200, [{**SPACE, "title": "a\x1b[2Jb\x9b1m"}])
        self.assertIn("a\\x1b[2Jb\\u009b1m", self.ok("ls"))

    def test_queue_show_prints_functions_and_entries(self):
        self.answers["GET", "/api/spaces/me/x/queue"] = (200, {
            "waiting": 1, "running": 1, "max_size": 10,
            "functions": [{"fn": 0, "api_name": "/predict", "waiting": 1, "eta_s": 13.5}],
            "entries": [{"event_id": "e1", "fn": 0, "api_name": "/predict", "state": "waiting", "rank": 0,
                         "age_s": 2.0, "eta_s": None}]})
        out = self.ok("queue", "show", "me/x")
        self.assertIn("1 running, 1 waiting (at most 10)", out)
        self.assertRegex(out, r"0 /predict +1 +13\.5 s")
        self.assertRegex(out, r"e1 +0 /predict +waiting +1 +2\.0 s +-")

    def test_whoami_users_and_links(self):
        self.answers["GET", "/api/whoami-v2"] = (200, {"name": "admin", "isAdmin": True})
        self.answers["GET", "/api/users"] = (200, [{"name": "bob", "isAdmin": False, "createdAt": "2020-01-02T03:04:05.678Z"}])
        self.answers["POST", "/api/users"] = (201, {"name": "bob", "token": "tok", "login_url": "http://h/login#s"})
        self.answers["POST", "/api/users/bob/login-link"] = (200, {"login_url": "http://h/login#t"})
        self.assertEqual(self.ok("whoami"), "admin (operator)\n")
        self.assertRegex(self.ok("user", "ls"), r"(?m)^bob +user +2020-01-02$")
        out = self.ok("user", "add", "bob")
        self.assertIn("tok", out)
        self.assertIn("http://h/login#s", out)
        self.assertEqual(json.loads(self.server.asked[-1][4]), {"name": "bob"})
        self.assertEqual(self.ok("login-link", "bob"), "http://h/login#t\n")

    def test_doctor_names_what_is_missing_and_returns_1(self):
        checks = [{"name": "userns", "ok": True, "why": "fine", "fix": ""},
                  {"name": "cgroup", "ok": False, "why": "read-only", "fix": "mount it"}]
        self.answers["GET", "/api/doctor"] = (200, {"version": "1", "weak_sandbox": True, "checks": checks})
        done = self.run_spaces("doctor")
        self.assertEqual(done.returncode, 1)
        self.assertRegex(done.stdout, r"userns +ok +fine")
        self.assertRegex(done.stdout, r"cgroup +missing +read-only\n +to mend it: mount it")
        self.assertIn("1 of 2 checks", done.stderr)
        self.answers["GET", "/api/doctor"] = (200, {"version": "1", "weak_sandbox": False, "checks": checks[:1]})
        self.ok("doctor")

    def test_config_show(self):
        self.answers["GET", "/api/config"] = (200, [{"name": "listen", "value": "127.0.0.1:7860", "default": "",
                                                     "source": "default", "help": "where it listens"}])
        self.assertRegex(self.ok("config", "show"), r"listen +127\.0\.0\.1:7860 +default +where it listens")


class Deploying(Base):
    def folder(self, **files):
        tmp = tempfile.TemporaryDirectory()
        self.addCleanup(tmp.cleanup)
        for name, data in {"README.md": b"---\nsdk: gradio\n---\n", "app.py": b"print(1)\n", **files}.items():
            path = os.path.join(tmp.name, name)
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "wb") as f:
                f.write(data)
        return tmp.name

    def stored(self, number=3):
        self.answers["POST", "/api/spaces/me/x/deploy"] = (
            202, {"id": "me/x", "created": True, "url": "http://h/spaces/me/x", "version": {"number": number}})

    def parts(self):
        _, _, _, headers, body = next(row for row in self.server.asked if row[0] == "POST")
        head = b"Content-Type: " + headers["Content-Type"].encode() + b"\r\n\r\n"
        form = email.parser.BytesParser(policy=email.policy.HTTP).parsebytes(head + body)
        return [(part.get_param("name", header="content-disposition"), part.get_filename(),
                 part.get_payload(decode=True)) for part in form.iter_parts()]

    def test_deploy_sends_the_fields_first_and_then_every_file(self):
        self.stored()
        folder = self.folder(**{"data/big.bin": os.urandom(300000), "data/a.txt": b"a"})
        out = self.ok("deploy", folder, "me/x", "--private", "-m", "first try")
        self.assertEqual(out, "me/x created, version 3: http://h/spaces/me/x\n")
        parts = self.parts()
        self.assertEqual([(p[0], p[2]) for p in parts[:2]], [("private", b"true"), ("message", b"first try")])
        self.assertEqual([p[1] for p in parts[2:]], ["README.md", "app.py", "data/a.txt", "data/big.bin"])
        with open(os.path.join(folder, "data/big.bin"), "rb") as f:
            self.assertEqual(parts[-1][2], f.read())

    def test_deploy_without_a_name_takes_mine_and_the_folders(self):
        parent = tempfile.TemporaryDirectory()
        self.addCleanup(parent.cleanup)
        os.makedirs(os.path.join(parent.name, "x"))
        with open(os.path.join(parent.name, "x", "app.py"), "w"):
            pass
        self.stored()
        self.answers["GET", "/api/whoami-v2"] = (200, {"name": "me"})
        self.assertIn("me/x created", self.ok("deploy", ".", cwd=os.path.join(parent.name, "x")))
        self.assertIn("/nonexistent", self.fails(3, "deploy", "/nonexistent"))

    def test_deploy_leaves_out_what_is_not_the_app(self):
        self.stored()
        folder = self.folder(**{".git/config": b"", "a/__pycache__/x.pyc": b"", ".venv/bin/python": b"",
                                "node_modules/x/y.js": b"", "a/b.pyc": b"", "a/c.py": b"", ".env.example": b""})
        self.ok("deploy", folder, "me/x")
        names = [p[1] for p in self.parts() if p[0] == "file"]
        self.assertEqual(names, [".env.example", "README.md", "a/c.py", "app.py"])

    def test_deploy_refuses_a_symbolic_link_by_name(self):
        folder = self.folder(**{"a/real.txt": b""})
        os.symlink("/etc/passwd", os.path.join(folder, "a", "link"))
        self.assertIn("'a/link' is a symbolic link", self.fails(2, "deploy", folder, "me/x"))
        self.assertEqual(self.server.asked, [])

    def test_deploy_refuses_a_fifo_and_does_not_hang_on_it(self):
        folder = self.folder()
        os.mkfifo(os.path.join(folder, "pipe"))
        self.assertIn("'pipe' is neither a file nor a folder", self.fails(2, "deploy", folder, "me/x"))

    def test_deploy_of_no_folder_is_exit_3(self):
        self.assertIn("/nonexistent", self.fails(3, "deploy", "/nonexistent", "me/x"))

    def test_a_refused_deploy_tells_the_servers_reason(self):
        self.answers["POST", "/api/spaces/me/x/deploy"] = (
            400, {"error": "README.md: sdk: 'nope' is not supported", "kind": "invalid"})
        self.assertEqual(self.fails(2, "deploy", self.folder(), "me/x"),
                         "spaces: deploy me/x: README.md: sdk: 'nope' is not supported\n")

    def test_wait_returns_0_when_the_new_version_runs(self):
        self.stored(4)
        self.answers["GET", "/api/spaces/me/x"] = [
            (200, space(number=3)),  # the old one still serves and the new one has not begun
            (200, space(number=3, stage="RUNNING_APP_STARTING")),
            (200, space(number=4))]
        self.answers["GET", "/api/spaces/me/x/runtime"] = (200, RUNTIME)
        self.assertIn("me/x is RUNNING\n", self.ok("deploy", self.folder(), "me/x", "--wait"))
        self.assertTrue(any(row[1].endswith("/runtime") and "wait=" in row[2] for row in self.server.asked))

    def test_wait_fails_with_reason_and_log_when_the_new_version_does_not_run(self):
        self.stored(4)
        failed = {"version": 4, "stage": "RUNTIME_ERROR", "reason": "app.py exited with 1",
                  "log": ["Traceback", "NameError: \x1b[31mx"]}
        self.answers["GET", "/api/spaces/me/x"] = (200, space(number=3, failed=failed))
        err = self.fails(1, "deploy", self.folder(), "me/x", "--wait")
        self.assertIn("  | NameError: \\x1b[31mx\n", err)
        self.assertTrue(err.endswith("spaces: deploy me/x: it does not run: RUNTIME_ERROR: app.py exited with 1\n"), err)

    def test_wait_ignores_what_failed_before(self):
        self.stored(5)
        failed = {"version": 4, "stage": "RUNTIME_ERROR", "reason": "old", "log": []}
        self.answers["GET", "/api/spaces/me/x"] = [(200, space(number=3, failed=failed)),
                                                   (200, space(number=5))]
        self.ok("deploy", self.folder(), "me/x", "--wait")

    def test_progress_is_shown_on_a_terminal_only(self):
        self.stored()
        folder = self.folder(**{"big": bytes(2000000)})
        code, shown = self.on_terminal("deploy", folder, "me/x")
        self.assertEqual(code, 0, shown)
        self.assertIn("sending 3 files", shown)
        self.assertEqual(self.run_spaces("deploy", folder, "me/x").stderr, "")


class Changing(Base):
    def test_restart_pause_visibility_duplicate(self):
        self.answers["POST", "/api/spaces/me/x/restart"] = (202, {**RUNTIME, "stage": "APP_STARTING"})
        self.answers["POST", "/api/spaces/me/x/pause"] = (202, {**RUNTIME, "stage": "PAUSED", "reason": "asked"})
        self.answers["PUT", "/api/spaces/me/x/settings"] = (200, {"private": True})
        self.answers["POST", "/api/spaces/me/x/duplicate"] = (202, {"id": "you/y", "url": "http://h/spaces/you/y"})
        self.answers["GET", "/api/spaces/you/y"] = (200, SPACE)
        self.assertEqual(self.ok("restart", "me/x"), "me/x is APP_STARTING\n")
        self.assertEqual(self.ok("pause", "me/x"), "me/x is PAUSED: asked\n")
        self.assertEqual(self.ok("visibility", "me/x", "private"), "me/x is for its owner now\n")
        self.assertEqual(json.loads(self.server.asked[-1][4]), {"private": True})
        self.assertIn("you/y is RUNNING", self.ok("duplicate", "me/x", "you/y", "--wait"))
        self.assertEqual(json.loads(self.server.asked[-2][4]), {"repository": "you/y", "private": True})
        self.ok("duplicate", "me/x", "you/y", "--public")
        self.assertEqual(json.loads(self.server.asked[-1][4])["private"], False)

    def test_delete_asks_on_a_terminal_and_refuses_elsewhere(self):
        self.answers["DELETE", "/api/spaces/me/x"] = (204, None)
        self.assertIn("--yes", self.fails(2, "delete", "me/x"))
        code, shown = self.on_terminal("delete", "me/x", typed=b"me/y\n")
        self.assertEqual(code, 2, shown)
        self.assertEqual(self.server.asked, [])
        code, shown = self.on_terminal("delete", "me/x", typed=b"me/x\n")
        self.assertEqual(code, 0, shown)
        self.assertEqual(self.ok("delete", "me/x", "--yes"), "me/x is deleted\n")
        self.assertEqual([row[0] for row in self.server.asked], ["DELETE", "DELETE"])


class Logs(Base):
    def stream(self, data, chunk=None, then_hold=False):
        def answer(handler):
            handler.send_response(200)
            handler.send_header("Content-Type", "text/event-stream")
            handler.send_header("Connection", "close")
            handler.end_headers()
            step = chunk or len(data) or 1
            for i in range(0, len(data), step):
                handler.wfile.write(data[i:i + step])
                handler.wfile.flush()
            if then_hold:
                handler.server.hold.wait(PATIENCE_S)
            handler.close_connection = True
        self.answers["GET", "/api/spaces/me/x/logs/run"] = answer

    def test_logs_are_printed_as_they_are_into_a_pipe(self):
        self.stream(b": hello\n\n" + sse("one\n", "\x1b[31mtwo\n"))
        self.assertEqual(self.ok("logs", "me/x", "-n", "7"), "one\n\x1b[31mtwo\n")
        self.assertEqual(self.server.asked[0][2], "lines=7")

    def test_logs_are_put_together_from_any_pieces(self):
        self.stream(sse("über\n", "zwei\n").replace(b"\n\n", b"\r\n\r\n"), chunk=1)
        self.assertEqual(self.ok("logs", "me/x"), "über\nzwei\n")

    def test_logs_do_not_command_a_terminal(self):
        self.stream(sse("a\x1b[2J\x9bK\x07b\tc\n"))
        code, shown = self.on_terminal("logs", "me/x")
        self.assertEqual(code, 0)
        self.assertEqual(shown.replace("\r\n", "\n").replace("        ", "\t"), "a\\x1b[2J\\u009bK\\x07b\tc\n")

    def test_follow_shows_lines_as_they_come_and_ends_by_ctrl_c(self):
        self.stream(sse("first\n"), then_hold=True)
        code, shown = self.on_terminal("logs", "me/x", "-f", stop_at=b"first")
        self.assertEqual(code, -signal.SIGINT, shown)
        self.assertIn("follow=1", self.server.asked[0][2])

    def test_a_closed_pipe_ends_follow_quietly(self):
        self.stream(sse(*["line\n"] * 20000), then_hold=True)
        proc = subprocess.Popen([SPACES, "logs", "-f", "me/x"], env=self.env(), stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE)
        proc.stdout.readline()
        proc.stdout.close()
        self.addCleanup(proc.stderr.close)
        self.assertIn(proc.wait(timeout=PATIENCE_S), (0, -signal.SIGPIPE))
        self.assertEqual(proc.stderr.read(), b"")

    def test_logs_of_a_strangers_space_are_an_error(self):
        self.answers["GET", "/api/spaces/me/x/logs/run"] = (403, {"error": "only me may", "kind": "denied"})
        self.assertEqual(self.fails(5, "logs", "me/x"), "spaces: logs me/x: only me may\n")


class Failing(Base):
    def test_nobody_answers(self):
        free = socket.socket()
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
        free.close()
        err = self.fails(7, "ls", env=self.env(SPACES_URL=url))
        self.assertTrue(err.startswith(f"spaces: ls: no answer from {url}: "), err)
        self.assertEqual(err.count("\n"), 1)

    def test_something_else_answers(self):
        self.answers["GET", "/api/spaces"] = (200, b"<html>")
        self.assertIn("did not answer with JSON", self.fails(1, "ls"))

    def test_every_kind_has_its_exit_code(self):
        for status, kind, code in ((400, "invalid", 2), (404, "not_found", 3), (409, "conflict", 4),
                                   (403, "denied", 5), (429, "limit", 6), (503, "unavailable", 7),
                                   (500, "internal", 1), (401, None, 5), (413, None, 6)):
            with self.subTest(status=status):
                self.answers["POST", "/api/spaces/me/x/pause"] = (status, {"error": "so", **({"kind": kind} if kind else {})})
                self.assertEqual(self.fails(code, "pause", "me/x"), "spaces: pause me/x: so\n")

    def test_without_a_token_401_says_where_to_put_one(self):
        self.answers["GET", "/api/whoami-v2"] = (401, {"error": "Invalid credentials in Authorization header"})
        err = self.fails(5, "whoami", env=self.env(SPACES_TOKEN=""))
        self.assertIn("SPACES_TOKEN", err)
        self.assertNotIn("Authorization", self.server.asked[0][3])

    def test_wrong_command_lines_are_exit_2(self):
        for args in (["nope"], ["queue"], ["show"], ["show", "a"], ["show", "a/b/c"], ["show", "../x"],
                     ["show", "me/x", "more"], ["ls", "--nope"], ["ls", "-x"], ["logs", "me/x", "-n", "many"],
                     ["logs", "me/x", "-n"], ["ls", "-o", "xml"], ["visibility", "me/x", "secret"],
                     ["deploy", ".", "me/x", "--wait=yes"], ["completion", "tcsh"],
                     ["deploy", ".", "me/x", "--public", "--private"], ["user", "add", "a/b"]):
            with self.subTest(args=args):
                err = self.fails(2, *args)
                self.assertTrue(err.startswith("spaces: "), err)
        self.assertEqual(self.server.asked, [])

    def test_a_token_with_a_line_end_adds_no_header(self):
        self.fails(2, "ls", "--token", "a\r\nX-Evil: 1")
        self.assertEqual(self.server.asked, [])

    def test_a_redirect_is_not_followed_with_the_token(self):
        self.answers["GET", "/api/spaces"] = (302, b"", ("Location", "http://127.0.0.1:1/api/spaces"))
        self.assertIn("answered 302", self.fails(2, "ls"))
        self.assertEqual(len(self.server.asked), 1)

    def test_a_full_disk_is_an_error(self):
        self.answers["GET", "/api/spaces"] = (200, [SPACE])
        with open("/dev/full", "w") as full:
            done = subprocess.run([SPACES, "ls"], env=self.env(), stdout=full, stderr=subprocess.PIPE,
                                  text=True, timeout=PATIENCE_S)
        self.assertEqual((done.returncode, done.stderr), (1, "spaces: ls: the output could not be written\n"))

    def test_an_answer_without_end_is_cut_off(self):
        def flood(handler):
            handler.send_response(200)
            handler.send_header("Connection", "close")
            handler.end_headers()
            try:
                while True:
                    handler.wfile.write(b"[" * 65536)
            except OSError:
                handler.close_connection = True
        self.answers["GET", "/api/spaces"] = flood
        self.assertIn("over 16 MB", self.fails(6, "ls"))


class Table(Base):
    def commands(self):
        return re.findall(r"(?m)^  ([a-z-]+(?: [a-z]+)?)  +[a-z]", self.ok("--help"))

    def test_every_command_has_help_and_stands_in_the_man_page_and_the_docs(self):
        names = self.commands()
        man = self.ok("man")
        markdown = self.ok("help", "--markdown")
        self.assertGreater(len(names), 15)
        for name in names:
            self.assertIn(f"usage: spaces {name}", self.ok(*name.split(), "--help"))
            self.assertIn(f"usage: spaces {name}", self.ok("help", *name.split()))
            self.assertIn("spaces " + name.replace("-", "\\-"), man)
            self.assertIn(f"## `spaces {name}", markdown)

    def test_docs_are_made_from_the_table(self):
        with open(os.path.join(ROOT, "docs", "cli.md")) as f:
            self.assertEqual(f.read(), self.ok("help", "--markdown"), "run: spaces help --markdown > docs/cli.md")

    def test_the_man_page_is_clean_troff(self):
        for tool in (["mandoc", "-T", "lint", "-W", "error"], ["groff", "-man", "-ww", "-z", "-Tutf8"]):
            try:
                done = subprocess.run(tool, input=self.ok("man"), capture_output=True, text=True, timeout=PATIENCE_S)
            except FileNotFoundError:
                continue
            self.assertEqual(done.stdout + done.stderr, "")

    def complete(self, *words):
        script = self.ok("completion", "bash") + (
            f'\nCOMP_WORDS=({" ".join(repr(w) for w in words)}); COMP_CWORD={len(words) - 1}; _spaces; '
            'printf "%s\\n" "${COMPREPLY[@]}"\n')
        return subprocess.run(["bash"], input=script, capture_output=True, text=True, check=True,
                              timeout=PATIENCE_S).stdout.split()

    def test_bash_completes_commands_second_words_options_and_choices(self):
        self.assertEqual(self.complete("spaces", "de"), ["deploy", "delete"])
        self.assertEqual(self.complete("spaces", "user", ""), ["add", "ls"])
        self.assertEqual(self.complete("spaces", "deploy", "--w"), ["--wait", "--watch"])
        self.assertEqual(self.complete("spaces", "queue", "show", "--o"), ["--output"])
        self.assertEqual(self.complete("spaces", "completion", "z"), ["zsh"])

    def test_bold_only_on_a_terminal_and_without_no_color(self):
        self.answers["GET", "/api/spaces"] = (200, [SPACE])
        self.assertNotIn("\x1b", self.ok("ls"))
        self.assertIn("\x1b[1m", self.on_terminal("ls")[1])
        self.assertNotIn("\x1b", self.on_terminal("ls", env=self.env(NO_COLOR="1"))[1])


if __name__ == "__main__":
    unittest.main()
