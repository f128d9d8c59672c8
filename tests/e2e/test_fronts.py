"""TLS in front: the recipes under deploy/ as they stand, with Debian's nginx and caddy."""

import http.client
import json
import os
import shutil
import socket
import ssl
import subprocess
import tempfile
import unittest
import urllib.parse

import harness
import raw

HOST = "spaces.example.org"
DEPLOY = os.path.join(harness.ROOT, "deploy")
# The second value comes only after somebody else's call: a front that collects answers never shows the first.
APP = """
import threading
import gradio as gr
go = threading.Event()
def two():
    yield "first"
    go.wait(60)
    yield "second"
with gr.Blocks() as demo:
    out = gr.Textbox()
    gr.Button("two").click(two, None, out, api_name="two")
    gr.Button("go").click(lambda: go.set() or "gone", None, out, api_name="go")
demo.launch()
"""


def free_port():
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


class Front:
    """A program with one of our recipes, on free ports of loopback, with a certificate of its own."""

    def __init__(self, recipe):
        self.home = tempfile.mkdtemp(prefix="spacesd-front-")
        self.recipe, self.process = recipe, None
        self.port, self.plain_port = free_port(), free_port()
        self.url = f"https://{HOST}:{self.port}"
        self.certificate = os.path.join(self.home, "cert.pem")
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
                        "-nodes", "-days", "2", "-subj", f"/CN={HOST}", "-addext", f"subjectAltName=DNS:{HOST},DNS:*.apps.example.org",
                        "-keyout", os.path.join(self.home, "key.pem"), "-out", self.certificate],
                       check=True, capture_output=True)
        self.tls = ssl.create_default_context(cafile=self.certificate)

    def text(self, daemon):
        """The recipe with our ports and our certificate; each must have been there to be replaced."""
        with open(os.path.join(DEPLOY, self.recipe), encoding="utf-8") as file:
            text = file.read()
        backend = urllib.parse.urlsplit(daemon.url).port
        for old, new in (("127.0.0.1:7860", f"127.0.0.1:{backend}"),
                         ("/etc/ssl/spaces/fullchain.pem", self.certificate),
                         ("/etc/ssl/spaces/privkey.pem", os.path.join(self.home, "key.pem")), *self.ports()):
            assert old in text, f"{self.recipe} has no {old!r}"
            text = text.replace(old, new)
        return text

    def start(self, daemon):
        with open(os.path.join(self.home, "log"), "wb") as log:
            self.process = subprocess.Popen(self.command(daemon), stdout=log, stderr=log, stdin=subprocess.DEVNULL,
                                            env={**os.environ, "HOME": self.home, "XDG_DATA_HOME": self.home,
                                                 "XDG_CONFIG_HOME": self.home})
        harness.wait_for(f"{self.recipe} to answer", self.answers, 15)

    def answers(self):
        if self.process.poll() is not None:
            with open(os.path.join(self.home, "log"), encoding="utf-8", errors="replace") as file:
                raise AssertionError(f"{self.recipe}: the program ended: {file.read()[-3000:]}")
        try:
            return self.request("GET", "/healthz").status == 200
        except OSError:
            return False

    def stop(self):
        if self.process:
            self.process.terminate()
            self.process.wait(harness.DEADLINE_S)
        shutil.rmtree(self.home)

    def connect(self, source="127.0.0.1", protocols=("http/1.1",)):
        sock = socket.create_connection(("127.0.0.1", self.port), harness.DEADLINE_S, (source, 0))
        self.tls.set_alpn_protocols(list(protocols))
        return self.tls.wrap_socket(sock, server_hostname=HOST)

    def open(self, method, path, body=None, headers=None, source="127.0.0.1"):
        """The answer, its head read and its body not."""
        conn = http.client.HTTPConnection(HOST, self.port)
        conn.sock = self.connect(source)
        if isinstance(body, (dict, list)):
            body, headers = json.dumps(body), {"Content-Type": "application/json", **(headers or {})}
        conn.request(method, path, body, headers or {})
        return conn, conn.getresponse()

    def request(self, *args, **kw):
        conn, answer = self.open(*args, **kw)
        reply = harness.Reply(answer.status, dict(answer.getheaders()), answer.read())
        conn.close()
        return reply


