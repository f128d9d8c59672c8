"""GPU slots as NVML tells them: a scripted libnvidia-ml.so.1 (tests/support/fake_nvml.c) on a stand-in host, whose
device nodes have NVIDIA's names and numbers but no driver behind them (tests/support/gpu_host.py). The launcher,
spaces-gpu and the sandboxes are the real ones.
"""

import json
import os
import shutil
import sys
import time
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(os.path.dirname(HERE), "support")]
import gpu_host  # noqa: E402
import launch_driver as launch  # noqa: E402
import nvml_cases  # noqa: E402
import test_gpu as gpu  # noqa: E402

GIB = 1 << 30
UVM, CAPS = 509, 510  # majors that the kernel chose, as /proc/devices says
DEVICES = "Character devices:\n  1 mem\n195 nvidia\n%d nvidia-uvm\n%d nvidia-caps\n\nBlock devices:\n  7 loop\n" % (UVM, CAPS)
MIG_MINORS = "config 1\nmonitor 2\ngpu2/gi1/access 12\ngpu2/gi1/ci0/access 13\ngpu2/gi2/access 21\n" \
             "gpu2/gi2/ci0/access 22\n"
NODES = [["/dev/nvidiactl", 195, 255], ["/dev/nvidia-modeset", 195, 254], ["/dev/nvidia-uvm", UVM, 0],
         ["/dev/nvidia-uvm-tools", UVM, 1]] + \
        [["/dev/nvidia%d" % i, 195, i] for i in range(4)] + \
        [["/dev/nvidia-caps/nvidia-cap%d" % i, CAPS, i] for i in (1, 2, 12, 13, 21, 22)]
A, B = "GPU-aaaaaaaa-0000-1111-2222-333333333333", "GPU-bbbbbbbb-0000-1111-2222-333333333333"
MIG1, MIG2 = "MIG-11111111-0000-1111-2222-333333333333", "MIG-22222222-0000-1111-2222-333333333333"
TWO = "gpu 0 %s %d Fake H200\ngpu 1 %s %d Fake H200\n" % (A, 80 * GIB, B, 80 * GIB)
IN_MIG = "gpu 2 GPU-cccc %d Fake A100\nmig %s 1 0 %d Fake A100 MIG 3g\nmig %s 2 0 %d Fake A100 MIG 3g\n" % (
    40 * GIB, MIG1, 20 * GIB, MIG2, 20 * GIB)


def setUpModule():
    gpu.setUpModule()
    if not os.path.exists(library("today")):
        raise unittest.SkipTest("needs build: %s (make test-bins)" % library("today"))


def library(kind):
    return os.path.abspath(os.path.join(launch.BUILD, "tests/nvml", kind, "libnvidia-ml.so.1"))


class NvmlCase(gpu.Case):
    def setUp(self):
        super().setUp()
        for name in ("driver/nvidia", "driver/nvidia-caps", "lib", "cdi"):
            os.makedirs(os.path.join(self.folder, name))
        self.put("driver/nvidia-caps/mig-minors", MIG_MINORS)
        self.put("devices", DEVICES)

    def put(self, name, text):
        with open(os.path.join(self.folder, name), "w", encoding="utf-8") as file:
            file.write(text)

    def script(self, text):
        """Whole at once: the library may read it just now."""
        self.put("lib/script.new", text)
        os.rename(os.path.join(self.folder, "lib/script.new"), os.path.join(self.folder, "lib/nvml.script"))

    def host(self, script, kind="today"):
        """(environment, wrapper) of a program on a host with these GPUs."""
        self.script(script)
        shutil.copy(library(kind), os.path.join(self.folder, "lib"))
        covers = [["/proc/devices", os.path.join(self.folder, "devices")],
                  ["/proc/driver", os.path.join(self.folder, "driver")], ["/etc/cdi", os.path.join(self.folder, "cdi")]]
        return {"LD_LIBRARY_PATH": os.path.join(self.folder, "lib")}, gpu_host.wrap(self.folder, NODES, covers)

    def launch_on(self, script, *options, kind="today"):
        env, wrap = self.host(script, kind)
        return self.launch("--gpu-provider", "auto", *options, env=env, wrap=wrap)

    def end(self):
        self.assertEqual(self.l.close(), 0)
        self.l.remove()
        self.l = None


