"""The zygote of a sandbox: imports done once, workers forked from it, and a hostile one contained.

The launcher is driven directly, with the real SDK in the sandbox; the stories at the end go through
the whole daemon.
"""

import json
import os
import re
import select
import shutil
import signal
import sys
import time
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "support"))
sys.path.insert(0, HERE)
import harness  # noqa: E402
import launch_driver as launch  # noqa: E402

PYTHON = "/usr/bin/python3"
WORKER = "/opt/spacekit/worker.py"
SDK = os.path.join(os.path.dirname(os.path.dirname(HERE)), "sdk", "python")
ENV = ("SPACEKIT_FD=3", "PATH=/usr/bin:/bin", "HOME=/home/user", "LANG=C.UTF-8", "TMPDIR=/tmp",
       "PYTHONUNBUFFERED=1", "PYTHONDONTWRITEBYTECODE=1")
HELLO = {"type": "hello", "version": 1, "features": [], "app_file": "app.py", "space": "me/demo",
         "root": "/app/me/demo", "threads": 4}
APP = """
import os
import gradio as gr
import counted

def ask(text):
    return str(eval(text))

gr.Interface(ask, "text", "text", api_name="ask").launch()
"""
COUNTED = """
import os, random
with open("/tmp/imports", "a") as f:
    f.write("x")
"""
ORPHANS = """
import subprocess
def leave(n):
    return {subprocess.call(["sh", "-c", "true & exit 7"]) for _ in range(n)}
def zombies():
    return [p for p in os.listdir("/proc") if p.isdigit() and is_zombie(p)]
def is_zombie(pid):
    try:
        return "State:\\tZ" in open("/proc/%s/status" % pid).read()
    except OSError:
        return False
def stranger():
    try:
        return os.waitpid(-1, os.WNOHANG)
    except ChildProcessError:
        return None
"""

ENDS = """
import atexit, signal, sys, weakref
def note(what):
    with open("/tmp/ends", "a") as f:
        f.write("%s %d " % (what, os.getpid()))
class Thing:
    pass
thing = Thing()
atexit.register(note, "function")
weakref.finalize(thing, note, "object")
signal.signal(signal.SIGTERM, lambda *a: sys.exit(5))
"""


def setUpModule():
    if os.geteuid() != 0:
        raise unittest.SkipTest("needs root: spaces-launcher builds sandboxes as root")
    probe = launch.Launcher()
    hello = probe.hello()
    probe.close()
    probe.remove()
    if not hello.complete:
        raise unittest.SkipTest("needs userns: " + hello.missing)


class Talk:
    """The daemon's end of a worker's protocol socket."""

    def __init__(self, sock):
        self.sock, self.rest, self.n = sock, b"", 0

    def tell(self, message):
        self.sock.sendall(json.dumps(message).encode() + b"\n")

    def hear(self, *types):
        end = time.monotonic() + launch.DEADLINE
        while True:
            line, found, rest = self.rest.partition(b"\n")
            if found:
                self.rest = rest
                message = json.loads(line)
                if message["type"] in types:
                    return message
                continue
            if not select.select([self.sock], [], [], max(0, end - time.monotonic()))[0]:
                raise TimeoutError("no %s" % (types,))
            data = self.sock.recv(1 << 16)
            if not data:
                raise EOFError("the worker is gone")
            self.rest += data

    def call(self, text):
        self.n += 1
        self.tell({"type": "call", "id": "%032x" % self.n, "attempt": 1, "fn": 0, "session": "s", "data": [text],
                   "event_data": None, "trigger": None,
                   "request": {"headers": {}, "query": {}, "client": {"host": "127.0.0.1"},
                               "base": "http://127.0.0.1", "username": None}})
        answer = self.hear("return", "error", "cancelled")
        if answer["type"] != "return":
            raise AssertionError(answer)
        return answer["data"][0]


def is_zombie(pid):
    with open("/proc/%d/status" % pid) as status:
        return "(zombie)" in status.read()


