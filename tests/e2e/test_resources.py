"""What one Space is given: hardware, storage, network. Chosen by its owner, shown by the API, held in its sandbox."""

import glob
import os
import sys
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import harness  # noqa: E402

APP = '''import errno, os, time, gradio as gr

def hold(n):
    time.sleep(n)
    return "held"

def put(name, text):
    with open("/data/" + name, "w") as f:
        f.write(text)
    return "ok"

def get(name):
    with open("/data/" + name) as f:
        return f.read()

def fill():
    n = 0
    try:
        with open("/data/fill", "wb") as f:
            while True:
                f.write(b"x" * 65536); f.flush(); n += 65536
    except OSError as e:
        return errno.errorcode[e.errno], n

def many():
    n = 0
    try:
        while n < 1000000:
            open("/data/n%d" % n, "w").close(); n += 1
    except OSError as e:
        return errno.errorcode[e.errno], n

def has_data():
    return os.path.exists("/data")

def eat(mib):
    held = bytearray(int(mib) << 20)
    for i in range(0, len(held), 4096):
        held[i] = 1
    return len(held)

def link(target):
    os.symlink(target, "/data/link")
    return "ok"

with gr.Blocks() as demo:
    t, n, out, out2 = gr.Textbox(), gr.Number(), gr.Textbox(), gr.Textbox()
    name, text = gr.Textbox(), gr.Textbox()
    gr.Button().click(put, [name, text], out, api_name="put")
    gr.Button().click(get, name, out, api_name="get")
    gr.Button().click(fill, None, [out, out2], api_name="fill")
    gr.Button().click(many, None, [out, out2], api_name="many")
    gr.Button().click(has_data, None, out, api_name="has_data")
    gr.Button().click(hold, n, out, api_name="hold")
    gr.Button().click(eat, n, out, api_name="eat")
    gr.Button().click(link, t, out, api_name="link")
demo.launch()
'''
FLAVORS = "space.flavors=cpu-small cpu=500 memory=96M pids=64; gpu-one gpus=1"
SIZES = ("storage.small=32M", "storage.medium=48M", "storage.large=64M")


def setUpModule():
    if os.geteuid() != 0:
        raise unittest.SkipTest("needs root: spaces-launcher builds sandboxes as root")
    if not os.path.exists("/dev/loop-control"):
        raise unittest.SkipTest("needs loop devices: /dev/loop-control is not there")


def loops_of(state):
    found = []
    for name in glob.glob("/sys/block/loop*/loop/backing_file"):
        try:
            with open(name, encoding="utf-8") as file:
                found += [name] if state in file.read() else []
        except OSError:
            pass
    return found


class Case(harness.Case):
    def start(self, *args, wrap=()):
        d = self.daemon(args=[a for s in (FLAVORS, *SIZES, *args) for a in ("--set", s)], wrap=wrap)
        folder = os.path.join(d.state + "-app")
        os.makedirs(folder, exist_ok=True)
        with open(os.path.join(folder, "app.py"), "w", encoding="utf-8") as file:
            file.write(APP)
        self.addCleanup(lambda: harness.shutil.rmtree(folder, ignore_errors=True))
        self.folder = folder
        d.deploy(folder, "me/app")
        return d

    def change(self, d, what, body, name="me/app", method="POST"):
        reply = d.request(method, f"/api/spaces/{name}/{what}", body)
        self.assertEqual(reply.status, 202, reply.body)
        return reply.json

    def wait_running(self, d, name="me/app"):
        return harness.wait_for("RUNNING with nothing on its way", lambda: self.running(d, name))

    def running(self, d, name):
        runtime = d.runtime(name)
        return runtime if runtime["stage"] == "RUNNING" else None

    def ask(self, d, api, *data, name="me/app"):
        event, values = d.call(name, api, list(data))
        self.assertEqual(event, "complete", values)
        return values if len(values) > 1 else values[0]


