#!/usr/bin/python3
"""Runs the escape suite and prints TAP: tests/escape/run.py BUILD [--write]

--write also puts the table into docs/escape.md. T=text picks cases (T=#11: the case of that number), BASE=1 tries
them in a base instead of in the host's root. The whole
run happens in mount, pid, network, ipc and uts namespaces of its own, so that what is counted as the host
belongs to nobody else, and so that nothing outlives it.
"""

import argparse
import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
import time
import traceback

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
PAGE = os.path.join(ROOT, "docs", "escape.md")
INSIDE = "SPACES_ESCAPE_HOST"


def skip_all(why):
    print("1..1\nok 1 - the escape suite # SKIP " + why)
    return 0


def outside(args):
    """Makes the small host: a folder on a real file system becomes its /tmp."""
    if os.geteuid() != 0:
        return skip_all("needs root: spaces-launcher builds sandboxes as root")
    if not os.path.exists(os.path.join(args.build, "spaces-launcher")):
        return skip_all("needs build: %s/spaces-launcher" % args.build)
    if not shutil.which("gcc"):
        return skip_all("needs gcc: it builds the attack programs")
    folder = tempfile.mkdtemp(prefix="spaces-escape-", dir="/var/tmp")
    os.chmod(folder, 0o1777)
    again = [sys.executable, os.path.abspath(__file__), args.build, *["--write"] * args.write]
    if ROOT.startswith("/tmp/"):  # which is about to be covered
        again = ["sh", "-c", 'mount --bind "$0" /srv && exec "$@"', ROOT,
                 *(word.replace(ROOT, "/srv") for word in again)]
    try:
        return subprocess.run(["unshare", "--mount", "--pid", "--net", "--ipc", "--uts", "--fork", "--kill-child",
                               "--mount-proc", *again],
                              env={**os.environ, INSIDE: folder}, check=False).returncode
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def settle_in(folder):
    subprocess.run(["mount", "--bind", folder, "/tmp"], check=True)
    # The real host's named namespaces come and go, and take their mounts out of every mount namespace.
    if os.path.isdir("/run/netns"):
        subprocess.run("umount -l /run/netns/* /run/netns 2>/dev/null; mount -t tmpfs netns /run/netns && "
                       "mount --make-shared /run/netns", shell=True,
                       check=True)
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    with open("/tmp/canary", "w", encoding="utf-8") as file:
        file.write("what an attack would change\n")


def load_cases():
    sys.path.insert(0, HERE)
    cases = []
    for name in sorted(os.listdir(os.path.join(HERE, "cases"))):
        if name.endswith(".py"):
            spec = importlib.util.spec_from_file_location("case_" + name[:-3], os.path.join(HERE, "cases", name))
            module = importlib.util.module_from_spec(spec)
            spec.loader.exec_module(module)
            cases += module.CASES
    return sorted(cases, key=lambda case: (case.number, case.name))


def is_wanted(case):
    text = os.environ.get("T", "")
    return text[1:] == str(case.number) if text.startswith("#") else text in "%d %s" % (case.number, case.name)


class Report:
    def __init__(self):
        self.count = self.failed = 0
        self.seen = {}

    def say(self, case, uid, ok, seen, skip=None):
        self.count += 1
        self.failed += not ok
        self.seen[case, uid] = seen
        print("%s %d - %d %s (uid %d)%s" % ("ok" if ok else "not ok", self.count, case.number, case.name, uid,
                                            " # SKIP " + skip if skip else ""), flush=True)


def run_one(case, attacker, host, report):
    missing = case.needs() if case.needs else None
    if missing:
        return report.say(case, attacker.uid, True, "skipped", missing)
    began, seen, trouble = time.monotonic(), "FAILED", ""
    try:
        seen = case.run(attacker)
    except Exception:  # whatever a case does, the next one runs
        trouble = traceback.format_exc()
    try:
        attacker.done()
        changed = host.differences()
    except Exception:
        changed = traceback.format_exc()
    if changed:
        trouble += "the host has changed: " + changed
        seen = "FAILED"
    report.say(case, attacker.uid, not trouble, seen)
    if trouble:
        print("\n".join("# " + line for line in trouble.splitlines()), flush=True)
    if os.environ.get("V"):
        print("# %s; %.2f s" % (seen, time.monotonic() - began), flush=True)


