#!/usr/bin/python3
"""Starts, Spaces and kills at length; writes docs/soak.md.

    tools/soak.py BUILD [--cycles 1000] [--spaces 200] [--kills 20] [--starts 100] [--noise 5 (0: none)] [--no-write]

As root. Minutes; needs a few GB of memory for the Spaces. The short form of the first four parts is
tests/e2e/test_stress.py, which `make test` runs.
"""

import argparse
import os
import platform
import shutil
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path[:0] = [os.path.join(ROOT, "tests", part) for part in ("support", "e2e", "bench")]

HEAD = """# Soak

What `make soak` measured last (`tools/soak.py`): {cpus} CPUs that are shared with other work, Linux {kernel}. `make test` runs the first four
parts in short form (`tests/e2e/test_stress.py`).
"""


class Report:
    def __init__(self):
        self.text, self.failed = [], []

    def say(self, *lines):
        self.text += lines
        print("\n".join(lines), flush=True)

    def check(self, what, ok):
        self.say(f"- {'holds' if ok else '**does not hold**'}: {what}")
        if not ok:
            self.failed.append(what)


def flat(report, options):
    import launch_driver as launch
    import stress
    pool = 4
    l = launch.Launcher(options=("--pool", str(pool)))
    try:
        assert l.hello().complete
        before, after, took = stress.cycles(l, options.cycles, pool)
        report.say("", f"## {options.cycles} starts and stops through the launcher", "",
                   f"{took / options.cycles * 1000:.1f} ms each: a sandbox with limits, `/bin/true` in it, and the stop.", "",
                   "| count | after 20 | after all |", "|---|---|---|",
                   *(f"| {key} | {before[key]} | {after[key]} |" for key in before), "")
        memory = "launcher's own memory, kB"
        same = {k: v for k, v in before.items() if k != memory} == {k: v for k, v in after.items() if k != memory}
        report.check("every count is as it was", same)
        report.check("the launcher's own memory grew by less than 64 kB", after[memory] < before[memory] + 64)
    finally:
        l.close()
        l.remove()


def cpu_ticks(pids):
    ticks = 0
    for pid in pids:
        with open(f"/proc/{pid}/stat", encoding="utf-8") as file:
            ticks += sum(map(int, file.read().rsplit(")", 1)[1].split()[11:13]))
    return ticks