class Case(unittest.TestCase):
    def setUp(self):
        self.l = launch.Launcher()
        shutil.copytree(SDK, self.l.sdk, dirs_exist_ok=True, ignore=shutil.ignore_patterns("tests", "__pycache__"))
        self.l.hello()
        self.files({})

    def tearDown(self):
        if self.l.sock.fileno() >= 0:
            self.assertEqual(self.l.close(), 0)
        self.assertEqual(launch.processes_of(self.l.state_id), [])
        self.assertEqual(launch.groups_of(self.l.state_id), [])
        self.l.remove()

    def files(self, files):
        self.l.snapshot({"app.py": APP, "counted.py": COUNTED, **files})

    def zygote(self, box, argv=(PYTHON, WORKER, "--zygote", "app.py")):
        return self.l.worker(box, argv, env=ENV, how=launch.ZYGOTE)

    def fork(self, box, how=launch.FORK):
        """A worker that has loaded the app: (its id, the conversation)."""
        worker = self.l.worker(box, [PYTHON, WORKER], env=ENV, how=how)
        talk = Talk(self.l.logs[worker][1])
        talk.tell(HELLO)
        ready = talk.hear("ready", "failed")
        self.assertEqual(ready["type"], "ready", ready)
        return worker, talk

    def refusal(self, counted, **more):
        """Why a zygote whose app imports this says no."""
        self.files({"counted.py": counted, **more})
        with self.assertRaises(RuntimeError) as caught:
            self.zygote(self.l.sandbox())
        return str(caught.exception)

    def inside(self, talk):
        return json.loads(talk.call(
            "__import__('json').dumps({p: open('/proc/%s/cmdline' % p).read().replace(chr(0), ' ') "
            "for p in os.listdir('/proc') if p.isdigit()})"))