class Hardware(Case):
    def test_a_flavour_of_the_table_gives_its_limits_and_the_page_shows_them(self):
        d = self.start()
        names = [f["name"] for f in d.get("/api/spaces/hardware").json]
        self.assertEqual(names, ["cpu-basic", "cpu-small", "gpu-one"])
        self.assertEqual(d.runtime("me/app")["hardware"]["current"], "cpu-basic")
        runtime = self.change(d, "hardware", {"flavor": "cpu-small", "sleepTimeSeconds": 3600})
        self.assertEqual((runtime["limits"]["cpu_millis"], runtime["limits"]["memory_bytes"],
                          runtime["limits"]["pids"], runtime["gcTimeout"]), (500, 96 << 20, 64, 3600))
        self.wait_running(d)
        d.expected_errors.append("out of memory")
        event, _ = d.call("me/app", "eat", [200])
        self.assertEqual(event, "error")
        harness.wait_for("the reason", lambda: "limit 96 MiB" in d.cli("logs", "me/app").stdout)

    def test_the_choice_is_kept_over_a_restart_of_the_daemon_and_not_copied(self):
        d = self.start()
        d.cli("hardware", "me/app", "cpu-small")
        d.cli("duplicate", "me/app", "me/copy")
        self.assertEqual(d.runtime("me/copy")["hardware"]["current"], "cpu-basic")
        d.stop()
        d.start()
        self.assertEqual(d.runtime("me/app")["hardware"]["current"], "cpu-small")

    def test_an_app_that_refuses_less_does_not_live_on_with_what_it_had(self):
        d = self.start()
        with open(os.path.join(self.folder, "app.py"), "w", encoding="utf-8") as file:
            file.write("import resource, sys\n"
                       "if resource.getrlimit(resource.RLIMIT_NPROC)[0] < 200:\n    sys.exit('too little')\n" + APP)
        d.deploy(self.folder, "me/app")
        d.expected_errors.append("did not start|too little|exit")
        self.change(d, "hardware", {"flavor": "cpu-small"})
        harness.wait_for("the end of what served", lambda: d.runtime("me/app")["stage"] == "RUNTIME_ERROR")
        self.change(d, "hardware", {"flavor": "cpu-basic"})
        self.wait_running(d)

    def test_what_the_host_does_not_have_is_refused_with_a_sentence(self):
        d = self.start()
        for what, body, sentence in (
                ("hardware", {"flavor": "t4-small"}, "no hardware 't4-small'"),
                ("hardware", {"flavor": "gpu-one"}, "GPU"),
                ("hardware", {}, "'flavor' is missing"),
                ("hardware", {"flavor": "cpu-small", "sleepTimeSeconds": 0}, "not a sleep time"),
                ("sleeptime", {"seconds": -7}, "seconds"),
                ("storage", {"tier": "huge"}, "none of small, medium, large"),
                ("network", {"mode": "everything"}, "none of none, outbound, allow-list"),
                ("network", {"mode": "allow-list", "allow": []}, "needs names"),
                ("network", {"mode": "allow-list", "allow": ["http://x/"]}, "not a host name"),
                ("network", {"mode": "none", "allow": ["pypi.org"]}, "belongs to")):
            reply = d.post(f"/api/spaces/me/app/{what}", body)
            self.assertEqual(reply.status, 400, (what, body, reply.body))
            self.assertIn(sentence, reply.json["error"])
        self.assertEqual(d.runtime("me/app")["stage"], "RUNNING")

    def test_only_owner_and_operators_may_choose(self):
        d = self.start()
        other = d.user("other")
        reply = d.post("/api/spaces/me/app/hardware", {"flavor": "cpu-small"}, token=other)
        self.assertEqual(reply.status, 403)


