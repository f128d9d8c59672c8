"""spaces-base, the program that makes bases, on images that a test has made: what it takes and what it refuses.

It runs as an ordinary user, as spacesd starts it. The numbers are those of the attack list in docs/escape.md.
"""

import http.server
import json
import os
import shutil
import stat
import subprocess
import sys
import tarfile
import tempfile
import threading
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "support"))
import oci_image as oci  # noqa: E402

BUILD = os.environ.get("BUILD", "build")
NOBODY = 65534
LIMIT = 8 << 20
FOLDERS = [oci.entry("usr"), oci.entry("etc")]


def setUpModule():
    if os.geteuid() != 0:
        raise unittest.SkipTest("needs root: it is run as another user")
    if not shutil.which("skopeo"):
        raise unittest.SkipTest("needs skopeo")


class Case(unittest.TestCase):
    def setUp(self):
        self.top = tempfile.mkdtemp(prefix="spaces-import-")
        self.addCleanup(shutil.rmtree, self.top, ignore_errors=True)
        os.chmod(self.top, 0o755)
        self.program = shutil.copy(os.path.join(BUILD, "spaces-base"), self.top)  # where another user may walk
        self.into = os.path.join(self.top, "into")
        self.image = os.path.join(self.top, "image")
        self.canary = os.path.join(self.top, "canary")
        with open(self.canary, "w", encoding="utf-8") as file:
            file.write("as it was")
        os.chmod(self.canary, 0o666)

    def tearDown(self):
        with open(self.canary, encoding="utf-8") as file:
            self.assertEqual(file.read(), "as it was")
        self.assertLessEqual(set(os.listdir(self.top)), {"into", "spaces-base", "canary", "image", "image.tar"})

    def make(self, source=None, max_bytes=LIMIT, max_files=1000, max_layers=8):
        """(last line's word, its text)"""
        os.mkdir(self.into)
        os.chown(self.into, NOBODY, NOBODY)
        done = subprocess.run([self.program, "--into", self.into, "--source", source or "oci:" + self.image, "--max-bytes",
                               str(max_bytes), "--max-files", str(max_files), "--max-layers", str(max_layers)],
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, user=NOBODY, group=NOBODY,
                              extra_groups=[], timeout=60, check=False)
        self.lines = done.stdout.splitlines()
        word, text = self.lines[-1].split(" ", 1)
        self.assertEqual(word == "done", done.returncode == 0, done.stdout)
        return word, text

    def made(self, *layers, config=None, **more):
        """What comes out of an image that is fine: (root, document)."""
        oci.image(self.image, [oci.layer(*entries) for entries in layers], config, **more)
        word, text = self.make()
        self.assertEqual(word, "done", text)
        return os.path.join(self.into, "root"), json.loads(text)

    def again(self):
        for path in (self.image, self.into):
            shutil.rmtree(path, ignore_errors=True)

    def refused(self, *entries, says, config=None, before=(), **limits):
        layers = [oci.layer(*before)] if before else []
        oci.image(self.image, layers + [oci.layer(*FOLDERS, *entries)], config)
        word, text = self.make(**limits)
        self.assertEqual(word, "failed", text)
        self.assertIn(says, text)
        return text


