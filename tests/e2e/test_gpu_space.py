"""Spaces with GPU hardware, through the whole daemon: who gets a slot, who waits, who lets go. No GPU is needed: nodes
are stand-ins (mknod of /dev/zero and its kin under another name), and what apps use is what a file of the provider
`fake` says. The launcher's side is test_gpu.py."""

import json
import os
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import harness  # noqa: E402

MIB = 1 << 20
APP = '''import glob, os, gradio as gr

def see():
    return " ".join(sorted(glob.glob("/dev/fake-gpu-*")))

def variables():
    return " ".join("%s=%s" % (k, os.environ[k]) for k in sorted(os.environ)
                    if k in ("CUDA_VISIBLE_DEVICES", "SPACES_GPU_MEMORY_BYTES", "SPACE_ID"))

def read(path):
    with open(path, "rb") as f:
        return len(f.read(4))

with gr.Blocks() as demo:
    path, out = gr.Textbox(), gr.Textbox()
    gr.Button().click(see, None, out, api_name="see")
    gr.Button().click(variables, None, out, api_name="variables")
    gr.Button().click(read, path, out, api_name="read")
demo.launch()
'''
FLAVORS = ("space.flavors=gpu-one gpus=1 gpu=whole; gpu-two gpus=2 gpu=whole; gpu-share gpu=shared gpu_memory=600M; "
           "gpu-small gpu=shared gpu_memory=400M; gpu-stand-in gpu=Stand-in; t4-small gpu=T4; gpu-huge gpu=shared "
           "gpu_memory=4G")


def setUpModule():
    if os.geteuid() != 0:
        raise unittest.SkipTest("needs root: spaces-launcher builds sandboxes as root")
    if not os.path.exists(os.path.join(harness.BUILD, "spaces-gpu")):
        raise unittest.SkipTest("needs build: %s/spaces-gpu" % harness.BUILD)


def slot(name, minor, kind="whole", memory=1024 * MIB):
    return {"id": name, "kind": kind, "uuid": name, "model": "Stand-in GPU 1", "memory": memory,
            "nodes": [{"path": "/dev/fake-gpu-%s" % name, "major": 1, "minor": minor}],
            "env": ["CUDA_VISIBLE_DEVICES=" + name]}


class Case(harness.Case):
    def start(self, slots, *settings):
        self.fake = self.fake_file(slots)
        return self.begin("gpu.provider=fake", "gpu.fake_file=" + self.fake, *settings)

    def begin(self, *settings):
        d = self.daemon(args=[a for s in (FLAVORS, *settings) for a in ("--set", s)])
        self.app = self.folder({"app.py": APP})
        return d

    def fake_file(self, slots):
        folder = tempfile.mkdtemp(prefix="spaces-gpu-")
        os.chmod(folder, 0o755)
        self.addCleanup(harness.shutil.rmtree, folder)
        path = os.path.join(folder, "gpus.json")
        self.write(path, slots)
        return path

    @staticmethod
    def write(path, slots, usage=()):
        """In place: the launcher holds the file open."""
        with open(path, "w", encoding="utf-8") as f:
            f.write(json.dumps({"provider": "fake", "slots": slots, "usage": list(usage)}))

    def choose(self, d, name, flavor):
        reply = d.post(f"/api/spaces/{name}/hardware", {"flavor": flavor})
        self.assertEqual(reply.status, 202, reply.body)

    def space(self, d, name, flavor, wait=True):
        """A Space that runs on it; without `wait`, one that has asked for it."""
        d.deploy(self.app, name)
        self.choose(d, name, flavor)
        if wait:
            self.wait_running(d, name)

    def wait_running(self, d, name):
        return harness.wait_for(f"{name} to be RUNNING", lambda: self.stage(d, name) == "RUNNING")

    def stage(self, d, name):
        return d.runtime(name)["stage"]

    def wait_reason(self, d, name, text):
        harness.wait_for(f"the reason of {name}: {text}", lambda: text in (d.runtime(name)["reason"] or ""))

    def ask(self, d, name, api, *data):
        event, values = d.call(name, api, list(data))
        self.assertEqual(event, "complete", values)
        return values[0]

    def row(self, d, flavor):
        return next(r for r in d.get("/api/spaces/hardware").json if r["name"] == flavor)


