#!/usr/bin/python3
"""Runs every test of the tree and prints one line at the end: N passed, N failed, N skipped.

    tools/test.py BUILD [--unit] [--only TEXT] [--require LIST] [--jobs N]

Every suite speaks TAP (cmocka, node and tests/support/tap.py do), so that counting is the same for
all. `--only` takes suites and tests whose name holds TEXT. `--require userns,cgroup,chromium` makes
a skip that says "needs userns: ..." a failure: CI names what its machine has.
"""

import argparse
import glob
import os
import re
import subprocess
import sys
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
PYTHON = "/usr/bin/python3"
LINE = re.compile(r"^\s*(not )?ok\b\s*\d*\s*-?\s*(.*?)(?:\s+#\s*(SKIP|TODO)\S*\s*(.*))?$", re.IGNORECASE)


class Suite:
    def __init__(self, name, command, timeout_s, env=None):
        self.name, self.command, self.timeout_s, self.env = name, command, timeout_s, env or {}


def suites(build, only_unit):
    for path in sorted(glob.glob(f"{build}/tests/unit/*/test_*")):
        if os.access(path, os.X_OK) and not path.endswith((".d", ".o")):
            yield Suite("unit/" + os.path.relpath(path, f"{build}/tests/unit"), [path], 120,
                        {"CMOCKA_MESSAGE_OUTPUT": "TAP"})
    python = glob.glob("sdk/python/tests/test_*.py") + glob.glob("tests/unit/cli/test_*.py")
    if not only_unit:
        python += glob.glob("tests/e2e/test_*.py")
    for path in sorted(python):
        yield Suite(path, [PYTHON, "tests/support/tap.py", path], 600, {"BUILD": build})
    if not only_unit:
        yield Suite("tests/escape", [PYTHON, "tests/escape/run.py", build], 300)
    node = sorted(glob.glob("web/test/*.test.*"))
    if not only_unit:
        node += sorted(glob.glob("web/test/browser/*.test.*")) + sorted(glob.glob("tests/e2e/*.test.mjs"))
    for path in node:
        yield Suite(path, ["node", "--test", "--test-reporter=tap", path], 600, {"BUILD": build})
    if not only_unit:
        yield Suite("tests/support/guest_v2.sh", ["sh", "tests/support/guest_v2.sh", build], 600)
    if os.path.exists("tools/sched-same.sh"):
        yield Suite("tools/sched-same.sh", ["sh", "tools/sched-same.sh", f"{build}/same"], 300)


class Count:
    def __init__(self):
        self.passed = self.failed = self.skipped = 0
        self.trouble = []


def leaf_results(text):
    """TAP results that are not the sum of a nested block (node prints both)."""
    lines = text.splitlines()
    for i, line in enumerate(lines):
        match = LINE.match(line)
        if not match:
            continue
        indent = len(line) - len(line.lstrip())
        before = next((l for l in reversed(lines[:i]) if l.strip() and not l.strip().startswith("#")), "")
        if re.match(r"\s*1\.\.\d+", before) and len(before) - len(before.lstrip()) > indent:
            continue
        yield match


def judge(suite, text, code, require, count):
    seen = 0
    for match in leaf_results(text):
        seen += 1
        bad, name, kind, why = match.groups()
        label = f"{suite.name}: {name}"
        if kind and kind.upper() == "SKIP":
            needs = re.match(r"needs (\w+)", why or "")
            if needs and needs.group(1) in require:
                count.failed += 1
                count.trouble.append(f"FAIL {label}: skipped, although this machine has {needs.group(1)}: {why}")
            else:
                count.skipped += 1
                count.trouble.append(f"skip {label}: {why}")
        elif bad:
            count.failed += 1
            count.trouble.append(f"FAIL {label}")
        else:
            count.passed += 1
    failed_quietly = code != 0 and not any(m.group(1) for m in leaf_results(text))
    if failed_quietly or seen == 0:
        count.failed += 1
        count.trouble.append(f"FAIL {suite.name}: exit {code}, {seen} results")
    return failed_quietly or seen == 0


def run(suite, require, count):
    began = time.monotonic()
    before = count.failed
    try:
        done = subprocess.run(suite.command, env={**os.environ, **suite.env}, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, timeout=suite.timeout_s)
        text, code = done.stdout.decode("utf-8", "replace"), done.returncode
    except subprocess.TimeoutExpired as late:
        text, code = (late.stdout or b"").decode("utf-8", "replace"), 124
        text += f"\nstopped after {suite.timeout_s} s\n"
    judge(suite, text, code, require, count)
    bad = count.failed > before
    print(f"{'FAIL' if bad else 'ok  '} {suite.name} ({time.monotonic() - began:.1f} s)", flush=True)
    if bad:
        print("\n".join("     | " + line for line in text.splitlines()[-120:]), flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("build")
    parser.add_argument("--unit", action="store_true", help="only what needs seconds and no privileges")
    parser.add_argument("--only", default="", help="suites whose name holds this")
    parser.add_argument("--require", default="", help="what this machine has: a skip for want of it fails")
    options = parser.parse_args()
    os.chdir(ROOT)
    require = {word for word in options.require.replace(" ", ",").split(",") if word}
    count = Count()
    for suite in suites(options.build, options.unit):
        if options.only in suite.name:
            run(suite, require, count)
    for line in count.trouble:
        print(line)
    print(f"{count.passed} passed, {count.failed} failed, {count.skipped} skipped", flush=True)
    sys.exit(1 if count.failed or count.passed == 0 else 0)


if __name__ == "__main__":
    main()
