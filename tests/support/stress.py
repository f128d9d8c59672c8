"""Loads that tests/e2e/test_stress.py runs short and tools/soak.py runs long.

Each returns what it has seen as a table; who calls says what is too much.
"""

import multiprocessing
import os
import random
import re
import signal
import socket
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "e2e"))
import harness  # noqa: E402
import launch_driver as launch  # noqa: E402

APP = {"README.md": "---\ntitle: Small\nsdk: gradio\n---\n",
       "app.py": "import gradio as gr\ngr.Interface(lambda x: x, 'text', 'text', api_name='echo').launch()\n"}


# --- cycles through the launcher ------------------------------------------------------------------------


def descriptors(pid):
    names = []
    for fd in os.listdir(f"/proc/{pid}/fd"):
        try:
            names.append(os.readlink(f"/proc/{pid}/fd/{fd}"))
        except OSError:
            pass
    return names


def count_all(l):
    """Everything that a start could leave behind."""
    l.settle()
    pid = l.process.pid
    processes = launch.processes_of(l.state_id)
    nets = {name for name in descriptors(pid) if name.startswith("net:[")}
    for each in processes:
        try:
            nets.add(os.readlink(f"/proc/{each}/ns/net"))
        except OSError:
            pass
    with open(f"/proc/{pid}/mountinfo", encoding="utf-8") as file:
        mounts = len(file.readlines())
    with open(f"/proc/{pid}/smaps_rollup", encoding="utf-8") as file:
        memory = int(re.search(r"^Private_Dirty:\s+(\d+)", file.read(), re.M).group(1))
    groups = sum(os.path.isdir(os.path.join(path, name)) for path in launch.groups_of(l.state_id)
                 for name in os.listdir(path))
    return {"descriptors": len(descriptors(pid)), "mounts": mounts, "groups": groups, "network namespaces": len(nets),
            "processes": len(processes), "launcher's own memory, kB": memory}


def settled(l, pool):
    """Counts when the pool is full again and nothing else is alive."""
    harness.wait_for("the pool to be full and alone",
                     lambda: len(launch.processes_of(l.state_id)) == 1 + pool and
                     len(set(os.path.basename(os.path.join(path, name)) for path in launch.groups_of(l.state_id)
                             for name in os.listdir(path) if os.path.isdir(os.path.join(path, name)))) == pool)
    return count_all(l)


def cycles(l, count, pool, warm=20):
    """(counts after `warm` cycles, counts after `count` more, seconds of these)."""
    def cycle():
        box = l.sandbox()
        exited, _ = l.run(box, ["/bin/true"])
        assert exited.status == 0, exited.status
        l.stop(box, grace_ms=0)

    for _ in range(warm):
        cycle()
    before, began = settled(l, pool), time.monotonic()
    for _ in range(count):
        cycle()
    took = time.monotonic() - began
    return before, settled(l, pool), took


# --- many Spaces at once --------------------------------------------------------------------------------


def probe(host, port, stop, pipe):
    """Asks /readyz every 10 ms on one connection; with a priority that keeps its own lateness out."""
    try:
        os.setpriority(os.PRIO_PROCESS, 0, -15)
    except OSError:
        pass
    sock = socket.create_connection((host, port))
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    took = []
    while not stop.wait(0.01):
        began = time.perf_counter()
        sock.sendall(b"GET /readyz HTTP/1.1\r\nHost: localhost\r\n\r\n")
        answer = sock.recv(4096)
        took.append((time.perf_counter() - began) * 1000)
        if not answer.startswith(b"HTTP/1.1 200"):
            took.append(float("inf"))
    sock.close()
    pipe.send(took)