class Forks(Case):
    def test_workers_are_forked_with_the_imports_done(self):
        box = self.l.sandbox()
        zygote = self.zygote(box)
        workers = [self.fork(box) for _ in range(3)]
        for _, talk in workers:
            self.assertEqual(talk.call("open('/tmp/imports').read()"), "x")
        seen = {talk.call("[random.random() for random in [counted.random]] + [os.getpid()]") for _, talk in workers}
        self.assertEqual(len(seen), 3)
        numbers = {talk.call("counted.random.random()") for _, talk in workers}
        self.assertEqual(len(numbers), 3)
        self.assertNotIn(zygote, [w for w, _ in workers])

    def test_a_fork_looks_like_a_fresh_worker(self):
        box = self.l.sandbox()
        self.zygote(box)
        looks = []
        for how in (launch.EXEC, launch.FORK):
            _, talk = self.fork(box, how)
            looks.append(json.loads(talk.call(
                "__import__('json').dumps([sorted(os.environ.items()), os.getsid(0) == os.getpid(), "
                "os.getcwd(), sorted(os.readlink('/proc/self/fd/' + f).split(':')[0] for f in "
                "os.listdir('/proc/self/fd') if os.path.exists('/proc/self/fd/' + f)), __import__('sys').argv, "
                "__import__('sys').path, __name__, __file__, "
                "[l for l in open('/proc/self/status') if l.startswith(('Cap', 'Seccomp', 'NoNew', 'Uid', 'Sig'))]])")))
        self.assertEqual(looks[0], looks[1])

    def test_a_fork_that_ends_gives_its_exit_code(self):
        box = self.l.sandbox()
        self.zygote(box)
        for code, status, sig in (("os._exit(7)", 7, 0), ("os.kill(os.getpid(), 9)", -1, signal.SIGKILL)):
            worker, talk = self.fork(box)
            with self.assertRaises(EOFError):
                talk.call(code)
            exited = self.l.event(launch.WORKER_EXITED, worker=worker)
            self.assertEqual((exited.status, exited.signal), (status, sig))
        self.fork(box)

    def test_a_daemonised_child_dies_with_its_fork_and_the_sibling_lives(self):
        daemonise = ("[os.fork() or (os.setsid(), os.fork() and os._exit(0), "
                     "os.execv('/usr/bin/sleep', ['%s', '1000'])), 1]")
        box = self.l.sandbox()
        self.zygote(box)
        first, one = self.fork(box)
        second, two = self.fork(box)
        one.call(daemonise % "ofone")
        two.call(daemonise % "oftwo")
        for _ in range(200):
            lines = " ".join(self.inside(two).values())
            if "ofone 1000" in lines and "oftwo 1000" in lines:
                break
        else:
            self.fail(lines)
        with self.assertRaises(EOFError):
            one.call("os._exit(0)")
        self.l.event(launch.WORKER_EXITED, worker=first)
        lines = " ".join(self.inside(two).values())
        self.assertNotIn("ofone", lines)
        self.assertIn("oftwo", lines)
        self.l.ask(launch.WORKER_STOP, body=b"\0\0\0\0", sandbox=box, worker=second)
        self.l.event(launch.WORKER_EXITED, worker=second)
        _, three = self.fork(box)
        self.assertNotIn("oftwo", " ".join(self.inside(three).values()))

    def test_background_orphans_of_an_app_leave_no_zombies(self):
        self.files({"counted.py": COUNTED + ORPHANS})
        box = self.l.sandbox(pids=64)
        self.zygote(box)
        for how in (launch.EXEC, launch.FORK):
            with self.subTest(how=how):
                _, talk = self.fork(box, how)
                self.assertEqual(talk.call("counted.leave(300)"), "{7}")
                end = time.monotonic() + launch.DEADLINE
                while talk.call("counted.zombies()") != "[]":
                    self.assertLess(time.monotonic(), end, talk.call("counted.zombies()"))
                self.assertEqual(talk.call("counted.stranger()"), "None")

    def test_a_term_reaches_the_app_once(self):
        self.files({"counted.py": COUNTED + "import signal, sys\n"
                    "signal.signal(signal.SIGCHLD, signal.SIG_IGN)\n"
                    "signal.signal(signal.SIGTERM, lambda *a: (os.write(1, b'told '), sys.exit(5)))\n"})
        for stop in ("worker", "sandbox"):
            box = self.l.sandbox()
            self.zygote(box)
            worker, talk = self.fork(box)
            log = self.l.logs[worker][0]
            if stop == "worker":
                self.l.ask(launch.WORKER_STOP, body=b"\x10\x27\0\0", sandbox=box, worker=worker)
                self.assertEqual(self.l.event(launch.WORKER_EXITED, worker=worker).status, 5)
            else:
                self.l.stop(box, 10000)
            self.assertEqual(b"".join(iter(lambda: os.read(log, 4096), b"")).count(b"told "), 1, stop)

    def test_what_imports_registered_for_the_end_runs_once_at_the_orderly_end_of_each_worker(self):
        self.files({"counted.py": COUNTED + ENDS})
        for how in (launch.EXEC, launch.FORK):
            with self.subTest(how=how):
                box = self.l.sandbox()
                zygote = self.zygote(box) if how == launch.FORK else None
                worker, talk = self.fork(box, how)
                _, other = self.fork(box, how)
                self.assertEqual(other.call("os.path.exists('/tmp/ends')"), "False")
                pid = talk.call("os.getpid()")
                talk.tell({"type": "shutdown", "grace_ms": 1000})
                self.assertEqual(self.l.event(launch.WORKER_EXITED, worker=worker).status, 0)
                expected = "".join("%s %s " % (what, pid) for what in ("object", "function"))
                self.assertEqual(other.call("open('/tmp/ends').read()"), expected)
                worker, talk = self.fork(box, how)  # by a handler of TERM
                pid = talk.call("os.getpid()")
                self.l.ask(launch.WORKER_STOP, body=b"\x10\x27\0\0", sandbox=box, worker=worker)
                self.assertEqual(self.l.event(launch.WORKER_EXITED, worker=worker).status, 5)
                expected += "".join("%s %s " % (what, pid) for what in ("object", "function"))
                self.assertEqual(other.call("open('/tmp/ends').read()"), expected)
                if zygote:
                    self.l.ask(launch.WORKER_STOP, body=b"\xe8\x03\0\0", sandbox=box, worker=zygote)
                    self.l.event(launch.WORKER_EXITED, worker=zygote)
                    self.assertEqual(other.call("open('/tmp/ends').read()"), expected)

    def test_a_zygote_that_refuses_leaves_the_end_of_its_imports_to_the_worker(self):
        self.files({"counted.py": COUNTED + ENDS + "import socket\ns = socket.socket()\n"})
        box = self.l.sandbox()
        with self.assertRaisesRegex(RuntimeError, "a socket is open"):
            self.zygote(box)
        _, talk = self.fork(box, launch.EXEC)
        self.assertEqual(talk.call("os.path.exists('/tmp/ends')"), "False")

    def test_a_fork_is_stopped_by_term(self):
        box = self.l.sandbox()
        self.zygote(box)
        worker, talk = self.fork(box)
        self.l.ask(launch.WORKER_STOP, body=b"\xe8\x03\0\0", sandbox=box, worker=worker)
        exited = self.l.event(launch.WORKER_EXITED, worker=worker)
        self.assertEqual(exited.signal, signal.SIGTERM)

    def test_the_zygote_is_killed_and_its_forks_live(self):
        box = self.l.sandbox()
        zygote = self.zygote(box)
        _, talk = self.fork(box)
        self.l.ask(launch.WORKER_STOP, body=b"\0\0\0\0", sandbox=box, worker=zygote)
        self.l.event(launch.WORKER_EXITED, worker=zygote)
        self.assertEqual(talk.call("1 + 1"), "2")
        with self.assertRaisesRegex(RuntimeError, "no zygote that is ready"):
            self.fork(box)
        self.fork(box, launch.EXEC)
        self.assertEqual(talk.call("1 + 1"), "2")
        self.zygote(box)
        self.fork(box)

    def test_there_is_one_zygote_at_most(self):
        box = self.l.sandbox()
        self.zygote(box)
        with self.assertRaisesRegex(RuntimeError, "has a zygote"):
            self.zygote(box)

    def test_a_refused_request_says_so(self):
        box = self.l.sandbox()
        with self.assertRaisesRegex(RuntimeError, "unknown way"):
            self.l.worker(box, [PYTHON], how=3)


