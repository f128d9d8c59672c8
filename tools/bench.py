#!/usr/bin/python3
"""Speed and memory of spacesd beside named calibrators and peers, in interleaved rounds.

    tools/bench.py BUILD [--only TEXT] [--rounds N] [--seconds S] [--write]

Machines are shared and noisy, so each row is a median over rounds in which ours and the calibrator
take turns; ratios are what to quote. `--write` puts the tables into docs/benchmarks.md.
"""

import argparse
import json
import os
import re
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
TICKS = os.sysconf("SC_CLK_TCK")


def median(values):
    return statistics.median(values)


class Daemon:
    def __init__(self, build, *args):
        self.build, self.state = build, tempfile.mkdtemp(prefix="spacesd-bench-")
        self.log = open(self.state + ".log", "ab")
        self.process = subprocess.Popen([f"{build}/spacesd", "--state", self.state, "--listen", "127.0.0.1:0", *args],
                                        stdout=subprocess.PIPE, stderr=self.log, text=True)
        self.url = self.process.stdout.readline().strip().removeprefix("ready url=")
        self.host, self.port = self.url.removeprefix("http://").split(":")
        with open(f"{self.state}/admin.token", encoding="utf-8") as file:
            self.env = {**os.environ, "SPACES_URL": self.url, "SPACES_TOKEN": file.read().strip()}

    def deploy(self, app, name):
        subprocess.run([f"{self.build}/spaces", "deploy", f"tests/bench/apps/{app}", name, "--wait"], env=self.env,
                       check=True, stdout=subprocess.DEVNULL)

    def cpu_s(self):
        with open(f"/proc/{self.process.pid}/stat", encoding="utf-8") as file:
            fields = file.read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / TICKS

    def memory(self, field):
        with open(f"/proc/{self.process.pid}/smaps_rollup", encoding="utf-8") as file:
            return int(re.search(rf"^{field}:\s+(\d+) kB", file.read(), re.M).group(1))

    def rss_kb(self):
        with open(f"/proc/{self.process.pid}/status", encoding="utf-8") as file:
            return int(re.search(r"VmRSS:\s+(\d+)", file.read()).group(1))

    def wakeups(self):
        """Voluntary and involuntary switches of every thread."""
        total = 0
        for task in os.listdir(f"/proc/{self.process.pid}/task"):
            with open(f"/proc/{self.process.pid}/task/{task}/status", encoding="utf-8") as file:
                total += sum(map(int, re.findall(r"ctxt_switches:\s+(\d+)", file.read())))
        return total

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(60)
        self.log.close()
        shutil.rmtree(self.state, ignore_errors=True)
        os.unlink(self.state + ".log")


def load(build, mode, daemon, space, clients, seconds):
    done = subprocess.run([f"{build}/bench/bench_queue", mode, daemon.host, daemon.port, space, str(clients), str(seconds)],
                          check=True, capture_output=True, text=True)
    return json.loads(done.stdout)


# --- calibrators ----------------------------------------------------------------------------------------


def fdatasync_ms(folder, count=200):
    path = os.path.join(folder, "calibrate")
    took = []
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    for _ in range(count):
        began = time.perf_counter()
        os.write(fd, b"x" * 300)
        os.fdatasync(fd)
        took.append((time.perf_counter() - began) * 1000)
    os.close(fd)
    os.unlink(path)
    return median(took)


def socket_echo_ms(count=2000):
    """One byte there and back between two threads of this interpreter: the host's scheduling cost."""
    a, b = socket.socketpair()

    def echo():
        while True:
            data = b.recv(1)
            if not data:
                return
            b.sendall(data)

    thread = threading.Thread(target=echo, daemon=True)
    thread.start()
    took = []
    for _ in range(count):
        began = time.perf_counter()
        a.sendall(b"x")
        a.recv(1)
        took.append((time.perf_counter() - began) * 1000)
    a.close()
    thread.join()
    b.close()
    return median(took)


# --- rows -------------------------------------------------------------------------------------------------


