"""Calls that reach the kernel, the host or other processes."""

import platform

from escape import Case, Story, signal_name

CASES = [
    Case(1, "unshare: a user, mount or network namespace", ["calls", 1], "EPERM"),
    Case(2, "clone with namespace flags; clone3, whose flags cannot be seen", ["calls", 2],
         {"clone_user": "EPERM", "clone_mount": "EPERM", "clone_all": "EPERM", "clone3": "ENOSYS"}),
    Case(3, "mount, umount2, pivot_root, chroot, and the newer mount calls", ["calls", 3], "EPERM"),
    Case(4, "chroot and .. through a kept descriptor", ["walk"],
         {"chroot": "EPERM", "fchroot": "EPERM", "above": "OK", "above_fd": "OK", "proc_root": "OK"},
         expected="EPERM; all ways up end in the sandbox's own root"),
    Case(5, "setns on any descriptor", ["calls", 5], "EPERM"),
    Case(6, "bpf, perf_event_open, userfaultfd, io_uring, aio, fanotify", ["calls", 6], "EPERM"),
    Case(7, "keyctl, add_key, request_key", ["calls", 7], "EPERM"),
    Case(8, "ptrace, process_vm_*, pidfd_getfd, kcmp, also on pid 1", ["calls", 8], "EPERM"),
    Case(9, "modules, kexec, reboot, swap, acct, clocks, kernel log, ports", ["calls", 9], "EPERM"),
    Case(10, "files by handle (shocker)", ["calls", 10], "EPERM"),
    Case(11, "device nodes made by mknod", ["calls", 11], "EPERM"),
    Case(37, "sockets of families that reach past a network namespace, raw sockets", ["calls", 37], "EPERM"),
    Case(43, "TIOCSTI, TIOCLINUX, TIOCSCTTY on inherited descriptors (CVE-2017-5226)", ["calls", 43], "EPERM"),
    Case(45, "arguments with bits that the kernel ignores (CVE-2019-10063), personality", ["calls", 45], "EPERM"),
]


def other_abi(abi):
    def run(t):
        exited, lines = t.attack("calls", "all", abi)
        t.expect(exited.status == 0 and len(lines) > 50, "%s, %d lines" % (signal_name(exited), len(lines)))
        t.expect(set(lines.values()) == {"SIGSYS"}, repr({k: v for k, v in lines.items() if v != "SIGSYS"}))
        return "SIGSYS"
    return run


def needs_x86():
    return None if platform.machine() == "x86_64" else "needs x86: " + platform.machine() + " has no other ABI to try"


CASES += [Story(45, "all calls of 1-11 by int 0x80", "SIGSYS", other_abi("int80"), needs=needs_x86),
          Story(45, "all calls of 1-11 by x32 numbers, also where the kernel has no x32", "SIGSYS", other_abi("x32"),
                needs=needs_x86)]
