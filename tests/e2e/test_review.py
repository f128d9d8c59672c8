"""Holes that a review found: each story fails on the version before its fix."""

import os
import re
import socket
import threading
import time

import harness
import raw

FORM = b'--x\r\nContent-Disposition: form-data; name="files"; filename="a"\r\n\r\nhi\r\n--x--\r\n'
FORM_TYPE = {"Content-Type": "multipart/form-data; boundary=x"}


class Review(harness.Case):
    @classmethod
    def setUpClass(cls):
        harness.needs_root()

    def test_a_form_sent_to_the_root_of_an_app_does_not_end_the_daemon(self):
        d = self.daemon()
        d.deploy("kitchen", "me/kitchen")
        for path in ("/app/me/kitchen/", "/app/me/kitchen/gradio_api/"):
            reply = d.post(path, FORM, token=None, headers=FORM_TYPE)
            self.assertEqual(reply.status, 404, path)
        self.assertEqual(d.post("/app/me/kitchen/gradio_api/upload", FORM, token=None, headers=FORM_TYPE).status, 200)

    def test_an_old_version_keeps_its_files_until_its_last_call_has_ended(self):
        d = self.daemon()
        app = ("import os, time\nimport gradio as gr\n"
               "def late(x):\n    open('/run/files/o/began', 'w').close()\n"
               "    while not os.path.exists('/run/files/o/go'):\n        time.sleep(0.02)\n"
               "    return open('data.txt').read()\n"
               "gr.Interface(late, 'text', 'text', api_name='late').launch()\n")
        card = "---\ntitle: T\n---\n"
        d.deploy(self.folder({"README.md": card, "app.py": app, "data.txt": "first"}), "me/late")
        files = os.path.join(d.state, "files", os.listdir(os.path.join(d.state, "files"))[0], "o")
        answers = []
        visitor = threading.Thread(target=lambda: answers.append(d.call("me/late", "late", ["x"])))
        visitor.start()
        harness.wait_for("the call to run", lambda: os.path.exists(os.path.join(files, "began")))
        d.deploy(self.folder({"README.md": card, "app.py": app, "data.txt": "second"}), "me/late")
        with open(os.path.join(files, "go"), "w", encoding="utf-8"):
            pass
        visitor.join(harness.DEADLINE_S)
        self.assertEqual(answers, [("complete", ["first"])])
        snapshots = os.path.join(d.state, "snapshots")
        harness.wait_for("the old snapshot to go", lambda: len(os.listdir(snapshots)) == 2)  # one, and staging

    def test_a_stop_while_a_version_is_being_stored_is_clean(self):
        d = self.daemon(env={"SP_FAULT": "snapshot.slow:1"})
        folder = self.folder({"README.md": "---\ntitle: T\n---\n", "app.py": "import gradio\n"})
        deploy = threading.Thread(target=lambda: d.cli("deploy", folder, "me/slow", check=False))
        deploy.start()
        staging = os.path.join(d.state, "snapshots", "staging")
        harness.wait_for("the files to arrive", lambda: any("app.py" in files for _, _, files in os.walk(staging)))
        self.assertEqual(d.stop(), 0)
        deploy.join()
        d.start()
        self.assertEqual(os.listdir(staging), [])
        self.assertEqual(d.get("/api/spaces").json, [])

    def test_a_private_app_opens_in_the_hubs_page_and_in_no_other(self):
        d = self.daemon()
        d.cli("deploy", os.path.join(harness.APPS, "echo"), "me/secret", "--private", "--wait")
        login = d.post("/api/login", {"token": d.token}, token=None)
        cookie = {"Cookie": login.headers["Set-Cookie"].split(";")[0]}

        def status(method="GET", **headers):
            names = {name.replace("_", "-"): value for name, value in headers.items()}
            body = "{}" if method == "POST" else None
            return d.request(method, "/app/me/secret/config" if method == "GET" else "/app/me/secret/cancel",
                             body, token=None, headers={**cookie, **names}).status

        self.assertEqual(status(), 404)
        self.assertEqual(status(Sec_Fetch_Site="same-origin"), 200)
        self.assertEqual(status(X_Spaces_CSRF="1"), 200)
        self.assertEqual(status(Referer=d.url + "/spaces/me/secret"), 200)
        self.assertEqual(status(Referer=d.url + ".evil.example/"), 404)
        self.assertEqual(status(X_Spaces_CSRF="1", Origin="http://evil.example"), 404)
        self.assertEqual(status(X_Spaces_CSRF="1", Sec_Fetch_Site="cross-site"), 404)
        self.assertEqual(status("POST", X_Spaces_CSRF="1"), 404)
        self.assertNotEqual(status("POST", Origin=d.url), 404)
        allowed = d.request("OPTIONS", "/app/me/secret/config", headers={"Origin": "http://localhost:1"})
        self.assertNotIn("x-spaces-csrf", allowed.headers["Access-Control-Allow-Headers"])

    def test_a_visitor_who_is_not_signed_in_is_no_error(self):
        d = self.daemon()
        reply = d.get("/api/session", token=None)
        self.assertEqual((reply.status, reply.json), (200, {"user": None, "weak_sandbox": False}))
        self.assertEqual(d.get("/api/session").json, {"user": {"name": "admin", "isAdmin": True}, "weak_sandbox": False})

    def test_a_long_log_comes_whole_to_a_slow_reader(self):
        d = self.daemon(args=["--set", "log.rate=100000", "--set", "limit.stream_buffer=64k"])
        app = ("import gradio as gr\nfor i in range(2000):\n    print(f'line {i} ' + 'x' * 3000)\n"
               "gr.Interface(lambda x: x, 'text', 'text').launch()\n")
        d.deploy(self.folder({"README.md": "---\ntitle: T\n---\n", "app.py": app}), "me/chatty")
        path = "/api/spaces/me/chatty/logs/run?lines=5000"
        harness.wait_for("all lines", lambda: b"line 1999 " in d.get("/api/spaces/me/chatty/logs/run?lines=10").body)
        with raw.connect(d) as sock:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
            sock.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
                         f"Authorization: Bearer {d.token}\r\n\r\n".encode())
            time.sleep(1)  # it reads late: what is sent meanwhile waits
            body = b""
            while piece := sock.recv(65536):
                body += piece
        lines = [int(n) for n in re.findall(rb'"data":"line (\d+) ', body)]
        self.assertEqual(lines, list(range(2000)))

    def test_a_stranger_cannot_learn_the_names_of_private_spaces(self):
        d = self.daemon()
        d.cli("deploy", os.path.join(harness.APPS, "echo"), "me/secret", "--private", "--wait")
        bob = d.user("bob")
        paths = [("GET", ""), ("GET", "/runtime"), ("GET", "/events"), ("GET", "/queue"), ("GET", "/logs/run"),
                 ("POST", "/deploy"), ("POST", "/duplicate"), ("POST", "/restart"), ("PUT", "/settings"), ("DELETE", "")]
        for method, path in paths:
            answers = [d.request(method, f"/api/spaces/me/{name}{path}", "{}" if method in ("POST", "PUT") else None,
                                 token=bob, headers=FORM_TYPE) for name in ("secret", "absent")]
            self.assertEqual(answers[0].status, answers[1].status, path)
            self.assertEqual(answers[0].body.replace(b"secret", b"absent"), answers[1].body, path)
        for path in ("config", "queue/data?session_hash=x", "file=/run/files/o/x", "live"):
            answers = [d.get(f"/app/me/{name}/{path}", token=bob) for name in ("secret", "absent")]
            self.assertEqual([a.status for a in answers], [404, 404], path)
            self.assertEqual(answers[0].body.replace(b"secret", b"absent"), answers[1].body, path)
        for path in ("live", "queue/join"):
            ws = raw.WebSocket(d, f"/app/me/secret/{path}", headers=[f"Authorization: Bearer {bob}"])
            self.assertEqual(ws.status, 404, path)
            ws.close()

    def test_a_space_that_becomes_private_lets_go_of_strangers(self):
        d = self.daemon()
        d.deploy("echo", "me/echo")
        stranger, silent = raw.WebSocket(d, "/app/me/echo/live"), raw.WebSocket(d, "/app/me/echo/live")
        stranger.send({"type": "hello", "v": 1, "resume": None})
        stranger.until("hello")
        events = harness.Stream(d, "/api/spaces/me/echo/events")
        next(events.messages())
        self.assertEqual(d.request("PUT", "/api/spaces/me/echo/settings", {"private": True}).status, 200)
        for ws in (stranger, silent):
            while ws.receive() is not None:
                pass
            self.assertEqual(ws.close_code, 1012)
            ws.close()
        self.assertEqual([m for m in events.messages() if m.get("stage")], [])  # and it ends
        events.close()
        again = raw.WebSocket(d, "/app/me/echo/live")
        self.assertEqual(again.status, 404)
        again.close()

    def test_a_space_that_waited_for_a_start_slot_says_when_it_loads(self):
        d = self.daemon()
        app = "import time, gradio\ntime.sleep(1.5)\ngradio.Interface(lambda x: x, 'text', 'text').launch()\n"
        folder = self.folder({"README.md": "---\ntitle: T\n---\n", "app.py": app})
        for i in range(6):
            d.cli("deploy", folder, f"me/slow{i}")
        waited = harness.wait_for("one to wait", lambda: [s["id"] for s in d.get("/api/spaces").json if
                                                          "waits for other apps" in s["runtime"]["reason"]])
        harness.wait_for("it to load", lambda: d.runtime(waited[0])["reason"] == "the app is loading")
        harness.wait_for("all to run", lambda: all(s["runtime"]["stage"] == "RUNNING" for s in d.get("/api/spaces").json))
