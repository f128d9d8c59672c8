"""GPU slots: nodes of NVIDIA's names and numbers that no driver stands behind. One opens with ENXIO where the device
filter lets it through (OK where there is a driver), and with EPERM where not."""

import contextlib
import json
import os
import shutil
import tempfile

import gpu_host
import nvml_cases
from escape import PYTHON, launch, story, words

CAPS = 510
DEVICES = "Character devices:\n195 nvidia\n%d nvidia-caps\n\nBlock devices:\n" % CAPS
CTL = ("/dev/nvidiactl", 195, 255)
SLOTS = {"whole": [("/dev/nvidia0", 195, 0), CTL], "other": [("/dev/nvidia1", 195, 1), CTL],
         "mig1": [("/dev/nvidia2", 195, 2), CTL, *(("/dev/nvidia-caps/nvidia-cap%d" % i, CAPS, i) for i in (12, 13))],
         "mig2": [("/dev/nvidia2", 195, 2), CTL, *(("/dev/nvidia-caps/nvidia-cap%d" % i, CAPS, i) for i in (21, 22))],
         "kept": [("/dev/fake-gpu-kept", 1, 9)]}
ALL = sorted({node for slot in ("whole", "other", "mig1", "mig2") for node in SLOTS[slot]} |
             {("/dev/nvidia-modeset", 195, 254), ("/dev/nvidia-caps/nvidia-cap1", CAPS, 1),
              ("/dev/dri/card0", 226, 0), ("/dev/dri/renderD128", 226, 128)})
THROUGH = ("ENXIO", "OK")

# Each node: by its name, by other ways to the same name, and made anew in every place that can be written.
TRY = """
import errno, json, os, stat, sys
def attempt(function, *args):
    try:
        function(*args)
        return "OK"
    except OSError as e:
        return errno.errorcode[e.errno]
for path, major, minor in json.loads(sys.argv[1]):
    ways = [path, "/proc/self/root" + path, "/proc/1/root" + path, "/proc/self/cwd/../../.." + path,
            "/dev/char/%d:%d" % (major, minor)]
    made = []
    for place in ("/tmp/node", "/dev/shm/node", "/dev/node", "/home/user/app/node", "/home/user/node"):
        made.append(attempt(os.mknod, place, 0o666 | stat.S_IFCHR, os.makedev(major, minor)))
        made.append(attempt(os.open, place, os.O_RDWR))
    print(json.dumps([path, [attempt(os.open, way, os.O_RDWR) for way in ways], made]))
"""

HOLD = """
import os, signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
fd = os.open("/dev/fake-gpu-kept", os.O_RDWR)
if os.fork() == 0:
    os.setsid()
print("holding", flush=True)
while True:
    time.sleep(1)
"""


@contextlib.contextmanager
def lender(t):
    """A launcher with these slots, on a host that has the nodes."""
    folder = tempfile.mkdtemp(prefix="spaces-escape-gpu-")
    launcher = None
    try:
        with open(os.path.join(folder, "devices"), "w", encoding="utf-8") as file:
            file.write(DEVICES)
        fake = os.path.join(folder, "gpus.json")
        with open(fake, "w", encoding="utf-8") as file:
            json.dump({"slots": [
                {"id": name, "kind": "mig" if name.startswith("mig") else "whole", "memory": 1 << 30,
                 "nodes": [dict(zip(("path", "major", "minor"), node)) for node in nodes]}
                for name, nodes in SLOTS.items()]}, file)
        wrap = gpu_host.wrap(folder, [node for node in ALL if "dri" not in node[0]],
                             [["/proc/devices", os.path.join(folder, "devices")]])
        launcher = launch.Launcher(wrap=wrap, state_id=os.urandom(8).hex(),
                                   options=["--gpu-provider", "fake", "--gpu-fake-file", fake,
                                            *(["--run-as-root-inside"] if t.uid == 0 else [])])
        hello = launcher.hello()
        t.expect(hello.complete and hello.n_gpus == len(SLOTS), "%s %s" % (hello.missing, hello.gpus_why))
        yield launcher
        t.expect(launcher.close() == 0, "the launcher did not end well")
    finally:
        if launcher:
            launcher.process.kill()
            launcher.process.wait()
            launcher.remove()
        shutil.rmtree(folder)


def try_all(t, launcher, box, own):
    """What was seen of nodes that are not its own; its own open, by name and by number."""
    exited, text = launcher.run(box, [PYTHON, "-c", TRY, json.dumps(ALL)])
    t.expect(exited.status == 0, text)
    by_number = nvml_cases.try_numbers(launcher, box, [os.makedev(*node[1:]) for node in ALL])
    seen = set()
    for line, number in zip(text.splitlines(), by_number):
        path, ways, made = json.loads(line)
        t.expect("OK" not in made, "%s was made: %r" % (path, made))
        if path in own:
            t.expect(ways[0] in THROUGH and number in THROUGH, "its own %s: %r, %s" % (path, ways, number))
        else:
            t.expect(not {*ways, number} & {*THROUGH}, "%s: %r, %s" % (path, ways, number))
            t.expect(number == "EPERM", "%s is let through by the device filter: %s" % (path, number))
            seen |= {*ways, number}
    t.expect(len(by_number) == len(ALL) == len(text.splitlines()), "not all were tried: " + text)
    return seen


@story(55, "GPU nodes without a slot: by name, made by mknod, or put there by a root of the host",
       "ENOENT or EACCES by name; EPERM by number")
def without_a_slot(t):
    with lender(t) as launcher:
        return words(try_all(t, launcher, launcher.sandbox(), []))


@story(55, "GPU nodes of another slot, capabilities of another MIG instance, modeset, card nodes, with a slot of its own",
       "its own open; ENOENT or EACCES by name, EPERM by number for the rest")
def with_a_slot(t):
    seen = set()
    with lender(t) as launcher:
        for slot in ("whole", "mig1"):
            seen |= try_all(t, launcher, launcher.sandbox(gpus=[(slot, 0)]), [node[0] for node in SLOTS[slot]])
    return words(seen)


@story(55, "a descriptor of a GPU kept past the end of the lease", "its processes end before the slot is lent again")
def kept(t):
    with lender(t) as launcher:
        box = launcher.sandbox(gpus=[("kept", 0)])
        worker = launcher.worker(box, [PYTHON, "-c", HOLD])
        launcher.read_log(worker, b"holding\nholding")
        holders = [pid for pid in launch.processes_of(launcher.state_id) if holds(pid)]
        t.expect(len(holders) == 2, "%d holders" % len(holders))
        launcher.stop(box, grace_ms=0)
        t.expect(not [pid for pid in holders if holds(pid)], "a descriptor lives on")
        launcher.stop(launcher.sandbox(gpus=[("kept", 0)]))
    return "ended"


def holds(pid):
    folder = "/proc/%d/fd" % pid
    with contextlib.suppress(OSError):
        return any(os.readlink(os.path.join(folder, fd)).endswith("/fake-gpu-kept") for fd in os.listdir(folder))
    return False