class Refusals(Case):
    def test_each_reason_has_a_name(self):
        for text, said in (
                ("import threading, time\nthreading.Thread(target=time.sleep, args=(99,), name='ticker', "
                 "daemon=True).start()", "2 threads run after its imports: ticker"),
                ("import socket\ns = socket.socket()", "a socket is open after its imports"),
                ("import sqlite3\ndb = sqlite3.connect(':memory:')", "a database (sqlite3) is open"),
                ("f = open('/home/user/x.txt', 'w')", "the file '/home/user/x.txt' is open after its imports"),
                ("import os\np = os.pipe()", "a pipe is open"),
                ("import select\ne = select.epoll()", "an event loop"),
                ("import mmap\nm = mmap.mmap(-1, 4096)", "memory that forks would share"),
                ("import tempfile\nt = tempfile.TemporaryDirectory()", "a temporary folder is made"),
                ("import subprocess\np = subprocess.Popen(['sleep', '99'])", "a process is started"),
                ("import gradio as gr\ngr.Interface(str, 'text', 'text').launch()", "an import has called launch()"),
        ):
            with self.subTest(said):
                self.assertIn(said, self.refusal(text))

    def test_an_import_that_ends_the_process_is_an_end_before_it_was_ready(self):
        self.assertIn("ended before it was ready", self.refusal("import os\nos._exit(3)"))

    def test_an_import_that_raises_is_left_to_the_worker(self):
        self.files({"counted.py": COUNTED + "\nif open('/tmp/imports').read() == 'x': raise ValueError('no')\n"
                                            "import random\n"})
        box = self.l.sandbox()
        self.zygote(box)
        _, talk = self.fork(box)
        self.assertEqual(talk.call("open('/tmp/imports').read()"), "xx")


