#!/usr/bin/python3
"""`make guest-test`: Debian 12 and 13 with systemd and pure cgroup v2, emulated, one after the other.

    tests/guest/run.py [--only SUITE] [--suite TEXT] [--write FILE]

Makes (or refreshes) each root, builds and installs the tree in it, boots it with its own kernel, and reads what
tests/guest/inside.py prints. Needs root here for debootstrap and chroot, and neither KVM nor network in the guest.
GUEST_CACHE is where roots are kept (default ~/.cache/spacesd-guest), DEBIAN_MIRROR overrides the mirror of apt.
"""

import argparse
import datetime
import fcntl
import glob
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
sys.path.insert(0, os.path.join(ROOT, "tools"))
import test as counting  # noqa: E402

GUESTS = ("bookworm", "trixie")
NEEDS = {"debootstrap": "debootstrap", "mkfs.ext4": "e2fsprogs", "qemu-system-x86_64": "qemu-system-x86"}
BOOT_TIMEOUT_S = 3600


class Result:
    """One suite in one guest."""

    def __init__(self, name):
        self.name, self.lines, self.code, self.seconds = name, [], None, 0

    def count(self):
        count = counting.Count()
        suite = counting.Suite(self.name, [], 0)
        counting.judge(suite, "\n".join(self.lines), 125 if self.code is None else self.code, set(), count)
        return count


def make_image(guest, cache):
    root, image = os.path.join(cache, guest), os.path.join(cache, guest + ".img")
    print(f"{guest}: root and build ...", flush=True)
    subprocess.run(["sh", "tests/guest/root.sh", guest, root], check=True)
    subprocess.run(["sh", "tests/guest/image.sh", root, image], check=True)
    return root, image


def boot(root, image, suite):
    """Runs the guest to its power-off; prints what happens; (facts, results)."""
    port = tempfile.mkdtemp(prefix="spaces-guest-")
    kernel = sorted(glob.glob(root + "/boot/vmlinuz-*"))[-1]
    initrd = kernel.replace("vmlinuz", "initrd.img")
    fifo, console = os.path.join(port, "results"), os.path.join(port, "console")
    os.mkfifo(fifo)
    reader = os.open(fifo, os.O_RDWR)  # a writer of our own: qemu may open and close as it likes
    words = "root=/dev/vda rw console=ttyS0 panic=-1 quiet mitigations=off systemd.show_status=false"
    # Without KVM on purpose: a nested one may start and never boot. `snapshot`: the image stays as it is.
    command = ["nice", "qemu-system-x86_64", "-accel", "tcg,thread=multi", "-cpu", "max", "-m", "3072", "-smp", "2",
               "-display", "none", "-no-reboot", "-nodefaults", "-kernel", kernel, "-initrd", initrd,
               "-append", words + (f" spaces.suite={suite}" if suite else ""),
               "-serial", "file:" + console, "-chardev", f"file,id=results,path={fifo}", "-serial", "chardev:results",
               "-drive", f"file={image},format=raw,if=virtio,snapshot=on"]
    qemu = subprocess.Popen(command, stdin=subprocess.DEVNULL)
    try:
        return read_results(qemu, reader, console)
    finally:
        if qemu.poll() is None:
            qemu.kill()
            qemu.wait()
        os.close(reader)
        shutil.rmtree(port)


def lines_of(qemu, fd):
    """Lines as they come, until the guest is off or too late."""
    end, rest = time.monotonic() + BOOT_TIMEOUT_S, b""
    os.set_blocking(fd, False)
    while True:
        off = qemu.poll() is not None
        try:
            piece = os.read(fd, 65536)
        except BlockingIOError:
            if off or time.monotonic() > end:
                return
            time.sleep(0.1)
            continue
        *whole, rest = (rest + piece).split(b"\n")
        for line in whole:
            yield line.decode("utf-8", "replace").rstrip("\r")


def read_results(qemu, fd, console):
    facts, results, done = {}, [], False
    for line in lines_of(qemu, fd):
        word, _, rest = line.partition(" ")
        if word == "FACT":
            facts.update([rest.split(" ", 1)])
        elif word == "SUITE":
            results.append(Result(rest))
            print(f"     {rest} ...", flush=True)
        elif word == "END" and results:
            _, code, seconds = rest.rsplit(" ", 2)
            results[-1].code, results[-1].seconds = int(code), int(seconds)
            tell(results[-1])
        elif word == "DONE":
            done = True
        elif results:
            results[-1].lines.append(line)
    if not done:
        if results and results[-1].code is None:
            tell(results[-1])
        with open(console, encoding="utf-8", errors="replace") as file:
            print("the guest did not finish; its console ended with:\n" + file.read()[-8000:], flush=True)
        last = Result("the guest itself")
        last.lines, last.code = ["not ok 1 - boots, runs every suite and powers off"], 1
        results.append(last)
    return facts, results


