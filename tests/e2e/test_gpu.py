"""GPU slots, lent by spaces-launcher. No GPU is needed: device nodes are stand-ins (mknod of /dev/zero and
its kin under another name), and what processes use is what a file of the provider `fake` says.

The numbers in the tests' comments are those of the attack list in docs/sandbox.md.
"""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "support"))
import launch_driver as launch  # noqa: E402

PYTHON = "/usr/bin/python3"
MIB = 1 << 20
CONFLICT, LIMIT = "is taken", "left"


def setUpModule():
    if os.geteuid() != 0:
        raise unittest.SkipTest("needs root: spaces-launcher builds sandboxes as root")
    if not os.path.exists(os.path.join(launch.BUILD, "spaces-gpu")):
        raise unittest.SkipTest("needs build: %s/spaces-gpu" % launch.BUILD)
    probe = launch.Launcher()
    hello = probe.hello()
    probe.close()
    probe.remove()
    if not hello.complete:
        raise unittest.SkipTest("needs userns: " + hello.missing)


def slot(name, minor, kind="whole", memory=1024 * MIB, **more):
    return dict({"id": name, "kind": kind, "uuid": name, "model": "Stand-in", "memory": memory,
                 "nodes": [{"path": "/dev/fake-gpu-%s" % name, "major": 1, "minor": minor}],
                 "env": ["CUDA_VISIBLE_DEVICES=" + name]}, **more)


class Case(unittest.TestCase):
    env = None
    wrap = ()

    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="spaces-gpu-")
        os.chmod(self.folder, 0o755)
        self.fake = os.path.join(self.folder, "gpus.json")
        self.l = None

    def launch(self, *options, **more):
        self.l = launch.Launcher(options=options, **more)
        return self.l.hello()

    def launch_fake(self, slots, mounts=(), usage=(), options=()):
        self.write(slots, mounts, usage)
        return self.launch("--gpu-provider", "fake", "--gpu-fake-file", self.fake, *options)

    def write(self, slots, mounts=(), usage=()):
        """In place: the launcher holds the file open."""
        text = json.dumps({"provider": "fake", "slots": slots, "mounts": list(mounts), "usage": list(usage)})
        with open(self.fake, "w", encoding="utf-8") as f:
            f.write(text)

    def tearDown(self):
        if self.l:
            if self.l.sock.fileno() >= 0:
                self.assertEqual(self.l.close(), 0)
            self.assertEqual(launch.processes_of(self.l.state_id), [])
            self.assertEqual(launch.groups_of(self.l.state_id), [])
            self.assertEqual(launch.mounts_of(self.l.state), [])
            self.l.remove()
        subprocess.run(["rm", "-rf", self.folder], check=True)

    def python(self, box, code):
        exited, text = self.l.run(box, [PYTHON, "-c", code])
        self.assertEqual(exited.status, 0, text)
        return text

    def refused(self, said, **limits):
        with self.assertRaisesRegex(RuntimeError, said):
            self.l.sandbox(**limits)

    def slots(self, hello):
        return [self.l.ask(launch.GPUS, body=i.to_bytes(4, "little")).gpu for i in range(hello.n_gpus)]


def status_of(name, parent):
    """/proc/PID/status of the child of this name, or None."""
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open("/proc/%s/status" % pid, encoding="utf-8", errors="replace") as file:
                status = dict(line.rstrip("\n").split(":\t", 1) for line in file if ":\t" in line)
        except OSError:
            continue
        if status["Name"] == name and status["PPid"] == str(parent) and not status["State"].startswith("Z"):
            return status
    return None


def wait_for(fact, seconds=10):
    end = time.monotonic() + seconds
    while not (found := fact()):
        if time.monotonic() > end:
            raise AssertionError("it did not come to be within %d s" % seconds)
        time.sleep(0.02)
    return found


OPEN = """
import errno, os
for path in %r:
    try:
        fd = os.open(path, os.O_RDWR)
        print(path, "open", len(os.read(fd, 4)))
    except OSError as e:
        print(path, errno.errorcode[e.errno])
"""


