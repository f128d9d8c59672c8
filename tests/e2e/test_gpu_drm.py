"""GPU slots of AMD and Intel by their render nodes: sysfs and fdinfo in the form that the kernel gives them, in a
tree of the test's own. spaces-gpu reads it alone (--root), or the launcher does on a stand-in host
(tests/support/gpu_host.py).
"""

import json
import os
import subprocess
import sys
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(os.path.dirname(HERE), "support")]
import gpu_host  # noqa: E402
import launch_driver as launch  # noqa: E402
import nvml_cases  # noqa: E402
import test_gpu as gpu  # noqa: E402

GIB, MIB = 1 << 30, 1 << 20
DEVICES = "Character devices:\n  1 mem\n195 nvidia\n226 drm\n235 kfd\n\nBlock devices:\n  7 loop\n"
AMD, XE, I915 = "pci-0000:03:00.0", "pci-0000:04:00.0", "pci-0000:00:02.0"
setUpModule = gpu.setUpModule

# Two generations of each dialect: what a driver prints for one open render node.
AMDGPU_OLD = """pos:\t0
flags:\t02100002
mnt_id:\t24
ino:\t412
drm-driver:\tamdgpu
drm-client-id:\t%(client)d
drm-pdev:\t0000:03:00.0
pasid:\t32769
drm-memory-vram:\t%(kib)d KiB
drm-memory-gtt: \t8192 KiB
drm-memory-cpu: \t0 KiB
drm-engine-gfx:\t123456 ns
"""
AMDGPU = """pos:\t0
flags:\t02100002
mnt_id:\t24
ino:\t412
drm-driver:\tamdgpu
drm-client-id:\t%(client)d
drm-pdev:\t0000:03:00.0
drm-client-name:\ta name: with colons
pasid:\t32769
drm-total-cpu:\t0
drm-shared-cpu:\t0
drm-total-gtt:\t16 MiB
drm-resident-gtt:\t16 MiB
drm-total-vram:\t9000 MiB
drm-shared-vram:\t0
drm-active-vram:\t0
drm-resident-vram:\t%(kib)d KiB
drm-purgeable-vram:\t0
drm-memory-vram:\t%(kib)d KiB
drm-memory-gtt:\t16384 KiB
amd-requested-vram:\t9216000 KiB
"""
XE_INFO = """pos:\t0
flags:\t0100002
mnt_id:\t26
ino:\t690
drm-driver:\txe
drm-client-id:\t%(client)d
drm-pdev:\t0000:04:00.0
drm-total-system:\t0
drm-shared-system:\t0
drm-resident-system:\t0
drm-total-gtt:\t192 KiB
drm-resident-gtt:\t192 KiB
drm-total-vram0:\t24 MiB
drm-shared-vram0:\t0
drm-resident-vram0:\t%(kib)d KiB
drm-total-vram1:\t1 MiB
drm-resident-vram1:\t1 MiB
drm-cycles-rcs:\t28257900
drm-total-cycles-rcs:\t7655183225
"""
I915_INFO = """pos:\t0
flags:\t0100002
mnt_id:\t21
drm-driver: i915
drm-client-id: %(client)d
drm-pdev: 0000:00:02.0
drm-total-system0: 92 MiB
drm-resident-system0: 92 MiB
drm-total-local0: 80 MiB
drm-shared-local0: 0
drm-active-local0: 0
drm-resident-local0: %(kib)d KiB
drm-engine-render: 9288864723 ns
"""
NO_CLIENT = "pos:\t0\nflags:\t0100002\nmnt_id:\t9\nino:\t7\n"


