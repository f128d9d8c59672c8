"""Ways to the host through files: nodes, /proc, /sys, descriptors, links, attributes, owners."""

import ctypes
import os
import struct
import threading

from escape import PYTHON, Case, launch, story

libc = ctypes.CDLL(None, use_errno=True)
NOT = "EACCES|EROFS|ENOENT"

CASES = [
    Case(12, "the host's devices by name: kvm, kmsg, mem, disks, loop, fuse, terminals, GPUs", ["host", "nodes"],
         "ENOENT"),
    Case(13, "core_pattern, modprobe, sysrq-trigger, uevent_helper and more of sysctl", ["host", "settings"], NOT,
         expected="EACCES, EROFS or ENOENT"),
    Case(14, "release_agent of a version 1 group (CVE-2022-0492)", ["host", "release_agent"],
         {"mount": "EPERM", "release_agent": "ENOENT", "notify": "ENOENT"}),
    Case(15, "cgroup files: procs, memory.max, cpu.max, kill, freeze", ["host", "groups"], "ENOENT"),
    Case(16, "the set-up program through /proc/self/exe and /proc/1/exe (CVE-2019-5736)", ["host", "exe"],
         {"self_exe": "ETXTBSY|EROFS|EACCES", "init_exe": "EACCES", "init_link": "EACCES", "init_fd_exe": "EACCES"},
         expected="EACCES, EROFS or ETXTBSY; the program's hash is the same"),
    Case(17, "leaked descriptors and working folder (CVE-2024-21626)", ["host", "leaks"],
         {"fds": "0,1,2,3", "init_fds": "EACCES", "init_cwd": "EACCES", "cwd": "/home/user/app", "up": "OK",
          "fd_up": "OK"}, expected="0-3 alone; pid 1's: EACCES; inside of the root"),
    Case(36, "other processes, and files of /proc and /sys that tell about the host", ["host", "names"],
         {"pids": "2", "sys": "0", "firmware": "ENOENT", "cgroups": "/", "hostname": "demo", "cmdline": "0|EACCES",
          "keys": "0|EACCES|ENOENT", "kcore": "0|EACCES|ENOENT", "kallsyms": "0|EACCES|ENOENT", "modules": "0|EACCES|ENOENT", "partitions": "0|EACCES|ENOENT",
          "timer_list": "0|EACCES|ENOENT", "sched_debug": "0|EACCES|ENOENT", "interrupts": "0|EACCES",
          "init_environ": "EACCES", "init_cmdline": "0|EACCES"},
         expected="two processes; empty or refused"),
    Case(51, "pid 1's root, namespaces, memory and maps", ["host", "init"], "EACCES"),
]


@story(20, "the folder of outputs is swapped for a link while sandboxes start", "no mount outside; refused or in place")
def swapped(t):
    """Two writers: the host's side swaps what the launcher opens, starts go on meanwhile."""
    top = os.path.join(t.launcher.state, "files", "%016x" % 0x20)
    t.run(t.sandbox(space=0x20), ["/bin/true"])
    outside = "/tmp/outside-%d" % t.uid
    os.mkdir(outside)
    ended, swaps = threading.Event(), [0]

    def swap():
        while not ended.is_set():
            exchange(top + "/o", top + "/link")
            swaps[0] += 1
        if os.path.islink(top + "/o"):
            exchange(top + "/o", top + "/link")
        os.unlink(top + "/link")
    os.symlink(outside, top + "/link")
    os.chown(top + "/link", launch.DAEMON_UID, launch.DAEMON_UID, follow_symlinks=False)
    thread = threading.Thread(target=swap)
    thread.start()
    started = refused = 0
    try:
        for _ in range(40):
            try:
                box = t.sandbox(space=0x20)
            except RuntimeError:
                refused += 1
                continue
            started += 1
            t.run(box, ["/bin/sh", "-c", "echo in > /run/files/o/made"])
            t.stop(box)
    finally:
        ended.set()
        thread.join()
    made = os.listdir(outside)
    for name in made:
        os.unlink(os.path.join(outside, name))
    os.rmdir(outside)
    t.expect(made == [], "written outside: %r" % made)
    t.expect(swaps[0] > 40 and started + refused == 40, "%d swaps" % swaps[0])
    return "nothing outside"


