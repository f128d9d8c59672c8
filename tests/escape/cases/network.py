"""The host and others by the network, where an app has none."""

import os
import socket

from escape import story

CASES = []


@story(38, "the host's loopback and private, metadata and mapped addresses, with no network given",
       "ECONNREFUSED, ENETUNREACH")
def addresses(t):
    with socket.create_server(("127.0.0.1", 0)) as tcp:
        _, lines = t.attack("reach", tcp.getsockname()[1])
    own = lines.pop("own")
    t.expect(own == "OK", "its own server: " + own)
    t.expect(lines.pop("interfaces") == "lo", "interfaces")
    t.expect(len(lines) == 12 and set(lines.values()) <= {"ECONNREFUSED", "ENETUNREACH", "EINVAL"},
             repr(lines))
    return "ECONNREFUSED, ENETUNREACH"


@story(39, "abstract unix sockets of the host", "ECONNREFUSED")
def abstract(t):
    name = "spaces-escape-%s" % os.urandom(4).hex()
    with socket.socket(socket.AF_UNIX) as unix:
        unix.bind("\0" + name)
        unix.listen()
        _, lines = t.attack("reach", 1, name)
    t.expect(lines["abstract"] in ("ECONNREFUSED", "EPERM"), repr(lines))
    return lines["abstract"]
