#!/usr/bin/python3
"""Speed and memory of spacesd beside named calibrators and peers, in interleaved rounds.

    tools/bench.py BUILD [--only TEXT] [--rounds N] [--seconds S] [--write]

Machines are shared and noisy, so each row is a median over rounds in which ours and the calibrator
take turns; ratios are what to quote. `--write` puts everything into docs/benchmarks.md, bars first.
"""

import argparse
import glob
import json
import os
import subprocess
import sys
import time
import urllib.request

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(ROOT, "tests", "bench"))
import noise  # noqa: E402
from harness import Daemon, fdatasync_ms, load, median, socket_echo_ms  # noqa: E402

VISITORS = 1200  # some get their turn before the last has come


def number(value):
    return "-" if value is None else f"{value:,.0f}" if value >= 100 or value == int(value) else f"{value:.3g}"


class Bars:
    """What was measured beside the floor and the goal of each row."""

    def __init__(self):
        self.lines = ["| what | measured | floor | goal | reached |", "|---|---|---|---|---|"]

    def add(self, what, value, floor, goal, unit, more_is_better=False):
        def reaches(bar):
            return value >= bar if more_is_better else value <= bar

        reached = "goal" if goal is not None and reaches(goal) else "floor" if reaches(floor) else "**no**"
        self.lines.append(f"| {what} | {number(value)} {unit} | {number(floor)} | {number(goal)} | {reached} |")


def medians(results):
    return {key: median([r[key] for r in results]) for key in results[0]}


# --- the whole daemon -------------------------------------------------------------------------------------


def queue_round(options, daemon, rows):
    sync, echo = fdatasync_ms(daemon.state), socket_echo_ms()
    for mode in ("sse", "ws"):
        for clients in (1, 10):
            cpu = daemon.cpu_s()
            result = load(options.build, mode, daemon, "bench/echo", clients, options.seconds)
            result["cpu_ms"] = (daemon.cpu_s() - cpu) * 1000 / max(1, result["events"])
            result["fdatasync_ms"], result["echo_ms"] = sync, echo
            rows.setdefault((mode, clients), []).append(result)


def bench_queue(options, bars):
    """Echo through the queue, sandboxed Python worker, no concurrency limit"""
    daemon = Daemon(options.build)
    rows = {}
    try:
        daemon.deploy("echo", "bench/echo")
        load(options.build, "sse", daemon, "bench/echo", 4, 1)  # warm
        for _ in range(options.rounds):
            queue_round(options, daemon, rows)
    finally:
        daemon.stop()
    lines = ["| transport | clients | ev/s | p50 ms | p99 ms | daemon CPU ms/event | fdatasync ms | bare socket echo ms |",
             "|---|---|---|---|---|---|---|---|"]
    rows = {key: medians(results) for key, results in sorted(rows.items())}
    for (mode, clients), m in rows.items():
        lines.append(f"| {mode} | {clients} | {m['ev_per_s']:.0f} | {m['p50_ms']:.2f} | {m['p99_ms']:.2f} | "
                     f"{m['cpu_ms']:.3f} | {m['fdatasync_ms']:.3f} | {m['echo_ms']:.3f} |")
    lines += ["", "An event over SSE is a POST that joins, then a GET of the stream until it closes, on a connection that "
              "stays; over WebSocket a message and its answers. One client leaves the daemon idle between the steps of an "
              "event, so each step pays for its own wakeup; ten share them, and one fdatasync is for several joins. "
              "Where others use the same disk, an fdatasync takes now 0.1 ms, now several: the p50 is then below the calibrator's "
              "median, and only the 1 ms without it says something."]
    bars.add("SSE, 10 clients", rows["sse", 10]["ev_per_s"], 3000, 10000, "ev/s", more_is_better=True)
    bars.add("SSE, 10 clients, p99", rows["sse", 10]["p99_ms"], 20, 10, "ms")
    bars.add("WebSocket, 10 clients", rows["ws", 10]["ev_per_s"], 5000, 15000, "ev/s", more_is_better=True)
    for mode, name in (("sse", "SSE"), ("ws", "WebSocket")):
        sync = rows[mode, 1]["fdatasync_ms"]
        bars.add(f"{name}, 1 client, p50 (an fdatasync takes {sync:.3f} ms)", rows[mode, 1]["p50_ms"], 1 + 2 * sync, 0.6 + sync, "ms")
    for (mode, clients), m in rows.items():
        bars.add(f"daemon CPU per event, {mode}, {clients} client{'s'[:clients - 1]}", m["cpu_ms"], 0.20, 0.10, "ms")
    return lines


