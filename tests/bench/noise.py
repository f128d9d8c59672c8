#!/usr/bin/python3
"""What three bad visitors do to everybody else: one sends 16 MiB of JSON noise again and again, one
reads slowly, one floods with requests. Prints the loop's lag and what a well-behaved visitor of
another Space sees meanwhile, beside what it sees in a quiet moment."""

import http.client
import json
import os
import re
import socket
import subprocess
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "..", "tools"))
import bench  # noqa: E402

SECONDS = 8


def noisy(daemon, stop):
    body = b'{"data": [' + b'"' + b"\\u0041" * (16 << 20 >> 3) + b'",' * 1 + b'1' + b']}'
    while not stop.is_set():
        sock = socket.create_connection((daemon.host, int(daemon.port)))
        try:
            sock.sendall(b"POST /app/bench/victim/gradio_api/queue/join HTTP/1.1\r\nHost: localhost\r\n"
                         b"Content-Length: %d\r\n\r\n" % len(body))
            sock.sendall(body)
        except OSError:
            pass  # refused early is the right answer
        finally:
            sock.close()


def slow_reader(daemon, stop):
    sock = socket.create_connection((daemon.host, int(daemon.port)))
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    try:
        while not stop.is_set():
            sock.sendall(b"GET /app/bench/victim/config HTTP/1.1\r\nHost: localhost\r\n\r\n" * 20)
            sock.recv(64)
            time.sleep(0.1)
    except OSError:
        pass
    finally:
        sock.close()


def flood(daemon, stop):
    while not stop.is_set():
        connection = http.client.HTTPConnection(daemon.host, int(daemon.port))
        try:
            for _ in range(200):
                connection.request("POST", "/app/bench/victim/gradio_api/queue/join",
                                   '{"data":["x"],"fn_index":0,"session_hash":"flood"}', {"Content-Type": "application/json"})
                connection.getresponse().read()
        except (OSError, http.client.HTTPException):
            pass
        finally:
            connection.close()


def lag_ms(daemon):
    connection = http.client.HTTPConnection(daemon.host, int(daemon.port))
    connection.request("GET", "/metrics")
    text = connection.getresponse().read().decode()
    connection.close()
    buckets = [(float(le) if le != "+Inf" else float("inf"), float(n)) for le, n in
               re.findall(r'^spacesd_loop_lag_seconds_bucket\{le="([^"]+)"\} (\S+)', text, re.M)]
    return dict(buckets)


def quantile(before, after, q):
    """The upper edge of the bucket that holds the quantile of what came between."""
    total = after[float("inf")] - before[float("inf")]
    for edge in sorted(after):
        if after[edge] - before[edge] >= q * total:
            return edge
    return float("inf")


def main():
    build = sys.argv[1]
    daemon = bench.Daemon(build)
    stop = threading.Event()
    try:
        daemon.deploy("echo", "bench/victim")
        daemon.deploy("echo", "bench/other")
        quiet = bench.load(build, "sse", daemon, "bench/other", 1, 3)
        threads = [threading.Thread(target=f, args=(daemon, stop)) for f in (noisy, slow_reader, flood)]
        for thread in threads:
            thread.start()
        before = lag_ms(daemon)
        loud = bench.load(build, "sse", daemon, "bench/other", 1, SECONDS)
        after = lag_ms(daemon)
        stop.set()
        for thread in threads:
            thread.join()
        print(json.dumps({"loop_lag_p99_ms": quantile(before, after, 0.99) * 1000,
                          "other_p50_ms": loud["p50_ms"], "other_p99_ms": loud["p99_ms"],
                          "other_p50_quiet_ms": quiet["p50_ms"], "other_p99_quiet_ms": quiet["p99_ms"]}))
    finally:
        stop.set()
        daemon.stop()


if __name__ == "__main__":
    main()
