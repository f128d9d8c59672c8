"""The host as it must be after each attack: counted before, and again until it is the same."""

import hashlib
import os
import socket
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "support"))
import launch_driver as launch  # noqa: E402

SETTINGS = ("kernel/core_pattern", "kernel/modprobe", "kernel/hostname", "kernel/domainname", "kernel/sysrq",
            "vm/overcommit_memory", "fs/suid_dumpable")
FILES = ("/etc/passwd", "/etc/shadow", "/etc/group", "/etc/hosts", "/etc/ld.so.cache")


def read(path):
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError as error:
        return str(error.errno).encode()


def reap():
    """The runner is pid 1 of its namespace: orphans of a killed launcher are its own to bury."""
    for pid in filter(str.isdigit, os.listdir("/proc")):
        fields = read("/proc/%s/stat" % pid).decode(errors="replace").rsplit(")", 1)[-1].split()
        if len(fields) > 1 and fields[0] == "Z" and int(fields[1]) == os.getpid():
            os.waitpid(int(pid), os.WNOHANG)


def processes():
    """Names of all that live in this pid namespace: the runner, the launchers and what is in the sandboxes."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        text = read("/proc/%s/stat" % pid).decode(errors="replace")
        if ")" in text and text.rsplit(")", 1)[1].split()[0] != "Z":
            found.append(text.split("(", 1)[1].rsplit(")", 1)[0])
    return sorted(found)


def namespaces(kind):
    found = set()
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            found.add(os.readlink("/proc/%s/ns/%s" % (pid, kind)))
        except OSError:
            pass
    return len(found)


def mounts(pid):
    return sorted(line.split(" ", 3)[3] for line in read("/proc/%s/mountinfo" % pid).decode().splitlines())


def files(top, without):
    """Everything below, but for what apps may make: the Spaces' own files."""
    found = {}
    for folder, names, leaves in os.walk(top):
        names[:] = [name for name in names if os.path.join(folder, name) not in without]
        for name in names + leaves:
            path = os.path.join(folder, name)
            st = os.lstat(path)
            found[path] = (st.st_mode, st.st_uid, st.st_gid, st.st_nlink if name in leaves else 0,
                           st.st_size if name in leaves else 0, st.st_mtime_ns if name in leaves else 0)
    return found


class Host:
    def __init__(self, launcher, build):
        self.launcher, self.build = launcher, build
        self.before = self.settle()

    def look(self):
        l = self.launcher
        reap()
        return {
            "processes": processes(),
            "mounts": mounts("self"),
            "launcher's mounts": mounts(l.process.pid),
            "launcher's descriptors": len(os.listdir("/proc/%d/fd" % l.process.pid)),
            "groups": len(launch.groups_of(l.state_id)),
            "interfaces": sorted(name for _, name in socket.if_nameindex()),
            "network namespaces": namespaces("net"),
            "mount namespaces": namespaces("mnt"),
            "user namespaces": namespaces("user"),
            "settings": [read("/proc/sys/" + name) for name in SETTINGS],
            "files": files("/tmp", {os.path.join(l.state, "files")}),
            "contents": [hashlib.sha256(read(path)).hexdigest() for path in
                         (*FILES, "/tmp/canary", os.path.join(self.build, "spaces-launcher"))],
            "space files": sorted(os.listdir("/tmp")),
        }

    def settle(self):
        """The state to which it comes back: with a spare sandbox ready, and quiet."""
        last, deadline = None, time.monotonic() + 15
        while time.monotonic() < deadline:
            now = self.look()
            if now == last and now["processes"].count("spaces-launcher") == 2:
                return now
            last = now
            time.sleep(0.1)
        raise AssertionError("the host does not come to rest: %r" % last)

    def differences(self, deadline_s=10):
        """What is not as before; waits for what is still on its way."""
        deadline = time.monotonic() + deadline_s
        while True:
            now = self.look()
            changed = [what for what in now if now[what] != self.before[what]]
            if not changed:
                return ""
            if time.monotonic() > deadline:
                return "; ".join("%s: %s" % (what, compare(self.before[what], now[what])) for what in changed)
            time.sleep(0.03)


def compare(before, now):
    if isinstance(before, dict):
        return "%r" % {key: (before.get(key), now.get(key)) for key in {*before, *now}
                       if before.get(key) != now.get(key)}
    if isinstance(before, list):
        return "new %r, gone %r" % ([x for x in now if x not in before], [x for x in before if x not in now])
    return "%r, before %r" % (now, before)