class Inventory(NvmlCase):
    def test_two_gpus_are_two_whole_slots(self):
        hello = self.launch_on(TWO)
        slots = self.slots(hello)
        self.assertEqual([(s.id, s.kind, s.memory, s.model) for s in slots],
                         [(A, 1, 80 * GIB, "Fake H200"), (B, 1, 80 * GIB, "Fake H200")])
        self.assertEqual(hello.gpus_why, "")

    def test_a_gpu_in_mig_mode_is_its_instances_and_no_whole_slot(self):
        slots = self.slots(self.launch_on(TWO + IN_MIG, "--gpu-shared", B))
        self.assertEqual([(s.id, s.kind) for s in slots], [(A, 1), (B, 3), (MIG1, 2), (MIG2, 2)])
        self.assertEqual([s.memory for s in slots[2:]], [20 * GIB] * 2)

    def test_an_instance_without_its_capability_device_is_left_out_with_a_note(self):
        self.put("driver/nvidia-caps/mig-minors", MIG_MINORS.replace("gpu2/gi2/ci0", "gpu2/gi2/ci7"))
        hello = self.launch_on(IN_MIG)
        self.assertEqual([s.id for s in self.slots(hello)], [MIG1])
        self.assertIn(MIG2 + " has no capability device (gpu2/gi2/ci0/access)", hello.gpus_why)

    def test_an_odd_word_of_the_driver_costs_its_own_slot_alone(self):
        for odd, said in (('GPU-"x', "is left out: its id is not plain"), ("GPU-\u00e4", "its id is not plain"),
                          (A, "another has its id"), ("G" * 90, "GPU 1 does not say its UUID and name")):
            hello = self.launch_on("gpu 0 %s 1024 One\ngpu 1 %s 1024 Two\ngpu 3 %s 9223372036854775808 \u00e4\"\n" % (
                A, odd, B))
            slots = self.slots(hello)
            self.assertEqual([s.id for s in slots], [A, B], odd)
            self.assertIn(said, hello.gpus_why)
            self.assertEqual(slots[1].memory, 1 << 50)  # more than that is that much
            self.l.sandbox(gpus=[(B, 0)])
            self.end()

    def test_a_call_that_fails_is_a_sentence(self):
        for trouble, ids, said in (
                ("fail init 9", [], "nvml: start NVML: Unknown Error"),
                ("fail count 15", [], "nvml: count GPUs: GPU is lost"),
                ("fail index 15", [], "GPU 0: GPU is lost; GPU 1: GPU is lost"),
                ("fail minor 3", [], "GPU 0: Not Supported"),
                ("fail uuid 3", [], "GPU 0 does not say its UUID and name"),
                ("late uuid 3", [A], "GPU 1 does not say its UUID and name"),
                ("fail processes 3", [A, B], "cannot be shared, it does not tell its memory: Not Supported"),
                ("fail memory 3", [A, B], "cannot be shared, it does not tell its memory: no size")):
            hello = self.launch_on(TWO + trouble + "\n", "--gpu-shared", "all")
            self.assertEqual([s.id for s in self.slots(hello)], ids, trouble)
            self.assertIn(said, hello.gpus_why)
            self.end()

    def test_an_old_driver_gives_whole_slots_and_one_that_lacks_a_function_a_sentence(self):
        self.assertEqual([s.kind for s in self.slots(self.launch_on(TWO + IN_MIG, kind="old"))], [1, 1, 1])
        self.end()
        hello = self.launch_on(TWO, kind="broken")
        self.assertEqual(hello.n_gpus, 0)
        self.assertIn("has no nvmlDeviceGetMinorNumber: the driver is too old", hello.gpus_why)

    def test_without_the_library_a_driver_alone_is_no_gpu(self):
        self.script("")
        env, wrap = self.host("")
        os.unlink(os.path.join(self.folder, "lib/libnvidia-ml.so.1"))
        hello = self.launch("--gpu-provider", "auto", env=env, wrap=wrap)
        self.assertEqual(hello.n_gpus, 0)
        self.assertIn("nvml: libnvidia-ml.so.1: cannot open shared object file", hello.gpus_why)

    def test_a_library_that_crashes_or_hangs_costs_the_slots_and_nothing_else(self):
        for trouble, said, seconds in (("crash init", "ended without an answer", 5), ("crash uuid", "ended without an answer", 5),
                                       ("hang init", "did not answer within 10 s", 15)):
            begun = time.monotonic()
            hello = self.launch_on(TWO + trouble + "\n")
            self.assertLess(time.monotonic() - begun, seconds)
            self.assertEqual(hello.n_gpus, 0)
            self.assertIn(said, hello.gpus_why)
            self.assertEqual(self.python(self.l.sandbox(), "print(7)"), "7\n")
            self.end()


