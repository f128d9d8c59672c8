"""What requirements.txt asks for and this base does not have.

Nothing is installed here: the file is read (the useful part of PEP 508 and pip's format), compared
with the packages that can be imported, and what is missing is named.
"""

import os

OURS = ("gradio", "spaces")  # provided by spacekit, whatever version is asked for
MOST_BYTES = 256 << 10
DEEPEST = 5


class Malformed(Exception):
    """A line that cannot be understood."""


def check(folder):
    """Raises loader.Failed when something is missing."""
    path = os.path.join(folder, "requirements.txt")
    if not os.path.isfile(path):
        return
    from .loader import Failed

    try:
        lacking = missing(path)
    except Malformed as error:
        raise Failed("BUILD_ERROR", str(error)) from None
    if lacking:
        raise Failed(
            "BUILD_ERROR",
            "requirements.txt names what this base does not have: %s. Installing packages is not "
            "possible yet: remove them, or use a base that has them." % ", ".join(lacking),
            lacking,
        )


def missing(path):
    lacking = []
    for line in requirement_lines(path):
        problem = _problem(line)
        if problem and problem not in lacking:
            lacking.append(problem)
    return lacking


def requirement_lines(path, depth=0):
    """Requirements without comments and pip's options; `-r other.txt` is followed."""
    folder = os.path.dirname(os.path.abspath(path))
    for line in _joined_lines(path):
        line = _without_comment(line)
        if not line:
            continue
        if not line.startswith("-"):
            yield line.split(" --")[0].strip()  # --hash and the like
            continue
        option, _, value = line.replace("=", " ").partition(" ")
        if option in ("-r", "--requirement"):
            other = os.path.realpath(os.path.join(folder, value.strip()))
            if depth >= DEEPEST or not other.startswith(os.path.realpath(folder) + os.sep):
                raise Malformed("requirements.txt: %r cannot be followed" % line)
            yield from requirement_lines(other, depth + 1)
        elif option in ("-e", "--editable"):
            yield value.strip()
        # Where to find packages (--index-url ...) says nothing about which.


def _joined_lines(path):
    try:
        with open(path, encoding="utf-8-sig") as file:
            text = file.read(MOST_BYTES + 1)
    except (OSError, UnicodeDecodeError) as error:
        raise Malformed("%s cannot be read: %s" % (os.path.basename(path), error)) from None
    if len(text) > MOST_BYTES:
        raise Malformed("%s is larger than %d bytes" % (os.path.basename(path), MOST_BYTES))
    return text.replace("\\\n", " ").split("\n")


def _without_comment(line):
    if line.lstrip().startswith("#"):
        return ""
    return line.split(" #")[0].split("\t#")[0].strip()


def _problem(line):
    """What to call it when the base lacks it, or None."""
    from .pep508 import Requirement, normalise

    try:
        wanted = Requirement(line)
    except ValueError as error:
        raise Malformed("requirements.txt: %r: %s" % (line, error)) from None
    if wanted.name in OURS or not wanted.applies():
        return None
    from importlib.metadata import PackageNotFoundError, version

    try:
        has = version(normalise(wanted.name))
    except PackageNotFoundError:
        return wanted.shown()
    if wanted.url:
        return "%s (base has %s)" % (wanted.shown(), has)
    return None if wanted.accepts(has) else "%s (base has %s)" % (wanted.shown(), has)