class Taken(Case):
    def test_layers_lie_above_each_other_and_whiteouts_take_away(self):
        root, _ = self.made(
            [*FOLDERS, oci.entry("etc/a", "old"), oci.entry("etc/gone", "x"), oci.entry("opt"), oci.entry("opt/old", "x"),
             oci.link("lib", "usr/lib"), oci.entry("usr/lib")],
            [oci.entry("etc/a", "new"), oci.entry("etc/.wh.gone", ""), oci.entry("opt/new", "y"),
             oci.entry("opt/.wh..wh..opq", ""), oci.entry("lib/through", "z")])
        with open(root + "/etc/a", encoding="utf-8") as file:
            self.assertEqual(file.read(), "new")
        self.assertEqual((os.listdir(root + "/etc"), os.listdir(root + "/opt"), os.listdir(root + "/usr/lib")),
                         (["a"], ["new"], ["through"]))

    def test_the_same_files_have_the_same_digest_and_others_another(self):
        digests = []
        for layers in ([[*FOLDERS, oci.entry("etc/a", "1")]], [FOLDERS, [oci.entry("etc/a", "1")]],
                       [[*FOLDERS, oci.entry("etc/a", "1", mode=0o600)]]):
            digests.append(self.made(*layers)[1]["digest"])
            self.again()
        self.assertEqual(digests[0], digests[1])
        self.assertNotEqual(digests[0], digests[2])
        self.assertRegex(digests[0], "^[0-9a-f]{64}$")

    def test_set_id_bits_are_taken_off_and_all_belongs_to_who_made_it(self):  # 23
        root, _ = self.made([*FOLDERS, oci.entry("usr/su", "x", mode=0o6755), oci.entry("var", mode=0o2775, type=tarfile.DIRTYPE),
                             oci.entry("etc/shadow", "x", mode=0, uid=0)])
        for name, mode in {"usr/su": 0o755, "var": 0o775, "etc/shadow": 0o400}.items():
            st = os.lstat(os.path.join(root, name))
            self.assertEqual((stat.S_IMODE(st.st_mode), st.st_uid), (mode, NOBODY), name)

    def test_the_configuration_is_kept_and_the_history_is_not(self):  # 48
        secret = "hunter2-in-the-history"
        _, document = self.made([*FOLDERS], history=[{"created_by": "RUN echo " + secret}], config={
            "Env": ["A=1"], "Entrypoint": ["/run"], "Cmd": ["-v"], "WorkingDir": "/srv", "User": "1000", "Labels": {"x": secret},
            "ExposedPorts": {"7860/tcp": {}}})
        self.assertEqual(document["config"], {"env": ["A=1"], "entrypoint": ["/run"], "cmd": ["-v"], "workdir": "/srv",
                                              "user": "1000", "ports": ["7860/tcp"]})
        self.assertEqual(os.listdir(self.into), ["root"])
        self.assertNotIn(secret, json.dumps(document))

    def test_a_user_of_the_apps_number_gets_a_name(self):
        root, _ = self.made([*FOLDERS, oci.entry("etc/passwd", "root:x:0:0::/:/bin/sh")])
        with open(root + "/etc/passwd", encoding="utf-8") as file:
            self.assertEqual(file.read().splitlines()[1], "user:x:1000:1000::/home/user:/bin/sh")

    def test_a_docker_archive_is_taken(self):
        oci.image(self.image, [oci.layer(*FOLDERS, oci.entry("etc/a", "1"))])
        archive = os.path.join(self.top, "image.tar")
        subprocess.run(["skopeo", "--insecure-policy", "copy", "--quiet", "oci:" + self.image, "docker-archive:%s:a:b" % archive],
                       check=True)
        os.chmod(archive, 0o644)
        word, text = self.make("docker-archive:" + archive)
        self.assertEqual(word, "done", text)
        self.assertEqual(os.listdir(self.into + "/root/etc"), ["a"])


class Registry(http.server.BaseHTTPRequestHandler):
    """As much of a registry as a pull by digest needs; plain HTTP on loopback."""

    def do_GET(self):
        digest = self.path.rsplit("sha256:", 1)[-1]
        path = os.path.join(self.server.layout, "blobs", "sha256", digest)
        if self.path == "/v2/":
            return self.answer(b"{}", "application/json")
        if not os.path.exists(path):
            return self.send_error(404)
        with open(path, "rb") as file:
            data = file.read()
        return self.answer(self.server.changed(data), "application/vnd.oci.image.manifest.v1+json"
                           if "/manifests/" in self.path else "application/octet-stream")

    do_HEAD = do_GET

    def answer(self, data, kind):
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(data)

    def log_message(self, *_):
        pass


class Fetched(Case):
    def pull(self, changed):
        oci.image(self.image, [oci.layer(*FOLDERS, oci.entry("etc/a", "from a registry"))])
        with open(self.image + "/index.json", encoding="utf-8") as file:
            digest = json.load(file)["manifests"][0]["digest"]
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Registry)
        server.layout, server.changed = self.image, changed
        threading.Thread(target=server.serve_forever).start()
        try:
            return self.make("127.0.0.1:%d/me/image@%s" % (server.server_port, digest))
        finally:
            server.shutdown()
            server.server_close()

    def test_an_image_of_a_registry_is_taken_by_its_digest(self):
        word, text = self.pull(lambda data: data)
        self.assertEqual(word, "done", text)
        with open(self.into + "/root/etc/a", encoding="utf-8") as file:
            self.assertEqual(file.read(), "from a registry")

    def test_a_registry_that_sends_something_else_is_refused(self):
        word, text = self.pull(lambda data: data.replace(b"amd64", b"AMD64") if data[:1] == b"{" else data[:-1] + b"x")
        self.assertEqual(word, "failed", text)

    def test_an_image_without_a_digest_is_refused(self):
        self.assertIn("no image with a digest", self.make("127.0.0.1:1/me/image:latest")[1])


    def test_a_debian_that_is_newer_than_the_host_is_refused_with_the_reason(self):
        with open("/usr/lib/os-release", encoding="utf-8") as file:
            if 'PRETTY_NAME="Debian GNU/Linux 12 ' not in file.read():
                self.skipTest("needs debian12: only there is one newer that we know")
        self.assertIn("cannot be made on Debian 12", self.make("debian:13")[1])


