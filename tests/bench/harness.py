"""What the benches share: a daemon of their own, the load generator, calibrators."""

import json
import os
import re
import shutil
import signal
import socket
import statistics
import subprocess
import tempfile
import threading
import time

CPU_CLOCK = 2  # CPUCLOCK_SCHED in the kernel's numbering of the clocks of other processes

median = statistics.median


class Daemon:
    """A spacesd on a port of its own, with a state folder that goes with it."""

    def __init__(self, build, *args):
        self.build, self.state = build, tempfile.mkdtemp(prefix="spacesd-bench-")
        self.log = open(self.state + ".log", "ab")
        self.process = subprocess.Popen([f"{build}/spacesd", "--state", self.state, "--listen", "127.0.0.1:0", *args],
                                        stdout=subprocess.PIPE, stderr=self.log, text=True)
        self.url = self.process.stdout.readline().strip().removeprefix("ready url=")
        if not self.url:
            with open(self.state + ".log", encoding="utf-8") as file:
                raise SystemExit("spacesd did not start: " + file.read())
        self.host, self.port = self.url.removeprefix("http://").split(":")
        with open(f"{self.state}/admin.token", encoding="utf-8") as file:
            self.env = {**os.environ, "SPACES_URL": self.url, "SPACES_TOKEN": file.read().strip()}

    def deploy(self, app, name):
        subprocess.run([f"{self.build}/spaces", "deploy", f"tests/bench/apps/{app}", name, "--wait"], env=self.env,
                       check=True, stdout=subprocess.DEVNULL)

    def cpu_s(self):
        """User and system time of all threads so far; the launcher and the workers are others."""
        return time.clock_gettime((~self.process.pid << 3) | CPU_CLOCK)

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
        self.process.stdout.close()
        self.log.close()
        shutil.rmtree(self.state, ignore_errors=True)
        os.unlink(self.state + ".log")


def load(build, mode, daemon, space, clients, seconds):
    """One run of tests/bench/bench_queue.c: events, ev_per_s, p50_ms, p99_ms."""
    done = subprocess.run([f"{build}/bench/bench_queue", mode, daemon.host, daemon.port, space, str(clients), str(seconds)],
                          check=True, capture_output=True, text=True)
    return json.loads(done.stdout)


def fdatasync_ms(folder, count=200):
    """Append and fdatasync of 300 bytes on the disk of the journal."""
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