def held_memory(options, mode):
    """kB of anonymous memory with nobody there, with everybody waiting, and how many then wait."""
    daemon = Daemon(options.build, "--set", "queue.publish=2s", "--set", "limit.connections_per_address=4096")
    try:
        daemon.deploy("sleep20", "bench/sleep")
        before = daemon.memory("Pss_Anon")
        with subprocess.Popen([f"{options.build}/bench/bench_queue", mode, daemon.host, daemon.port, "bench/sleep",
                               str(VISITORS), "0"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
            if holder.stdout.readline().strip() != "holding":
                raise RuntimeError("the load generator did not hold")
            time.sleep(2.1)  # one round of estimates to everybody
            during = daemon.memory("Pss_Anon")
            with urllib.request.urlopen(f"{daemon.url}/api/spaces/bench/sleep/queue") as answer:
                waiting = json.load(answer)["waiting"]
            holder.stdin.close()
        return before, during, waiting
    finally:
        daemon.stop()


def bench_memory(options, bars):
    """Memory per waiting visitor: function sleeps 20 ms, one at a time, estimates every 2 s"""
    lines = ["| transport | visitors waiting | Pss_Anon before, kB | while they wait, kB | per visitor, kB |", "|---|---|---|---|---|"]
    for mode in ("sse", "ws", "legacy"):
        runs = sorted((held_memory(options, f"hold-{mode}") for _ in range(min(options.rounds, 3))),
                      key=lambda run: (run[1] - run[0]) / max(1, run[2]))
        before, during, waiting = runs[len(runs) // 2]
        each = (during - before) / max(1, waiting)
        lines.append(f"| {mode} | {waiting} | {before} | {during} | {each:.2f} |")
        bars.add(f"Pss_Anon per waiting visitor, {mode}", each, 4, 2, "kB")
    lines += ["", f"{VISITORS} come; those who had their turn meanwhile are not counted, what they left in memory is."]
    return lines


def bench_idle(options, bars):
    """Idle daemon, nothing running"""
    daemon = Daemon(options.build)
    try:
        time.sleep(2)
        before = daemon.wakeups()
        time.sleep(10)
        wakeups = daemon.wakeups() - before
        rss, anon = daemon.rss_kb(), daemon.memory("Pss_Anon")
    finally:
        daemon.stop()
    bars.add("idle daemon, RSS", rss / 1024, 8, 5, "MiB")
    bars.add("idle daemon, context switches of all threads in 10 s", wakeups, 0, 0, "")
    return ["| RSS kB | of it anonymous kB | context switches in 10 s |", "|---|---|---|", f"| {rss} | {anon} | {wakeups} |"]


def bench_get(options, bars):
    """GET of an asset beside nginx-light"""
    lines = ["| file | bytes | ours, requests/s | nginx | ratio | ours, CPU us/request | nginx | ratio |", "|---|---|---|---|---|---|---|---|"]
    daemon = Daemon(options.build)
    try:
        for pattern in ("icon-*.svg", "hub-*.css"):
            name = os.path.basename(glob.glob(f"{options.build}/web/files/{pattern}")[0])
            done = subprocess.run(["/usr/bin/python3", "tests/bench/bench_get.py", "--url", f"{daemon.url}/assets/{name}", "--pid",
                                   str(daemon.process.pid), "--rounds", str(options.rounds), "--seconds", str(options.seconds)],
                                  check=True, capture_output=True, text=True)
            result = json.loads(done.stdout)
            ours, nginx = result["ours"], result["nginx"]
            lines.append(f"| {pattern} | {result['bytes']} | {ours['rps']:.0f} | {nginx['rps']:.0f} | {result['rps_ratio']:.2f} | "
                         f"{ours['cpu_us']:.1f} | {nginx['cpu_us']:.1f} | {result['cpu_ratio']:.2f} |")
            bars.add(f"GET of {result['bytes']} bytes beside nginx, requests/s", result["rps_ratio"], 0.9, 1.2, "x", more_is_better=True)
    finally:
        daemon.stop()
    lines += ["", "One worker each, wrk with 50 connections, rounds in turns; nginx with `open_file_cache` and no access log."]
    return lines


def bench_noise(options, bars):
    """Three bad visitors: 16 MiB of JSON noise, a slow reader, a flood"""
    runs = [noise.measure(options.build, options.seconds) for _ in range(min(options.rounds, 3))]
    m = medians(runs)
    lines = ["| a visitor of another Space, 1 client over SSE | ev/s | p50 ms | p99 ms |", "|---|---|---|---|"]
    for key, text in (("quiet", "alone"), ("busy", "beside a program that burns one processor"), ("loud", "beside the bad visitors")):
        lines.append(f"| {text} | {m[key + '_ev_per_s']:.0f} | {m[key + '_p50_ms']:.2f} | {m[key + '_p99_ms']:.2f} |")
    lines += ["", f"Meanwhile a turn of the loop takes at most {m['loop_turn_p99_ms']:.0f} ms at p99 and {m['loop_turn_max_ms']:.0f} ms "
              f"ever (bucket edges). In {options.seconds} s the bad visitors, one process that takes a whole processor, sent "
              f"{m['noise_bodies']:.0f} bodies of noise (of 16 there is one of 16 MiB and the others are as large as the limit "
              f"allows), {m['flood_requests']:.0f} requests to the queue, and read {m['slow_reads']:.0f} x 64 bytes."]
    bars.add("loop lag p99 with three bad visitors", m["loop_turn_p99_ms"], 20, None, "ms")
    return lines


# --- parts on their own -----------------------------------------------------------------------------------


def bench_start(options, bars):
    """Cold start of a sandbox beside a plain process, bubblewrap and crun"""
    if os.geteuid() != 0:
        return ["Needs root: not measured."]
    done = subprocess.run(["/usr/bin/python3", "tests/bench/bench_start.py", "--build", options.build, "--rounds",
                           str(options.rounds * 8)], check=True, capture_output=True, text=True)
    lines = done.stdout.splitlines()
    results = [json.loads(line) for line in lines if line.startswith("{")]
    echo = results[0]
    bars.add("program in a sandbox with limits from the pool, request to main()", echo["pool_ms"], 3, 1.5, "ms")
    if "bwrap_ms" in echo:
        bars.add("cold sandbox without limits to main(), of bubblewrap's time", echo["bare_to_bwrap"], 1.2, 1, "x")
    if "crun_ms" in echo:
        bars.add("the same, of crun's time", echo["bare_to_crun"], 0.6, 0.6, "x")
    return [line for line in lines if not line.startswith("{")]


def bench_zygote(options, bars):
    """A further worker by fork from the zygote, beside one from nothing"""
    if os.geteuid() != 0:
        return ["Needs root: not measured."]
    done = subprocess.run(["/usr/bin/python3", "tests/bench/bench_zygote.py", "--build", options.build, "--rounds",
                           str(options.rounds * 6)], check=True, capture_output=True, text=True)
    row = json.loads(done.stdout)
    bars.add(f"second worker by fork from the zygote, {row['imports']} imported", row["fork_imported_p50_ms"], 8, 4, "ms")
    return [f"`{done.stdout.strip()}`"]


def bench_parts(options, _):
    """Parts on their own"""
    lines = ["| program | result |", "|---|---|"]
    commands = [[f"{options.build}/bench/bench_{part}"] for part in ("http1", "sched", "journal")]
    commands += [["/usr/bin/python3", "tests/bench/bench_worker.py", "1"],
                 ["/usr/bin/python3", "tests/bench/bench_visitors.py", "--serve", f"{options.build}/bench/bench_serve"]]
    for command in commands:
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        for line in done.stdout.splitlines():
            lines.append(f"| {os.path.basename(command[-1] if len(command) == 1 else command[1])} | `{line}` |")
    return lines


BENCHES = (bench_queue, bench_memory, bench_idle, bench_get, bench_noise, bench_start, bench_zygote, bench_parts)


def write_page(options, bars, sections):
    head = f"""# Benchmarks

Made by `tools/bench.py {options.build} --rounds {options.rounds} --seconds {options.seconds} --write` (`make bench` prints the same).
Medians of {options.rounds} interleaved rounds (memory and noise: {min(options.rounds, 3)}) on a shared machine with {os.cpu_count()} cores,
kernel {os.uname().release.split('-')[0]}, Python {sys.version.split()[0]}, where load generator, daemon and worker share the cores. Quote
ratios and CPU per event, not absolute times.

## Floors and goals

"""
    with open("docs/benchmarks.md", "w", encoding="utf-8") as file:
        file.write(head + "\n".join(bars.lines) + "\n\n" + "\n".join(sections))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("build")
    parser.add_argument("--only", default="")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=3)
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    if options.write and options.only:
        parser.error("--write needs every row")
    os.chdir(ROOT)
    bars, sections = Bars(), []
    for bench in BENCHES:
        if options.only not in bench.__name__:
            continue
        lines = bench(options, bars)
        sections.append(f"## {bench.__doc__}\n\n" + "\n".join(lines) + "\n")
        print(sections[-1], flush=True)
    print("\n".join(bars.lines))
    if options.write:
        write_page(options, bars, sections)


if __name__ == "__main__":
    sys.exit(main())
