"""The one socket: lines in, lines out. See docs/worker-protocol.md."""

import os
from _thread import allocate_lock

from . import jsonio

LINE_LIMIT = (1 << 20) + (64 << 10)
VALUE_LIMIT = 1 << 20
READ_SIZE = 1 << 16


class ProtocolError(Exception):
    """The daemon sent something that is not the protocol."""


class Wire:
    """A connected stream socket. `send` may be called by any thread, `lines` by one."""

    def __init__(self, fd):
        os.set_blocking(fd, True)
        self._fd = fd
        self._lock = allocate_lock()

    @classmethod
    def from_environment(cls):
        """Takes the socket away from where the app's own code and children would find it."""
        inherited = int(os.environ.pop("SPACEKIT_FD"))
        fd = os.dup(inherited)
        os.close(inherited)
        return cls(fd)

    def send(self, message):
        self.send_text(jsonio.encode(message))

    def send_text(self, text):
        """`text` is one JSON object. One write, so that lines of different threads never mix."""
        data = jsonio.to_bytes(text) + b"\n"
        with self._lock:
            written = os.write(self._fd, data)
            while written < len(data):
                written += os.write(self._fd, data[written:])

    def lines(self):
        """Yields lists of whole lines as they arrive; ends at EOF."""
        parts, size = [], 0
        while True:
            data = os.read(self._fd, READ_SIZE)
            if not data:
                return
            if b"\n" not in data:
                parts.append(data)
                size += len(data)
                if size > LINE_LIMIT:
                    raise ProtocolError("a line is longer than %d bytes" % LINE_LIMIT)
                continue
            if parts:
                parts.append(data)
                data = b"".join(parts)
            lines = data.split(b"\n")
            rest = lines.pop()
            parts, size = ([rest] if rest else []), len(rest)
            yield lines


def decode_line(line):
    try:
        message = jsonio.decode(line.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise ProtocolError("a line is not JSON: %s" % error) from None
    if not isinstance(message, dict):
        raise ProtocolError("a line is not a JSON object")
    return message
