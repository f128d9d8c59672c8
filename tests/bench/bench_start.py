#!/usr/bin/python3
"""Cold start of a sandbox beside a plain process and bubblewrap, and where the time goes.

    tests/bench/bench_start.py [--build BUILD] [--rounds 40]

As root. Prints the JSON lines of bench_start, then a table: the median over all starts of each step,
taken from the launcher's own clock (SP_LAUNCH_TRACE=1). "wait" steps lie between two processes.
"""
import argparse
import os
import re
import statistics
import subprocess

STEPS = (
    ("began", "idmap", "ids for the mounts (a user namespace of their own)"),
    ("idmap", "folders", "snapshot, files, shared root: opened, cloned, idmapped"),
    ("folders", "cgroup", "cgroups with their limits (libcgroup)"),
    ("cgroup", "born", "clone3: pid, mount, network, ipc, uts namespaces"),
    ("born", "groups", "move into the cgroups, cgroup namespace"),
    ("groups", "mounts", "mounts, pivot_root, covers over /proc"),
    ("mounts", "network", "loopback up, host name"),
    ("network", "user", "user namespace and its maps (wait for the launcher)"),
    ("user", "privileges", "session, keyring, limits, descriptors, capabilities"),
    ("privileges", "filter", "system call filter"),
    ("filter", "ready", "the news reaches the launcher (wait)"),
    ("began", "ready", "sum"),
)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", default="build")
    parser.add_argument("--rounds", type=int, default=40)
    options = parser.parse_args()
    done = subprocess.run([f"{options.build}/bench/bench_start", f"{options.build}/spaces-launcher",
                           str(options.rounds)], env=dict(os.environ, SP_LAUNCH_TRACE="1"),
                          capture_output=True, text=True, check=False)
    print(done.stdout, end="")
    if done.returncode:
        raise SystemExit(done.stderr)
    starts = {}
    for line in done.stderr.splitlines():
        if "launcher.trace" in line:
            words = dict(re.findall(r"(\w+)=(\d+)", line))
            starts.setdefault(words["sandbox"], {}).update({k: int(v) for k, v in words.items()})
    print("%8s  %s" % ("us", "step (median of %d starts)" % len(starts)))
    for first, last, text in STEPS:
        spans = [s[last] - s[first] for s in starts.values() if first in s and last in s]
        if spans:
            print("%8d  %s" % (statistics.median(spans), text))


if __name__ == "__main__":
    main()
