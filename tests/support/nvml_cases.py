"""What must hold of a lease of an NVIDIA GPU, on a real one (tests/e2e/gpu_real.py) as on stand-ins
(tests/e2e/test_gpu_nvml.py). A class that has these provides start(), which launches and returns the answer to
HELLO, and `minors`: slot id -> minor number of /dev/nvidiaN.
"""

import os
import subprocess

import launch_driver as launch

PYTHON = "/usr/bin/python3"

# What NVML says inside: one UUID a line, or how it failed.
ASK_NVML = """
import ctypes
try:
    nvml = ctypes.CDLL("libnvidia-ml.so.1")
except OSError as error:
    raise SystemExit(print("no library"))
r = nvml.nvmlInit_v2()
if r:
    raise SystemExit(print("init", r))
n = ctypes.c_uint()
assert nvml.nvmlDeviceGetCount_v2(ctypes.byref(n)) == 0
for i in range(n.value):
    dev, uuid = ctypes.c_void_p(), ctypes.create_string_buffer(96)
    if nvml.nvmlDeviceGetHandleByIndex_v2(i, ctypes.byref(dev)) == 0:
        assert nvml.nvmlDeviceGetUUID(dev, uuid, 96) == 0
        print(uuid.value.decode())
"""

NODES = """
import os
for folder, _, names in os.walk("/dev"):
    for name in names:
        if "nvidia" in name or "dri" in folder:
            print(os.path.join(folder, name)[5:])
"""

# Nodes in a folder that it may read and write, put there by a root of the host: the device filter alone is asked.
OPEN_GIVEN = """
import errno, os, sys
folder = sys.argv[1]
os.mkdir(folder)
print("made", flush=True)
os.read(3, 1)
for name in sorted(os.listdir(folder), key=int):
    try:
        os.open(os.path.join(folder, name), os.O_RDWR)
        print("OK")
    except OSError as e:
        print(errno.errorcode[e.errno])
"""

# On a plain file: none is understood, but the filter judges the number first.
REQUESTS = """
import errno, fcntl
with open("/tmp/requests", "wb") as file:
    for request in (0xc020462b, 0x30000001, 0x5412):
        try:
            fcntl.ioctl(file, request, bytes(64))
            print("OK")
        except OSError as e:
            print(errno.errorcode[e.errno])
"""


def try_numbers(l, box, numbers):
    """Puts device nodes into a sandbox that it has not asked for: a list of OK or the errno of opening each."""
    folder = "/tmp/given%d" % l.next_id
    worker = l.worker(box, [PYTHON, "-c", OPEN_GIVEN, folder])
    l.read_log(worker, b"made")
    pid = next(pid for pid in launch.processes_of(l.state_id) if has_word(pid, folder))
    subprocess.run(["nsenter", "-t", str(pid), "-m", "sh", "-ec", "umask 0; mount -t tmpfs -o mode=755 given %s; " % folder + "; ".join(
        "mknod %s/%d c %d %d" % (folder, i, os.major(number), os.minor(number))
        for i, number in enumerate(numbers))], check=True)
    l.logs[worker][1].send(b"x")
    seen = l.read_log(worker).split()
    assert l.event(launch.WORKER_EXITED, worker=worker).status == 0 and len(seen) == len(numbers), seen
    l.close_log(worker)
    return seen


def has_word(pid, word):
    with open("/proc/%d/cmdline" % pid, "rb") as file:
        return word.encode() in file.read().split(b"\0")


class Lease:
    minors = {}

    def nodes_in(self, box):
        return sorted(self.python(box, NODES).split())

    def seen_by_nvml(self, box):
        return self.python(box, ASK_NVML).splitlines()

    def try_nodes(self, box, paths):
        """What opening nodes of these numbers gives in a sandbox, where it can be done by path."""
        numbers = [os.stat("/proc/%d/root%s" % (self.l.process.pid, path)).st_rdev for path in paths]
        return try_numbers(self.l, box, numbers)

    def first(self):
        """A whole slot."""
        return next(slot.id for slot in self.slots(self.start()) if slot.kind == 1)

    def test_the_holder_of_a_slot_has_its_node_and_no_other_gpus_55(self):
        name = self.first()
        nodes = self.nodes_in(self.l.sandbox(gpus=[(name, 0)]))
        self.assertIn("nvidia%d" % self.minors[name], nodes)
        self.assertLessEqual(set(nodes), {"nvidia%d" % self.minors[name], "nvidiactl", "nvidia-uvm", "nvidia-uvm-tools"})
        self.assertEqual(self.nodes_in(self.l.sandbox()), [])

    def test_nvml_in_the_sandbox_tells_of_the_slots_gpu_alone(self):
        name = self.first()
        self.assertEqual(self.seen_by_nvml(self.l.sandbox(gpus=[(name, 0)])), [name])
        without = self.seen_by_nvml(self.l.sandbox())
        self.assertTrue(without == ["no library"] or without[:1] and without[0].startswith("init"), without)

    def test_the_device_filter_opens_the_slots_nodes_and_no_others_55(self):
        name = self.first()
        own, ctl = "/dev/nvidia%d" % self.minors[name], "/dev/nvidiactl"
        others = ["/dev/nvidia%d" % minor for slot, minor in self.minors.items() if slot != name]
        seen = self.try_nodes(self.l.sandbox(gpus=[(name, 0)]), [own, ctl, *others])
        self.assertLessEqual(set(seen[:2]), {"OK", "ENXIO"})
        self.assertEqual(seen[2:], ["EPERM"] * len(others))
        self.assertEqual(self.try_nodes(self.l.sandbox(), [own, ctl, *others]), ["EPERM"] * (2 + len(others)))

    def test_the_drivers_requests_pass_the_filter_with_a_lease_alone_55(self):
        name = self.first()
        self.assertEqual(self.python(self.l.sandbox(gpus=[(name, 0)]), REQUESTS).split(), ["ENOTTY", "ENOTTY", "EPERM"])
        self.assertEqual(self.python(self.l.sandbox(), REQUESTS).split(), ["EPERM"] * 3)

    def test_a_whole_slot_has_one_holder_at_a_time(self):
        name = self.first()
        box = self.l.sandbox(gpus=[(name, 0)])
        self.refused("is taken", gpus=[(name, 0)])
        self.l.stop(box)
        self.l.stop(self.l.sandbox(gpus=[(name, 0)]))