class Slots(Case):
    def test_the_node_of_a_slot_opens_and_that_of_another_is_not_there_55(self):
        self.launch_fake([slot("a", 5), slot("b", 9)])
        box = self.l.sandbox(gpus=[("a", 0)])
        text = self.python(box, OPEN % (["/dev/fake-gpu-a", "/dev/fake-gpu-b", "/dev/null", "/dev/shm"],))
        self.assertIn("/dev/fake-gpu-a open 4", text)
        self.assertIn("/dev/fake-gpu-b ENOENT", text)
        self.assertIn("/dev/null open 0", text)

    def test_a_node_that_the_app_makes_itself_is_refused_55(self):
        self.launch_fake([slot("a", 5), slot("b", 9)])
        box = self.l.sandbox(gpus=[("a", 0)])
        text = self.python(box, """
import errno, os, stat
for place in ("/dev/x", "/tmp/x", "/dev/shm/x", "/home/user/app/x"):
    try:
        os.mknod(place, 0o666 | stat.S_IFCHR, os.makedev(1, 9))
        print("made", place)
    except OSError as e:
        print(errno.errorcode[e.errno])
try:
    os.unlink("/dev/fake-gpu-a")
except OSError as e:
    print(errno.errorcode[e.errno])
""")
        self.assertNotIn("made", text)
        self.assertEqual(set(text.split()) - {"EPERM", "EROFS", "EACCES"}, set(), text)

    def test_requests_of_the_driver_pass_the_filter_only_with_a_lease_55(self):
        self.launch_fake([slot("a", 5)])
        code = """
import errno, fcntl, os
fd = os.open(%r, os.O_RDWR)
for request in (0xc020462b, 0x30000001, 0x5412):
    try:
        fcntl.ioctl(fd, request, bytes(64))
    except OSError as e:
        print(errno.errorcode[e.errno])
"""
        with_lease = self.python(self.l.sandbox(gpus=[("a", 0)]), code % "/dev/fake-gpu-a")
        self.assertEqual(with_lease.split(), ["ENOTTY", "ENOTTY", "EPERM"])  # a stand-in knows no request
        self.assertEqual(self.python(self.l.sandbox(), code % "/dev/zero").split(), ["EPERM"] * 3)

    def test_a_sandbox_without_a_slot_has_no_node(self):
        self.launch_fake([slot("a", 5)])
        self.assertEqual(self.python(self.l.sandbox(), OPEN % (["/dev/fake-gpu-a"],)).split()[1], "ENOENT")

    def test_the_environment_of_the_slots_wins_over_the_daemons(self):
        self.launch_fake([slot("a", 5), slot("b", 9, kind="shared")])
        box = self.l.sandbox(gpus=[("a", 0), ("b", 64 * MIB)])
        worker = self.l.worker(box, [PYTHON, "-c", "import os; print(dict(os.environ))", "two words"],
                               env=("PATH=/usr/bin", "CUDA_VISIBLE_DEVICES=all", "LAST=1"))
        text = self.l.read_log(worker)
        self.assertIn("'CUDA_VISIBLE_DEVICES': 'a,b'", text)
        self.assertIn("'LAST': '1'", text)
        self.assertIn("'SPACES_GPU_MEMORY_BYTES': '%d'" % (64 * MIB), text)

    def test_whole_and_mig_slots_have_one_holder_until_nothing_is_left_of_it(self):
        self.launch_fake([slot("a", 5), slot("m", 9, kind="mig")])
        box = self.l.sandbox(gpus=[("a", 0)])
        self.refused("'a' is taken", gpus=[("a", 0)])
        self.refused("'a' is taken", gpus=[("m", 0), ("a", 0)])
        other = self.l.sandbox(gpus=[("m", 0)])  # the refusal has let go of it
        self.refused("'m' is taken", gpus=[("m", 0)])
        self.l.stop(box)
        again = self.l.sandbox(gpus=[("a", 0)])
        self.l.stop(again)
        self.l.stop(other)

    def test_shared_slots_are_lent_up_to_their_memory(self):
        self.launch_fake([slot("s", 5, kind="shared")])
        first = self.l.sandbox(gpus=[("s", 600 * MIB)])
        self.refused("424 of 1024 MiB left", gpus=[("s", 425 * MIB)])
        self.l.sandbox(gpus=[("s", 424 * MIB)])
        self.refused("0 of 1024 MiB left", gpus=[("s", 1)])
        self.l.stop(first)
        self.l.sandbox(gpus=[("s", 600 * MIB)])

    def test_a_lease_ends_with_its_processes_and_a_kept_descriptor_with_them_55(self):
        self.launch_fake([slot("a", 5)])
        box = self.l.sandbox(gpus=[("a", 0)])
        worker = self.l.worker(box, [PYTHON, "-c", """
import os, signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
fd = os.open("/dev/fake-gpu-a", os.O_RDWR)
if os.fork() == 0:
    os.setsid()
print("holding", flush=True)
while True:
    time.sleep(1)
    os.read(fd, 1)
"""])
        self.l.read_log(worker, b"holding\nholding")
        holders = [pid for pid in launch.processes_of(self.l.state_id)
                   if any(self.leads_to(pid, fd) for fd in self.fds(pid))]
        self.assertEqual(len(holders), 2)
        self.refused("taken", gpus=[("a", 0)])
        self.l.stop(box, grace_ms=10)
        for pid in holders:
            self.assertFalse(os.path.exists("/proc/%d/fd" % pid) and self.fds(pid), pid)
        self.l.sandbox(gpus=[("a", 0)])

    @staticmethod
    def fds(pid):
        try:
            return os.listdir("/proc/%d/fd" % pid)
        except OSError:
            return []

    @staticmethod
    def leads_to(pid, fd):
        try:
            return os.readlink("/proc/%d/fd/%s" % (pid, fd)).endswith("fake-gpu-a")
        except OSError:
            return False

    def test_what_is_asked_for_is_checked_word_by_word(self):
        self.launch_fake([slot("a", 5), slot("s", 9, kind="shared")])
        self.refused("there is no GPU slot 'x'", gpus=[("x", 0)])
        self.refused("there is no GPU slot ''", gpus=[("", 0)])
        self.refused("named twice", gpus=[("s", MIB), ("s", MIB)])
        self.refused("is not shared", gpus=[("a", MIB)])
        self.refused("has a size", gpus=[("s", 0)])
        self.l.sandbox(gpus=[("a", 0), ("s", 1024 * MIB)])

    def test_the_daemon_can_ask_for_the_inventory(self):
        hello = self.launch_fake([slot("a", 5), slot("m", 7, kind="mig"), slot("s", 9, kind="shared")])
        self.l.sandbox(gpus=[("s", 64 * MIB)])
        a, m, s = self.slots(hello)
        self.assertEqual((a.id, a.kind, a.holders, a.memory), ("a", 1, 0, 1024 * MIB))
        self.assertEqual((s.id, s.kind, s.holders, s.lent), ("s", 3, 1, 64 * MIB))
        self.assertIn("hard limit", a.promise)
        self.assertIn("hard limit", m.promise)
        self.assertIn("cooperative", s.promise)
        self.assertEqual(self.l.ask(launch.GPUS, body=(3).to_bytes(4, "little")).kind, launch.FAILED)


