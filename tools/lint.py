#!/usr/bin/python3
"""Checks what a compiler does not: include arrows between folders, dead links in docs, headers that
do not stand on their own name, lists (events, files, tests of settings and of what the sandbox claims) that are not the code's any more.
One line per finding; exit 1 if any."""

import fnmatch
import os
import re
import subprocess
import sys

# Who may include whom: docs/architecture.md has the picture.
ARROWS = {
    "base": {"base"},
    "ui-protocol": {"ui-protocol", "base"},
    "scheduler": {"scheduler", "base"},
    "sandbox": {"sandbox", "base"},
    "sandbox/launcher": {"sandbox/launcher", "sandbox/network", "sandbox/gpu", "sandbox", "base"},
    "sandbox/gpu": {"sandbox/gpu", "sandbox", "base"},
    "sandbox/network": {"sandbox/network", "sandbox", "helpers", "base"},
    "runtime": {"runtime", "runtime/server", "runtime/state", "runtime/app", "runtime/spaces", "runtime/api",
                "sandbox", "ui-protocol", "base"},
    "runtime/server": {"runtime/server", "runtime", "ui-protocol", "base"},
    "runtime/state": {"runtime/state", "runtime", "base"},
    "runtime/app": {"runtime/app", "runtime/server", "runtime/state", "runtime", "scheduler", "ui-protocol", "base"},
    "runtime/spaces": {"runtime/spaces", "runtime/app", "runtime/state", "runtime", "sandbox", "base"},
    "runtime/api": {"runtime/api", "runtime/spaces", "runtime/app", "runtime/state", "runtime/server", "runtime",
                    "ui-protocol", "base"},
    "helpers": {"helpers", "sandbox/gpu", "base"},
    "cli": {"cli", "ui-protocol", "base"},
}
# What the rooms of runtime/ may take from the floor that they stand on; the rest of it stands on them.
RUNTIME_FLOOR = {"runtime/config.h", "runtime/config-internal.h", "runtime/metrics.h", "runtime/loop.h", "runtime/flavors.h"}
# A library belongs to the folders (or files) that style says.
LIBRARIES = {
    "uv.h": r"runtime/", "sqlite3.h": r"runtime/state/store",
    "sodium.h": r"(runtime/state/(auth|snapshot|staging|secrets)|helpers/base_)",
    "seccomp.h": r"sandbox/", "libcgroup.h": r"sandbox/", "curl/curl.h": r"(cli|helpers)/", "yaml.h": r"runtime/state/card",
    "jansson.h": r"(base/json|runtime/|cli/|ui-protocol/diff|helpers/base_)",
}
INCLUDE = re.compile(r'^\s*#\s*include\s+(?:"([^"]+)"|<([^>]+)>)')
LINK = re.compile(r"\[[^\]]*\]\(([^)#\s]+)(?:#[^)]*)?\)")
LIMIT_LINES = 700
SETTING = r'\{"([a-z_.]+)",\s+SP_CONFIG_(\w+),(?:(?!\},).)*?(?:"(test_\w+)"|NULL)\},'
EVENT = re.compile(r'\bsp_log\((?:[^";]|\n)*?"([a-z_]+\.[a-z_]+)"')
# Numbers that bound nothing.
NO_LIMIT = {"uid", "journal.segment", "queue.publish"}


def tracked(*patterns):
    out = subprocess.run(["git", "ls-files", "--cached", "--others", "--exclude-standard", *patterns],
                         capture_output=True, text=True, check=True).stdout
    return [path for path in out.splitlines() if os.path.exists(path)]


def folder_of(path):
    folder = os.path.dirname(path)
    return folder if folder in ARROWS else path.split("/")[0]


def check_includes(path, findings):
    folder = folder_of(path)
    if folder not in ARROWS:
        return
    with open(path, encoding="utf-8") as file:
        for number, line in enumerate(file, 1):
            match = INCLUDE.match(line)
            if not match:
                continue
            own, system = match.groups()
            if own and folder_of(own) in ARROWS and folder_of(own) not in ARROWS[folder]:
                findings.append(f"{path}:{number}: {folder} may not include {own}")
            if own and folder.startswith("runtime/") and os.path.dirname(own) == "runtime" and own not in RUNTIME_FLOOR \
                    and not (folder == "runtime/api" and own == "runtime/daemon.h"):
                findings.append(f"{path}:{number}: {own} stands on {folder}, not under it")
            if system in LIBRARIES and not re.match(LIBRARIES[system], path):
                findings.append(f"{path}:{number}: <{system}> does not belong here")
            if own and own.endswith("-internal.h") and os.path.dirname(own) != os.path.dirname(path):
                findings.append(f"{path}:{number}: {own} is internal to its folder")


def check_guard(path, findings):
    with open(path, encoding="utf-8") as file:
        if not re.search(r"#ifndef SP_[A-Z0-9_]+_H\n#define SP_[A-Z0-9_]+_H", file.read()):
            findings.append(f"{path}:1: no include guard of the form SP_FOLDER_FILE_H")