class Hostile(Case):
    """The app owns its zygote: what it says there harms nothing but itself."""

    def hostile(self, body, **more):
        """A zygote that is ready and then does this with each order."""
        self.files({"bad.py": "import os, socket, struct, sys, time\n"
                              "c = socket.socket(fileno=3)\n"
                              "c.send(b'ready')\n"
                              "while True:\n"
                              "    data, more, _, _ = c.recvmsg(8192, 100)\n"
                              "    if not data: break\n"
                              "    n = struct.unpack_from('=Q', data)[0]\n" +
                              "".join("    %s\n" % line for line in body.splitlines()), **more})
        box = self.l.sandbox()
        return box, self.zygote(box, [PYTHON, "/home/user/app/bad.py"])

    def pid_on_host(self, pid):
        """Of the only sandbox that has so many."""
        for found in launch.processes_of(self.l.state_id):
            with open("/proc/%d/status" % found) as status:
                if re.search(r"^NSpid:\t\d+\t%d$" % pid, status.read(), re.M):
                    return found
        self.fail("no pid %d" % pid)

    def assert_fork_fails(self, box, said):
        began = time.monotonic()
        with self.assertRaisesRegex(RuntimeError, said):
            self.fork(box)
        self.assertLess(time.monotonic() - began, 8)

    def assert_contained(self, body, said):
        """Its order fails, it is ended, a neighbour in the sandbox and another sandbox live."""
        box, zygote = self.hostile(body)
        other = self.l.sandbox()
        _, talk = self.fork(box, launch.EXEC)
        self.assert_fork_fails(box, said)
        self.l.event(launch.WORKER_EXITED, worker=zygote)
        self.assertEqual(talk.call("1 + 1"), "2")
        self.fork(box, launch.EXEC)
        self.fork(other, launch.EXEC)

    def test_a_zygote_that_claims_its_own_pid_is_ended(self):
        self.assert_contained("c.send(b'forked %d' % n)", "ended before it forked")

    def test_a_zygote_whose_child_claims_is_ended(self):
        self.assert_contained("pid = os.fork()\nif pid == 0:\n    c.send(b'forked %d' % n); time.sleep(99)",
                              "ended before it forked")

    def test_a_zygote_that_never_answers_is_ended_after_two_seconds(self):
        self.assert_contained("time.sleep(99)", "did not fork in time")

    def test_a_zygote_that_leaves_its_orders_unread_does_not_hold_pid_1(self):
        box, zygote = self.hostile("time.sleep(99)")
        null = os.open("/dev/null", os.O_RDWR)
        self.addCleanup(os.close, null)
        order = self.l.worker_body([PYTHON], [], launch.FORK)
        began = time.monotonic()
        asked = []
        for n in range(48):
            asked.append(self.l.send(launch.WORKER_START, body=order, sandbox=box, worker=2000 + n, fds=[null, null]))
            if n % 8 == 7:
                self.l.worker(box, ["/usr/bin/true"])  # pid 1 has taken what came before
        answers = [self.l.answer(seq).text for seq in asked]
        self.assertIn("the zygote leaves its orders unread", answers[-1])
        self.assertIn("did not fork in time", answers[0])
        self.assertLess(time.monotonic() - began, 8)
        self.l.event(launch.WORKER_EXITED, worker=zygote)
        self.fork(box, launch.EXEC)

    def test_a_slow_fork_beside_the_end_of_another_ends_nobody(self):
        slow = ("pid = os.fork()\n"
                "if pid == 0:\n"
                "    if os.fork(): os._exit(0)\n"
                "    while os.getppid() != 1: pass\n"
                "    if os.fork() == 0: c.send(b'forked %d' % n)\n"
                "    time.sleep(99)\n"
                "os.waitpid(pid, 0)")
        box, _ = self.hostile("if n == 2001: time.sleep(1.4)\n" + slow)
        null = os.open("/dev/null", os.O_RDWR)
        self.addCleanup(os.close, null)
        order = self.l.worker_body([PYTHON], [], launch.FORK)

        def fork(worker):
            return self.l.send(launch.WORKER_START, body=order, sandbox=box, worker=worker, fds=[null, null])
        self.assertEqual(self.l.answer(fork(2000)).kind, launch.OK)
        seq = fork(2001)
        self.l.ask(launch.WORKER_STOP, body=b"\0\0\0\0", sandbox=box, worker=2000)
        self.assertEqual(self.l.answer(seq).kind, launch.OK)
        self.l.event(launch.WORKER_EXITED, worker=2000)
        self.assertEqual(self.l.answer(fork(2002)).kind, launch.OK)

    def test_a_zygote_that_answers_for_others_is_ended(self):
        self.assert_contained("c.send(b'forked 1')", "ended before it forked")

    def test_a_zygote_that_talks_nonsense_is_ended(self):
        self.assert_contained("c.send(b'\\x00\\xff' * 100)", "ended before it forked")

    def test_what_a_zygote_says_last_is_heard_though_it_leaves_an_order_unread(self):
        box, zygote = self.hostile("import select\nselect.select([c], [], [])\n"  # the second order
                                   "while not os.path.exists('/tmp/go'): time.sleep(0.01)\n"
                                   "c.send(b'failed %d there is no room' % n); os._exit(1)")
        its = self.pid_on_host(2)
        with open("/proc/%d/stat" % its) as stat:
            init = int(stat.read().rsplit(")", 1)[1].split()[1])
        null = os.open("/dev/null", os.O_RDWR)
        self.addCleanup(os.close, null)
        order = self.l.worker_body([PYTHON], [], launch.FORK)
        asked = [self.l.send(launch.WORKER_START, body=order, sandbox=box, worker=3000 + n, fds=[null, null])
                 for n in range(2)]
        self.l.worker(box, ["/usr/bin/true"])  # pid 1 has taken what came before
        os.kill(init, signal.SIGSTOP)
        try:
            with open("/proc/%d/root/tmp/go" % its, "w"):
                pass
            harness.wait_for("its end", lambda: is_zombie(its))
        finally:
            os.kill(init, signal.SIGCONT)
        answers = [self.l.answer(seq).text for seq in asked]
        self.assertEqual(answers, ["there is no room", "the zygote ended before it forked"])
        self.l.event(launch.WORKER_EXITED, worker=zygote)

    def test_why_a_zygote_refuses_is_heard_though_it_ends_at_once(self):
        for _ in range(20):
            box = self.l.sandbox()
            with self.assertRaisesRegex(RuntimeError, "^no$"):
                self.zygote(box, [PYTHON, "-S", "-c", "import os; os.write(3, b'refused no'); os._exit(0)"])
            self.l.stop(box, 0)

    def test_a_zygote_that_ends_is_ended(self):
        self.assert_contained("os._exit(1)", "ended before it forked")

    def test_a_zygote_that_closes_its_end_is_ended(self):
        self.assert_contained("c.close(); time.sleep(99)", "ended before it forked")

    def test_what_a_failed_fork_has_left_is_killed(self):
        box, _ = self.hostile("if os.fork() == 0:\n    os.setsid()\n    if os.fork() == 0: time.sleep(0.1); "
                              "os.execv('/usr/bin/sleep', ['leftover', '1000'])\n    os._exit(0)\ntime.sleep(99)")
        _, talk = self.fork(box, launch.EXEC)
        self.assert_fork_fails(box, "did not fork in time")
        self.assertNotIn("leftover", " ".join(self.inside(talk).values()))

    def test_a_second_answer_ends_the_zygote_but_not_the_worker(self):
        double = ("if os.fork() == 0:\n"
                  "    pid = os.getpid()\n"
                  "    if os.fork() == 0:\n"
                  "        while os.getppid() == pid: pass\n"
                  "        if os.fork() == 0: c.send(b'forked %d' % n); c.send(b'forked %d' % n)\n"
                  "        time.sleep(99)\n"
                  "    os._exit(0)\n"
                  "os.wait()")
        box, zygote = self.hostile(double)
        worker = self.l.worker(box, [PYTHON, WORKER], env=ENV, how=launch.FORK)
        self.l.event(launch.WORKER_EXITED, worker=zygote)
        self.l.ask(launch.WORKER_STOP, body=b"\0\0\0\0", sandbox=box, worker=worker)
        self.assertEqual(self.l.event(launch.WORKER_EXITED, worker=worker).status, -1)

    def test_a_zygote_that_forks_without_end_is_stopped_with_its_sandbox(self):
        box, _ = self.hostile("while True:\n    try: os.fork()\n    except OSError: pass")
        self.assert_fork_fails(box, "ended before it forked|did not fork in time|sandbox has ended")
        self.l.stop(box)
        self.fork(self.l.sandbox(), launch.EXEC)

    def test_descriptors_that_it_sends_go_nowhere(self):
        self.assert_contained("socket.send_fds(c, [b'forked 1'], [0, 1, 2])", "ended before it forked")