def idle_cost(report, options):
    """What a spare costs while nothing happens."""
    import harness
    import launch_driver as launch
    seen = {}
    for pool in (16,):
        l = launch.Launcher(options=("--pool", str(pool)))
        try:
            assert l.hello().complete
            harness.wait_for("the pool to be full", lambda: len(launch.processes_of(l.state_id)) == 1 + pool)
            pids = [pid for pid in launch.processes_of(l.state_id) if pid != l.process.pid]
            ticks = -cpu_ticks(pids)
            time.sleep(2)  # nothing is waited for: a rest, whose processor time is counted
            ticks += cpu_ticks(pids)
            pss = []
            for pid in pids:
                with open(f"/proc/{pid}/smaps_rollup", encoding="utf-8") as file:
                    pss.append(next(int(line.split()[1]) for line in file if line.startswith("Pss:")))
            groups = []
            for path in launch.groups_of(l.state_id):
                if "/memory/" in path:
                    for name in os.listdir(path):
                        if os.path.isdir(os.path.join(path, name)):
                            with open(os.path.join(path, name, "memory.usage_in_bytes"), encoding="utf-8") as file:
                                groups.append(int(file.read()) // 1024)
            seen[pool] = (pids, pss, groups, ticks)
        finally:
            l.close()
            l.remove()
    pids, pss, groups, ticks = seen[16]
    report.say("", "## What a spare costs", "",
               f"{len(pids)} spares: one process each, {sum(pss) / len(pss):.0f} kB of memory of its own (PSS)" +
               (f", {sum(groups) / len(groups):.0f} kB charged to its group" if groups else "") +
               f". All of them took {ticks * 10} ms of processor time in 2 s of waiting.")


def at_once(report, options):
    import harness
    import stress
    harness.BUILD = os.path.join(ROOT, options.build)
    d, folder = harness.Daemon(), tempfile.mkdtemp(prefix="spacesd-app-")
    for name, text in stress.APP.items():
        with open(os.path.join(folder, name), "w", encoding="utf-8") as file:
            file.write(text)
    try:
        names, seen = stress.starts_at_once(d, folder, options.spaces, 600)
        report.say("", f"## {options.spaces} Spaces started at once, with limits", "",
                   f"All asked for within {seen['asked_s']:.1f} s; the last ran after {seen['running_s']:.1f} s. `/readyz` every 10 ms meanwhile "
                   f"({seen['probes']} times): p50 {seen['readyz_p50_ms']:.1f} ms, p99 {seen['readyz_p99_ms']:.1f} ms, "
                   f"longest {seen['readyz_max_ms']:.1f} ms.", "")
        report.check("p99 of /readyz below 50 ms", seen["readyz_p99_ms"] < 50)
        for name in names[10:]:
            assert d.request("DELETE", f"/api/spaces/{name}").status == 204
        kills(report, options, d, names[:10])
    finally:
        d.stop()
        shutil.rmtree(d.state, ignore_errors=True)
        os.unlink(d.log_path)
        shutil.rmtree(folder)


def kills(report, options, d, names):
    import stress
    report.say("", "## SIGKILL with ten Spaces running, and a restart at once", "",
               "| killed | left of the old life when the new one is ready | s until all ten run again |", "|---|---|---|")
    left_in_all = set()
    for who in ("daemon", "launcher", "both"):
        stress.wait_until_all_run(d, names)
        began = time.monotonic()
        left = stress.kill_and_restart(d, who)
        stress.wait_until_all_run(d, names)
        report.say(f"| {who} | {len(left)} | {time.monotonic() - began:.1f} |")
        left_in_all |= left
    report.say("")
    report.check("nothing is left of an old life", not left_in_all)
    left, asked = stress.random_kills(d, names, options.kills, seed=11, starts=options.starts)
    stress.wait_until_all_run(d, names)
    report.say("", f"## {options.kills} kills at random moments of {asked} random starts", "")
    report.check("the next life finds all that the old one left", not left)


def noise(report, options):
    import noise as bench
    report.say("", "## A Space beside a bad neighbour", "",
               "A well-behaved Space's echo (one visitor, through the queue), milliseconds; median of "
               f"{options.noise} interleaved rounds. The bar for p99 is the greater of twice the quiet moment and 5 ms above it.", "",
               "| neighbour | p50 | p99 | bar |", "|---|---|---|---|")
    rows = bench.neighbours(os.path.join(ROOT, options.build), options.noise)
    quiet = rows["quiet"]["p99_ms"]
    bar = max(2 * quiet, quiet + 5)
    for name, row in rows.items():
        report.say(f"| {name} | {row['p50_ms']:.2f} | {row['p99_ms']:.2f} | {'' if name == 'quiet' else '%.2f' % bar} |")
    report.say("")
    for name, row in rows.items():
        if name != "quiet":
            report.check(f"p99 beside a {name}", row["p99_ms"] <= bar)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("build")
    parser.add_argument("--cycles", type=int, default=1000)
    parser.add_argument("--spaces", type=int, default=200)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--starts", type=int, default=100)
    parser.add_argument("--noise", type=int, default=5)
    parser.add_argument("--no-write", action="store_true")
    options = parser.parse_args()
    os.environ["BUILD"] = options.build
    report = Report()
    report.say(*HEAD.format(cpus=os.cpu_count(), kernel=platform.release()).splitlines())
    for part in (flat, idle_cost, at_once, noise if options.noise else None):
        if part:
            part(report, options)
    if not options.no_write:
        with open(os.path.join(ROOT, "docs", "soak.md"), "w", encoding="utf-8") as file:
            file.write("\n".join(report.text) + "\n")
    raise SystemExit(f"{len(report.failed)} do not hold" if report.failed else 0)


if __name__ == "__main__":
    main()