class Tree(gpu.Case):
    def setUp(self):
        super().setUp()
        self.put("proc/devices", DEVICES)
        self.card("renderD128", "0000:03:00.0", "0x1002", "amdgpu", "226:128", mem_info_vram_total="17163091968",
                  mem_info_vram_used="27742208")
        self.card("renderD129", "0000:04:00.0", "0x8086", "xe", "226:129")
        self.card("renderD130", "0000:05:00.0", "0x10de", "nvidia", "226:130")
        self.card("renderD131", "0000:00:02.0", "0x8086", "i915", "226:131")
        self.card("card0", "0000:03:00.0", "0x1002", "amdgpu", "226:0")
        self.put("sys/class/drm/version", "drm 1.1.0 20060810\n")
        # A virtual display: no PCI device of its own. And what a broken driver could say.
        self.put("sys/class/drm/renderD132/device/vendor", "0x1af4\n")
        self.put("sys/class/drm/renderD132/device/uevent", "DRIVER=virtio_gpu\nMODALIAS=virtio:d00000010v00001AF4\n")
        self.put("sys/class/drm/renderD132/dev", "226:132\n")
        self.card("renderD133", "0000:06:00.0", "0x1002", "amdgpu", "226")
        self.card("renderD134", '0000"7', "0x1002", "amdgpu", "226:134")

    def put(self, name, text):
        path = os.path.join(self.folder, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)

    def card(self, node, address, vendor, driver, dev, **files):
        """As in sysfs: "device" is a link to the PCI device, which several nodes share."""
        device = "sys/class/pci/" + address
        self.put(device + "/vendor", vendor + "\n")
        self.put(device + "/uevent", "DRIVER=%s\nPCI_CLASS=30000\nPCI_ID=%s:744C\nPCI_SUBSYS_ID=1DA2:E471\n"
                                     "PCI_SLOT_NAME=%s\nMODALIAS=pci:v00001002\n" % (driver, vendor[2:].upper(), address))
        for name, text in files.items():
            self.put("%s/%s" % (device, name), text + "\n")
        self.put("sys/class/drm/%s/dev" % node, dev + "\n")
        os.symlink("../../pci/" + address, os.path.join(self.folder, "sys/class/drm", node, "device"))

    def spaces_gpu(self, *options):
        return subprocess.Popen([os.path.join(launch.BUILD, "spaces-gpu"), "--provider", "drm", "--root", self.folder,
                                 *options], stdout=subprocess.PIPE)


class Alone(Tree):
    """spaces-gpu by itself, without privileges."""

    def listed(self, *options):
        with self.spaces_gpu("--list", *options) as program:
            return json.load(program.stdout)

    def reading(self):
        """{(pid, slot): bytes} of one reading."""
        with self.spaces_gpu("--watch", "--every-ms", "10") as program:
            uses = json.loads(program.stdout.readline())["usage"]
            program.kill()
        return {(use["pid"], use["slot"]): use["bytes"] for use in uses}

    def holds(self, pid, *infos):
        for i, info in enumerate(infos):
            self.put("proc/%d/fdinfo/%d" % (pid, i), info)

    def test_render_nodes_of_amd_and_intel_are_slots_and_nvidias_and_virtual_ones_are_not(self):
        answer = self.listed()
        slots = answer["slots"]
        self.assertEqual([s["id"] for s in slots], [I915, AMD, XE])
        self.assertEqual([s["memory"] for s in slots], [0, 17163091968, 0])
        self.assertEqual([s["model"] for s in slots], ["Intel GPU", "AMD GPU", "Intel GPU"])
        self.assertEqual(slots[1]["nodes"], [{"path": "/dev/dri/renderD128", "major": 226, "minor": 128},
                                             {"path": "/dev/kfd", "major": 235, "minor": 0}])
        self.assertEqual(slots[2]["nodes"], [{"path": "/dev/dri/renderD129", "major": 226, "minor": 129}])
        self.assertIn("GPU 'pci-0000'7' is left out", answer["why"])

    def test_only_a_gpu_of_a_known_size_is_shared(self):
        self.assertEqual([s["kind"] for s in self.listed("--shared", "all")["slots"]], ["whole", "shared", "whole"])
        self.assertEqual([s["kind"] for s in self.listed("--shared", "0000:03:00.0")["slots"]],
                         ["whole", "shared", "whole"])

    def test_memory_is_read_in_every_drivers_dialect(self):
        self.holds(11, NO_CLIENT, AMDGPU_OLD % {"client": 1, "kib": 2048})
        self.holds(12, AMDGPU % {"client": 2, "kib": 4096}, AMDGPU % {"client": 3, "kib": 1})
        self.holds(13, XE_INFO % {"client": 4, "kib": 512})
        self.holds(14, I915_INFO % {"client": 5, "kib": 8})
        self.holds(15, NO_CLIENT)
        self.put("proc/self/fdinfo/0", AMDGPU % {"client": 9, "kib": 1})
        self.assertEqual(self.reading(), {(11, AMD): 2 * MIB, (12, AMD): 4 * MIB + 1024, (13, XE): MIB + (512 << 10),
                                          (14, I915): 8192})

    def test_a_client_counts_once_however_many_descriptors_it_has(self):
        info = AMDGPU % {"client": 2, "kib": 4096}
        self.holds(12, info, info)
        self.holds(13, info)  # inherited
        self.assertEqual(sum(self.reading().values()), 4 * MIB)

    def test_a_size_beyond_reason_is_very_much_and_spoils_no_reading(self):
        self.holds(12, *(AMDGPU % {"client": i, "kib": (1 << 64) - 1} for i in (2, 3)), AMDGPU % {"client": 4, "kib": 5})
        self.holds(13, XE_INFO % {"client": 5, "kib": 1024})
        self.assertEqual(self.reading(), {(12, AMD): 1 << 50, (13, XE): 2 * MIB})


