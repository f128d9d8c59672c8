"""Drives spaces-launcher directly, as spacesd would: the other side of sandbox/launch.h.

The numbers here are the contract's; a change in the header shows as a message of another size.
"""

import contextlib
import os
import select
import shutil
import socket
import struct
import subprocess
import tempfile
import time

BUILD = os.environ.get("BUILD", "build")
MAGIC = 0x53504C31
HELLO, SANDBOX_START, WORKER_START, WORKER_STOP, SANDBOX_STOP, USAGE, FREEZE, SOCKET, GPUS = range(1, 10)
OK, FAILED, WORKER_EXITED, SANDBOX_GONE, LIMIT_HIT = range(64, 69)
NETWORK_NONE, NETWORK_OUTBOUND, NETWORK_ALLOW_LIST = range(3)
EXEC, ZYGOTE, FORK = range(3)
LIMIT_MEMORY, LIMIT_PIDS, LIMIT_CPU, LIMIT_PRESSURE, LIMIT_GPU_MEMORY, LIMIT_FORKS = range(1, 7)
HEAD = struct.Struct("<IIQQQ")
SIZE = 16432
LIMITS = struct.Struct("<QQQQQIIIIII")
USAGE_FIELDS = struct.Struct("<QQQQQIIIIII")
GPU = struct.Struct("<80sQ")
GPUS_MAX = 8
GPU_INFO = struct.Struct("<IIIxxxxQQ80s64s160s")
STATE_ID = "%016x" % (os.getpid() << 20 | 0x5A)
HASH = "ab" * 32
DAEMON_UID = 12345
DEADLINE = 30.0
NOBODY = 1 << 60  # no sandbox is called so


class Message:
    def __init__(self, data):
        _, self.kind, self.seq, self.sandbox, self.worker = HEAD.unpack_from(data)
        body = data[HEAD.size:]
        if self.kind == FAILED:
            self.error = struct.unpack_from("<I", body)[0]
            self.text = body[4:504].split(b"\0")[0].decode()
        elif self.kind == WORKER_EXITED:
            self.status, self.signal, self.oom = struct.unpack_from("<ii?", body)
            self.usage = Usage(body[16:])
        elif self.kind == LIMIT_HIT:
            self.limit = struct.unpack_from("<I", body)[0]
            self.usage = Usage(body[8:])
        elif self.kind == OK and self.sandbox == 0:
            self.complete = body[0] != 0
            self.missing = body[1:481].split(b"\0")[0].decode(errors="replace")
            self.n_gpus = struct.unpack_from("<I", body, 484)[0]
            self.gpus_why = body[488:788].split(b"\0")[0].decode(errors="replace")
            self.gpu = Gpu(body)
        else:
            self.usage = Usage(body)


class Gpu:
    """What the OK to GPUS brings."""

    def __init__(self, body):
        (self.index, self.kind, self.holders, self.memory, self.lent, *texts) = GPU_INFO.unpack_from(body)
        self.id, self.model, self.promise = (t.split(b"\0")[0].decode(errors="replace") for t in texts)


class Usage:
    def __init__(self, body):
        (self.cpu_ns, self.memory, self.memory_peak, self.throttled_ns, self.gpu_memory, self.pids,
         self.oom_kills, self.pids_refused, self.cpu_pressure, self.memory_pressure,
         self.io_pressure) = USAGE_FIELDS.unpack_from(body)