class Inventory(Case):
    def test_without_a_gpu_a_request_is_refused_with_the_reason(self):
        hello = self.launch("--gpu-provider", "none")
        self.assertEqual((hello.n_gpus, hello.gpus_why), (0, "gpu.provider is none"))
        self.refused("this host has no GPU slot: gpu.provider is none", gpus=[("a", 0)])

    def test_devices_that_are_no_gpus_are_never_lent(self):
        bad = [("mem", "/dev/mem", 1, 1), ("kmsg", "/dev/fake-gpu-k", 1, 11), ("disk", "/dev/vda", 254, 0),
               ("modeset", "/dev/nvidia-modeset", 195, 254), ("card", "/dev/dri/card0", 226, 0),
               ("wrong", "/dev/nvidia0", 1, 1), ("number", "/dev/nvidia0", 195, 1),
               ("caps", "/dev/nvidia-caps/nvidia-cap1", 1, 1)]
        hello = self.launch_fake([slot(name, 5, nodes=[{"path": path, "major": major, "minor": minor}])
                                  for name, path, major, minor in bad] + [slot("good", 5)])
        self.assertEqual([s.id for s in self.slots(hello)], ["good"])
        self.assertIn("is not a GPU driver", hello.gpus_why)

    def test_a_whole_slot_is_not_lent_under_two_names(self):
        node = [{"path": "/dev/fake-gpu0", "major": 1, "minor": 5}]
        hello = self.launch_fake([slot("a", 5, nodes=node), slot("b", 5, nodes=node)])
        self.assertEqual([s.id for s in self.slots(hello)], ["a"])
        self.assertIn("slot b has a whole slot's device", hello.gpus_why)

    def test_an_inventory_that_is_not_understood_is_refused_whole(self):
        for text in ("", "{", '{"slots": [{"id": "a", "kind": "odd"}]}', '{"slots": 3}', '{"more": 1}',
                     json.dumps({"slots": [slot("a", 5), slot("a", 7)]}),
                     json.dumps({"slots": [slot("a", 5, env=["LD PRELOAD=/x"])]}),
                     json.dumps({"slots": [slot("a", 5, nodes=[{"path": "/dev/../etc", "major": 1, "minor": 5}])]}),
                     '{"slots": []}' + " " * 300000):
            with open(self.fake, "w", encoding="utf-8") as f:
                f.write(text)
            hello = self.launch("--gpu-provider", "fake", "--gpu-fake-file", self.fake)
            self.assertEqual(hello.n_gpus, 0, text[:80])
            self.assertIn("fake", hello.gpus_why)
            self.assertEqual(self.l.close(), 0)
            self.l.remove()
            self.l = None

    def test_the_drivers_files_come_read_only_from_root_alone(self):
        good, mine, link = (os.path.join(self.folder, n) for n in ("libfake.so.1.2.3", "libmine.so.1", "liblink.so.1"))
        for path in (good, mine):
            with open(path, "w", encoding="utf-8") as f:
                f.write("driver")
            os.chmod(path, 0o644)
        os.chown(mine, 1000, 1000)
        os.symlink(good, link)
        self.launch_fake([slot("a", 5)], mounts=[{"host": p, "inside": p} for p in (good, mine, link, "/etc/shadow")])
        text = self.python(self.l.sandbox(gpus=[("a", 0)]), """
import os
print(sorted(os.listdir("/run/gpu")), end=" ", flush=True)
print(open("/run/gpu/libfake.so.1").read(), os.environ["LD_LIBRARY_PATH"])
try:
    open("/run/gpu/libfake.so.1", "w")
except OSError as e:
    print(e.strerror)
try:
    open("/run/gpu/new", "w")
except OSError as e:
    print(e.strerror)
""")
        self.assertEqual(text, "['libfake.so.1', 'libfake.so.1.2.3'] driver /run/gpu\n" +
                         "Read-only file system\n" * 2)
        self.assertEqual(self.python(self.l.sandbox(), "import os; print(os.listdir('/run/gpu'))"), "[]\n")


