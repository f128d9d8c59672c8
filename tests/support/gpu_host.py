#!/usr/bin/python3
"""A host with GPUs that this one does not have, for one program and its children: a mount namespace in which
/dev has more nodes, and files of /proc and /sys say something else. Nothing of it is seen outside.

    gpu_host.py FOLDER PROGRAM [ARGUMENT ...]

FOLDER/host.json: {"nodes": [["/dev/nvidia0", 195, 0], ...], "covers": [["/proc/devices", "FILE"], ...]}; a file or
folder FILE is seen where the first path is. A node that no driver stands behind opens with ENXIO where a
sandbox may have it, and with EPERM where it may not.
"""

import json
import os
import shutil
import stat
import subprocess
import sys


def wrap(folder, nodes=(), covers=()):
    """What to put before a program's arguments."""
    with open(os.path.join(folder, "host.json"), "w", encoding="utf-8") as file:
        json.dump({"nodes": list(nodes), "covers": list(covers)}, file)
    return ["unshare", "--mount", sys.executable, os.path.abspath(__file__), folder]


def mount(*words):
    subprocess.run(["mount", *words], check=True)


def copy_dev(to):
    """A /dev that can be added to: the host's own is not touched."""
    mount("-t", "tmpfs", "-o", "mode=755", "dev", to)
    for name in os.listdir("/dev"):
        path, copy = os.path.join("/dev", name), os.path.join(to, name)
        st = os.lstat(path)
        if stat.S_ISLNK(st.st_mode):
            os.symlink(os.readlink(path), copy)
        elif stat.S_ISDIR(st.st_mode):
            os.mkdir(copy)
            mount("--rbind", path, copy)
        elif stat.S_ISCHR(st.st_mode) or stat.S_ISBLK(st.st_mode):
            os.mknod(copy, st.st_mode, st.st_rdev)
            os.chmod(copy, stat.S_IMODE(st.st_mode))
    mount("--move", to, "/dev")


def grow(path, folder):
    """A folder that can be added to."""
    layers = os.path.join(folder, ".layers" + path.replace("/", "-"))
    os.makedirs(layers, exist_ok=True)
    mount("-t", "tmpfs", "layers", layers)
    for name in ("upper", "work"):
        os.mkdir(os.path.join(layers, name))
    mount("-t", "overlay", "-o", "lowerdir=%s,upperdir=%s/upper,workdir=%s/work" % (path, layers, layers), "grown", path)


def settle(folder):
    with open(os.path.join(folder, "host.json"), encoding="utf-8") as file:
        host = json.load(file)
    dev = os.path.join(folder, ".dev")
    proc = os.path.join(folder, ".proc")
    for each in (dev, proc):
        shutil.rmtree(each, ignore_errors=True)
        os.mkdir(each)
    # A sandbox may mount a proc of its own where one is seen whole; the covered one is not.
    mount("-t", "proc", "proc", proc)
    copy_dev(dev)
    for path, major, minor in host["nodes"]:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        os.mknod(path, 0o666 | stat.S_IFCHR, os.makedev(major, minor))
    for path, source in host["covers"]:
        if not os.path.exists(path):
            grow(os.path.dirname(path), folder)
            os.mkdir(path)
        mount("--bind", source, path)


if __name__ == "__main__":
    settle(sys.argv[1])
    os.execvp(sys.argv[2], sys.argv[2:])