class Launcher:
    """A launcher of our own on a temporary state folder."""

    def __init__(self, options=(), state_parent=None, state_id=STATE_ID, env=None, wrap=()):
        self.state = tempfile.mkdtemp(prefix="spaces-launch-", dir=state_parent)
        os.chmod(self.state, 0o700)
        self.sdk = os.path.join(self.state, "sdk")
        self.state_id = state_id
        self.seq = 0
        self.next_id = 0
        self.base = ""
        self.events = []
        self.logs = {}
        for folder in ("sdk", "snapshots", "files"):
            os.mkdir(os.path.join(self.state, folder))
        with open(os.path.join(self.sdk, "spacekit_mark.py"), "w") as f:
            f.write("MARK = 'sdk'\n")
        self.options, self.env, self.wrap = options, env, list(wrap)
        os.chown(self.state, DAEMON_UID, DAEMON_UID)
        self.start()
        self.snapshot({"app.py": "print('hello')\n"})

    def start(self):
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        ours.settimeout(DEADLINE)  # a launcher that takes nothing is a failure, not a pause
        self.sock = ours
        self.process = subprocess.Popen(
            self.wrap + [os.path.join(BUILD, "spaces-launcher"), "--socket-fd", str(theirs.fileno()),
             "--state", self.state, "--sdk", self.sdk, "--daemon-uid", str(DAEMON_UID),
             "--daemon-gid", str(DAEMON_UID), "--state-id", self.state_id, *self.options],
            pass_fds=[theirs.fileno()], env=dict(os.environ, **(self.env or {})))
        theirs.close()

    # --- what the daemon would have on disk -----------------------------------------------------

    def snapshot(self, files, name=HASH):
        top = os.path.join(self.state, "snapshots", name)
        shutil.rmtree(top, ignore_errors=True)
        os.mkdir(top)
        for path, content in files.items():
            full = os.path.join(top, path)
            os.makedirs(os.path.dirname(full), exist_ok=True)
            with open(full, "wb") as f:
                f.write(content if isinstance(content, bytes) else content.encode())
            if isinstance(content, bytes):
                os.chmod(full, 0o755)
        for folder, folders, names in os.walk(os.path.join(self.state)):
            folders[:] = [f for f in folders if f not in ("data", "bases")]  # root's images; what a test has put there
            for each in [folder] + [os.path.join(folder, n) for n in names]:
                os.chown(each, DAEMON_UID, DAEMON_UID)

    # --- messages ---------------------------------------------------------------------------------

    def send(self, kind, body=b"", sandbox=0, worker=0, fds=(), seq=None):
        self.seq += 1
        data = HEAD.pack(MAGIC, kind, self.seq if seq is None else seq, sandbox, worker) + body
        socket.send_fds(self.sock, [data.ljust(SIZE, b"\0")], list(fds))
        return self.seq

    def receive(self, timeout=DEADLINE):
        readable, _, _ = select.select([self.sock], [], [], timeout)
        if not readable:
            raise TimeoutError("the launcher said nothing for %.0f s" % timeout)
        data, fds, _, _ = socket.recv_fds(self.sock, SIZE + 1, 2)
        if not data:
            raise EOFError("the launcher is gone")
        assert len(data) == SIZE, len(data)
        message = Message(data)
        message.fds = fds
        return message

    def answer(self, seq):
        """The answer to a request; what comes first and is not it is kept."""
        for message in self.events:
            if message.seq == seq:
                self.events.remove(message)
                return message
        end = time.monotonic() + DEADLINE
        while time.monotonic() < end:
            message = self.receive()
            if message.seq == seq:
                return message
            self.events.append(message)
        raise TimeoutError("no answer")

    def drain(self):
        """Keeps what has come. The launcher reads no more requests while its answers do not fit."""
        while select.select([self.sock], [], [], 0)[0]:
            self.events.append(self.receive())

    def event(self, kind, sandbox=None, worker=None, timeout=DEADLINE, limit=None):
        end = time.monotonic() + timeout
        while True:
            for message in self.events:
                if (message.kind == kind and sandbox in (None, message.sandbox) and
                        worker in (None, message.worker) and limit in (None, getattr(message, "limit", None))):
                    self.events.remove(message)
                    return message
            left = end - time.monotonic()
            if left <= 0:
                raise TimeoutError("no event %d" % kind)
            self.events.append(self.receive(left))

    def ask(self, kind, **more):
        return self.answer(self.send(kind, **more))

    def settle(self):
        """Until the launcher is done with what it has answered and told. It does one thing at a time, but an
        answer is out before the copies of what went along are closed: count only after the next one."""
        answer = self.ask(SOCKET, sandbox=NOBODY)
        assert answer.kind == FAILED, answer.kind

    def hello(self):
        return self.ask(HELLO)

    # --- sandboxes and workers ----------------------------------------------------------------------

    def start_body(self, space=7, snapshot=HASH, hostname="demo", memory=256 << 20,
                   layer=64 << 20, shm=16 << 20, data=0, disk_write=1 << 30, data_inodes=0, inodes=10000, cpu=1000,
                   pids=64, nofile=256, io_weight=0, network=NETWORK_NONE, allow="", gpus=(), base=None):
        return (struct.pack("<Q", space) + snapshot.encode().ljust(65, b"\0") +
                hostname.encode().ljust(64, b"\0") + b"\0" * 7 +
                LIMITS.pack(memory, layer, shm, data, disk_write, data_inodes, inodes, cpu, pids, nofile,
                            io_weight) + struct.pack("<II", network, len(gpus)) +
                b"".join(GPU.pack(name.encode(), size) for name, size in gpus).ljust(
                    GPU.size * GPUS_MAX, b"\0") + allow.encode().ljust(1024, b"\0") +
                (self.base if base is None else base).encode().ljust(65, b"\0"))

    def sandbox(self, **limits):
        self.next_id += 1
        message = self.ask(SANDBOX_START, body=self.start_body(**limits), sandbox=self.next_id)
        if message.kind != OK:
            raise RuntimeError(message.text)
        return self.next_id

    def worker_body(self, argv, env=(), how=EXEC):
        strings = b"".join(a.encode() + b"\0" for a in list(argv) + list(env))
        return struct.pack("<IIII", len(argv), len(env), len(strings), how) + strings

    def worker(self, sandbox, argv, env=("PATH=/usr/bin:/bin", "HOME=/home/user", "LANG=C.UTF-8"),
               how=EXEC):
        """Starts a program; returns its worker id. `self.logs[id]` reads what it prints."""
        self.next_id += 1
        ident = self.next_id
        ours, theirs = socket.socketpair()
        log_read, log_write = os.pipe()
        try:
            message = self.ask(WORKER_START, body=self.worker_body(argv, env, how), sandbox=sandbox,
                               worker=ident, fds=[theirs.fileno(), log_write])
        finally:
            theirs.close()
            os.close(log_write)
        self.logs[ident] = (log_read, ours)
        if message.kind != OK:
            self.close_log(ident)
            raise RuntimeError(message.text)
        return ident

    def close_log(self, worker):
        log, ours = self.logs.pop(worker)
        os.close(log)
        ours.close()

    def read_log(self, worker, until=None, timeout=DEADLINE):
        """All that it prints, or up to `until`."""
        log, _ = self.logs[worker]
        end, data = time.monotonic() + timeout, b""
        while until is None or until not in data:
            left = end - time.monotonic()
            if left <= 0 or not select.select([log], [], [], left)[0]:
                raise TimeoutError("log: %r" % data[-500:])
            piece = os.read(log, 65536)
            if not piece:
                break
            data += piece
        return data.decode(errors="replace")

    def run(self, sandbox, argv, **more):
        """Runs a program to its end: (exit event, what it printed)."""
        ident = self.worker(sandbox, argv, **more)
        text = self.read_log(ident)
        self.close_log(ident)
        return self.event(WORKER_EXITED, worker=ident), text

    def stop(self, sandbox, grace_ms=200):
        message = self.ask(SANDBOX_STOP, body=struct.pack("<I", grace_ms), sandbox=sandbox)
        if message.kind != OK:
            raise RuntimeError(message.text)
        return self.event(SANDBOX_GONE, sandbox=sandbox)

    def connect(self, sandbox, port):
        """A connection to what listens on a port of the sandbox's own loopback."""
        message = self.ask(SOCKET, sandbox=sandbox)
        if message.kind != OK:
            raise RuntimeError(message.text)
        (fd,) = message.fds
        connection = socket.socket(fileno=fd)
        assert not os.get_blocking(fd)
        connection.settimeout(DEADLINE)
        connection.connect(("127.0.0.1", port))
        return connection

    def freeze(self, sandbox, on=True):
        message = self.ask(FREEZE, body=struct.pack("<?", on), sandbox=sandbox)
        if message.kind != OK:
            raise RuntimeError(message.text)

    # --- the end ------------------------------------------------------------------------------------

    def close(self):
        """Hangs up, as a daemon that died; returns the launcher's exit status."""
        self.sock.close()
        status = self.process.wait(timeout=DEADLINE)
        for worker in list(self.logs):
            self.close_log(worker)
        return status

    def remove(self):
        shutil.rmtree(self.state, ignore_errors=True)


def groups_of(state_id):
    """Every cgroup folder on this machine that carries the state id."""
    found = []
    with open("/proc/self/mountinfo") as f:
        points = {line.split()[4] for line in f if " - cgroup" in line}
    for point in points:
        for folder, names, _ in os.walk(point):
            found += [os.path.join(folder, n) for n in names if state_id in n]
            if folder.count("/") - point.count("/") >= 3:
                names.clear()
    return found


def processes_of(state_id):
    """Every process that is in a group with the state id, or is its launcher."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError):
            with open("/proc/%s/stat" % pid) as s:
                if s.read().rsplit(")", 1)[1].split()[0] == "Z":
                    continue  # dead; the host's init has yet to look
            with open("/proc/%s/cgroup" % pid) as f, open("/proc/%s/cmdline" % pid, "rb") as c:
                if state_id in f.read() or state_id.encode() in c.read():
                    found.append(int(pid))
    return found


def mounts_of(path):
    with open("/proc/self/mountinfo") as f:
        return [line for line in f if path in line]
