#!/usr/bin/python3
"""`make gpu-test`: a lease of a real NVIDIA GPU. The cases of a lease are those that test_gpu_nvml.py runs on stand-ins;
here the driver answers, and a program computes by CUDA.

Not part of `make test`. Exits with 77, neither success nor failure, where there is no such GPU; with 1 where there is
one and it cannot be tried, or a case fails. T=text picks cases.
"""

import glob
import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(os.path.dirname(HERE), "support")]
import launch_driver as launch  # noqa: E402
import nvml_cases  # noqa: E402
import tap  # noqa: E402
import test_gpu as gpu  # noqa: E402

NO_GPU = 77
MIB = 1 << 20

# Takes so many MiB of the first GPU, writes and reads back what it took, and waits.
COMPUTE = """
import ctypes, sys, time
cuda = ctypes.CDLL("libcuda.so.1")
def call(name, *args):
    r = getattr(cuda, name)(*args)
    if r:
        raise SystemExit(print(name, r, flush=True))
n, dev, context, at = ctypes.c_int(), ctypes.c_int(), ctypes.c_void_p(), ctypes.c_uint64()
call("cuInit", 0)
call("cuDeviceGetCount", ctypes.byref(n))
call("cuDeviceGet", ctypes.byref(dev), 0)
call("cuDevicePrimaryCtxRetain", ctypes.byref(context), dev)
call("cuCtxSetCurrent", context)
size = int(sys.argv[1]) << 20
call("cuMemAlloc_v2", ctypes.byref(at), ctypes.c_size_t(size))
call("cuMemsetD8_v2", at, ctypes.c_ubyte(7), ctypes.c_size_t(size))
back = ctypes.create_string_buffer(4096)
call("cuMemcpyDtoH_v2", back, at, ctypes.c_size_t(4096))
print("gpus", n.value, "right", back.raw == bytes([7]) * 4096, flush=True)
time.sleep(99)
"""


def gpus():
    """{uuid: minor}, as the driver itself tells it."""
    found = {}
    for path in glob.glob("/proc/driver/nvidia/gpus/*/information"):
        with open(path, encoding="utf-8", errors="replace") as file:
            lines = dict(line.split(":", 1) for line in file if ":" in line)
        found[lines.get("GPU UUID", "").strip()] = int(lines.get("Device Minor", "-1"))
    return {uuid: minor for uuid, minor in found.items() if os.path.exists("/dev/nvidia%d" % minor)}


class Real(nvml_cases.Lease, gpu.Case):
    def setUp(self):
        super().setUp()
        self.minors = gpus()

    def start(self, *options):
        hello = self.launch("--gpu-provider", "nvml", *options)
        self.assertGreater(hello.n_gpus, 0, hello.gpus_why)
        return hello

    def test_every_gpu_of_the_driver_is_a_slot_or_in_mig_mode(self):
        slots = self.slots(self.start())
        for uuid in self.minors:
            self.assertTrue(any(s.id == uuid or s.kind == 2 for s in slots), uuid)
        self.assertTrue(all(s.memory > 0 and s.model for s in slots))

    def test_an_instance_brings_two_capabilities_and_sees_itself_alone(self):
        slots = [s for s in self.slots(self.start()) if s.kind == 2]
        if not slots:
            self.skipTest("needs mig: no GPU of this host is in MIG mode")
        box = self.l.sandbox(gpus=[(slots[0].id, 0)])
        caps = [node for node in self.nodes_in(box) if "caps" in node]
        self.assertEqual(len(caps), 2, caps)
        self.assertEqual(len([node for node in self.nodes_in(box) if node[len("nvidia"):].isdigit()]), 1)

    def compute(self, box, mib):
        worker = self.l.worker(box, [gpu.PYTHON, "-c", COMPUTE, str(mib)])
        return worker, self.l.read_log(worker, b"\n", timeout=120)

    def test_a_program_computes_on_its_gpu_alone(self):
        name = self.first()
        _, said = self.compute(self.l.sandbox(gpus=[(name, 0)], memory=8 << 30, pids=256, nofile=1024), 64)
        self.assertEqual(said, "gpus 1 right True\n")

    def test_who_takes_more_than_its_share_is_ended(self):
        slots = [s for s in self.slots(self.start("--gpu-shared", "all")) if s.kind == 3]
        if not slots:
            self.skipTest("needs shares: " + self.l.hello().gpus_why)
        box = self.l.sandbox(gpus=[(slots[0].id, 512 * MIB)], memory=8 << 30, pids=256, nofile=1024)
        self.assertIn("right True", self.compute(box, 2048)[1])
        hit = self.l.event(launch.LIMIT_HIT, sandbox=box)
        self.assertEqual(hit.limit, launch.LIMIT_GPU_MEMORY)
        self.assertGreater(hit.usage.gpu_memory, 2048 * MIB)
        self.l.event(launch.SANDBOX_GONE, sandbox=box)


def main():
    if not gpus():
        print("no NVIDIA GPU on this host: nothing was tried")
        return NO_GPU
    try:
        gpu.setUpModule()
    except gpu.unittest.SkipTest as missing:
        print("there is an NVIDIA GPU, but it cannot be tried: %s" % missing)
        return 1
    sys.argv[1:] = [os.path.abspath(__file__)]
    return tap.main()


if __name__ == "__main__":
    sys.exit(main())
