#!/usr/bin/python3
"""Cold start of a sandbox beside a plain process, bubblewrap and crun, and where the time goes.

    tests/bench/bench_start.py [--build BUILD] [--rounds 40] [--write]

As root. Prints the JSON lines of bench_start, then a table: the median over all starts of each step,
taken from the launcher's own clock (SP_LAUNCH_TRACE=1). "wait" steps lie between two processes.
--write puts both into docs/sandbox.md, between the marks.
"""
import argparse
import json
import os
import platform
import re
import shutil
import statistics
import subprocess
import tempfile

PROGRAMS = (["/bin/echo", "hello"], ["/usr/bin/python3", "-c", "print('hello')"])
MARK = ("<!-- starts: written by tests/bench/bench_start.py --write -->\n", "<!-- end of starts -->\n")

STEPS = (
    ("ahead of demand", (
        ("made", "group_made", "ids for the mounts, cgroups (libcgroup)"),
        ("group_made", "born", "clone3: pid, mount, network, ipc, uts namespaces"),
        ("born", "groups", "move into the cgroups, cgroup namespace"),
        ("groups", "root", "root, pivot_root, /proc and its covers"),
        ("root", "network", "loopback up"))),
    ("when a Space starts", (
        ("ordered", "limited", "limits"),
        ("limited", "sent", "snapshot and files: opened, cloned, idmapped"),
        ("sent", "order", "the order reaches pid 1 (wait)"),
        ("order", "mounts", "writable layer, files, state, host name"),
        ("mounts", "user", "user namespace and its maps (wait for the launcher)"),
        ("user", "privileges", "session, keyring, limits, descriptors, capabilities"),
        ("privileges", "filter", "system call filter"),
        ("filter", "ready", "the news reaches the launcher (wait)"),
        ("ordered", "ready", "sum"))),
)


def bundle(folder, argv):
    """A minimal OCI bundle with the same view as ours: /usr read-only, /proc, /dev, tmpfs; no cgroup, no network."""
    root = os.path.join(folder, "rootfs")
    for name in ("usr", "proc", "dev", "tmp", "home"):
        os.makedirs(os.path.join(root, name))
    for name in ("bin", "lib", "lib64"):
        os.symlink("usr/" + name, os.path.join(root, name))
    tmpfs = {"type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "nodev", "mode=755"]}
    config = {
        "ociVersion": "1.0.2",
        "process": {"args": argv, "env": ["PATH=/usr/bin:/bin", "LANG=C.UTF-8"], "cwd": "/", "noNewPrivileges": True,
                    "user": {"uid": 1000, "gid": 1000}, "terminal": False, "capabilities": {}},
        "root": {"path": root, "readonly": True},
        "hostname": "bench",
        "mounts": [
            {"destination": "/proc", "type": "proc", "source": "proc", "options": ["nosuid", "noexec", "nodev"]},
            {"destination": "/dev", **tmpfs}, {"destination": "/tmp", **tmpfs}, {"destination": "/home", **tmpfs},
            {"destination": "/usr", "type": "bind", "source": "/usr", "options": ["bind", "ro", "nosuid", "nodev"]}],
        "linux": {
            "namespaces": [{"type": name} for name in ("pid", "mount", "network", "ipc", "uts", "user")],
            "uidMappings": [{"containerID": 0, "hostID": 2000000000, "size": 65536}],
            "gidMappings": [{"containerID": 0, "hostID": 2000000000, "size": 65536}],
            "maskedPaths": ["/proc/kcore", "/proc/keys", "/proc/timer_list", "/proc/scsi", "/proc/acpi"],
            "readonlyPaths": ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"]}}
    with open(os.path.join(folder, "config.json"), "w", encoding="utf-8") as file:
        json.dump(config, file)
    os.chmod(root, 0o755)
    return folder


def measure(build, rounds):
    """bench_start's rows, and the launcher's own lines about each start."""
    crun = shutil.which("crun")
    with tempfile.TemporaryDirectory(prefix="spaces-bench-crun-") as folder:
        os.chmod(folder, 0o755)
        peers = [crun, os.path.join(folder, "state")] if crun else []
        for i, argv in enumerate(PROGRAMS if crun else ()):
            peers.append(bundle(os.path.join(folder, str(i)), argv))
        done = subprocess.run([f"{build}/bench/bench_start", f"{build}/spaces-launcher", str(rounds), *peers],
                              env=dict(os.environ, SP_LAUNCH_TRACE="1"), capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stdout + done.stderr[-2000:])
    return [json.loads(line) for line in done.stdout.splitlines()], done.stderr


def steps(trace):
    """(title, [(median us, text)]) for the two halves of a start with limits."""
    starts = {}
    for line in trace.splitlines():
        if "launcher.trace" in line:
            group = re.search(r"group=(\S*)", line).group(1)
            words = {k: int(v) for k, v in re.findall(r"(\w+)=(\d+)(?=\s|$)", line)}
            start = starts.setdefault(group, {})
            start.setdefault("made", words.get("began"))
            start.update(words)
    starts = [s for group, s in starts.items() if "ready" in s and group]
    for title, rows in STEPS:
        found = []
        for first, last, text in rows:
            spans = [s[last] - s[first] for s in starts if first in s and last in s]
            if spans:
                found.append((statistics.median(spans), text))
        yield title, found


def text_of(rows, trace, rounds):
    out = ["Milliseconds from the request to the first line that the program prints; median of "
           f"{rounds} interleaved rounds on {os.cpu_count()} shared CPUs, Linux {platform.release()}:\n\n",
           "| program | from the pool, limits | cold, limits | cold, no limits | plain process | bubblewrap | crun, no cgroup | "
           "cold, no limits / bubblewrap | / crun |\n|---|---|---|---|---|---|---|---|---|\n"]
    for r in rows:
        cells = [r["what"]] + ["%.1f" % r[way + "_ms"] if way + "_ms" in r else "-" for way in
                               ("pool", "cold", "bare", "plain", "bwrap", "crun")]
        cells += ["%.2f" % r[key] if key in r else "-" for key in ("bare_to_bwrap", "bare_to_crun")]
        out.append("| " + " | ".join(cells) + " |\n")
    out.append("\nWhere the time goes, microseconds, median of the starts with limits:\n\n| us | step |\n|---|---|\n")
    for title, found in steps(trace):
        out.append(f"| | **{title}** |\n")
        out += ["| %d | %s |\n" % row for row in found]
    return "".join(out)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", default="build")
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    rows, trace = measure(options.build, options.rounds)
    for row in rows:
        print(json.dumps(row))
    text = text_of(rows, trace, options.rounds)
    print(text, end="")
    if options.write:
        with open("docs/sandbox.md", encoding="utf-8") as file:
            before, rest = file.read().split(MARK[0])
        with open("docs/sandbox.md", "w", encoding="utf-8") as file:
            file.write(before + MARK[0] + "\n" + text + "\n" + MARK[1] + rest.split(MARK[1])[1])


if __name__ == "__main__":
    main()