class Hardware(Case):
    def test_without_a_provider_gpu_hardware_has_the_reason(self):
        d = self.begin("gpu.provider=none")
        d.deploy(self.app, "me/app")
        row = self.row(d, "gpu-one")
        for said in (row["reason"], d.post("/api/spaces/me/app/hardware", {"flavor": "gpu-one"}).json["error"]):
            self.assertIn("gpu.provider is none", said)
        self.assertIsNone(row["promise"])
        self.assertIsNone(self.row(d, "cpu-basic")["reason"])
        self.assertEqual(self.stage(d, "me/app"), "RUNNING")

    def test_hardware_rows_say_model_memory_and_what_is_promised(self):
        d = self.start([slot("a", 5), slot("b", 9), slot("s", 8, "shared")])
        row = self.row(d, "gpu-two")
        self.assertEqual(row["accelerator"], {"type": "gpu", "model": "Stand-in GPU 1", "quantity": "2", "vram": "2 GB",
                                              "manufacturer": ""})
        self.assertIn("hard limit", row["promise"])
        self.assertIsNone(row["reason"])
        row = self.row(d, "gpu-share")
        self.assertEqual(row["accelerator"]["vram"], "600 MB")
        self.assertIn("cooperative", row["promise"])
        self.assertIsNone(self.row(d, "cpu-basic")["accelerator"])
        self.space(d, "me/app", "gpu-share")
        self.assertIn("cooperative", d.runtime("me/app")["hardware"]["promise"])
        shown = d.cli("hardware", "me/app").stdout
        self.assertRegex(shown, r"\* gpu-share .*\n +1 GPU, Stand-in GPU 1, 600 MB: .*cooperative")
        self.assertRegex(shown, r"gpu-one .*\n +1 GPU, Stand-in GPU 1, 1 GB: .*hard limit")
        self.assertRegex(shown, r"t4-small .*\n +not here: hardware 't4-small' needs")

    def test_doctor_says_how_many_slots_there_are_or_why_there_is_none(self):
        for d, ok, why in ((self.start([slot("a", 5), slot("s", 8, "shared")]), True,
                            "Stand-in GPU 1: 1 whole, 0 MIG (hard limits), 1 shared (cooperative)"),
                           (self.begin("gpu.provider=none"), False, "gpu.provider is none")):
            check = next(c for c in d.get("/api/doctor").json["checks"] if c["group"] == "GPU" and c["name"] == "GPU slots")
            self.assertEqual((check["ok"], check["required"], check["why"]), (ok, False, why))
            self.assertIn(why, d.cli("doctor").stdout)

    def test_hardware_that_this_host_has_no_slot_for_is_refused_with_what_to_do(self):
        d = self.start([slot("a", 5), slot("s", 8, "shared")])
        d.deploy(self.app, "me/app")
        for flavor, sentence in (("t4-small", "needs 1 GPU slot of 'T4', and of the 2 of this host 0 will do"),
                                 ("gpu-two", "needs 2 GPU slots of 'whole', and of the 2 of this host 1 will do"),
                                 ("gpu-huge", "with 4096 MiB")):
            reply = d.post("/api/spaces/me/app/hardware", {"flavor": flavor})
            self.assertEqual(reply.status, 400, flavor)
            self.assertIn(sentence, reply.json["error"])
            self.assertIn("choose other hardware", reply.json["error"])
            self.assertEqual(self.row(d, flavor)["reason"], reply.json["error"])