def exchange(one, other):
    """Two names change places in one step: there is no moment without a folder or a link."""
    if libc.renameat2(-100, one.encode(), -100, other.encode(), 2) < 0:
        raise OSError(ctypes.get_errno(), one)


def with_mode(t, program, owner, mode):
    path = os.path.join(t.launcher.state, "snapshots", launch.HASH, program)
    os.chown(path, owner, owner)
    os.chmod(path, mode)
    return path


@story(23, "a setuid and setgid program, owned by root and by the daemon", "the ids stay")
def setuid(t):
    for owner in (0, launch.DAEMON_UID):
        try:
            with_mode(t, "ids", owner, 0o6755)
            _, lines = t.attack("ids")
        finally:
            with_mode(t, "ids", launch.DAEMON_UID, 0o755)
        t.expect(lines["ids"] == "%d %d %d %d" % ((t.uid,) * 4), repr(lines))
        t.expect(int(lines["caps"], 16) == 0, repr(lines))
    return "the ids stay"


@story(24, "a program with file capabilities; giving them to one", "no gain; EPERM")
def capabilities(t):
    everything = struct.pack("<IIIII", 0x02000001, 0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff)
    path = os.path.join(t.launcher.state, "snapshots", launch.HASH, "ids")
    os.setxattr(path, "security.capability", everything)
    try:
        _, lines = t.attack("ids")
    finally:
        os.removexattr(path, "security.capability")
    t.expect(int(lines["caps"], 16) == 0, repr(lines))
    t.expect(lines["setcap"] == "EPERM", repr(lines))
    return "no capabilities, EPERM"


CASES += [
    Case(25, "ids outside of the map: setuid, setgid, setgroups, chown", ["ids", "map"],
         {"setuid": "EINVAL", "setgid": "EINVAL", "setgroups": "EPERM", "chown": "EINVAL", "other_uid": "EPERM",
          "other_gid": "EPERM", "chown_other": "EPERM"}),
    Case(50, "overlay: its attributes, a whiteout made by hand, copying a setuid file up (CVE-2023-0386)",
         ["overlay"], {"trusted_opaque": "EPERM", "trusted_redirect": "EPERM", "whiteout": "EPERM",
                       "user_opaque": "OK|ENOTSUP|EOPNOTSUPP|EPERM|EACCES", "upper": "ENOENT", "work": "ENOENT",
                       "unlink_rename": "OK|EACCES", "setuid_copy": "0|EACCES|EPERM"},
         expected="EPERM; no effect on the snapshot"),
]


@story(51, "the set-up of another worker, looked at before its exec", "never the launcher's program")
def before_exec(t):
    box = t.sandbox()
    worker = t.start(box, "watch", until="watching")
    for _ in range(30):
        t.run(box, ["/bin/true"])
    with open(os.path.join(t.launcher.state, "files", "%016x" % 7, "o", "end"), "w", encoding="utf-8"):
        pass
    text = t.launcher.read_log(worker)
    t.launcher.event(launch.WORKER_EXITED, worker=worker)
    lines = dict(line.split(" ", 1) for line in text.splitlines())
    t.expect(int(lines["looked"]) > 0, text)
    t.expect(lines["launcher"] == "0" and lines["namespaces"] == "0", text)
    return "never seen"


@story(47, "the daemon's environment and tokens", "only listed variables")
def environment(t):
    box = t.sandbox()
    _, text = t.run(box, [PYTHON, "-c", "import os; print(*sorted(os.environ))"])
    t.expect(text.split() == ["HOME", "LANG", "PATH"], text)
    _, text = t.run(box, ["/bin/sh", "-c", "cat /proc/*/environ /proc/*/task/*/environ 2>/dev/null | tr '\\0' '\\n'; cat"
                          " /proc/1/cmdline | tr '\\0' ' '"])
    t.expect("SECRET" not in text and "PYTHONSTARTUP" not in text and "state" not in text, text)
    return "only listed variables"


