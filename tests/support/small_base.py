"""A root file system small enough to be made by a test, out of what this host has: busybox, Python and their libraries."""

import glob
import os
import re
import shutil
import subprocess
import sys

BUSYBOX = "/bin/busybox"
APPLETS = ("sh", "cat", "ls", "id", "touch", "true", "false", "sleep", "stat", "mkdir", "ln", "readlink", "echo", "test", "env", "kill")
FOLDERS = ("usr/bin", "usr/lib", "usr/lib64", "etc", "opt", "root", "srv", "var/lib", "proc", "dev", "sys", "tmp", "run", "home")
LINKS = {"bin": "usr/bin", "sbin": "usr/bin", "lib": "usr/lib", "lib64": "usr/lib64"}
NOT_NEEDED = ("__pycache__", "test", "idlelib", "lib2to3", "tkinter", "ensurepip", "pydoc_data", "turtledemo", "dist-packages",
              "config-*", "unittest")
MARK = "a base of a test\n"


def missing():
    """Why it cannot be made here, or None."""
    return None if os.path.exists(BUSYBOX) else "needs busybox-static: " + BUSYBOX


def libraries(*programs):
    """What the loader would bring, as paths."""
    found = set()
    for program in programs:
        text = subprocess.run(["ldd", program], capture_output=True, text=True, check=False).stdout
        found.update(re.findall(r"(/\S+) \(0x", text))
    return found


def put_python(root):
    home = "usr/lib/python%d.%d" % sys.version_info[:2]
    shutil.copy2(os.path.realpath("/usr/bin/python3"), root + "/usr/bin/python3")
    shutil.copytree("/" + home, os.path.join(root, home), symlinks=False, ignore_dangling_symlinks=True,
                    ignore=shutil.ignore_patterns(*NOT_NEEDED))
    for library in {"/lib/%s-linux-gnu/librt.so.1" % os.uname().machine} | libraries("/usr/bin/python3", *glob.glob("/" + home + "/lib-dynload/*.so")):
        target = root + re.sub(r"^/(lib|lib64)/", r"/usr/\1/", library)
        os.makedirs(os.path.dirname(target), exist_ok=True)
        shutil.copy2(os.path.realpath(library), target)


def build(root, python=False):
    """Into `root`, a folder that is not there yet."""
    for folder in FOLDERS:
        os.makedirs(os.path.join(root, folder))
    for name, target in LINKS.items():
        os.symlink(target, os.path.join(root, name))
    shutil.copy2(BUSYBOX, root + "/usr/bin/busybox")
    for applet in APPLETS:
        os.symlink("busybox", os.path.join(root, "usr/bin", applet))
    for name, text in {"etc/passwd": "root:x:0:0:root:/root:/bin/sh\nuser:x:1000:1000::/home/user:/bin/sh\n",
                       "etc/group": "root:x:0:\nuser:x:1000:\n", "etc/base-mark": MARK}.items():
        with open(os.path.join(root, name), "w", encoding="utf-8") as file:
            file.write(text)
    if python:
        put_python(root)
    return root


def give(path, uid):
    """All of it to a user, as a daemon that had made it would have it."""
    os.lchown(path, uid, uid)
    for folder, names, leaves in os.walk(path):
        for name in names + leaves:
            os.lchown(os.path.join(folder, name), uid, uid)