class Nginx(Front):
    def __init__(self):
        super().__init__("nginx.conf")

    def ports(self):
        return (("listen 80;", f"listen 127.0.0.1:{self.plain_port};"),
                ("listen 443 ", f"listen 127.0.0.1:{self.port} "))

    def command(self, daemon):
        places = "".join(f"{what}_temp_path {self.home}/{what};\n"
                         for what in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
        path = os.path.join(self.home, "nginx.conf")
        with open(path, "w", encoding="utf-8") as file:
            file.write(f"daemon off; user root; pid {self.home}/pid; error_log {self.home}/error.log;\n"
                       f"events {{}}\nhttp {{ access_log off;\n{places}{self.text(daemon)}}}\n")
        return ["nginx", "-e", f"{self.home}/error.log", "-c", path]


class Caddy(Front):
    def __init__(self):
        super().__init__("Caddyfile")

    def ports(self):
        return ()

    def command(self, daemon):
        path = os.path.join(self.home, "Caddyfile")
        with open(path, "w", encoding="utf-8") as file:
            file.write(f"{{\n\tadmin off\n\tauto_https disable_certs\n\thttp_port {self.plain_port}\n\thttps_port {self.port}\n"
                       f"\tdefault_bind 127.0.0.1\n}}\n{self.text(daemon)}")
        return ["caddy", "run", "--adapter", "caddyfile", "--config", path]


class Fronts:
    """What must hold behind either front."""

    @classmethod
    def setUpClass(cls):
        harness.needs_root()
        if not shutil.which(cls.program):
            raise unittest.SkipTest(f"needs {cls.program}")

    def setUp(self):
        super().setUp()
        self.front = self.make()
        self.addCleanup(self.front.stop)
        port = free_port()
        self.d = self.daemon(args=["--listen", f"127.0.0.1:{port}", "--set", "trusted_proxies=127.0.0.1",
                                   "--set", f"public_url={self.front.url}", "--set", "login.tries=3"])
        self.d.url = f"http://127.0.0.1:{port}"  # what it named itself is the front
        self.front.start(self.d)

    def bearer(self):
        return {"Authorization": f"Bearer {self.d.token}"}

    def test_the_page_comes_over_http2(self):
        done = subprocess.run(["curl", "-sS", "--http2", "--cacert", self.front.certificate, "--resolve",
                               f"{HOST}:{self.front.port}:127.0.0.1", "-o", "/dev/null", "-w",
                               "%{http_version} %{http_code}", self.front.url + "/spaces"],
                              capture_output=True, text=True, check=False)
        self.assertEqual(done.stdout, "2 200", done.stderr)

    def test_plain_http_leads_to_https(self):
        conn = http.client.HTTPConnection("127.0.0.1", self.front.plain_port, timeout=harness.DEADLINE_S)
        conn.request("GET", "/spaces", headers={"Host": HOST})
        answer = conn.getresponse()
        self.assertIn(answer.status, (301, 308))
        self.assertEqual(answer.getheader("Location"), f"https://{HOST}/spaces")
        conn.close()

    def test_a_login_by_the_front_is_secure_and_the_hub_names_itself_by_the_front(self):
        link = self.d.post("/api/users", {"name": "ada"}).json["login_url"]
        self.assertTrue(link.startswith(self.front.url + "/login#"), link)
        reply = self.front.request("POST", "/api/login", {"token": link.split("#")[1]}, {"Origin": self.front.url})
        self.assertEqual(reply.status, 200, reply.body)
        cookie = next(value for name, value in reply.headers.items() if name.lower() == "set-cookie")
        self.assertIn("; Secure", cookie)
        who = self.front.request("GET", "/api/whoami-v2", headers={"Cookie": cookie.split(";")[0]})
        self.assertEqual(who.json["name"], "ada")

    def test_visitors_are_told_apart_whatever_they_say_about_themselves(self):
        def login(source, claim):
            return self.front.request("POST", "/api/login", {"token": "sp_wrong"}, source=source,
                                      headers={"Origin": self.front.url, "X-Forwarded-For": claim}).status
        self.assertEqual([login("127.0.0.2", f"192.0.2.{i}") for i in range(4)], [401, 401, 401, 429])
        self.assertEqual(login("127.0.0.3", "127.0.0.2"), 401)

    def test_results_stream_as_they_come(self):
        self.d.deploy(self.folder({"app.py": APP}), "me/two")
        event = self.front.request("POST", "/app/me/two/gradio_api/call/two", {"data": []}).json["event_id"]
        conn, answer = self.front.open("GET", f"/app/me/two/gradio_api/call/two/{event}")
        seen = b""
        while b"first" not in seen:
            line = answer.readline()
            self.assertTrue(line, seen)
            seen += line
        self.assertEqual(self.d.call("me/two", "go", [])[1], ["gone"])
        self.assertIn(b"second", answer.read())
        conn.close()

    def test_a_websocket_passes_both_ways(self):
        self.d.deploy("kitchen", "me/kitchen")
        ws = raw.WebSocket(self.front, "/app/me/kitchen/live", [f"Origin: {self.front.url}"], sock=self.front.connect())
        self.assertEqual(ws.status, 101, ws.head)
        ws.send({"type": "hello", "v": 1, "resume": None})
        ws.until("hello")
        ws.close()

    def test_an_upload_of_more_than_a_front_takes_by_default_passes(self):
        self.d.deploy("kitchen", "me/kitchen")
        content = os.urandom(5 << 20)
        body = (b'--x\r\nContent-Disposition: form-data; name="files"; filename="a.bin"\r\n\r\n' + content + b"\r\n--x--\r\n")
        reply = self.front.request("POST", "/app/me/kitchen/gradio_api/upload", body,
                                   {"Content-Type": "multipart/form-data; boundary=x", **self.bearer()})
        self.assertEqual(reply.status, 200, reply.body[:500])
        back = self.front.request("GET", f"/app/me/kitchen/gradio_api/file={reply.json[0]}", headers=self.bearer())
        self.assertTrue(back.body == content, f"{len(back.body)} of {len(content)} bytes")


class BehindNginx(Fronts, harness.Case):
    program, make = "nginx", Nginx


class BehindCaddy(Fronts, harness.Case):
    program, make = "caddy", Caddy


if __name__ == "__main__":
    unittest.main()
