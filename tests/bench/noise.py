#!/usr/bin/python3
"""What three bad visitors of one Space do to everybody else.

    tests/bench/noise.py BUILD [SECONDS]

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
import sys
import threading

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from harness import Daemon, load  # noqa: E402

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


if __name__ == "__main__":
    print(json.dumps(measure(sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 5)))
