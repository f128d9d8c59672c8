"""Tries to reach the host's network: python3 connect.py PORT ABSTRACT_NAME."""
import os
import socket
import sys

port, name = int(sys.argv[1]), sys.argv[2]


def attempt(label, family, address):
    with socket.socket(family, socket.SOCK_STREAM) as s:
        s.settimeout(2)
        try:
            s.connect(address)
            print(label, "OK", flush=True)
        except OSError as error:
            print(label, os.strerror(error.errno).replace(" ", "_") if error.errno else "timeout", flush=True)


attempt("loopback", socket.AF_INET, ("127.0.0.1", port))
attempt("loopback6", socket.AF_INET6, ("::1", port))
attempt("mapped", socket.AF_INET6, ("::ffff:127.0.0.1", port))
attempt("metadata", socket.AF_INET, ("169.254.169.254", 80))
attempt("private", socket.AF_INET, ("10.0.0.1", 80))
attempt("abstract", socket.AF_UNIX, "\0" + name)
server = socket.create_server(("127.0.0.1", 0))
attempt("own", socket.AF_INET, server.getsockname())
print("interfaces", *[n for _, n in socket.if_nameindex()])