class Hostile(Case):
    def test_names_that_lead_out_are_refused(self):  # 21
        for name in ("../canary", "usr/../../canary", self.canary, "/etc/x"):
            self.again()
            with self.subTest(name):
                self.refused(oci.entry(name, "changed"), says="names begin at the root and hold no '..'")

    def test_a_file_through_a_link_that_leads_out_is_refused(self):  # 21
        for target in (self.top, "../../..", "/"):
            self.again()
            with self.subTest(target):
                self.refused(oci.link("usr/l", target), oci.entry("usr/l/canary", "changed"), says="a link that leads elsewhere")

    def test_a_link_of_the_layer_below_is_no_way_out(self):  # 19, 21
        self.refused(oci.entry("proc/canary", "changed"), before=[*FOLDERS, oci.link("proc", self.top)],
                     says="a link that leads elsewhere")

    def test_hard_links_out_are_refused(self):  # 21
        for target in ("../canary", self.canary, "usr/l/canary"):
            self.again()
            with self.subTest(target):
                self.refused(oci.link("usr/l", self.top), oci.link("usr/h", target, hard=True), says="")

    def test_whiteouts_do_not_take_away_outside(self):  # 21
        self.refused(oci.entry("usr/l/.wh.canary", ""), before=[*FOLDERS, oci.link("usr/l", self.top)],
                     says="a link that leads elsewhere")

    def test_device_nodes_and_pipes_are_refused(self):  # 11, 21
        for kind in (tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE):
            self.again()
            with self.subTest(kind):
                self.refused(oci.entry("etc/node", type=kind, devmajor=1, devminor=3), says="a device node or a pipe")

    def test_a_working_folder_of_the_kernel_is_refused(self):  # 18
        for path in ("/proc/self/fd/8", "/proc", "/dev/fd/3", "/a/../proc/self/fd/8", "relative"):
            self.again()
            with self.subTest(path):
                self.refused(config={"WorkingDir": path}, says="WorkingDir")

    def test_a_bomb_of_bytes_ends_at_the_limit_and_its_disk_is_given_back(self):  # 22
        oci.image(self.image, [oci.layer(*FOLDERS, oci.entry("etc/zeros", bytes(4 * LIMIT)))])
        word, text = self.make()
        self.assertEqual((word, "base.max_bytes" in text), ("failed", True), text)
        used = subprocess.run(["du", "-sk", self.into], capture_output=True, text=True, check=True).stdout
        self.assertLess(int(used.split()[0]) << 10, 2 * LIMIT)

    def test_many_files_that_are_each_small_end_at_the_limits(self):  # 22
        names = [oci.entry("etc/%d" % i, "") for i in range(1100)]
        self.refused(*names, says="base.max_files")
        self.again()
        self.refused(*[oci.entry("etc/%d" % i, bytes(1 << 20)) for i in range(9)], says="base.max_bytes")

    def test_layers_end_at_the_limit(self):  # 22
        oci.image(self.image, [oci.layer(oci.entry("usr/%d" % i)) for i in range(9)])
        word, text = self.make()
        self.assertEqual((word, "base.max_layers" in text), ("failed", True), text)

    def test_a_sparse_file_of_a_terabyte_is_refused(self):  # 22
        for entry in (oci.entry("etc/s", type=tarfile.GNUTYPE_SPARSE),
                      oci.entry("etc/s", "x", pax_headers={"GNU.sparse.major": "1", "GNU.sparse.realsize": str(1 << 40)})):
            data = oci.layer(*FOLDERS, entry, form=tarfile.PAX_FORMAT)
            oci.image(self.image, [data])
            word, text = self.make()
            self.assertEqual((word, "sparse" in text), ("failed", True), text)
            self.again()

    def test_a_size_that_is_a_lie_is_refused(self):  # 22
        info, _ = oci.entry("etc/a", "x")
        info.size = 1 << 40
        oci.image(self.image, [oci.layer(*FOLDERS) [:1024] + info.tobuf()])
        word, text = self.make()
        self.assertEqual(word, "failed", text)

    def test_what_is_cut_off_or_not_its_digest_is_refused(self):
        oci.image(self.image, [oci.layer(*FOLDERS, oci.entry("etc/a", bytes(100000)))])
        blobs = os.path.join(self.image, "blobs", "sha256")
        for name in os.listdir(blobs):
            with open(os.path.join(blobs, name), "r+b") as file:
                if file.read(2) == b"\x1f\x8b":
                    file.truncate(60)
        self.assertEqual(self.make()[0], "failed")

    def test_what_is_no_gzip_or_no_tar_is_refused(self):
        for data in (b"no tar at all" * 100, oci.layer(*FOLDERS)[:700]):
            oci.image(self.image, [data])
            self.assertEqual(self.make()[0], "failed")
            self.again()

    def test_a_source_that_cannot_be_read_is_a_sentence(self):
        self.assertIn("read '/root/secret'", self.make("oci:/root/secret")[1])


if __name__ == "__main__":
    unittest.main()