def check_length(path, findings):
    with open(path, encoding="utf-8") as file:
        lines = sum(1 for _ in file)
    if lines > LIMIT_LINES:
        findings.append(f"{path}:1: {lines} lines: two ideas in one file?")


def check_links(path, findings):
    with open(path, encoding="utf-8") as file:
        for number, line in enumerate(file, 1):
            for target in LINK.findall(line):
                if re.match(r"[a-z]+:", target):
                    continue
                if not os.path.exists(os.path.normpath(os.path.join(os.path.dirname(path), target))):
                    findings.append(f"{path}:{number}: link to {target}, which is not there")


def check_settings(findings):
    """Every number in the table of settings names the test that reaches it."""
    path = "runtime/config_table.c"
    with open(path, encoding="utf-8") as file:
        rows = re.findall(SETTING, file.read(), re.S)
    tests = ""
    for name in tracked("tests/*.c", "tests/*.py"):
        with open(name, encoding="utf-8") as file:
            tests += file.read()
    for name, kind, test in rows:
        if test and not re.search(rf"\b(?:def|void) {test}\(", tests):
            findings.append(f"{path}: {name}: there is no test {test}")
        if not test and kind in ("INT", "SIZE", "DURATION") and name not in NO_LIMIT:
            findings.append(f"{path}: {name}: names no test that reaches it")
    if len(rows) < 50:
        findings.append(f"{path}: the table of settings is not understood")


def rows_of(lines):
    """(number, cells) of the rows below a table's head whose last column says what proves the row."""
    proving = False
    for number, line in enumerate(lines, 1):
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        if not line.startswith("|"):
            proving = False
        elif cells[-1] in ("Proved by", "Test"):
            proving = True
        elif proving and not re.fullmatch(r"-+", cells[-1]):
            yield number, cells


def check_claims(page, findings):
    """Each layer and each end that the page claims names tests that there are: a story's name or a piece of it, a
    class, or a suite."""
    known = ""
    for path in tracked("tests/*.c", "tests/*.py"):
        with open(path, encoding="utf-8") as file:
            known += path + "\n" + "\n".join(re.findall(r"(?:def|void|class) (\w+)", file.read())) + "\n"
    with open(page, encoding="utf-8") as file:
        claims = list(rows_of(file))
    for number, cells in claims:
        names = re.findall(r"`([^`]+)`", cells[-1])
        if not names:
            findings.append(f"{page}:{number}: '{cells[0]}' names no test")
        findings.extend(f"{page}:{number}: there is no test {name}"
                        for name in names if name.strip(".") not in known)
    if len(claims) < 20:
        findings.append(f"{page}: the tables of claims are not understood")


def check_events(findings):
    """docs/logging.md lists the events that the code logs: all of them, and no other."""
    page = "docs/logging.md"
    with open(page, encoding="utf-8") as file:
        listed = {event for line in file if line.startswith("| `")
                  for event in re.findall(r"`([a-z_]+\.[a-z_]+)`", line.split("|")[1])}
    logged = set()
    for path in tracked("base/*.c", "helpers/*.c", "runtime/*.c", "sandbox/*.c"):
        with open(path, encoding="utf-8") as file:
            for event in EVENT.findall(file.read()):
                logged.add(event)
                if event not in listed:
                    findings.append(f"{path}: {event} is not in {page}")
    findings.extend(f"{page}: nothing logs {event}" for event in sorted(listed - logged))


def check_readme(folder, findings):
    """The README.md of a folder of sources names each of its files, with or without the ending."""
    with open(f"{folder}/README.md", encoding="utf-8") as file:
        names = re.findall(r"`([\w.*-]+)`", file.read())
    for path in tracked(f":(glob){folder}/*.[ch]"):
        base = os.path.basename(path)
        stem = re.sub(r"-internal$", "", os.path.splitext(base)[0])
        if not any(fnmatch.fnmatch(base, name) or fnmatch.fnmatch(stem, name) for name in names):
            findings.append(f"{folder}/README.md: {base} is missing")


def main():
    os.chdir(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    findings = []
    for path in tracked("*.c", "*.h"):
        check_includes(path, findings)
        check_length(path, findings)
        if path.endswith(".h"):
            check_guard(path, findings)
    for path in tracked("*.py", "*.ts"):
        check_length(path, findings)
    check_settings(findings)
    check_events(findings)
    check_claims("docs/sandbox.md", findings)
    for folder in ARROWS:
        if os.path.exists(f"{folder}/README.md"):
            check_readme(folder, findings)
    for path in tracked("*.md"):
        check_links(path, findings)
    for folder in sorted({path.split("/")[0] for path in tracked() if "/" in path} - {".ci"}):
        if folder not in ("docs",) and not os.path.exists(f"{folder}/README.md"):
            findings.append(f"{folder}/: no README.md")
    print("\n".join(findings) if findings else "lint: nothing found")
    sys.exit(1 if findings else 0)


if __name__ == "__main__":
    main()
