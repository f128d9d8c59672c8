"""Spaces with a network: each story has a host of its own in a network namespace, and an internet beside it
(tests/support/netns.py) with every address that an app must not reach."""

import contextlib
import os
import subprocess

import escape
import net_programs
import netns
from escape import PYTHON, launch, story

CASES = []


@contextlib.contextmanager
def outside(t, *options):
    """A launcher on a host that has an internet: (world, launcher)."""
    world = netns.World()
    launcher = None
    try:
        launcher = launch.Launcher(
            wrap=world.enter(world.host), state_id=os.urandom(8).hex(),
            options=["--network-allowed", "outbound,allow-list", "--network-dns", netns.DNS, *options,
                     *(["--run-as-root-inside"] if t.uid == 0 else [])])
        t.expect(launcher.hello().complete, "the launcher is not complete")
        yield world, launcher
        t.expect(launcher.close() == 0, "the launcher did not end well")
        left = world.in_host("nft", "list", "tables") + world.in_host("ip", "-o", "link", "show", "type", "bridge")
        t.expect(not left, "left on the host: " + left)
    finally:
        if launcher:
            launcher.process.kill()
            launcher.process.wait()
            launcher.remove()
        world.remove()


def table(t, launcher, box, program, *argv):
    exited, text = launcher.run(box, [PYTHON, "-c", program, *argv])
    t.expect(exited.status == 0, text)
    return net_programs.table(text)


def reach(t, launcher, box, *where):
    """The first word of each: hello, no."""
    said = table(t, launcher, box, net_programs.REACH, *where)
    return {place: word.split()[0].rstrip(":") for place, word in said.items()}


def outbound(launcher, **more):
    return launcher.sandbox(network=launch.NETWORK_OUTBOUND, **more)


@story(38, "a Space with a network reaches nothing private, not the host and not its neighbour", "timed out or refused",
       into=CASES)
def private(t):
    with outside(t) as (world, launcher):
        one, other = outbound(launcher), outbound(launcher, space=8)
        worker = launcher.worker(other, [PYTHON, "-c", "import socket\ns = socket.create_server(('0.0.0.0', 8080))\n"
                                         "print('ready', flush=True)\nwhile True: s.accept()[0].sendall(b'oops')"])
        launcher.read_log(worker, b"ready\n")
        launcher.close_log(worker)
        where = [a + "/80" for a in [*netns.CLOSED, "fd00::9", "::ffff:10.9.9.9", "::ffff:169.254.169.254", "0.0.0.0",
                                     "127.0.0.1", netns.HOST, "10.208.0.1", "224.0.0.1"]] + ["10.208.0.3/8080"]
        said = reach(t, launcher, one, netns.PUBLIC + "/80", *where)
        t.expect(said.pop(netns.PUBLIC + "/80") == "hello", "the public address is not reached either")
        t.expect(set(said.values()) == {"no"}, repr(said))
        with launcher.connect(other, 8080) as c:
            t.expect(c.recv(100) == b"oops", "the neighbour does not listen")
        control = subprocess.run(world.enter(world.host) + [PYTHON, "-c", net_programs.REACH, *where[:8]],
                                 capture_output=True, text=True, check=True).stdout
        t.expect(control.count(" no") == 0, "the host itself does not get there: " + control)
    return "timed out or refused"


@story(40, "another address, another mac or a raw frame", "EPERM, dropped", into=CASES)
def forged(t):
    with outside(t) as (world, launcher):
        box = outbound(launcher)
        said = table(t, launcher, box, net_programs.FORGE)
        could = {name for name in said if said[name] == "OK"} - net_programs.FORGE_DROPPED
        t.expect(said and not could, repr(said))
        heard = world.in_host("ip", "neigh", "show") + world.in_host("bridge", "fdb", "show")
        t.expect(net_programs.FORGED not in heard, heard)
    return "EPERM, dropped"


@story(41, "a name that leads to a private address", "refused", into=CASES)
def rebound(t):
    with outside(t) as (_, launcher):
        said = table(t, launcher, outbound(launcher), net_programs.RESOLVE,
                     "public.test", "private.test", "metadata.test", "mixed.test", "loop.test", "evil-alias.test")
        t.expect(said.pop("public.test") == netns.PUBLIC, "no name is answered")
        t.expect(all(word.startswith("no:") for word in said.values()), repr(said))
    return "refused"


@story(42, "a flood of connections", "ends at the cap", into=CASES)
def flood(t):
    with outside(t, "--network-connections", "20") as (_, launcher):
        one, other = outbound(launcher), outbound(launcher, space=8)
        worker = launcher.worker(one, [PYTHON, "-c", """
import socket, time
held = []
for i in range(100):
    s = socket.socket(); s.setblocking(False); s.connect_ex(("11.1.0.1", 80)); held.append(s)
time.sleep(1.5)
def through(s):
    try: return s.recv(100).startswith(b"hello")
    except OSError: return False
print("open %d." % sum(map(through, held)), flush=True)
time.sleep(600)
"""])
        text = launcher.read_log(worker, b".")
        t.expect(text == "open 20.\n" or text == "open 20.", text)
        said = reach(t, launcher, other, netns.PUBLIC + "/80")
        t.expect(set(said.values()) == {"hello"}, "the neighbour does not get out: %r" % said)
        launcher.close_log(worker)
    return "ends at the cap"


for case in CASES:
    case.needs = lambda: None if netns.can() else "needs nft, ip, sysctl: packages nftables, iproute2, procps"