class Launched(Tree):
    """On a stand-in host: nodes of the right numbers, with no driver behind."""

    def launch_on(self, *options):
        nodes = [["/dev/kfd", 235, 0], ["/dev/dri/card0", 226, 0]] + [
            ["/dev/dri/renderD%d" % i, 226, i] for i in range(128, 132)]
        covers = [["/proc/devices", os.path.join(self.folder, "proc/devices")],
                  ["/sys/class", os.path.join(self.folder, "sys/class")]]
        return self.launch("--gpu-provider", "auto", *options, wrap=gpu_host.wrap(self.folder, nodes, covers))

    def test_a_holder_has_its_render_node_and_no_card_nor_other_gpu_55(self):
        hello = self.launch_on()
        self.assertEqual([s.id for s in self.slots(hello)], [I915, AMD, XE])
        box = self.l.sandbox(gpus=[(AMD, 0)])
        self.assertEqual(self.python(box, nvml_cases.NODES).split(), ["dri/renderD128"])
        numbers = [os.makedev(*pair) for pair in ((226, 128), (235, 0), (226, 129), (226, 131), (226, 0))]
        self.assertEqual(nvml_cases.try_numbers(self.l, box, numbers), ["ENXIO"] * 2 + ["EPERM"] * 3)
        self.assertEqual(nvml_cases.try_numbers(self.l, self.l.sandbox(), numbers), ["EPERM"] * 5)

    def test_who_takes_more_than_its_share_by_fdinfo_is_ended(self):
        self.launch_on("--gpu-shared", "all")
        box = self.l.sandbox(gpus=[(AMD, 100 * MIB)])
        worker = self.l.worker(box, [gpu.PYTHON, "-c", "import time; print('up', flush=True); time.sleep(99)", "holder"])
        self.l.read_log(worker, b"up")
        pid = next(pid for pid in launch.processes_of(self.l.state_id) if nvml_cases.has_word(pid, "holder"))
        self.put("sys/class/fdinfo/5", AMDGPU % {"client": 7, "kib": 101 << 10})
        subprocess.run(["nsenter", "-t", str(self.l.process.pid), "-m", "mount", "--bind", "/sys/class/fdinfo",
                        "/proc/%d/fdinfo" % pid], check=True)
        hit = self.l.event(launch.LIMIT_HIT, sandbox=box)
        self.assertEqual((hit.limit, hit.usage.gpu_memory), (launch.LIMIT_GPU_MEMORY, 101 * MIB))
        self.l.event(launch.SANDBOX_GONE, sandbox=box)

    def test_the_reader_may_look_into_processes_and_nothing_more(self):
        self.launch_on()
        box = self.l.sandbox(gpus=[(AMD, 0)])
        worker = self.l.worker(box, [gpu.PYTHON, "-c", "import time; print('up', flush=True); time.sleep(99)", "holder"])
        self.l.read_log(worker, b"up")
        pid = next(pid for pid in launch.processes_of(self.l.state_id) if nvml_cases.has_word(pid, "holder"))
        status = gpu.wait_for(lambda: gpu.status_of("spaces-gpu", self.l.process.pid))
        self.assertEqual({status[name] for name in ("CapInh", "CapPrm", "CapEff", "CapAmb")}, {"%016x" % (1 << 19)})
        uid = status["Uid"].split()[0]
        self.assertNotEqual(uid, "0")
        # What its right is for: with the same one this user reads the folder, without it not.
        look = ["setpriv", "--reuid", uid, "--regid", uid, "--clear-groups", "--no-new-privs"]
        ls = ["ls", "/proc/%d/fdinfo" % pid]
        right = ["--inh-caps=-all,+sys_ptrace", "--ambient-caps=-all,+sys_ptrace"]
        self.assertEqual(subprocess.run([*look, *right, *ls], stdout=subprocess.DEVNULL, check=False).returncode, 0)
        self.assertNotEqual(subprocess.run([*look, *ls], capture_output=True, check=False).returncode, 0)


if __name__ == "__main__":
    unittest.main()