class Storage(Case):
    def test_data_is_kept_over_restart_and_new_version_and_gone_with_the_space(self):
        d = self.start()
        self.assertEqual(self.ask(d, "has_data"), "False")
        self.assertIn("32 MiB", d.cli("storage", "me/app", "small").stdout)
        self.wait_running(d)
        self.ask(d, "put", "kept", "since then")
        d.cli("restart", "me/app", "--wait")
        self.assertEqual(self.ask(d, "get", "kept"), "since then")
        with open(self.folder + "/app.py", "a", encoding="utf-8") as file:
            file.write("# another version\n")
        d.deploy(self.folder, "me/app")
        self.assertEqual(self.ask(d, "get", "kept"), "since then")
        d.cli("duplicate", "me/app", "me/copy", "--public", "--wait")
        self.assertEqual(self.ask(d, "has_data", name="me/copy"), "False")
        self.assertEqual(len(os.listdir(d.state + "/data")), 1)
        d.cli("delete", "me/app", "--yes")
        harness.wait_for("the image to go", lambda: not os.listdir(d.state + "/data"))
        harness.wait_for("the loop device to go", lambda: not loops_of(d.state))

    def test_bytes_in_data_end_and_another_space_goes_on(self):
        d = self.start()
        self.change(d, "storage", {"tier": "small"})
        d.deploy(self.folder, "me/other")
        self.change(d, "storage", {"tier": "small"}, name="me/other")
        self.wait_running(d)
        self.wait_running(d, "me/other")
        word, written = self.ask(d, "fill")
        self.assertEqual(word, "ENOSPC")
        self.assertLess(int(written), 32 << 20)
        self.ask(d, "put", "x", "fine", name="me/other")
        self.assertEqual(self.ask(d, "get", "x", name="me/other"), "fine")

    def test_files_in_data_end(self):
        d = self.start("storage.bytes_per_file=64k")
        self.change(d, "storage", {"tier": "small"})
        self.wait_running(d)
        word, made = self.ask(d, "many")
        self.assertEqual(word, "ENOSPC")
        self.assertLess(int(made), 1500)

    def test_storage_grows_by_tier_and_keeps_what_is_in_it(self):
        d = self.start()
        for tier, size in (("small", 32), ("medium", 48), ("large", 64)):
            runtime = self.change(d, "storage", {"tier": tier})
            self.assertEqual((runtime["storage"], runtime["limits"]["data_bytes"]), (tier, size << 20))
            self.wait_running(d)
            if tier == "small":
                self.ask(d, "put", "kept", "since small")
        self.assertEqual(self.ask(d, "get", "kept"), "since small")
        reply = d.post("/api/spaces/me/app/storage", {"tier": "small"})
        self.assertEqual(reply.status, 400)
        self.assertIn("never made smaller", reply.json["error"])

    def test_storage_that_grows_waits_for_the_last_calls_however_long_and_says_so(self):
        d = self.start("drain=50s")
        self.change(d, "storage", {"tier": "small"})
        self.wait_running(d)
        self.ask(d, "put", "kept", "since small")
        call = d.post("/app/me/app/gradio_api/call/hold", {"data": [17]})  # longer than the launcher waits
        harness.wait_for("the call to run", lambda: d.get("/api/spaces/me/app").json["queue"]["running"])
        runtime = self.change(d, "storage", {"tier": "large"})
        self.assertIn("waits for the last calls", runtime["reason"])
        self.wait_running(d)
        self.assertIn(b"held", d.get(f"/app/me/app/gradio_api/call/hold/{call.json['event_id']}").body)
        self.assertEqual(self.ask(d, "get", "kept"), "since small")
        self.assertEqual(os.stat(glob.glob(d.state + "/data/*.img")[0]).st_size, 64 << 20)

    def test_what_the_image_has_counts_not_what_was_chosen_last(self):
        d = self.start()
        self.change(d, "storage", {"tier": "small"})
        self.wait_running(d)
        self.ask(d, "put", "kept", "since small")
        d.cli("pause", "me/app")
        harness.wait_for("the loop device to go", lambda: not loops_of(d.state))
        self.change(d, "storage", {"tier": "large"})  # and it does not come to it
        self.change(d, "storage", {"tier": "small"})
        os.truncate(glob.glob(d.state + "/data/*.img")[0], 40 << 20)
        reply = d.post("/api/spaces/me/app/storage", {"tier": "small"})
        self.assertEqual(reply.status, 400)
        self.assertIn("has 40 MiB of storage, which is never made smaller", reply.json["error"])
        self.change(d, "storage", {"tier": "medium"})
        d.cli("restart", "me/app", "--wait")
        self.assertEqual(self.ask(d, "get", "kept"), "since small")

    def test_storage_is_refused_where_its_tools_are_missing(self):
        d = self.start(wrap=["unshare", "-m", "sh", "-c",
                             'mount --bind /dev/null /usr/sbin/resize2fs && exec "$@"', "sh"])
        reply = d.post("/api/spaces/me/app/storage", {"tier": "small"})
        self.assertEqual(reply.status, 503)
        self.assertIn("this host offers no storage: find resize2fs", reply.json["error"])
        self.assertEqual((d.runtime("me/app")["stage"], d.runtime("me/app")["storage"]), ("RUNNING", None))

    def test_storage_above_a_terabyte_has_as_many_files_as_the_launcher_allows(self):
        d = self.start("storage.large=2T", "storage.bytes_per_file=4k")
        self.assertEqual(self.change(d, "storage", {"tier": "large"})["limits"]["data_files"], 100000000)
        self.wait_running(d)
        self.ask(d, "put", "x", "fine")

    def test_storage_that_is_deleted_is_empty_when_it_comes_back(self):
        d = self.start()
        self.change(d, "storage", {"tier": "small"})
        self.wait_running(d)
        self.ask(d, "put", "old", "x")
        self.assertNotEqual(d.cli("storage", "me/app", "none", check=False).returncode, 0)
        d.cli("storage", "me/app", "none", "--yes")
        self.wait_running(d)
        self.assertEqual(self.ask(d, "has_data"), "False")
        self.change(d, "storage", {"tier": "small"})
        self.wait_running(d)
        event, _ = d.call("me/app", "get", ["old"])
        self.assertEqual(event, "error")

    def test_a_killed_daemon_leaves_no_loop_device_and_keeps_the_data(self):
        d = self.start()
        self.change(d, "storage", {"tier": "small"})
        self.wait_running(d)
        self.ask(d, "put", "kept", "over the crash")
        d.kill()
        harness.wait_for("the loop device to go", lambda: not loops_of(d.state))
        d.start()
        self.wait_running(d)
        self.assertEqual(self.ask(d, "get", "kept"), "over the crash")

    def test_a_link_in_data_to_a_file_of_the_host_is_not_followed_by_the_daemon(self):
        d = self.start()
        self.change(d, "storage", {"tier": "small"})
        self.wait_running(d)
        self.ask(d, "link", "/etc/shadow")
        for path in ("/data/link", "/run/space/data/d/link", "/etc/shadow"):
            reply = d.get(f"/app/me/app/gradio_api/file={path}")
            self.assertIn(reply.status, (400, 403, 404), path)
            self.assertNotIn(b"root:", reply.body)

    def test_storage_that_was_deleted_just_before_a_crash_does_not_come_back(self):
        d = self.start()
        space = os.listdir(d.state + "/files")[0]
        self.change(d, "storage", {"tier": "small"})
        self.wait_running(d)
        self.ask(d, "put", "old", "x")
        os.link(f"{d.state}/data/{space}.img", d.state + "/saved")
        d.cli("storage", "me/app", "none", "--yes")
        self.wait_running(d)
        d.kill()
        harness.wait_for("the loop device to go", lambda: not loops_of(d.state))
        os.rename(d.state + "/saved", f"{d.state}/data/{space}.img")  # as if the crash had come before its end
        d.start()
        self.wait_running(d)
        self.assertEqual(os.listdir(d.state + "/data"), [])

    def test_an_image_that_was_being_made_goes_at_the_next_start_or_with_its_space(self):
        d = self.start()
        space = os.listdir(d.state + "/files")[0]
        self.change(d, "storage", {"tier": "small"})
        self.wait_running(d)
        for name in (space, "00000000000000aa"):  # as a killed mkfs leaves it
            with open(f"{d.state}/data/.{name}.new", "wb") as file:
                file.truncate(32 << 20)
            os.chmod(f"{d.state}/data/.{name}.new", 0o600)
        d.stop()
        d.start()
        self.wait_running(d)
        self.assertEqual(sorted(os.listdir(d.state + "/data")), [f"{space}.img"])
        with open(f"{d.state}/data/.{space}.new", "wb"):
            pass
        d.cli("delete", "me/app", "--yes")
        harness.wait_for("it to go", lambda: not os.listdir(d.state + "/data"))

    def test_a_damaged_image_is_named_in_the_reason_and_a_new_one_can_be_begun(self):
        d = self.start()
        self.change(d, "storage", {"tier": "small"})
        self.wait_running(d)
        d.stop()
        harness.wait_for("the loop device to go", lambda: not loops_of(d.state))
        image = glob.glob(d.state + "/data/*.img")[0]
        with open(image, "r+b") as file:
            file.seek(1024)
            file.write(b"\0" * 1024)
        d.start()
        harness.wait_for("the reason", lambda: "beyond automatic repair" in (d.runtime("me/app")["reason"] or ""))
        self.assertIn(os.path.basename(image), d.runtime("me/app")["reason"])
        d.cli("storage", "me/app", "none", "--yes")
        self.change(d, "storage", {"tier": "small"})
        self.wait_running(d)
        self.ask(d, "put", "new", "begun")
        self.assertEqual(self.ask(d, "get", "new"), "begun")

    def test_an_image_that_cannot_be_had_is_named_in_the_reason(self):
        d = self.start()
        space = os.listdir(d.state + "/files")[0]
        os.makedirs(d.state + "/data", exist_ok=True)
        with open(f"{d.state}/data/{space}.img", "wb") as file:
            file.truncate(32 << 20)
        os.chmod(f"{d.state}/data/{space}.img", 0o644)
        self.change(d, "storage", {"tier": "small"})
        harness.wait_for("the reason", lambda: "not a file of root's alone" in (d.runtime("me/app")["reason"] or ""))


class Network(Case):
    def test_a_mode_that_the_operator_does_not_allow_is_refused_when_it_is_chosen(self):
        d = self.start()
        sentence = "network '%s' is not allowed on this host (see network.allowed)"
        for body in ({"mode": "outbound"}, {"mode": "allow-list", "allow": ["pypi.org"]}):
            reply = d.post("/api/spaces/me/app/network", body)
            self.assertEqual((reply.status, reply.json["error"]), (403, sentence % body["mode"]))
        done = d.cli("network", "me/app", "outbound", check=False)
        self.assertNotEqual(done.returncode, 0)
        self.assertIn(sentence % "outbound", done.stderr)
        runtime = d.runtime("me/app")
        self.assertEqual((runtime["stage"], runtime["network"]["mode"]), ("RUNNING", "none"))
        self.assertEqual(self.change(d, "network", {"mode": "none"})["network"], {"mode": "none", "allow": []})


if __name__ == "__main__":
    unittest.main()