class Lease(nvml_cases.Lease, NvmlCase):
    """What also runs on a real GPU, here with stand-ins; and what needs two GPUs or instances."""

    minors = {A: 0, B: 1}

    def start(self):
        lib = os.path.join(self.folder, "lib")
        self.put("cdi/nvidia.json", json.dumps({
            "cdiVersion": "0.5.0", "kind": "nvidia.com/gpu",
            "devices": [{"name": name, "containerEdits": {"deviceNodes": [
                {"path": "/dev/nvidia%d" % i} for i in range(4)]}} for name in ("0", "1", MIG1)],
            "containerEdits": {
                "env": ["NVIDIA_VISIBLE_DEVICES=void", "LD_PRELOAD=/tmp/x.so", "CUDA_VISIBLE_DEVICES=all"],
                "deviceNodes": [{"path": "/dev/nvidia-modeset"}, {"path": "/dev/nvidiactl"}],
                "hooks": [{"hookName": "createContainer", "path": "/usr/bin/touch",
                           "args": ["touch", os.path.join(self.folder, "hook")]}],
                "mounts": [{"hostPath": os.path.join(lib, n), "containerPath": "/opt/driver/" + n}
                           for n in ("libnvidia-ml.so.1", "nvml.script")]}}))
        self.put("cdi/other.yaml", "cdiVersion: 0.5.0\n")
        return self.launch_on("nodes\n" + TWO + IN_MIG)

    def test_files_variables_and_common_nodes_come_from_cdi_but_no_hook_runs(self):
        hello = self.start()
        self.assertIn("/etc/cdi/other.yaml is not read: only JSON", hello.gpus_why)
        text = self.python(self.l.sandbox(gpus=[(A, 0)]), """
import os
print(sorted(os.listdir("/run/gpu")), [os.environ.get(n) for n in (
    "NVIDIA_VISIBLE_DEVICES", "CUDA_VISIBLE_DEVICES", "LD_PRELOAD", "LD_LIBRARY_PATH")])
""")
        self.assertEqual(text, "['libnvidia-ml.so.1', 'nvml.script'] ['void', '%s', None, '/run/gpu']\n" % A)
        self.assertFalse(os.path.exists(os.path.join(self.folder, "hook")))

    def test_an_instance_brings_its_own_capabilities_and_no_others_55(self):
        self.start()
        box = self.l.sandbox(gpus=[(MIG1, 0)])
        self.assertEqual(self.nodes_in(box), ["nvidia-caps/nvidia-cap12", "nvidia-caps/nvidia-cap13", "nvidia-uvm",
                                              "nvidia-uvm-tools", "nvidia2", "nvidiactl"])
        seen = self.try_nodes(box, ["/dev/nvidia2", "/dev/nvidia-caps/nvidia-cap12", "/dev/nvidia-caps/nvidia-cap13",
                                    "/dev/nvidia-caps/nvidia-cap21", "/dev/nvidia-caps/nvidia-cap22",
                                    "/dev/nvidia-caps/nvidia-cap1", "/dev/nvidia-modeset", "/dev/nvidia0"])
        self.assertEqual(seen, ["ENXIO"] * 3 + ["EPERM"] * 5)

    def test_two_slots_of_one_sandbox_are_both_seen(self):
        self.start()
        box = self.l.sandbox(gpus=[(A, 0), (B, 0)])
        self.assertEqual(self.seen_by_nvml(box), [A, B])
        self.assertEqual(self.try_nodes(box, ["/dev/nvidia0", "/dev/nvidia1", "/dev/nvidia2"]),
                         ["ENXIO", "ENXIO", "EPERM"])