def bench_queue(options):
    daemon = Daemon(options.build)
    rows = {}
    try:
        daemon.deploy("echo", "bench/echo")
        load(options.build, "sse", daemon, "bench/echo", 4, 1)  # warm
        for _ in range(options.rounds):
            sync = fdatasync_ms(daemon.state)
            echo = socket_echo_ms()
            for mode in ("sse", "ws"):
                for clients in (1, 10):
                    cpu = daemon.cpu_s()
                    result = load(options.build, mode, daemon, "bench/echo", clients, options.seconds)
                    result["cpu_ms"] = (daemon.cpu_s() - cpu) * 1000 / max(1, result["events"])
                    result["fdatasync_ms"], result["echo_ms"] = sync, echo
                    rows.setdefault((mode, clients), []).append(result)
    finally:
        daemon.stop()
    lines = ["| transport | clients | ev/s | p50 ms | p99 ms | daemon CPU ms/event | fdatasync ms | bare socket echo ms |",
             "|---|---|---|---|---|---|---|---|"]
    for (mode, clients), results in sorted(rows.items()):
        m = {key: median([r[key] for r in results]) for key in results[0]}
        lines.append(f"| {mode} | {clients} | {m['ev_per_s']:.0f} | {m['p50_ms']:.2f} | {m['p99_ms']:.2f} | "
                     f"{m['cpu_ms']:.3f} | {m['fdatasync_ms']:.3f} | {m['echo_ms']:.3f} |")
    return "Echo through the queue, sandboxed Python worker, no concurrency limit", lines


def bench_memory(options):
    lines = ["| transport | visitors | Pss_Anon before, kB | while all wait, kB | per visitor, kB |", "|---|---|---|---|---|"]
    for mode in ("hold-sse", "hold-ws", "hold-legacy"):
        daemon = Daemon(options.build, "--set", "queue.publish=2s", "--set", "limit.connections_per_address=10000")
        try:
            daemon.deploy("sleep20", "bench/sleep")
            before = daemon.memory("Pss_Anon")
            holder = subprocess.Popen([f"{options.build}/bench/bench_queue", mode, daemon.host, daemon.port, "bench/sleep",
                                       "1000", "0"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
            if holder.stdout.readline().strip() != "holding":
                raise RuntimeError("the load generator did not hold")
            time.sleep(2.5)  # one round of estimates to everybody
            during = daemon.memory("Pss_Anon")
            with urllib.request.urlopen(f"{daemon.url}/api/spaces/bench/sleep/queue") as answer:
                waiting = json.load(answer)["waiting"]
            holder.stdin.close()
            holder.wait(60)
            lines.append(f"| {mode.removeprefix('hold-')} | 1000 ({waiting} still waiting) | {before} | {during} | {(during - before) / 1000:.2f} |")
        finally:
            daemon.stop()
    return "Memory per waiting visitor (function sleeps 20 ms, estimates every 2 s)", lines


def bench_idle(options):
    daemon = Daemon(options.build)
    try:
        time.sleep(2)
        before = daemon.wakeups()
        time.sleep(10)
        wakeups = daemon.wakeups() - before
        rss, anon = daemon.rss_kb(), daemon.memory("Pss_Anon")
    finally:
        daemon.stop()
    return "Idle daemon, nothing running", ["| RSS kB | Pss_Anon kB | context switches in 10 s |", "|---|---|---|",
                                            f"| {rss} | {anon} | {wakeups} |"]


def bench_programs(options):
    """The programs below tests/bench that print JSON lines themselves."""
    lines = ["| program | result |", "|---|---|"]
    for name in sorted(os.listdir("tests/bench")):
        stem, kind = os.path.splitext(name)
        if not stem.startswith("bench_") or stem == "bench_queue":
            continue
        command = {".c": [f"{options.build}/bench/{stem}"], ".py": ["/usr/bin/python3", f"tests/bench/{name}"],
                   ".sh": ["sh", f"tests/bench/{name}"]}.get(kind)
        if not command:
            continue
        done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "BUILD": options.build})
        for line in (done.stdout.strip() or f"exit {done.returncode}: {done.stderr.strip()[-200:]}").splitlines():
            lines.append(f"| {stem} | `{line}` |")
    return "Parts on their own", lines


def bench_noise(options):
    return subprocess.run(["/usr/bin/python3", "tests/bench/noise.py", options.build], capture_output=True, text=True,
                          check=True).stdout.splitlines()


BENCHES = {"queue": bench_queue, "memory": bench_memory, "idle": bench_idle, "programs": bench_programs}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("build")
    parser.add_argument("--only", default="")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=3)
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    os.chdir(ROOT)
    sections = []
    for name, bench in BENCHES.items():
        if options.only not in name:
            continue
        title, lines = bench(options)
        sections.append(f"## {title}\n\n" + "\n".join(lines) + "\n")
        print(sections[-1], flush=True)
    if options.write:
        head = ("# Benchmarks\n\nMade by `tools/bench.py build --write` (what `make bench` runs). Medians of "
                f"{options.rounds} interleaved rounds on a shared machine with {os.cpu_count()} cores, kernel "
                f"{os.uname().release.split('-')[0]}: quote ratios and CPU per event, not absolute times.\n\n")
        with open("docs/benchmarks.md", "w", encoding="utf-8") as file:
            file.write(head + "\n".join(sections))


if __name__ == "__main__":
    sys.exit(main())
