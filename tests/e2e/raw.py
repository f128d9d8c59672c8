"""Bytes on a socket, as no well-behaved client would send them; and a small WebSocket client."""

import base64
import json
import os
import socket
import struct
import urllib.parse


def connect(daemon, timeout=30):
    host = urllib.parse.urlsplit(daemon.url)
    return socket.create_connection((host.hostname, host.port), timeout)


def exchange(daemon, data, timeout=30):
    """Sends the bytes and reads until the server closes: the whole answer."""
    with connect(daemon, timeout) as sock:
        sock.sendall(data)
        answer = b""
        while True:
            try:
                piece = sock.recv(65536)
            except ConnectionResetError:
                break
            if not piece:
                break
            answer += piece
        return answer


class WebSocket:
    """RFC 6455, the client's side; messages are JSON."""

    def __init__(self, daemon, path, headers=(), sock=None):
        self.sock = sock or connect(daemon)
        key = base64.b64encode(os.urandom(16)).decode()
        host = urllib.parse.urlsplit(daemon.url).netloc
        head = [f"GET {path} HTTP/1.1", f"Host: {host}", "Upgrade: websocket", "Connection: Upgrade",
                f"Sec-WebSocket-Key: {key}", "Sec-WebSocket-Version: 13", *headers, "", ""]
        self.sock.sendall("\r\n".join(head).encode())
        self.buffer = b""
        while b"\r\n\r\n" not in self.buffer:
            piece = self.sock.recv(65536)
            if not piece:
                break
            self.buffer += piece
        self.head, _, self.buffer = self.buffer.partition(b"\r\n\r\n")
        self.status = int(self.head.split()[1])
        self.close_code = None

    def send_frame(self, opcode, payload, fin=True):
        mask = os.urandom(4)
        size = len(payload)
        head = bytes([opcode | (0x80 if fin else 0)])
        if size < 126:
            head += bytes([0x80 | size])
        elif size < 65536:
            head += b"\xfe" + struct.pack("!H", size)
        else:
            head += b"\xff" + struct.pack("!Q", size)
        self.sock.sendall(head + mask + bytes(b ^ mask[i % 4] for i, b in enumerate(payload)))

    def send(self, message):
        self.send_frame(1, json.dumps(message).encode())

    def take(self, count):
        while len(self.buffer) < count:
            piece = self.sock.recv(65536)
            if not piece:
                raise EOFError("the server closed the connection")
            self.buffer += piece
        data, self.buffer = self.buffer[:count], self.buffer[count:]
        return data

    def receive(self):
        """The next message; None after a close frame (self.close_code has its code)."""
        while True:
            first, second = self.take(2)
            size = second & 127
            if size == 126:
                size = struct.unpack("!H", self.take(2))[0]
            elif size == 127:
                size = struct.unpack("!Q", self.take(8))[0]
            payload = self.take(size)
            if first & 15 == 8:
                self.close_code = struct.unpack("!H", payload[:2])[0] if len(payload) >= 2 else 1005
                return None
            if first & 15 == 9:
                self.send_frame(10, payload)
            elif first & 15 == 1:
                return json.loads(payload)

    def until(self, msg):
        seen = []
        while True:
            message = self.receive()
            if message is None:
                raise AssertionError(f"closed with {self.close_code} before {msg}: {seen}")
            seen.append(message)
            if message.get("msg") == msg:
                return seen

    def close(self):
        self.sock.close()
