#!/usr/bin/env python3
"""What waiting visitors cost the HTTP layer, and what bad ones do to the others.

    tests/bench/bench_visitors.py [--serve build/bench/bench_serve] [--count 5000] [--port 18420]

Memory: bytes of Pss_Anon per idle keep-alive connection, event stream and WebSocket, and the resident
memory and wake-ups of the idle server. Lag: while one client floods, one sends 16 MiB of noise again
and again and one reads a fast stream slowly, the p99 of the server's turns and of a GET every 5 ms.
Prints one line of JSON for each.
"""
import argparse
import json
import multiprocessing
import os
import re
import resource
import socket
import subprocess
import sys
import time
import urllib.request

HEAD = "GET {path} HTTP/1.1\r\nHost: localhost\r\n{more}\r\n"
UPGRADE = ("Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
           "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n")
KINDS = {
    "keep_alive": HEAD.format(path="/asset", more=""),
    "sse": HEAD.format(path="/stream", more=""),
    "ws": HEAD.format(path="/ws", more=UPGRADE),
}


def proc_number(pid, name, key):
    with open(f"/proc/{pid}/{name}", encoding="ascii") as file:
        return int(re.search(rf"^{key}:\s*(\d+)", file.read(), re.M).group(1))


def pss_anon(pid):
    return proc_number(pid, "smaps_rollup", "Pss_Anon") * 1024


def start(args):
    process = subprocess.Popen([args.serve, str(args.port)], stdout=subprocess.PIPE, text=True)
    if not process.stdout.readline().startswith("ready"):
        sys.exit("the server did not start")
    return process


def open_many(port, text, count):
    sockets = []
    for _ in range(count):
        sock = socket.create_connection(("127.0.0.1", port))
        sock.sendall(text.encode())
        if not sock.recv(4096).startswith(b"HTTP/1.1 "):
            sys.exit("unexpected answer")
        sockets.append(sock)
    return sockets


def measure_memory(args):
    for kind, text in KINDS.items():
        process = start(args)
        try:
            open_many(args.port, KINDS["keep_alive"], 1)[0].close()
            before = pss_anon(process.pid)
            sockets = open_many(args.port, text, args.count)
            time.sleep(0.2)
            after = pss_anon(process.pid)
            print(json.dumps({"bench": "visitor_memory", "kind": kind, "count": args.count,
                              "bytes_each": round((after - before) / args.count)}), flush=True)
            for sock in sockets:
                sock.close()
        finally:
            process.kill()
            process.wait()


def measure_idle(args):
    process = start(args)
    try:
        time.sleep(0.5)
        wakes = proc_number(process.pid, "status", "voluntary_ctxt_switches")
        time.sleep(5)
        print(json.dumps({
            "bench": "idle", "rss_kb": proc_number(process.pid, "status", "VmRSS"),
            "wakeups_per_s": (proc_number(process.pid, "status", "voluntary_ctxt_switches") - wakes) / 5
        }), flush=True)
    finally:
        process.kill()
        process.wait()


# --- three bad visitors -------------------------------------------------------------------------------


def flood(port):
    requests = (KINDS["keep_alive"] * 500).encode()
    while True:
        sock = socket.create_connection(("127.0.0.1", port))
        sock.setblocking(False)
        for _ in range(2000):
            try:
                sock.send(requests)
            except BlockingIOError:
                pass
            try:
                sock.recv(1 << 20)
            except BlockingIOError:
                time.sleep(0.001)
        sock.close()


def send_noise(port):
    noise = b"POST /echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: 16777216\r\n\r\n" + b"[1," * (16 << 20)
    chunk = b"POST /echo HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n" + b"1\r\nx\r\n" * 2000000
    while True:
        for data in (noise[:16 << 20], chunk[:10 << 20]):
            sock = socket.create_connection(("127.0.0.1", port))
            try:
                sock.sendall(data)
            except OSError:
                pass
            sock.close()


def read_slowly(port):
    sock = socket.create_connection(("127.0.0.1", port))
    sock.sendall(HEAD.format(path="/flood", more="").encode())
    while True:
        sock.recv(4096)
        time.sleep(0.01)


def histogram_percentile(port, percent):
    text = urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics").read().decode()
    buckets = re.findall(r'spacesd_loop_turn_seconds_bucket\{le="([^"]+)"\} (\d+)', text)
    total = int(buckets[-1][1])
    for bound, seen in buckets:
        if int(seen) >= total * percent / 100:
            return float(bound) * 1000
    return None


def probe(port, seconds):
    sock = socket.create_connection(("127.0.0.1", port))
    times = []
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        began = time.monotonic()
        sock.sendall(KINDS["keep_alive"].encode())
        sock.recv(4096)
        times.append((time.monotonic() - began) * 1000)
        time.sleep(0.005)
    times.sort()
    return times


def measure_lag(args):
    process = start(args)
    helpers = []
    try:
        quiet = probe(args.port, 2)
        for bad in (flood, send_noise, read_slowly):
            helper = multiprocessing.Process(target=bad, args=(args.port,), daemon=True)
            helper.start()
            helpers.append(helper)
        time.sleep(0.5)
        times = probe(args.port, args.seconds)
        print(json.dumps({
            "bench": "lag", "seconds": args.seconds, "turn_p99_ms": histogram_percentile(args.port, 99),
            "turn_p100_ms": histogram_percentile(args.port, 100),
            "get_p99_ms": round(times[int(len(times) * 0.99)], 2), "get_max_ms": round(times[-1], 2),
            "quiet_get_p99_ms": round(quiet[int(len(quiet) * 0.99)], 2),
            "rss_kb": proc_number(process.pid, "status", "VmRSS")}), flush=True)
    finally:
        for helper in helpers:
            helper.terminate()
        process.kill()
        process.wait()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--serve", default="build/bench/bench_serve")
    parser.add_argument("--count", type=int, default=4000)
    parser.add_argument("--seconds", type=int, default=10)
    parser.add_argument("--port", type=int, default=18420)
    args = parser.parse_args()
    resource.setrlimit(resource.RLIMIT_NOFILE, (args.count + 100,) * 2
                       if os.geteuid() == 0 else resource.getrlimit(resource.RLIMIT_NOFILE))
    measure_idle(args)
    measure_memory(args)
    measure_lag(args)


if __name__ == "__main__":
    main()