class Slots(Case):
    def test_a_space_with_gpu_hardware_sees_its_node_and_its_variables(self):
        d = self.start([slot("a", 5), slot("b", 9)])
        self.space(d, "me/app", "gpu-one")
        self.assertEqual(self.ask(d, "me/app", "see"), "/dev/fake-gpu-a")
        self.assertEqual(self.ask(d, "me/app", "read", "/dev/fake-gpu-a"), "4")
        self.assertEqual(self.ask(d, "me/app", "variables"), "CUDA_VISIBLE_DEVICES=a SPACE_ID=me/app")
        self.space(d, "me/other", "gpu-stand-in")
        self.assertEqual(self.ask(d, "me/other", "see"), "/dev/fake-gpu-b")
        d.deploy(self.app, "me/plain")
        self.assertEqual(self.ask(d, "me/plain", "see"), "")

    def test_a_shared_slot_is_lent_by_memory_until_nothing_is_left(self):
        d = self.start([slot("a", 9), slot("s", 5)], "gpu.share=s")
        self.space(d, "me/one", "gpu-share")
        self.assertIn("SPACES_GPU_MEMORY_BYTES=%d" % (600 * MIB), self.ask(d, "me/one", "variables"))
        self.space(d, "me/two", "gpu-small")
        self.space(d, "me/three", "gpu-small", wait=False)
        self.wait_reason(d, "me/three", "waits for GPU memory: hardware 'gpu-small' needs 1 GPU slot of 'shared' with "
                                        "400 MiB, and no more than 24 MiB are left")
        self.choose(d, "me/two", "cpu-basic")
        self.wait_running(d, "me/three")
        self.assertEqual(self.ask(d, "me/three", "see"), "/dev/fake-gpu-s")

    def test_a_new_version_on_the_only_slot_takes_the_place_of_the_one_before(self):
        d = self.start([slot("a", 5)])
        self.space(d, "me/app", "gpu-one")
        folder = self.folder({"app.py": APP + "# another version\n"})
        d.deploy(folder, "me/app")
        self.assertEqual(self.ask(d, "me/app", "see"), "/dev/fake-gpu-a")
        d.cli("restart", "me/app", "--wait")
        self.assertEqual(self.ask(d, "me/app", "see"), "/dev/fake-gpu-a")

    def test_a_new_version_that_fails_on_the_only_slot_gives_it_back_to_the_one_before(self):
        d = self.start([slot("a", 5)])
        self.space(d, "me/app", "gpu-one")
        d.cli("deploy", self.folder({"app.py": "raise SystemExit(3)\n"}), "me/app", "--wait", check=False)
        self.wait_running(d, "me/app")
        self.assertEqual(self.ask(d, "me/app", "see"), "/dev/fake-gpu-a")

    def test_a_paused_or_deleted_space_gives_its_slot_to_the_one_that_waits_longest(self):
        d = self.start([slot("a", 5)])
        self.space(d, "me/one", "gpu-one")
        for name in ("me/two", "me/three"):
            self.space(d, name, "gpu-one", wait=False)
            self.wait_reason(d, name, "0 of the 1 that will do are free; pause a Space that has one")
        d.cli("pause", "me/one")
        self.wait_running(d, "me/two")
        self.assertEqual(self.stage(d, "me/three"), "RUNNING_APP_STARTING")
        d.cli("delete", "me/two", "--yes")
        self.wait_running(d, "me/three")
        self.assertEqual(self.ask(d, "me/three", "see"), "/dev/fake-gpu-a")

    def test_who_waits_serves_on_with_what_it_has_and_may_give_up(self):
        d = self.start([slot("a", 5)])
        self.space(d, "me/one", "gpu-one")
        self.space(d, "me/two", "gpu-one", wait=False)
        self.wait_reason(d, "me/two", "waits for a GPU")
        self.assertEqual(self.ask(d, "me/two", "see"), "")
        self.choose(d, "me/two", "cpu-basic")
        self.wait_running(d, "me/two")

    def test_after_a_crash_of_the_daemon_slots_are_found_again(self):
        d = self.start([slot("a", 5), slot("s", 8, "shared")])
        self.space(d, "me/app", "gpu-one")
        self.space(d, "me/share", "gpu-share")
        d.kill()
        d.start()
        for name, node in (("me/app", "/dev/fake-gpu-a"), ("me/share", "/dev/fake-gpu-s")):
            self.wait_running(d, name)
            self.assertEqual(self.ask(d, name, "see"), node)

    def test_a_slot_that_is_gone_after_a_restart_is_the_reason(self):
        d = self.start([slot("a", 5)])
        self.space(d, "me/app", "gpu-one")
        d.stop()
        self.write(self.fake, [])
        d.start()
        harness.wait_for("the stage", lambda: self.stage(d, "me/app") == "CONFIG_ERROR")
        self.assertIn("hardware 'gpu-one' needs a GPU, and this host has no GPU slot", d.runtime("me/app")["reason"])


