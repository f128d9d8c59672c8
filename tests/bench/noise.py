#!/usr/bin/python3
"""What three bad visitors of one Space do to everybody else.

    tests/bench/noise.py BUILD [SECONDS]
    tests/bench/noise.py BUILD neighbours [ROUNDS [NAME]]      bad apps instead; see below
    tests/bench/noise.py BUILD neighbours ROUNDS --write       the same, into docs/sandbox.md between the marks

One sends 16 MiB of JSON noise again and again, one asks and reads slowly, one floods the queue. A
well-behaved visitor of another Space is measured three times: in a quiet moment, beside a program
that burns as much processor as the bad visitors themselves do, and beside the bad visitors. Prints
JSON; the loop's lag is what spacesd counts itself (spacesd_loop_turn_seconds).
"""

import http.client
import json
import multiprocessing
import os
import re
import socket
import subprocess
import sys
import tempfile
import threading

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from harness import Daemon, load, median  # noqa: E402

VICTIM = "/app/bench/victim"
JOIN = f"{VICTIM}/gradio_api/queue/join"


def post_noise(address, body):
    """Sends it all, however early the answer comes."""
    sock = socket.create_connection(address)
    try:
        sock.sendall(f"POST {JOIN} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
                     f"Content-Length: {len(body)}\r\n\r\n".encode())
        sock.sendall(body)
        sock.recv(4096)
    except OSError:
        pass  # refused early is the right answer
    finally:
        sock.close()


