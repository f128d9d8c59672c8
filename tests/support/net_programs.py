"""Programs that tests of the network run inside a sandbox: each prints one line `subject what came of it`."""

# Connects to each ADDRESS/PORT of its arguments at the same time: what was said there, or "no: why".
REACH = """
import socket, sys, threading
def go(where):
    host, port = where.rsplit("/", 1)
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        with socket.socket(family) as s:
            s.settimeout(2)
            s.connect((host, int(port)))
            said[where] = s.recv(100).decode().strip() or "connected"
    except OSError as e:
        said[where] = "no: %s" % e
said = {}
threads = [threading.Thread(target=go, args=(a,)) for a in sys.argv[1:]]
for t in threads: t.start()
for t in threads: t.join()
for where in sys.argv[1:]: print(where, said[where])
"""

# The addresses of each name of its arguments, or "no: why".
RESOLVE = """
import socket, sys
for name in sys.argv[1:]:
    try:
        print(name, ",".join(sorted({a[4][0] for a in socket.getaddrinfo(name, 80)})))
    except OSError as e:
        print(name, "no: %s" % e)
"""

# Sends each word that comes in by TCP port 7860 to PUBLIC's echo, from one UDP port, and answers what it hears first.
DATAGRAMS = """
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(("0.0.0.0", 5555)); s.settimeout(2)
orders = socket.create_server(("127.0.0.1", 7860))
print("bound", flush=True)
while True:
    c, _ = orders.accept()
    s.sendto(c.recv(100), ("11.1.0.1", 9))
    try: c.sendall(s.recv(200))
    except OSError as e: c.sendall(b"no: %s" % str(e).encode())
    c.close()
"""

# Claims an address and a place in the network that are not its own: OK, or the error. What FORGE_DROPPED names
# may be tried, and goes nowhere.
FORGED = "10.208.0.99"
FORGE_DROPPED = {"freebind", "dhcp"}
FORGE = """
import errno, fcntl, socket, struct
def tries(name, what):
    try: what(); print(name, "OK")
    except OSError as e: print(name, errno.errorcode[e.errno])
def datagrams():
    return socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s = datagrams()
ifreq = b"eth0".ljust(16, b"\\0") + struct.pack("<HH4s8x", 2, 0, socket.inet_aton("10.208.0.99"))
tries("address", lambda: fcntl.ioctl(s, 0x8916, ifreq))
tries("mac", lambda: fcntl.ioctl(s, 0x8924, b"eth0".ljust(40, b"\\0")))
tries("packet", lambda: socket.socket(17, socket.SOCK_RAW, 3))
tries("raw", lambda: socket.socket(socket.AF_INET, socket.SOCK_RAW, 17))
tries("foreign", lambda: datagrams().bind(("10.208.0.99", 0)))
tries("transparent", lambda: datagrams().setsockopt(0, 19, 1))
def freebind():
    t = datagrams()
    t.setsockopt(0, 15, 1); t.bind(("10.208.0.99", 0))
    t.sendto(b"x", ("11.1.0.1", 9)); t.sendto(b"x", ("10.208.0.1", 53))
tries("freebind", freebind)
def dhcp():
    t = datagrams()
    t.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1); t.bind(("", 67)); t.sendto(b"x" * 300, ("255.255.255.255", 68))
tries("dhcp", dhcp)
"""


def table(text):
    """What such a program has printed."""
    return dict(line.split(" ", 1) for line in text.splitlines())