class Memory(Case):
    def hit(self, box):
        return self.l.event(launch.LIMIT_HIT, sandbox=box)

    def test_a_share_overdrawn_for_two_readings_ends_the_sandbox_with_the_reason(self):
        slots = [slot("s", 5, kind="shared")]
        self.launch_fake(slots)
        box, calm = (self.l.sandbox(gpus=[("s", 100 * MIB)]) for _ in range(2))
        greedy, quiet = (self.l.worker(b, [PYTHON, "-c", "import time; print('up', flush=True); time.sleep(99)"])
                         for b in (box, calm))
        for worker in (greedy, quiet):
            self.l.read_log(worker, b"up")
        pids = self.app_pids()
        self.assertEqual(len(pids), 2)
        begun = time.monotonic()
        self.write(slots, usage=[{"pid": pid, "slot": "s", "bytes": 101 * MIB if self.box_of(pid, box) else 100 * MIB}
                                 for pid in pids])
        hit = self.hit(box)
        self.assertEqual((hit.limit, hit.usage.gpu_memory), (launch.LIMIT_GPU_MEMORY, 101 * MIB))
        self.assertGreater(time.monotonic() - begun, 0.9)  # one reading is not enough; they come once a second
        self.assertEqual(self.l.event(launch.WORKER_EXITED, worker=greedy).signal, signal.SIGKILL)
        self.l.event(launch.SANDBOX_GONE, sandbox=box)
        usage = self.l.ask(launch.USAGE, sandbox=calm).usage
        self.assertEqual(usage.gpu_memory, 100 * MIB)
        self.l.sandbox(gpus=[("s", 900 * MIB)])  # its share is free again

    def app_pids(self):
        found = []
        for pid in launch.processes_of(self.l.state_id):
            with open("/proc/%d/cmdline" % pid, "rb") as f:
                if b"time.sleep(99)" in f.read():
                    found.append(pid)
        return found

    def box_of(self, pid, box):
        """The first sandbox's worker has the lower pid: it was started first."""
        return pid == min(self.app_pids()) and box == min(self.l.next_id, box)

    def test_the_watch_runs_only_while_something_is_lent(self):
        self.launch_fake([slot("a", 5)])
        self.assertEqual(self.watchers(), 0)
        box = self.l.sandbox(gpus=[("a", 0)])
        self.wait_for_watchers(1)
        self.l.stop(box)
        self.wait_for_watchers(0)

    def test_a_watch_that_dies_is_started_again(self):
        slots = [slot("s", 5, kind="shared")]
        self.launch_fake(slots)
        box = self.l.sandbox(gpus=[("s", MIB)])
        self.wait_for_watchers(1)
        worker = self.l.worker(box, [PYTHON, "-c", "import time; print('up', flush=True); time.sleep(99)"])
        self.l.read_log(worker, b"up")
        self.write([], usage=[])
        with open(self.fake, "w", encoding="utf-8") as f:
            f.write("nonsense")
        self.wait_for_watchers(0)
        self.write(slots, usage=[{"pid": self.app_pids()[0], "slot": "s", "bytes": 2 * MIB}])
        self.assertEqual(self.hit(box).limit, launch.LIMIT_GPU_MEMORY)

    def watchers(self):
        count = 0
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                with open("/proc/%s/stat" % pid, encoding="utf-8", errors="replace") as f:
                    name, rest = f.read().split("(", 1)[1].rsplit(")", 1)
                count += name == "spaces-gpu" and rest.split()[1] == str(self.l.process.pid)
            except OSError:
                pass
        return count

    def wait_for_watchers(self, n):
        end = time.monotonic() + 10
        while self.watchers() != n:
            self.assertLess(time.monotonic(), end, "%d watchers" % self.watchers())
            time.sleep(0.02)


if __name__ == "__main__":
    unittest.main()
