"""What a case of the escape suite is, and what it can do. README.md tells how to write one."""

import os
import signal
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
sys.path.insert(0, os.path.join(ROOT, "tests", "support"))
import launch_driver as launch  # noqa: E402
import small_base  # noqa: E402

PROGRAMS = os.path.join(HERE, "programs")
ATTACKS = os.path.join(ROOT, "tests", "e2e", "attacks")  # shared with test_sandbox.py
PYTHON = "/usr/bin/python3"
APP = "/home/user/app/"
UIDS = (1000, 0)


class Case:
    """One attack that one program decides."""

    def __init__(self, number, name, program, expect, limits=None, uids=UIDS, needs=None, expected=None):
        self.number, self.name, self.program, self.expect = number, name, program, expect
        self.limits, self.uids, self.needs = limits or {}, uids, needs
        self.expected = expected or words([expect] if isinstance(expect, str) else expect.values())

    def run(self, t):
        exited, lines = t.attack(*self.program, **self.limits)
        t.expect(exited.status == 0, "the program ended with %d, signal %d" % (exited.status, exited.signal))
        t.expect(lines, "the program printed nothing")
        wanted = dict.fromkeys(lines, self.expect) if isinstance(self.expect, str) else self.expect
        wrong = {name: (lines.get(name, "not tried"), wanted.get(name, "not expected"))
                 for name in {*lines, *wanted}
                 if name not in lines or name not in wanted or lines[name] not in wanted[name].split("|")}
        t.expect(not wrong, "(seen, expected): %r" % wrong)
        return words(lines.values())


class Story(Case):
    """An attack that needs more than one program."""

    def __init__(self, number, name, expected, function, **more):
        super().__init__(number, name, [], expected, **more)
        self.function = function

    def run(self, t):
        return self.function(t)


class Later:
    """A row without a test, and why."""

    says = "not tested"

    def __init__(self, number, name, why):
        self.number, self.name, self.why = number, name, why


class Elsewhere(Later):
    """A row whose test is not an attack from inside of a sandbox, and where it is."""

    says = "tested by"


def story(number, name, expected, into=None, **more):
    """Puts a function into its module's CASES."""
    def register(function):
        cases = into if into is not None else function.__globals__.setdefault("CASES", [])
        cases.append(Story(number, name, expected, function, **more))
        return function
    return register


def put_base(launcher):
    """Every sandbox of this launcher has a base with Python in it as its root from now on."""
    launcher.base = "cd" * 32
    root = os.path.join(launcher.state, "bases", launcher.base, "root")
    os.makedirs(os.path.dirname(root))
    small_base.build(root, python=True)
    small_base.give(os.path.join(launcher.state, "bases"), launch.DAEMON_UID)


def words(results):
    """OK last: it is what the program was allowed, beside what it was not."""
    return ", ".join(sorted(set(results), key=lambda word: (word == "OK", word)))


class Failed(Exception):
    pass


class Attacker:
    """`t` of a story: one launcher, and the sandboxes of one case."""

    def __init__(self, launcher, uid, build):
        self.launcher, self.uid, self.build = launcher, uid, build
        self.boxes = []

    def expect(self, fact, text):
        if not fact:
            raise Failed(text)

    def sandbox(self, **limits):
        box = self.launcher.sandbox(**limits)
        self.boxes.append(box)
        return box

    def argv(self, program, *args):
        """How a program of programs/ is started inside."""
        if os.path.exists(os.path.join(PROGRAMS, program + ".c")):
            return [APP + program, *map(str, args)]
        return [PYTHON, APP + program + ".py", *map(str, args)]

    def run(self, box, argv, **more):
        """(exit event, text) of any program."""
        return self.launcher.run(box, argv, **more)

    def attack(self, program, *args, sandbox=None, **limits):
        """(exit event, {name: result}) of a program of programs/."""
        box = sandbox or self.sandbox(**limits)
        exited, text = self.launcher.run(box, self.argv(program, *args))
        return exited, dict(line.split(" ", 1) for line in text.splitlines() if " " in line)

    def start(self, box, program, *args, until):
        """A worker that goes on after it has printed `until`."""
        worker = self.launcher.worker(box, self.argv(program, *args))
        self.launcher.read_log(worker, until.encode())
        return worker

    def usage(self, box):
        return self.launcher.ask(launch.USAGE, sandbox=box).usage

    def stop(self, box, grace_ms=0):
        self.boxes.remove(box)
        return self.launcher.stop(box, grace_ms)

    def done(self):
        """All sandboxes of the case are gone afterwards, whatever happened in it."""
        for box in list(self.boxes):
            self.stop(box)
        for worker in list(self.launcher.logs):
            self.launcher.close_log(worker)
        self.launcher.drain()
        self.launcher.events.clear()


def build_programs(folder):
    """Every C program, static: the sandbox needs no library for it. {name: bytes}"""
    files = {}
    for path in sorted(os.path.join(top, name) for top in (ATTACKS, PROGRAMS) for name in os.listdir(top)):
        name = os.path.basename(path)
        if name.endswith(".py"):
            with open(path, encoding="utf-8") as file:
                files[name] = file.read()
        elif name.endswith(".c"):
            target = os.path.join(folder, name[:-2])
            subprocess.run(["gcc", "-static", "-O1", "-Wall", "-Werror", "-D_GNU_SOURCE", "-o", target, path,
                            "-pthread"], check=True)
            with open(target, "rb") as file:
                files[name[:-2]] = file.read()
            os.unlink(target)
    return files


def signal_name(exited):
    return signal.Signals(exited.signal).name if exited.signal > 0 else "exit %d" % exited.status
