#!/usr/bin/python3
"""Round trips per second through one worker over a socketpair, without the daemon.

    python3 tests/bench/bench_worker.py [seconds per row]

Prints one JSON object per row. `worker_us` is CPU time of the worker process per call (user and
system, from /proc). The client is this script: a raw socket, prepared lines, no JSON parsing. The
calibrator is the same client against a bare Python loop that reads lines and writes lines.
"""
import json
import os
import select
import socket
import subprocess
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
WORKER = os.path.join(ROOT, "sdk", "python", "worker.py")
APP = """
import gradio as gr
with gr.Blocks() as demo:
    i, o, s = gr.Textbox(), gr.Textbox(), gr.State(0)
    gr.Button().click(lambda x: x, i, o, api_name="echo", concurrency_limit=None)
    async def aecho(x):
        return x
    gr.Button().click(aecho, i, o, concurrency_limit=None)
demo.launch(max_threads=40)
"""
BARE = """
import os
rest = b""
while True:
    data = os.read(0, 65536)
    if not data: break
    lines = (rest + data).split(b"\\n")
    rest = lines.pop()
    for line in lines:
        os.write(0, line + b"\\n")
"""
HELLO = b'{"type":"hello","version":1,"features":[],"app_file":"app.py"}\n'
REQUEST = {
    "headers": {"host": "localhost:7860", "user-agent": "bench", "accept": "*/*"},
    "query": {},
    "client": {"host": "127.0.0.1"},
    "username": None,
}


def start(argv, folder, as_stdin=False):
    ours, theirs = socket.socketpair()
    fd = theirs.fileno()
    options = {"stdin": fd} if as_stdin else {"pass_fds": [fd], "stdin": subprocess.DEVNULL}
    environment = dict(os.environ, SPACEKIT_FD=str(fd), SPACEKIT_STATE_DIR=folder + "/state")
    process = subprocess.Popen(
        argv, cwd=folder, env=environment, stdout=subprocess.DEVNULL, **options
    )
    theirs.close()
    return ours, process


def cpu_seconds(pid):
    with open("/proc/%d/stat" % pid) as file:
        fields = file.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def call_line(fn, number):
    message = {
        "type": "call",
        "id": "%032x" % number,
        "attempt": 1,
        "fn": fn,
        "session": "bench",
        "data": ["hello there"],
        "event_data": None,
        "trigger": 1,
        "request": REQUEST,
    }
    return json.dumps(message).encode() + b"\n"


def closed_loop(sock, fn, outstanding, seconds):
    """Keeps `outstanding` calls in flight; every answered one is replaced."""
    prepared = [call_line(fn, number) for number in range(1000)]
    sent = answered = 0
    sock.sendall(b"".join(prepared[:outstanding]))
    sent += outstanding
    begin = time.perf_counter()
    end = begin + seconds
    while answered < sent:
        data = sock.recv(1 << 16)
        if b'"type":"error"' in data:
            raise SystemExit(data.decode())
        arrived = data.count(b"\n")
        answered += arrived
        if time.perf_counter() < end:
            for _ in range(arrived):
                sock.send(prepared[sent % 1000])
                sent += 1
    return answered / (time.perf_counter() - begin), answered


def row(name, sock, process, fn, outstanding, seconds):
    closed_loop(sock, fn, outstanding, 0.2)
    before = cpu_seconds(process.pid)
    rate, count = closed_loop(sock, fn, outstanding, seconds)
    used = cpu_seconds(process.pid) - before
    print(
        json.dumps(
            {
                "bench": "worker",
                "what": name,
                "outstanding": outstanding,
                "calls_per_s": round(rate),
                "worker_us": round(used / count * 1e6, 1),
            }
        ),
        flush=True,
    )


def start_row(folder, rounds=15):
    """From exec to `ready`, beside an interpreter that does nothing; byte code compiled."""
    subprocess.run([sys.executable, "-m", "compileall", "-q", os.path.dirname(WORKER)], check=True)
    bare, ready = [], []
    for _ in range(rounds):
        begin = time.perf_counter()
        subprocess.run([sys.executable, "-c", "pass"], check=True)
        bare.append(time.perf_counter() - begin)
        begin = time.perf_counter()
        sock, process = start([sys.executable, WORKER], folder)
        sock.sendall(HELLO)
        sock.recv(1)
        ready.append(time.perf_counter() - begin)
        sock.close()
        process.wait()
    bare_ms, ready_ms = (sorted(times)[rounds // 2] * 1000 for times in (bare, ready))
    print(
        json.dumps(
            {
                "bench": "worker",
                "what": "start to ready",
                "ms": round(ready_ms, 1),
                "bare_python_ms": round(bare_ms, 1),
                "ratio": round(ready_ms / bare_ms, 2),
            }
        ),
        flush=True,
    )


def main():
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 2.0
    with tempfile.TemporaryDirectory() as folder:
        with open(os.path.join(folder, "app.py"), "w") as file:
            file.write(APP)
        sock, process = start([sys.executable, "-c", BARE], folder, as_stdin=True)
        for outstanding in (1, 10):
            row("bare line echo", sock, process, 0, outstanding, seconds)
        sock.close()
        process.wait()
        start_row(folder)
        sock, process = start([sys.executable, WORKER], folder)
        sock.sendall(HELLO)
        while not sock.recv(1 << 16).endswith(b"\n"):
            select.select([sock], [], [])
        for name, fn in (("echo", 0), ("async echo", 1)):
            for outstanding in (1, 10):
                row(name, sock, process, fn, outstanding, seconds)
        sock.close()
        process.wait()


if __name__ == "__main__":
    main()
