"""What one cold start costs on pure cgroup v2, counted in system calls instead of time.

strace follows the launcher, its helper and pid 1 of the sandbox from SANDBOX_START to OK. The table goes to docs/guest.md.
"""

import collections
import os
import re
import shutil
import sys
import tempfile
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "support"))
import launch_driver as launch  # noqa: E402

STEPS = (  # the first that fits
    ("groups: made, opened, limited", r"/sys/fs/cgroup|/proc/mounts"),
    ("born: clone3, socket, descriptors of it", r"^(clone3?|socketpair|setsid)\("),
    ("mounts and paths", r"^(mount|umount2?|move_mount|open_tree|mount_setattr|pivot_root|fsopen|fsconfig|fsmount|"
                         r"openat2|mkdir|mkdirat|f?chown(at)?|fchownat|l?chown|f?chmod(at)?|chdir|symlink|umask)\("),
    ("user ids", r"^(setres[ug]id|setgroups|unshare)\(|/[ug]id_map|ns/user"),
    ("privileges and filter", r"^(prctl|capset|capget|seccomp|landlock_\w+|keyctl|setrlimit|prlimit64|close_range)\("),
    ("signals and descriptors", r"^(rt_sig\w+|signalfd4|close|dup[23]?|fcntl|newfstatat)\("),
    ("messages, waiting, other values", r"^(sendmsg|recvmsg|poll|ppoll|wait4|waitid|read|write|pause|kill)\("),
    ("other", r""),
)


def setUpModule():
    if os.geteuid() != 0 or not shutil.which("strace"):
        raise unittest.SkipTest("needs strace: counts the launcher's calls, as root")
    if not os.path.exists("/sys/fs/cgroup/cgroup.controllers"):
        raise unittest.SkipTest("needs v2: this host's controllers are on cgroup version 1")


def trace_one_start():
    """The lines `pid call(...)` of one start with an empty pool."""
    folder = tempfile.mkdtemp(prefix="spaces-steps-")
    path = os.path.join(folder, "trace")
    l = launch.Launcher(options=("--pool", "0"), wrap=("strace", "-f", "-y", "-qq", "-s", "200", "-o", path))
    try:
        l.hello()
        box = l.sandbox()
        l.stop(box)
        l.close()
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read().splitlines()
    finally:
        l.remove()
        shutil.rmtree(folder)


def calls_of_the_start(lines):
    """From the launcher's receipt of SANDBOX_START (kind 2) to its OK (kind 64, which prints as @)."""
    first = next(i for i, line in enumerate(lines) if re.search(r'recvmsg\(.*iov_base="1LPS\\2\\0', line))
    last = next(i for i, line in enumerate(lines) if i > first and re.search(r'sendmsg\(.*iov_base="1LPS@\\0', line))
    return [match.group(1) for line in lines[first:last + 1]
            if (match := re.match(r"\d+ +(\w+\(.*)", line))]


class Steps(unittest.TestCase):
    def test_a_sandbox_is_born_in_its_group_and_nothing_is_migrated(self):
        calls = calls_of_the_start(trace_one_start())
        born = [call for call in calls if call.startswith("clone3(")]
        self.assertEqual(len(born), 1, born)
        self.assertIn("CLONE_INTO_CGROUP", born[0])
        # cgroup.procs is opened ahead, for hosts that need it; who moves writes into it.
        moves = [call for call in calls if re.match(r"write\(\d+<[^>]*/cgroup\.procs>", call)]
        self.assertEqual(moves, [])
        counts = collections.Counter(next(name for name, pattern in STEPS if re.search(pattern, call))
                                     for call in calls)
        print("| step of a cold start | system calls |\n|---|---|")
        for name, _ in STEPS:
            print(f"| {name} | {counts[name]} |")
        print(f"| together | {len(calls)} |\n| of them: migrations between groups | {len(moves)} |")


if __name__ == "__main__":
    sys.exit("run by tests/support/tap.py in the guest")