def run_as(uid, cases, args, programs, report):
    import escape
    import host
    # Not made of a pid: those of this namespace come again, and the tree of groups is the real host's.
    launcher = escape.launch.Launcher(options=["--run-as-root-inside"] if uid == 0 else [],
                                      state_id=os.urandom(8).hex(),
                                      env={"SPACES_SECRET": "a token of the daemon", "PYTHONSTARTUP": "/tmp/canary"})
    try:
        launcher.snapshot({"app.py": "print('hello')\n", **programs})
        if os.environ.get("BASE"):
            escape.put_base(launcher)
        hello = launcher.hello()
        if not hello.complete:
            for case in cases:
                report.say(case, uid, True, "skipped", "needs userns: " + hello.missing)
            return
        _, who = launcher.run(launcher.sandbox(), [escape.PYTHON, "-c", "import os; print(os.getuid(), os.getgid())"])
        assert who == "%d %d\n" % (uid, uid), who
        launcher.stop(launcher.next_id - 1)
        counted = host.Host(launcher, args.build)
        for case in cases:
            run_one(case, escape.Attacker(launcher, uid, args.build), counted, report)
        if launcher.close() != 0:
            report.failed += 1
            print("# the launcher did not end well")
    except EOFError:
        report.failed += 1
        print("# the launcher ended (uid %d)" % uid)
    finally:
        launcher.process.kill()
        launcher.process.wait()
        launcher.remove()


def layout():
    """How this host's cgroups are mounted."""
    with open("/proc/self/mountinfo", encoding="utf-8") as file:
        kinds = {line.split(" - ")[1].split()[0] for line in file if " - cgroup" in line}
    return {frozenset(["cgroup2"]): "version 2", frozenset(["cgroup"]): "version 1"}.get(
        frozenset(kinds), "mixed (controllers on version 1, a version 2 tree beside)")


def write_page(cases, report):
    from escape import Later
    lines = [
        "# Escape tests", "",
        "Attacks from inside of a sandbox, each as uid 1000 of it and again as uid 0 of it (a launcher option",
        "that only tests give). After each, processes, mounts, groups, files, interfaces, namespaces and settings",
        "of the host were as before. Written by `tests/escape/run.py build --write`; the cases are in",
        "[tests/escape](../tests/escape/README.md).", "",
        "Kernel %s, %s; cgroups: %s." % (os.uname().release.split("-")[0], os.uname().machine, layout()), "",
        "| # | Attack | Expected | Seen as uid 0 | Seen as uid 1000 |", "|---|---|---|---|---|",
    ]
    for case in cases:
        if isinstance(case, Later):
            lines.append("| %d | %s | %s: %s | | |" % (case.number, case.name, case.says, case.why))
        else:
            cells = [str(report.seen.get((case, uid), "-")) for uid in (0, 1000)]
            lines.append("| %d | %s | %s | %s | %s |" % (case.number, case.name, case.expected.replace("|", " or "), *cells))
    with open(PAGE, "w", encoding="utf-8") as file:
        file.write("\n".join(lines) + "\n")


def inside(args):
    settle_in(os.environ.pop(INSIDE))
    import_path = os.path.join(ROOT, "tests", "support")
    sys.path[:0] = [HERE, import_path]
    os.environ["BUILD"] = args.build
    import escape
    cases = load_cases()
    wanted = [case for case in cases if isinstance(case, escape.Case) and is_wanted(case)]
    print("1..%d" % sum(len(case.uids) for case in wanted), flush=True)
    programs, report = escape.build_programs("/tmp"), Report()
    for uid in escape.UIDS:
        picked = [case for case in wanted if uid in case.uids]
        if picked:
            run_as(uid, picked, args, programs, report)
    if args.write and not report.failed:
        write_page(cases, report)
    return 1 if report.failed else 0


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("build")
    parser.add_argument("--write", action="store_true", help="write docs/escape.md")
    args = parser.parse_args()
    args.build = os.path.abspath(args.build)
    return inside(args) if INSIDE in os.environ else outside(args)


if __name__ == "__main__":
    sys.exit(main())