class Prober:
    """with Prober(daemon) as p: ...; then p.p99_ms, p.max_ms, p.count."""

    def __init__(self, daemon):
        host, port = daemon.url.removeprefix("http://").split(":")
        self.stop = multiprocessing.Event()
        self.pipe, theirs = multiprocessing.Pipe()
        self.process = multiprocessing.Process(target=probe, args=(host, int(port), self.stop, theirs))

    def __enter__(self):
        self.process.start()
        return self

    def __exit__(self, *_):
        self.stop.set()
        took = sorted(self.pipe.recv()) if self.pipe.poll(10) else [float("inf")]
        self.process.join()
        self.count, self.max_ms = len(took), took[-1]
        self.p50_ms, self.p99_ms = took[len(took) // 2], took[int(len(took) * 0.99)]


def stages(daemon, names):
    """How many of the Spaces are in each stage."""
    found = {}
    for name in names:
        stage = daemon.runtime(name)["stage"]
        found[stage] = found.get(stage, 0) + 1
    return found


def wait_until_all_run(daemon, names, deadline_s=harness.DEADLINE_S, every_s=0.1):
    end = time.monotonic() + deadline_s
    while (found := stages(daemon, names)) != {"RUNNING": len(names)}:
        if time.monotonic() > end:
            raise AssertionError(f"not all Spaces run after {deadline_s} s: {found}\n"
                                 f"{[daemon.runtime(n) for n in names]}\n{daemon.log_text()[-6000:]}")
        time.sleep(every_s)


def make_spaces(daemon, folder, count):
    """One is deployed, the others are copies of it; all of them start by that. Their names."""
    daemon.cli("deploy", folder, "me/s0", "--wait")
    names = ["me/s0"]
    for i in range(1, count):
        reply = daemon.post("/api/spaces/me/s0/duplicate", {"repository": f"me/s{i}", "private": False})
        assert reply.status == 202, reply.body
        names.append(f"me/s{i}")
    return names


def starts_at_once(daemon, folder, count, deadline_s):
    """Copies a Space until there are `count`, all at once; /readyz meanwhile, and seconds until the last one runs."""
    began = time.monotonic()
    with Prober(daemon) as prober:
        names = make_spaces(daemon, folder, count)
        asked = time.monotonic() - began
        wait_until_all_run(daemon, names, deadline_s, every_s=0.5)
    return names, {"spaces": count, "asked_s": asked, "running_s": time.monotonic() - began, "probes": prober.count,
                   "readyz_p50_ms": prober.p50_ms, "readyz_p99_ms": prober.p99_ms, "readyz_max_ms": prober.max_ms}


# --- kills ----------------------------------------------------------------------------------------------


def born(pid):
    """Tells a process from a later one with its number; one that is dead is nobody."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8") as file:
            fields = file.read().rsplit(")", 1)[1].split()
            return pid, fields[19] if fields[0] not in "ZX" else None
    except OSError:
        return pid, None


def life(daemon):
    """(processes, group names) of the daemon's sandboxes and its launcher, now."""
    processes = {born(pid) for pid in harness.processes_with(daemon.state_id)}
    return processes, {path for path in harness.cgroups_with(daemon.state_id)
                       if not path.endswith(f"spacesd-{daemon.state_id}")} | {
        os.path.join(path, name) for path in harness.cgroups_with(daemon.state_id) for name in os.listdir(path)
        if os.path.isdir(os.path.join(path, name))}


def kill(daemon, who):
    """SIGKILL to the daemon, the launcher, or both without a chance for either to tidy up."""
    launcher = daemon.launcher_pid()
    if who == "both":
        os.kill(launcher, signal.SIGSTOP)
    if who in ("daemon", "both"):
        daemon.process.kill()
    if who in ("launcher", "both"):
        os.kill(launcher, signal.SIGKILL)
    code = daemon.process.wait(harness.DEADLINE_S)
    daemon.release()
    if who == "launcher":
        assert code == 1, code


def kill_and_restart(daemon, who):
    """Restarts at once, and says what of the old life is there when the new one is ready: nothing should be."""
    processes, groups = life(daemon)
    daemon.expected_errors.append("launcher.lost")
    kill(daemon, who)
    daemon.start()
    left = {f"process {pid}" for pid, start in processes if start and born(pid) == (pid, start)}
    left |= {f"group {path}" for path in groups if os.path.exists(path)}
    return left


def random_kills(daemon, names, rounds, seed, starts=100):
    """
    In each round Spaces are restarted at random; at a random moment a SIGKILL comes. What was left of
    old lives, and how many starts had been asked for.
    """
    chance, left, asked = random.Random(seed), set(), 0
    for _ in range(rounds):
        who = chance.choice(("daemon", "daemon", "launcher", "both"))
        for _ in range(chance.randint(1, max(1, 2 * starts // rounds))):
            reply = daemon.post(f"/api/spaces/{chance.choice(names)}/restart")
            assert reply.status in (202, 409, 429, 503), reply.body
            asked += reply.status == 202
        time.sleep(chance.random() * 0.3)  # the moment of the kill is the point; nothing is waited for
        left |= kill_and_restart(daemon, who)
    return left, asked
