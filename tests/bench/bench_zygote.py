#!/usr/bin/python3
"""A further worker of an app, forked from its zygote, beside one that is started from nothing.

    tests/bench/bench_zygote.py [--build BUILD] [--rounds 30]

As root. Drives spaces-launcher with the real SDK, in interleaved rounds. Milliseconds from the request:
to the app's first statement after its imports, and to the worker's `ready`. "First" is the first worker
of a sandbox: with the zygote before it, and without one. The imports are gradio (ours) and numpy (Debian's
python3-numpy); where that is not installed, what the standard library has to offer, and the row says so.
"""
import argparse
import json
import os
import select
import shutil
import statistics
import struct
import subprocess
import sys
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "tests", "support"))
PYTHON, WORKER = "/usr/bin/python3", "/opt/spacekit/worker.py"
STANDARD = "asyncio, xml.dom.minidom, email.mime.text, http.client, decimal, unittest, multiprocessing.pool, ssl"
APP = """import gradio as gr
import %s
print("imported", flush=True)
gr.Interface(str, "text", "text").launch()
"""
ENV = ("SPACEKIT_FD=3", "PATH=/usr/bin:/bin", "HOME=/home/user", "LANG=C.UTF-8", "TMPDIR=/tmp",
       "PYTHONUNBUFFERED=1", "PYTHONDONTWRITEBYTECODE=1")
HELLO = json.dumps({"type": "hello", "version": 1, "features": [], "app_file": "app.py", "space": "me/demo",
                    "root": "/app/me/demo", "threads": 4}).encode() + b"\n"


def wait_for(fd, read, text):
    data = b""
    while text not in data:
        if not select.select([fd], [], [], 60)[0]:
            raise SystemExit("bench_zygote: nothing came; so far %r" % data[-300:])
        piece = read(65536)
        if not piece:
            raise SystemExit("bench_zygote: the worker ended: %r" % data[-300:])
        data += piece
    return time.monotonic()


class Bench:
    def __init__(self, launch, modules):
        self.launch = launch
        self.l = launch.Launcher()
        shutil.copytree(os.path.join(ROOT, "sdk", "python"), self.l.sdk, dirs_exist_ok=True,
                        ignore=shutil.ignore_patterns("tests"))
        self.l.hello()
        self.l.snapshot({"app.py": APP % modules})

    def worker(self, box, how, began=None):
        """(ms to its first statement, ms to ready); it is stopped then."""
        began = began or time.monotonic()
        worker = self.l.worker(box, [PYTHON, WORKER], env=ENV, how=how)
        log, sock = self.l.logs[worker]
        sock.sendall(HELLO)
        imported = wait_for(log, lambda n: os.read(log, n), b"imported")
        ready = wait_for(sock.fileno(), sock.recv, b'"type":"ready"')
        self.l.ask(self.launch.WORKER_STOP, body=struct.pack("<I", 0), sandbox=box, worker=worker)
        self.l.event(self.launch.WORKER_EXITED, worker=worker)
        self.l.close_log(worker)
        return (imported - began) * 1000, (ready - began) * 1000

    def zygote(self, box):
        return self.l.worker(box, [PYTHON, WORKER, "--zygote", "app.py"], env=ENV, how=self.launch.ZYGOTE)

    def first(self, with_zygote):
        """ms to ready of the first worker in a new sandbox."""
        box = self.l.sandbox(memory=1 << 30)
        began = time.monotonic()
        if with_zygote:
            self.zygote(box)
        ready = self.worker(box, self.launch.FORK if with_zygote else self.launch.EXEC, began)[1]
        self.l.stop(box, 0)
        return ready

    def rounds(self, n):
        box = self.l.sandbox(memory=1 << 30)
        self.zygote(box)
        found = {"fork": [], "exec": [], "first_fork": [], "first_exec": []}
        for i in range(n + 1):
            fork, cold = self.worker(box, self.launch.FORK), self.worker(box, self.launch.EXEC)
            first = self.first(True), self.first(False)
            if i:  # the first round warms the files
                for name, value in zip(found, (fork, cold, *first)):
                    found[name].append(value)
        return found

    def close(self):
        self.l.close()
        self.l.remove()


def percentile(values, share):
    return sorted(values)[min(len(values) - 1, int(len(values) * share))]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", default="build")
    parser.add_argument("--rounds", type=int, default=30)
    options = parser.parse_args()
    os.environ["BUILD"] = options.build
    import launch_driver
    has_numpy = subprocess.run([PYTHON, "-c", "import numpy"], capture_output=True, check=False).returncode == 0
    bench = Bench(launch_driver, "numpy" if has_numpy else STANDARD)
    try:
        found = bench.rounds(options.rounds)
    finally:
        bench.close()
    row = {"bench": "zygote", "imports": "numpy" if has_numpy else "standard library, a stand-in for numpy"}
    for how in ("fork", "exec"):
        for i, what in enumerate(("imported", "ready")):
            values = [pair[i] for pair in found[how]]
            row["%s_%s_p50_ms" % (how, what)] = round(statistics.median(values), 2)
            row["%s_%s_p95_ms" % (how, what)] = round(percentile(values, 0.95), 2)
    row["exec_to_fork"] = round(row["exec_imported_p50_ms"] / row["fork_imported_p50_ms"], 1)
    for how in ("first_fork", "first_exec"):
        row[how + "_ready_p50_ms"] = round(statistics.median(found[how]), 1)
    print(json.dumps(row))


if __name__ == "__main__":
    main()