class Memory(NvmlCase):
    SHARED = ("--gpu-shared", A)

    def sleeper(self, box, mark):
        worker = self.l.worker(box, [gpu.PYTHON, "-c", "import time; print('up', flush=True); time.sleep(99) #" + mark])
        self.l.read_log(worker, b"up")
        for pid in launch.processes_of(self.l.state_id):
            with open("/proc/%d/cmdline" % pid, "rb") as file:
                if mark.encode() in file.read():
                    return pid
        raise AssertionError("no process of " + mark)

    def reading(self, *lines):
        """GPU A with processes."""
        self.script("gpu 0 %s %d Fake\n" % (A, 80 * GIB) + "".join(line + "\n" for line in lines))

    def test_who_takes_more_than_its_share_is_ended_and_the_neighbour_stays(self):
        self.launch_on(TWO, *self.SHARED)
        greedy, calm = (self.l.sandbox(gpus=[(A, GIB)]) for _ in range(2))
        pids = [self.sleeper(greedy, "greedy"), self.sleeper(calm, "calm")]
        # Drawing and computing processes are two lists of one number; one that is not known counts nothing.
        self.reading("computes %d %d" % (pids[0], GIB + 1), "draws %d %d" % (pids[0], GIB - 1),
                     "computes %d %d" % (pids[1], GIB), "draws %d %d" % (pids[1], GIB), "computes %d -" % pids[1],
                     "computes 1 %d" % (9 * GIB))
        hit = self.l.event(launch.LIMIT_HIT, sandbox=greedy)
        self.assertEqual((hit.limit, hit.usage.gpu_memory), (launch.LIMIT_GPU_MEMORY, GIB + 1))
        self.l.event(launch.SANDBOX_GONE, sandbox=greedy)
        self.assertEqual(self.used(calm), GIB)
        self.assertEqual(self.python(calm, "print(7)"), "7\n")

    def test_a_watch_that_hangs_crashes_or_is_refused_is_started_again_while_the_launcher_goes_on(self):
        self.launch_on(TWO, *self.SHARED)
        box = self.l.sandbox(gpus=[(A, GIB)])
        pid = self.sleeper(box, "greedy")
        for bytes_used, trouble in enumerate(("hang processes", "crash processes", "fail processes 15"), 1):
            self.reading("computes %d %d" % (pid, bytes_used))
            self.wait(box, lambda used=bytes_used: self.used(box) == used)
            before = self.watcher()
            self.reading(trouble)
            self.wait(box, lambda gone=before: self.watcher() != gone)
        self.reading("computes %d %d" % (pid, 2 * GIB))
        self.assertEqual(self.l.event(launch.LIMIT_HIT, sandbox=box).limit, launch.LIMIT_GPU_MEMORY)

    def used(self, box):
        return self.l.ask(launch.USAGE, sandbox=box).usage.gpu_memory

    def wait(self, box, fact):
        """The launcher answers all the while."""
        deadline = time.monotonic() + 20
        while not fact():
            asked = time.monotonic()
            self.assertLess(asked, deadline)
            self.used(box)
            self.assertLess(time.monotonic() - asked, 2)
            time.sleep(0.05)

    def watcher(self):
        """The pid of the launcher's child that watches."""
        status = gpu.status_of("spaces-gpu", self.l.process.pid)
        return status and status["Pid"]

    def test_the_foreign_library_runs_without_any_right(self):
        self.launch_on(TWO, *self.SHARED)
        self.l.sandbox(gpus=[(A, GIB)])
        status = gpu.wait_for(lambda: gpu.status_of("spaces-gpu", self.l.process.pid))
        self.assertEqual({status[name] for name in ("CapInh", "CapPrm", "CapEff", "CapAmb")}, {"0" * 16})
        self.assertEqual(status["NoNewPrivs"], "1")
        self.assertNotIn("0", status["Uid"].split() + status["Gid"].split())


if __name__ == "__main__":
    unittest.main()