def send_noise(address, stop, count):
    """16 MiB at once, which no limit lets in; then as much in bodies that are just small enough."""
    large = (b'{"data":["' + b"\\u0041" * (8 << 20 // 6) + b'",' + b"[" * (16 << 20))[:16 << 20]
    broken = (b'{"data":["' + b"\\u0041" * (80 << 10) + b'",' + b"[" * (1 << 20))[:1 << 20]
    valid = b'{"data":["' + b"\\u0041" * (170 << 10) + b'"],"fn_index":0,"session_hash":"noise"}'
    while not stop.is_set():
        for body in (large, *(broken, valid) * 8):
            if stop.is_set():
                break
            post_noise(address, body)
            count.value += 1


def read_slowly(address, stop, count):
    while not stop.is_set():
        sock = socket.socket()
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        sock.connect(address)
        sock.settimeout(0.1)
        try:
            while not stop.wait(0.05):
                try:
                    sock.send(f"GET {VICTIM}/config HTTP/1.1\r\nHost: localhost\r\n\r\n".encode() * 20)
                except TimeoutError:
                    pass
                count.value += len(sock.recv(64)) > 0
        except OSError:
            pass  # cut off
        finally:
            sock.close()


def flood(address, stop, count):
    while not stop.is_set():
        connection = http.client.HTTPConnection(*address)
        try:
            for _ in range(200):
                connection.request("POST", JOIN, '{"data":["x"],"fn_index":0,"session_hash":"flood"}',
                                   {"Content-Type": "application/json"})
                connection.getresponse().read()
                count.value += 1
        except (OSError, http.client.HTTPException):
            pass
        finally:
            connection.close()


def bad_visitors(address, stop, counts):
    """One process, so one processor at most: the machine may have only two."""
    threads = [threading.Thread(target=f, args=(address, stop, count))
               for f, count in zip((send_noise, read_slowly, flood), counts)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def burn(stop):
    while not stop.is_set():
        for _ in range(10000):
            pass


def loop_turns(daemon):
    """Bucket's upper edge in seconds -> turns so far."""
    connection = http.client.HTTPConnection(daemon.host, int(daemon.port))
    connection.request("GET", "/metrics")
    text = connection.getresponse().read().decode()
    connection.close()
    return {float(edge.replace("+Inf", "inf")): float(n) for edge, n in
            re.findall(r'^spacesd_loop_turn_seconds_bucket\{le="([^"]+)"\} (\S+)', text, re.M)}


def quantile_ms(before, after, q):
    """The upper edge of the bucket that holds the quantile of what came between."""
    total = after[float("inf")] - before[float("inf")]
    for edge in sorted(after):
        if after[edge] - before[edge] >= q * total:
            return edge * 1000
    return float("inf")


def beside(build, daemon, seconds, work, *args):
    """What the good visitor sees while `work` runs in a process of its own."""
    stop = multiprocessing.Event()
    process = multiprocessing.Process(target=work, args=(*args, stop) if work is burn else (args[0], stop, args[1]))
    process.start()
    try:
        return load(build, "sse", daemon, "bench/other", 1, seconds)
    finally:
        stop.set()
        process.join()


def measure(build, seconds=5):
    """Sandboxed echo Spaces bench/victim and bench/other; returns what main prints."""
    daemon = Daemon(build)
    try:
        daemon.deploy("echo", "bench/victim")
        daemon.deploy("echo", "bench/other")
        load(build, "sse", daemon, "bench/other", 1, 1)  # warm
        quiet = load(build, "sse", daemon, "bench/other", 1, seconds)
        busy = beside(build, daemon, seconds, burn)
        counts = [multiprocessing.Value("L", 0) for _ in range(3)]
        before = loop_turns(daemon)
        loud = beside(build, daemon, seconds, bad_visitors, (daemon.host, int(daemon.port)), counts)
        after = loop_turns(daemon)
        return {"loop_turn_p99_ms": quantile_ms(before, after, 0.99), "loop_turn_max_ms": quantile_ms(before, after, 1),
                "noise_bodies": counts[0].value, "slow_reads": counts[1].value, "flood_requests": counts[2].value,
                **{f"{name}_{key}": result[key] for name, result in (("quiet", quiet), ("busy", busy), ("loud", loud))
                   for key in ("ev_per_s", "p50_ms", "p99_ms")}}
    finally:
        daemon.stop()


# --- bad neighbours: hostile apps instead of hostile visitors --------------------------------------------

APP = """import os, threading, time
import gradio as gr

def bad():
%s

threading.Thread(target=bad, daemon=True).start()
gr.Interface(lambda x: x, "text", "text").launch()
"""
FORK_BOMB = """
    def bomb():
        while True:
            try:
                if os.fork() == 0:
                    continue
            except OSError:
                pass
    if os.fork() == 0:
        bomb()
"""
MEMORY_HOG = """
    import mmap
    if os.fork() == 0:
        while True:
            hog = mmap.mmap(-1, 200 << 20)
            for at in range(0, len(hog), 4096):
                hog[at] = 1
            hog.close()
"""
DISK_FILL = """
    if os.fork() == 0:
        piece = b"x" * (1 << 20)
        while True:
            for folder in ("/tmp", "/run/files/o"):
                path = folder + "/fill"
                try:
                    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
                    for _ in range(300):
                        os.write(fd, piece)
                    os.fsync(fd)
                except OSError:
                    pass
                os.close(fd)
                os.unlink(path)
"""
LOG_FLOOD = """
    line = b"y" * 200 + b"\\n"
    while True:
        os.write(1, line * 300)
"""
NEIGHBOURS = {"fork bomb": FORK_BOMB, "memory hog": MEMORY_HOG, "disk fill": DISK_FILL, "log flood": LOG_FLOOD}


def ask(daemon, method, path):
    connection = http.client.HTTPConnection(daemon.host, int(daemon.port), timeout=60)
    connection.request(method, path, headers={"Authorization": "Bearer " + daemon.env["SPACES_TOKEN"]})
    answer = connection.getresponse()
    body = json.loads(answer.read())
    connection.close()
    return body


def reach(daemon, name, stage):
    while ask(daemon, "GET", f"/api/spaces/{name}/runtime?wait={stage}")["stage"] != stage:
        pass


def neighbours(build, rounds=5, seconds=3, only=None):
    """A quiet moment, then each bad neighbour, again and again: medians of what bench/other sees."""
    chosen = {name: text for name, text in NEIGHBOURS.items() if not only or only in name}
    seen = {name: [] for name in ("quiet", *chosen)}
    daemon = Daemon(build, "--set", "space.memory=512M", "--set", "space.cpu=1000")
    try:
        daemon.deploy("echo", "bench/other")
        for name, text in chosen.items():
            space = "bench/" + name.replace(" ", "-")
            with tempfile.TemporaryDirectory(prefix="spacesd-bad-") as folder:
                with open(folder + "/app.py", "w", encoding="utf-8") as file:
                    file.write(APP % text)
                with open(folder + "/README.md", "w", encoding="utf-8") as file:
                    file.write("---\nsdk: gradio\n---\n")
                subprocess.run([f"{build}/spaces", "deploy", folder, space, "--wait"], env=daemon.env, check=True,
                               stdout=subprocess.DEVNULL)
            ask(daemon, "POST", f"/api/spaces/{space}/pause")
        load(build, "sse", daemon, "bench/other", 1, 1)  # warm
        for _ in range(rounds):
            seen["quiet"].append(load(build, "sse", daemon, "bench/other", 1, seconds))
            for name in chosen:
                space = "bench/" + name.replace(" ", "-")
                ask(daemon, "POST", f"/api/spaces/{space}/restart")
                reach(daemon, space, "RUNNING")
                seen[name].append(load(build, "sse", daemon, "bench/other", 1, seconds))
                ask(daemon, "POST", f"/api/spaces/{space}/pause")
                reach(daemon, space, "PAUSED")
    finally:
        daemon.stop()
    return {name: {key: median([r[key] for r in rows]) for key in ("ev_per_s", "p50_ms", "p99_ms", "max_ms")}
            for name, rows in seen.items()}


MARK = ("<!-- neighbours: written by tests/bench/noise.py BUILD neighbours ROUNDS --write -->\n", "<!-- end of neighbours -->\n")


def table(seen, rounds):
    """As Markdown; the bar is twice the quiet p99, or 5 ms more if that is more."""
    quiet = seen["quiet"]["p99_ms"]
    bar = max(2 * quiet, quiet + 5)
    lines = [f"Medians of {rounds} interleaved rounds with {os.cpu_count()} cores: one client over SSE at the echo of a Space.",
             "", "| beside | ev/s | p50 ms | p99 ms | longest ms | bar for p99, ms | |", "|---|---|---|---|---|---|---|"]
    for name, row in seen.items():
        end = "| |" if name == "quiet" else f"{bar:.1f} | {'holds' if row['p99_ms'] <= bar else 'missed'} |"
        lines.append(f"| {name} | {row['ev_per_s']:.0f} | {row['p50_ms']:.2f} | {row['p99_ms']:.2f} | {row['max_ms']:.0f} | {end}")
    return "\n".join(lines) + "\n"


def write_page(text):
    path = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "docs", "sandbox.md")
    with open(path, encoding="utf-8") as file:
        before, rest = file.read().split(MARK[0])
    with open(path, "w", encoding="utf-8") as file:
        file.write(before + MARK[0] + "\n" + text + "\n" + MARK[1] + rest.split(MARK[1])[1])


if __name__ == "__main__":
    if len(sys.argv) > 2 and sys.argv[2] == "neighbours":
        words = [word for word in sys.argv[3:] if word != "--write"]
        n_rounds = int(words[0]) if words else 5
        found = neighbours(sys.argv[1], n_rounds, only=words[1] if len(words) > 1 else None)
        print(json.dumps(found, indent=1))
        if "--write" in sys.argv:
            write_page(table(found, n_rounds))
    else:
        print(json.dumps(measure(sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 5)))
