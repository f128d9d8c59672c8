#!/usr/bin/env python3
"""GET of a small answer beside nginx: requests per second and CPU per request.

    tests/bench/bench_get.py [--serve build/bench/bench_serve | --url URL --pid PID]
                             [--rounds 5] [--seconds 2] [--connections 50] [--port 18410]

Both servers run one worker and are measured in turns by wrk (Debian: nginx-light, wrk), so that
other load on the machine meets both alike. Prints JSON: medians and their ratio. The absolute numbers
say more about the machine than about us; the ratio is what counts.
"""
import argparse
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

NGINX = """
worker_processes 1; daemon off; master_process off; error_log stderr error; pid {dir}/pid;
events {{ worker_connections 4096; }}
http {{
  access_log off; keepalive_requests 100000000; keepalive_timeout 75; sendfile on; tcp_nopush off;
  client_body_temp_path {dir}/b; proxy_temp_path {dir}/p; fastcgi_temp_path {dir}/f;
  uwsgi_temp_path {dir}/u; scgi_temp_path {dir}/s;
  open_file_cache max=100;
  server {{ listen 127.0.0.1:{port}; root {dir}; location / {{ default_type text/plain; }} }}
}}
"""


def cpu_seconds(pid):
    """User and system time of a process so far."""
    return time.clock_gettime((~pid << 3) | 2)  # CPUCLOCK_SCHED of another process


def wait_for(url):
    """Waits until something answers."""
    import urllib.request

    for _ in range(100):
        try:
            return len(urllib.request.urlopen(url, timeout=2).read())
        except OSError:
            time.sleep(0.05)
    sys.exit(f"nothing answers at {url}")


def start_nginx(port, size):
    folder = tempfile.mkdtemp(prefix="bench-get-")
    with open(f"{folder}/asset", "wb") as asset:
        asset.write(b"a" * size)
    os.chmod(folder, 0o755)
    with open(f"{folder}/conf", "w", encoding="ascii") as conf:
        conf.write(NGINX.format(dir=folder, port=port))
    process = subprocess.Popen([shutil.which("nginx") or "/usr/sbin/nginx", "-p", folder, "-c",
                                f"{folder}/conf"], stderr=subprocess.DEVNULL)
    return process, folder, f"http://127.0.0.1:{port}/asset"


def measure(url, pid, seconds, connections):
    """One run of wrk: requests per second, CPU microseconds per request, p99 in ms."""
    before = cpu_seconds(pid)
    text = subprocess.run(["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--latency", url],
                          capture_output=True, text=True, check=True).stdout
    used = cpu_seconds(pid) - before
    requests = int(re.search(r"(\d+) requests in", text).group(1))
    rate = float(re.search(r"Requests/sec:\s*([\d.]+)", text).group(1))
    number, unit = re.search(r"99%\s+([\d.]+)(us|ms|s)", text).groups()
    p99 = float(number) * {"us": 0.001, "ms": 1, "s": 1000}[unit]
    if "Non-2xx" in text or "Socket errors" in text:
        sys.exit(f"errors from {url}:\n{text}")
    return {"rps": rate, "cpu_us": used * 1e6 / requests, "p99_ms": p99}


def medians(rounds):
    return {key: round(statistics.median(r[key] for r in rounds), 2) for key in rounds[0]}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--serve", default="build/bench/bench_serve")
    parser.add_argument("--url")
    parser.add_argument("--pid", type=int)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=2)
    parser.add_argument("--connections", type=int, default=50)
    parser.add_argument("--port", type=int, default=18410)
    args = parser.parse_args()
    started = []
    folder = None
    try:
        url, pid = args.url, args.pid
        if not url:
            ours = subprocess.Popen([args.serve, str(args.port)], stdout=subprocess.DEVNULL)
            started.append(ours)
            url, pid = f"http://127.0.0.1:{args.port}/asset", ours.pid
        size = wait_for(url)
        nginx, folder, nginx_url = start_nginx(args.port + 1, size)
        started.append(nginx)
        wait_for(nginx_url)
        ours_rounds, nginx_rounds = [], []
        for _ in range(args.rounds):
            ours_rounds.append(measure(url, pid, args.seconds, args.connections))
            nginx_rounds.append(measure(nginx_url, nginx.pid, args.seconds, args.connections))
        a, b = medians(ours_rounds), medians(nginx_rounds)
        print(json.dumps({
            "bench": "get", "bytes": size, "connections": args.connections, "rounds": args.rounds,
            "ours": a, "nginx": b,
            "rps_ratio": round(statistics.median(
                x["rps"] / y["rps"] for x, y in zip(ours_rounds, nginx_rounds)), 3),
            "cpu_ratio": round(a["cpu_us"] / b["cpu_us"], 3)}))
    finally:
        for process in started:
            process.terminate()
            process.wait()
        if folder:
            shutil.rmtree(folder)


if __name__ == "__main__":
    main()
