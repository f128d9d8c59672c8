"""Tries to connect to the host: python3 reach.py PORT [ABSTRACT_NAME]."""
import socket
import sys

from attack import attempt

port = int(sys.argv[1])


def to(family, address):
    def action():
        with socket.socket(family, socket.SOCK_STREAM) as s:
            s.settimeout(3)
            s.connect(address)
    return action


if len(sys.argv) > 2:
    attempt("abstract", to(socket.AF_UNIX, "\0" + sys.argv[2]))
    sys.exit()
for address in ("127.0.0.1", "0.0.0.0", "127.1.2.3", "169.254.169.254", "10.0.0.1", "172.16.0.1", "192.168.1.1",
                "100.64.0.1"):
    attempt(address, to(socket.AF_INET, (address, port)))
for address in ("::1", "::ffff:127.0.0.1", "fd00::1", "fe80::1"):
    attempt(address, to(socket.AF_INET6, (address, port)))
server = socket.create_server(("127.0.0.1", 0))
attempt("own", to(socket.AF_INET, server.getsockname()))
print("interfaces", ",".join(name for _, name in socket.if_nameindex()))
