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
    ("ahead of demand", (
        ("made", "group_made", "ids for the mounts, cgroups (libcgroup)"),
        ("group_made", "born", "clone3: pid, mount, network, ipc, uts namespaces"),
        ("born", "groups", "move into the cgroups, cgroup namespace"),
        ("groups", "root", "root, pivot_root, /proc and its covers"),
        ("root", "network", "loopback up"))),
    ("when a Space starts", (
        ("ordered", "limited", "limits (libcgroup)"),
        ("limited", "sent", "snapshot and files: opened, cloned, idmapped"),
        ("sent", "order", "the order reaches pid 1 (wait)"),
        ("order", "mounts", "writable layer, files, state, host name"),
        ("mounts", "user", "user namespace and its maps (wait for the launcher)"),
        ("user", "privileges", "session, keyring, limits, descriptors, capabilities"),
        ("privileges", "filter", "system call filter"),
        ("filter", "ready", "the news reaches the launcher (wait)"),
        ("ordered", "ready", "sum"))),
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
            group = re.search(r"group=(\S+)", line).group(1)
            words = {k: int(v) for k, v in re.findall(r"(\w+)=(\d+)(?=\s|$)", line)}
            start = starts.setdefault(group, {})
            start.setdefault("made", words.get("began"))
            start.update(words)
    starts = [s for s in starts.values() if "ready" in s]
    for title, steps in STEPS:
        print("%8s  %s (median of %d starts)" % ("us", title, len(starts)))
        for first, last, text in steps:
            spans = [s[last] - s[first] for s in starts if first in s and last in s]
            if spans:
                print("%8d  %s" % (statistics.median(spans), text))


if __name__ == "__main__":
    main()
