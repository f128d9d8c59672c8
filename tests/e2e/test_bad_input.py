"""What strangers and broken apps do: each gets a clear answer, the daemon stays, others do not notice."""

import json
import os
import subprocess
import tempfile
import time

import harness
import raw

HEADER = "---\ntitle: T\n---\n"


class BadRequests(harness.Case):
    @classmethod
    def setUpClass(cls):
        harness.needs_root()

    def setUp(self):
        super().setUp()
        self.d = self.daemon()
        self.d.deploy("kitchen", "me/kitchen")

    def tearDown(self):
        try:
            self.assertEqual(self.d.call("me/kitchen", "echo", ["well"]), ("complete", ["well"]), "others noticed")
        finally:
            super().tearDown()

    def test_half_a_request_head_is_answered_or_closed(self):
        d = self.daemon(args=["--set", "timeout.head=1s"])
        answer = raw.exchange(d, b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Half", timeout=20)
        self.assertTrue(answer == b"" or answer.startswith(b"HTTP/1.1 408"), answer[:100])

    def test_two_content_lengths_are_refused(self):
        answer = raw.exchange(self.d, b"POST /api/login HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n"
                                      b"Content-Length: 3\r\n\r\n{}x")
        self.assertTrue(answer.startswith(b"HTTP/1.1 400"), answer[:100])

    def test_a_foreign_host_name_is_refused(self):
        answer = raw.exchange(self.d, b"GET / HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n")
        self.assertTrue(answer.startswith(b"HTTP/1.1 421"), answer[:100])

    def test_an_oversized_body_is_refused(self):
        reply = self.d.post("/app/me/kitchen/gradio_api/queue/join", "x" * (3 << 20), token=None)
        self.assertEqual(reply.status, 413)

    def test_bad_utf8_in_a_frame_closes_with_1007(self):
        ws = raw.WebSocket(self.d, "/app/me/kitchen/live")
        self.assertEqual(ws.status, 101)
        ws.send_frame(1, b"\xff\xfe{")
        while ws.receive() is not None:
            pass
        self.assertEqual(ws.close_code, 1007)
        ws.close()

    def test_a_frame_from_a_foreign_page_is_refused(self):
        ws = raw.WebSocket(self.d, "/app/me/kitchen/live", headers=["Origin: http://evil.example"])
        self.assertEqual(ws.status, 403)
        ws.close()

    def test_an_unknown_function_is_named(self):
        reply = self.d.join("me/kitchen", 99, ["x"], "s")
        self.assertEqual(reply.status, 404)
        self.assertIn("99", reply.json["detail"])

    def test_a_wrong_number_of_inputs_is_said_with_both_numbers(self):
        reply = self.d.join("me/kitchen", 0, ["x", "y", "z"], "s")
        self.assertIn(reply.status, (400, 422))
        self.assertIn("1", json.dumps(reply.json["detail"]))
        self.assertIn("3", json.dumps(reply.json["detail"]))

    def test_text_that_is_not_json_is_refused(self):
        reply = self.d.post("/app/me/kitchen/gradio_api/queue/join", '{"data": [1,]', token=None)
        self.assertIn(reply.status, (400, 422))
        self.assertIn("detail", reply.json)

    def test_files_outside_of_the_spaces_folder_are_refused(self):
        for path in ("/etc/passwd", "/run/files/../../etc/passwd", "/run/files/u/../../state.id",
                     "/run/files/o/%2e%2e/%2e%2e/admin.token"):
            reply = self.d.get(f"/app/me/kitchen/gradio_api/file={path}", token=None)
            self.assertIn(reply.status, (400, 403, 404), path)

    def test_a_link_that_the_app_made_to_a_host_file_is_not_followed(self):
        space = os.listdir(f"{self.d.state}/files")[0]
        os.makedirs(f"{self.d.state}/files/{space}/o/x", exist_ok=True)
        os.symlink("/etc/passwd", f"{self.d.state}/files/{space}/o/x/link")
        reply = self.d.get("/app/me/kitchen/gradio_api/file=/run/files/o/x/link", token=None)
        self.assertIn(reply.status, (403, 404))

    def test_a_write_by_cookie_without_the_pages_header_is_refused(self):
        link = self.d.post("/api/users/admin/login-link").json["login_url"]
        login = self.d.post("/api/login", {"token": link.split("#")[1]}, token=None)
        cookie = login.headers["Set-Cookie"].split(";")[0]
        pause = lambda **h: self.d.request("POST", "/api/spaces/me/kitchen/restart", token=None,
                                           headers={"Cookie": cookie, **h}).status
        self.assertEqual(pause(), 403)
        self.assertEqual(pause(**{"Origin": "http://evil.example", "X-Spaces-CSRF": "1"}), 403)
        self.assertEqual(pause(**{"Origin": self.d.url}), 403)
        self.assertEqual(pause(**{"Origin": self.d.url, "X-Spaces-CSRF": "1"}), 202)
        self.assertEqual(self.d.post("/api/login", {"token": link.split("#")[1]}, token=None).status, 401, "works once")
        harness.wait_for("RUNNING", lambda: self.d.runtime("me/kitchen")["stage"] == "RUNNING")


class BadApps(harness.Case):
    @classmethod
    def setUpClass(cls):
        harness.needs_root()

    def setUp(self):
        super().setUp()
        self.d = self.daemon(args=["--set", "space.start_timeout=20s"])
        self.d.deploy("echo", "me/well")

    def tearDown(self):
        try:
            self.assertEqual(self.d.call("me/well", "echo", ["fine"]), ("complete", ["fine"]), "others noticed")
        finally:
            super().tearDown()

    def failing(self, name, text, **kw):
        done = self.d.cli("deploy", self.folder({"README.md": HEADER, "app.py": text}), name, "--wait", check=False, **kw)
        self.assertNotEqual(done.returncode, 0, done.stdout)
        return done.stdout + done.stderr

    def test_an_app_that_prints_a_gigabyte_is_bounded(self):
        text = ("import gradio as gr, sys\n"
                "block = ('x' * 999 + '\\n') * 1000\n"
                "for _ in range(1000): sys.stdout.write(block)\n"
                "gr.Interface(lambda x: x, 'text', 'text', api_name='echo').launch()\n")
        self.d.deploy(self.folder({"app.py": text}), "me/loud")
        space = [s for s in os.listdir(f"{self.d.state}/logs")]
        size = sum(os.path.getsize(os.path.join(root, f)) for s in space
                   for root, _, files in os.walk(f"{self.d.state}/logs/{s}") for f in files)
        self.assertLess(size, 12 << 20)
        self.assertEqual(self.d.call("me/loud", "echo", ["x"]), ("complete", ["x"]))

    def test_garbage_on_the_worker_socket_ends_the_app_with_the_reason(self):
        text = ("import os, stat, time\n"
                "for fd in range(3, 64):\n"
                "    try:\n"
                "        if stat.S_ISSOCK(os.fstat(fd).st_mode): os.write(fd, b'\\x00garbage that is no message\\n')\n"
                "    except OSError: pass\n"
                "time.sleep(30)\n")
        said = self.failing("me/garbage", text)
        self.assertIn("protocol", said)

    def test_an_app_that_says_nothing_is_ended_after_the_start_timeout(self):
        d = self.daemon(args=["--set", "space.start_timeout=2s"])
        done = d.cli("deploy", self.folder({"app.py": "import time\ntime.sleep(600)\n"}), "me/mute", "--wait", check=False)
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("did not answer within 2 s", done.stdout + done.stderr)

    def test_an_app_that_eats_its_memory_is_killed_with_the_limit_named(self):
        d = self.daemon(args=["--set", "space.memory=128M"])
        text = ("import gradio as gr\n"
                "def hog(x):\n    data = []\n    while True: data.append(bytearray(8 << 20))\n"
                "gr.Interface(hog, 'text', 'text', api_name='hog').launch()\n")
        d.deploy(self.folder({"app.py": text}), "me/hog")
        kind, data = d.call("me/hog", "hog", ["x"])
        self.assertEqual(kind, "error")
        self.assertRegex(json.dumps(data) + d.cli("logs", "me/hog").stdout,
                         r"killed: out of memory, limit 128 MiB, peak 12\d(\.\d)? MiB")

    def test_an_app_that_comes_to_its_number_of_processes_reads_so_in_its_log(self):
        d = self.daemon(args=["--set", "space.pids=32"])
        text = ("import os, time\nimport gradio as gr\n"
                "def bomb(x):\n    children = []\n"
                "    try:\n"
                "        while True:\n"
                "            pid = os.fork()\n"
                "            if pid == 0:\n                time.sleep(60)\n                os._exit(0)\n"
                "            children.append(pid)\n"
                "    except OSError:\n        for pid in children: os.kill(pid, 9)\n"
                "    return 'refused'\n"
                "gr.Interface(bomb, 'text', 'text', api_name='bomb').launch()\n")
        d.deploy(self.folder({"app.py": text}), "me/bomb")
        self.assertEqual(d.call("me/bomb", "bomb", ["x"]), ("complete", ["refused"]))
        deadline = time.monotonic() + 10
        while "the limit is 32 (space.pids)" not in d.cli("logs", "me/bomb").stdout:
            self.assertLess(time.monotonic(), deadline, "nothing was noted in the app's log")
            time.sleep(0.05)


class FullDisk(harness.Case):
    """The state folder on a file system of its own that is filled to the last byte."""

    def setUp(self):
        harness.needs_root()
        super().setUp()
        self.disk = tempfile.mkdtemp(prefix="spacesd-disk-")
        if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=48m,mode=755", "none", self.disk]).returncode:
            self.skipTest("needs mount: a small file system cannot be mounted here")
        self.addCleanup(lambda: (subprocess.run(["umount", "-l", self.disk], check=True), os.rmdir(self.disk)))

    def test_a_full_disk_refuses_new_work_and_loses_none(self):
        d = self.daemon(state=f"{self.disk}/state")
        d.expected_errors += ["ENOSPC", "No space left", "full", "not_saved", "journal", "store"]
        d.deploy("echo", "me/well")
        with open(f"{self.disk}/ballast", "wb", buffering=0) as ballast:
            try:
                while True:
                    ballast.write(b"\0" * 65536)
            except OSError:
                pass
        refused = d.cli("deploy", self.folder({"app.py": "x = '" + "y" * 100000 + "'\n"}), "me/more", check=False)
        self.assertNotEqual(refused.returncode, 0)
        self.assertRegex(refused.stderr, "(?i)no space|disk|full")
        join = d.join("me/well", 0, ["x"], "s")
        self.assertIn(join.status, (200, 503))
        os.unlink(f"{self.disk}/ballast")
        harness.wait_for("new work to be taken again", lambda: d.join("me/well", 0, ["y"], "t").status == 200, 30, 0.5)
        self.assertEqual(d.stream("me/well", "t").until("process_completed")[-1]["output"]["data"], ["y"])
