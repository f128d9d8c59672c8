"""Network namespaces for tests: a host that the launcher believes to be alone on, and behind it one
that plays the internet with every address that an app must not reach. No packet leaves the machine."""

import contextlib
import ctypes
import os
import shutil
import socket
import struct
import subprocess
import sys
import threading

PUBLIC, PUBLIC_2, DNS = "11.1.0.1", "11.1.0.2", "11.0.0.1"
HOST = "11.0.0.2"
ECHO, ONCE = 9, 81  # ports: UDP at PUBLIC; TCP that closes first
# What answers on port 80 beside the public ones; the rules must not let anybody there.
CLOSED = ["169.254.169.254", "10.9.9.9", "100.64.0.9", "192.168.7.7", "172.16.0.9", "198.18.0.9",
          "192.0.2.9", "203.0.113.9"]
NAMES = {
    "public.test": ([PUBLIC], 2),
    "second.test": ([PUBLIC_2], 300),
    "private.test": (["10.9.9.9"], 1),
    "metadata.test": (["169.254.169.254"], 1),
    "mixed.test": ([PUBLIC, "192.168.7.7"], 1),
    "loop.test": (["127.0.0.1"], 1),
    "sub.second.test": ([PUBLIC_2], 300),
}
ALIASES = {"alias.test": "public.test", "evil-alias.test": "private.test"}


def ip(*words):
    subprocess.run(["ip", *words], check=True)


def can():
    """Whether the tools are there."""
    return all(shutil.which(tool) for tool in ("ip", "bridge", "nft", "nsenter", "sysctl"))


class World:
    """`host` and `internet`; in the latter runs this file as a program."""

    def __init__(self):
        self.host, self.internet = "sph%d" % os.getpid(), "spi%d" % os.getpid()
        self.server = None
        try:
            self.build()
        except BaseException:
            self.remove()
            raise

    def build(self):
        for name in (self.host, self.internet):
            ip("netns", "add", name)
            ip("-n", name, "link", "set", "lo", "up")
        ip("link", "add", "up0", "netns", self.host, "type", "veth", "peer", "name", "down0", "netns",
           self.internet)
        ip("-n", self.host, "addr", "add", HOST + "/24", "dev", "up0")
        ip("-n", self.internet, "addr", "add", DNS + "/24", "dev", "down0")
        for address in [PUBLIC, PUBLIC_2, *CLOSED]:
            ip("-n", self.internet, "addr", "add", address + "/32", "dev", "lo")
        ip("-n", self.host, "-6", "addr", "add", "fd00::2/64", "dev", "up0", "nodad")
        ip("-n", self.internet, "-6", "addr", "add", "fd00::9/64", "dev", "down0", "nodad")
        ip("-n", self.host, "link", "set", "up0", "up")
        ip("-n", self.internet, "link", "set", "down0", "up")
        ip("-n", self.host, "route", "add", "default", "via", DNS)
        subprocess.run(self.enter(self.host) + ["sysctl", "-qw", "net.ipv4.conf.up0.forwarding=1"],
                       check=True)
        self.server = subprocess.Popen(self.enter(self.internet) + [sys.executable, __file__],
                                       stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert self.server.stdout.readline() == b"ready\n"

    @staticmethod
    def enter(name):
        return ["nsenter", "--net=/run/netns/" + name]

    @contextlib.contextmanager
    def visit(self):
        """This thread is on the host, and so is what it starts."""
        libc = ctypes.CDLL(None, use_errno=True)

        def go(fd):
            if libc.setns(fd, 0x40000000) < 0:  # CLONE_NEWNET
                raise OSError(ctypes.get_errno(), "setns")

        home, host = (os.open(path, os.O_RDONLY) for path in ("/proc/thread-self/ns/net", "/run/netns/" + self.host))
        go(host)
        try:
            yield
        finally:
            go(home)
            os.close(home)
            os.close(host)

    def in_host(self, *argv):
        return subprocess.run(self.enter(self.host) + list(argv), check=True, capture_output=True,
                              text=True).stdout

    def connections(self):
        """How many the host remembers. Those whose time is over go when somebody looks, or a minute later."""
        self.in_host("sh", "-c", "cat /proc/net/nf_conntrack 2>/dev/null || true")
        return int(self.in_host("sysctl", "-n", "net.netfilter.nf_conntrack_count"))

    def remove(self):
        if self.server:
            self.server.stdin.close()
            self.server.wait(timeout=10)
            self.server.stdout.close()
        for name in (self.host, self.internet):
            subprocess.run(["ip", "netns", "del", name], check=False, stderr=subprocess.DEVNULL)


# --- the internet ---


def serve_tcp(server):
    held = []
    while True:
        c, peer = server.accept()
        c.sendall(b"hello %s\n" % peer[0].encode())
        held.append(c)  # open until the other side closes: for the cap
        if len(held) > 2000:
            held.pop(0).close()


def serve_tcp_once(server):
    while True:
        c, _ = server.accept()
        c.sendall(b"hello\n")
        c.close()


def serve_udp(s):
    """Says what it has seen; "to HOST PORT WORD" makes it say something to somebody else first."""
    while True:
        data, peer = s.recvfrom(2000)
        words = data.decode(errors="replace").split()
        if len(words) == 4 and words[0] == "to":
            s.sendto(words[3].encode(), (words[1], int(words[2])))
        s.sendto(b"%s from %s %d" % (data, peer[0].encode(), peer[1]), peer)


def serve_tcp6(server):
    while True:
        server.accept()[0].close()


def name_of(data):
    labels, at = [], 12
    while data[at]:
        labels.append(data[at + 1:at + 1 + data[at]].decode().lower())
        at += 1 + data[at]
    return ".".join(labels), at + 1


def wire(name):
    return b"".join(bytes([len(x)]) + x.encode() for x in name.split(".")) + b"\0"


def answer(data):
    name, end = name_of(data)
    kind = struct.unpack_from(">H", data, end)[0]
    records, owner = [], name
    if name in ALIASES:
        records.append(wire(name) + struct.pack(">HHIH", 5, 1, 60, len(wire(ALIASES[name]))) +
                       wire(ALIASES[name]))
        owner = ALIASES[name]
    addresses, ttl = NAMES.get(owner, ([], 0))
    if kind == 1:
        records += [wire(owner) + struct.pack(">HHIH", 1, 1, ttl, 4) + socket.inet_aton(a)
                    for a in addresses]
    code = 0 if owner in NAMES else 3
    return (data[:2] + struct.pack(">HHHHH", 0x8180 | code, 1, len(records), 0, 0) +
            data[12:end + 4] + b"".join(records))


def serve_dns(s):
    while True:
        data, peer = s.recvfrom(2000)
        s.sendto(answer(data), peer)


def main():
    names = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    names.bind((DNS, 53))
    echo = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    echo.bind((PUBLIC, ECHO))
    for serve, server in (
            (serve_tcp, socket.create_server(("0.0.0.0", 80), backlog=1024)),
            (serve_tcp_once, socket.create_server(("0.0.0.0", ONCE), backlog=1024)),
            (serve_udp, echo),
            (serve_tcp6, socket.create_server(("fd00::9", 80), family=socket.AF_INET6)),
            (serve_dns, names)):
        threading.Thread(target=serve, args=(server,), daemon=True).start()
    print("ready", flush=True)
    sys.stdin.read()
    os._exit(0)


if __name__ == "__main__":
    main()