class Sleep(Case):
    def test_a_space_that_nobody_uses_gives_its_slot_to_who_waits_and_the_next_visit_wakes_it(self):
        d = self.start([slot("a", 5)])
        self.space(d, "me/one", "gpu-one")
        d.cli("sleep", "me/one", "1")
        self.space(d, "me/two", "gpu-one", wait=False)
        harness.wait_for("me/one to sleep", lambda: self.stage(d, "me/one") == "SLEEPING")
        self.assertIn("the next visit starts it", d.runtime("me/one")["reason"])
        self.wait_running(d, "me/two")
        self.assertEqual(self.ask(d, "me/two", "see"), "/dev/fake-gpu-a")
        d.cli("sleep", "me/two", "1")
        self.assertEqual(self.ask(d, "me/one", "see"), "/dev/fake-gpu-a")  # held until me/two sleeps
        harness.wait_for("me/two to sleep", lambda: self.stage(d, "me/two") == "SLEEPING")

    def test_a_frozen_space_keeps_its_slot_while_nobody_needs_it(self):
        d = self.start([slot("a", 5), slot("b", 9), slot("s", 8, "shared")], "space.freeze_after=1s")
        for name, flavor in (("me/one", "gpu-one"), ("me/share", "gpu-share")):
            self.space(d, name, flavor)
            harness.wait_for("it to be frozen", lambda n=name: d.runtime(n)["frozen"])
        self.space(d, "me/two", "gpu-one")
        for name in ("me/one", "me/share"):
            self.assertEqual(self.stage(d, name), "RUNNING")
        self.space(d, "me/three", "gpu-one", wait=False)
        harness.wait_for("the longest frozen one to sleep", lambda: self.stage(d, "me/one") == "SLEEPING")
        self.wait_running(d, "me/three")
        self.assertEqual(self.stage(d, "me/share"), "RUNNING")  # of no use to it

    def test_a_start_that_would_not_fit_even_then_puts_nobody_to_sleep(self):
        d = self.start([slot("a", 5), slot("b", 9)])
        self.space(d, "me/one", "gpu-one")
        d.cli("sleep", "me/one", "1")
        self.space(d, "me/busy", "gpu-one")
        harness.wait_for("it to be frozen", lambda: d.runtime("me/one")["frozen"])
        self.space(d, "me/two", "gpu-two", wait=False)
        self.wait_reason(d, "me/two", "needs 2 GPU slots of 'whole', and 0 of the 2 that will do are free")
        self.assertEqual(self.stage(d, "me/one"), "RUNNING")
        d.cli("pause", "me/busy")
        self.wait_running(d, "me/two")
        self.assertEqual(self.ask(d, "me/two", "see"), "/dev/fake-gpu-a /dev/fake-gpu-b")
        self.assertEqual(self.stage(d, "me/one"), "SLEEPING")


class Memory(Case):
    def test_who_goes_above_its_share_is_killed_with_the_reason_and_its_neighbour_is_not(self):
        slots = [slot("s", 5, "shared")]
        d = self.start(slots, "space.backoff=10ms")  # so that it starts again while its sandbox still ends
        self.space(d, "me/greedy", "gpu-share")
        self.space(d, "me/calm", "gpu-small")
        d.expected_errors.append("GPU memory")
        greedy, calm = (self.pid_of(d, name) for name in ("me/greedy", "me/calm"))
        self.write(self.fake, slots, [{"pid": greedy, "slot": "s", "bytes": 700 * MIB},
                                      {"pid": calm, "slot": "s", "bytes": 400 * MIB}])
        reason = "killed: GPU memory, limit 600 MiB, used 700 MiB"
        harness.wait_for("the reason in the app's log", lambda: reason in d.cli("logs", "me/greedy").stdout)
        self.assertIn('reason="%s' % reason, d.log_text())
        self.wait_running(d, "me/greedy")  # anew, with a share again
        self.assertNotEqual(self.pid_of(d, "me/greedy"), greedy)
        self.assertEqual(self.pid_of(d, "me/calm"), calm)

    def pid_of(self, d, name):
        for pid, line in harness.processes_with(d.state_id).items():
            try:
                with open("/proc/%d/environ" % pid, "rb") as f:
                    words = f.read().split(b"\0")
            except (FileNotFoundError, ProcessLookupError):  # a short one that has ended since
                continue
            if b"SPACE_ID=" + name.encode() in words:
                return pid
        raise AssertionError("no process of " + name)


if __name__ == "__main__":
    unittest.main()