def tell(result):
    count = result.count()
    print(f"{'FAIL' if count.failed else 'ok  '} {result.name}: {count.passed} passed, {count.failed} failed, "
          f"{count.skipped} skipped ({result.seconds} s)", flush=True)
    if count.failed:
        print("\n".join("     | " + line for line in result.lines[-400:]), flush=True)


def notes_of(trouble):
    """A line for each failure; what was skipped for one reason in one line."""
    skipped = {}
    for line in trouble:
        if line.startswith("skip "):
            suite, _, why = line[len("skip "):].split(": ", 2)
            skipped[suite, why] = skipped.get((suite, why), 0) + 1
    return [f"- {line}" for line in trouble if not line.startswith("skip ")] + [
        f"- skipped in {suite}, cases: {n}: {why}" for (suite, why), n in skipped.items()]


def section(guest, facts, results):
    """One guest's part of the document, between marks of its own, so that each can be run alone."""
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=True).stdout
    text = [f"<!-- {guest}: written by make guest-test WRITE=1 -->",
            f"## Debian {facts.get('debian', '?')}: Linux {facts.get('kernel', '?')}, "
            f"systemd {facts.get('systemd', '?')}", "",
            f"Run of {datetime.date.today()} on {commit.strip()}. Controllers: {facts.get('controllers', '?')}.", "",
            "| suite | passed | failed | skipped | seconds in the guest |", "|---|---|---|---|---|"]
    notes, tables = [], []
    for result in results:
        count = result.count()
        text.append(f"| `{result.name}` | {count.passed} | {count.failed} | {count.skipped} | {result.seconds} |")
        notes += notes_of(count.trouble)
        tables += [line for line in result.lines if re.match(r"\|.*\|$", line)]  # a suite's own
    for more in (notes, tables):
        text += [""] + more if more else []
    return "\n".join(text + [f"<!-- {guest}: end -->"]) + "\n"


def write(path, guest, text):
    """Everything outside of this guest's marks stays."""
    with open(path, encoding="utf-8") as file:
        page = file.read()
    old = re.search(rf"<!-- {guest}: written.*<!-- {guest}: end -->\n", page, re.DOTALL)
    page = page.replace(old.group(0), text) if old else page.rstrip() + "\n\n" + text
    with open(path, "w", encoding="utf-8") as file:
        file.write(page)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", help="one guest: bookworm or trixie")
    parser.add_argument("--suite", default="", help="suites whose name holds this")
    parser.add_argument("--write", default="", help="the document that gets the tables")
    options = parser.parse_args()
    os.chdir(ROOT)
    missing = [package for program, package in NEEDS.items() if not shutil.which(program)]
    if missing or os.geteuid() != 0:
        sys.exit("guest-test: needs root" if not missing else "guest-test: needs " + " ".join(missing) + " (make deps)")
    if options.suite and not re.fullmatch(r"[\w./-]+", options.suite):
        sys.exit("guest-test: T is a piece of a suite's name")
    cache = os.environ.get("GUEST_CACHE") or os.path.expanduser("~/.cache/spacesd-guest")
    os.makedirs(cache, exist_ok=True)
    failed = passed = 0
    with open(os.path.join(cache, ".lock"), "w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # roots are shared by all checkouts of this user
        for guest in GUESTS:
            if options.only not in guest:
                continue
            began = time.monotonic()
            root, image = make_image(guest, cache)
            facts, results = boot(root, image, options.suite)
            os.unlink(image)
            if options.write:
                write(options.write, guest, section(guest, facts, results))
            failed += sum(result.count().failed for result in results)
            passed += sum(result.count().passed for result in results)
            print(f"{guest}: Linux {facts.get('kernel', '?')}, systemd {facts.get('systemd', '?')}, "
                  f"{time.monotonic() - began:.0f} s", flush=True)
    print(f"guest-test: {passed} passed, {failed} failed", flush=True)
    sys.exit(1 if failed or not passed else 0)


if __name__ == "__main__":
    main()