STORY = """---
title: T
---
"""
STATEFUL = """
import os
import gradio as gr
import counted

def add(word, state):
    state = (state or []) + [word]
    return " ".join(state), state

def imports():
    return open("/tmp/imports").read()

def die():
    os._exit(3)

def others():
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        line = open("/proc/" + pid + "/cmdline").read().split(chr(0))
        if "--zygote" in line and open("/proc/" + pid + "/stat").read().rsplit(")", 1)[1].split()[1] == "1":
            found.append(int(pid))
    return min(found, default=0)

def kill(pid):
    os.kill(int(pid), 9)

with gr.Blocks() as demo:
    text, out, number, state = gr.Textbox(), gr.Textbox(), gr.Number(), gr.State([])
    gr.Button().click(add, [text, state], [out, state], api_name="add")
    gr.Button().click(imports, None, out, api_name="imports")
    gr.Button().click(die, None, None, api_name="die")
    gr.Button().click(others, None, number, api_name="others")
    gr.Button().click(kill, number, None, api_name="kill")
demo.launch()
"""


class Whole(harness.Case):
    """Through the whole daemon."""

    def space(self, files=None, args=()):
        d = self.daemon(args=["--set", "space.backoff=10ms", *args])
        d.deploy(self.folder({"README.md": STORY, "app.py": STATEFUL, "counted.py": COUNTED, **(files or {})}), "me/app")
        return d

    def visit(self, d, fn, data, session="visitor"):
        event = d.join("me/app", fn, data, session).json["event_id"]
        stream = d.stream("me/app", session)
        done = stream.until("process_completed", event)[-1]
        stream.close()
        return done["output"]

    def crash(self, d):
        d.call("me/app", "die", [])
        harness.wait_for("a new worker", lambda: d.call("me/app", "imports", [])[0] == "complete")

    def said(self, d, text):
        return d.cli("logs", "me/app").stdout.count(text)

    def test_a_crashed_worker_is_replaced_by_a_fork_in_the_same_sandbox_with_its_state(self):
        d = self.space()
        self.assertEqual(self.visit(d, 0, ["one", None])["data"][0], "one")
        self.assertEqual(d.call("me/app", "imports", []), ("complete", ["x"]))
        self.crash(d)
        self.assertEqual(d.call("me/app", "imports", []), ("complete", ["x"]))
        self.assertEqual(self.visit(d, 0, ["two", None])["data"][0], "one two")

    def test_without_its_zygote_a_worker_is_started_from_nothing(self):
        d = self.space()
        zygote = d.call("me/app", "others", [])[1][0]
        self.assertGreater(zygote, 1)
        self.assertEqual(self.visit(d, 0, ["one", None])["data"][0], "one")
        d.call("me/app", "kill", [zygote])
        harness.wait_for("the note", lambda: self.said(d, "has ended (space.zygote)") == 1)
        self.crash(d)
        self.assertEqual(d.call("me/app", "imports", []), ("complete", ["xx"]))
        self.assertEqual(self.visit(d, 0, ["two", None])["data"][0], "one two")
        self.assertEqual(self.said(d, "(space.zygote)"), 1)

    def test_a_refusal_is_told_once_and_the_version_is_not_asked_again(self):
        d = self.space({"counted.py": COUNTED + "s = __import__('socket').socket()\n"})
        self.assertEqual(d.call("me/app", "imports", []), ("complete", ["xx"]))
        self.assertEqual(self.said(d, "a socket is open after its imports (space.zygote)"), 1)
        d.cli("restart", "me/app", "--wait")
        self.assertEqual(d.call("me/app", "imports", []), ("complete", ["x"]))

    def test_a_refusal_in_one_space_is_not_held_against_another_of_the_same_files(self):
        files = {"counted.py": COUNTED + "if os.environ['SPACE_ID'] == 'me/app':\n"
                                         "    s = __import__('socket').socket()\n"}
        d = self.space(files)
        self.assertEqual(self.said(d, "a socket is open after its imports (space.zygote)"), 1)
        d.deploy(self.folder({"README.md": STORY, "app.py": STATEFUL, **files}), "me/other")
        self.assertEqual(d.call("me/app", "others", []), ("complete", [0]))
        event, data = d.call("me/other", "others", [])
        self.assertEqual(event, "complete", data)
        self.assertGreater(data[0], 1)

    def test_the_zygote_can_be_switched_off(self):
        d = self.space(args=["--set", "space.zygote=off"])
        self.assertEqual(d.call("me/app", "others", []), ("complete", [0]))
        self.crash(d)
        self.assertEqual(d.call("me/app", "imports", []), ("complete", ["xx"]))

    def test_an_app_that_takes_its_zygote_over_starts_all_the_same(self):
        for body in ("import os, sys, time\nif '--zygote' in open('/proc/self/cmdline').read().split(chr(0)) and "
                     "os.getpid() == 2:\n    os.write(3, b'ready')\n    time.sleep(99)\n",
                     "import os\nif os.getpid() == 2:\n    os.write(3, b'forked 2')\n    os._exit(1)\n"):
            with self.subTest(body[-20:]):
                d = self.space({"counted.py": COUNTED + body})
                self.assertEqual(d.call("me/app", "imports", [])[0], "complete")
                self.assertEqual(self.said(d, "(space.zygote)"), 1)


if __name__ == "__main__":
    unittest.main()
