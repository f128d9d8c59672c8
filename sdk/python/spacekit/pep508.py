"""One requirement: `name[extra] >=1, <2 ; python_version < "3.12"`. Imported only when needed."""

import re
import sys

NAME = re.compile(r"\s*([A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?)\s*(\[[^\]]*\])?\s*")
SPEC = re.compile(r"(===|==|~=|!=|<=|>=|<|>)\s*([A-Za-z0-9.*+!_-]+)\s*")
VERSION = re.compile(
    r"v?(?:(\d+)!)?(\d+(?:\.\d+)*)[-_.]?(?:(a|alpha|b|beta|c|rc|pre|preview)[-_.]?(\d*))?"
    r"(?:-(\d+)|[-_.]?(?:post|rev|r)[-_.]?(\d*))?(?:[-_.]?(dev)[-_.]?(\d*))?(?:\+([a-z0-9._-]+))?$",
    re.I,
)


def normalise(name):
    return re.sub(r"[-_.]+", "-", name).lower()


class Requirement:
    """Raises ValueError when the text is not one."""

    def __init__(self, text):
        text, _, marker = text.partition(";") if "://" not in text else text.partition(" ;")
        self.marker = marker.strip()
        self.url, self.specs = None, []
        if re.match(r"(git|hg|svn|bzr)?\+?(https?|file|ssh|git)://|\.{0,2}/", text) or text == ".":
            self._from_url(text)
            return
        found = NAME.match(text)
        if not found:
            raise ValueError("not a requirement")
        self.name = normalise(found.group(1))
        self.written = found.group(1)
        rest = text[found.end() :].strip()
        if rest.startswith("@"):
            self.url = rest[1:].strip()
        else:
            self._specs(rest.strip("()"))

    def _from_url(self, text):
        egg = re.search(r"#egg=([A-Za-z0-9._-]+)", text)
        self.url = text.strip()
        self.written = egg.group(1) if egg else self.url
        self.name = normalise(egg.group(1)) if egg else self.url

    def _specs(self, rest):
        for part in filter(None, (part.strip() for part in rest.split(","))):
            found = SPEC.fullmatch(part)
            if not found:
                raise ValueError("%r is not a version specifier" % part)
            self.specs.append(found.groups())

    def shown(self):
        return self.written + ",".join(op + version for op, version in self.specs)

    def applies(self):
        """Whether the marker holds here; one that cannot be understood holds."""
        if not self.marker:
            return True
        try:
            return Marker(self.marker).value()
        except (ValueError, KeyError, IndexError):
            return True

    def accepts(self, has):
        return all(satisfies(has, operator, wanted) for operator, wanted in self.specs)


def version_key(text):
    """Sorts as PEP 440 says. Raises ValueError."""
    found = VERSION.match(text.strip())
    if not found:
        raise ValueError("%r is not a version" % text)
    epoch, release, pre, pre_n, post_1, post_2, dev, dev_n, local = found.groups()
    numbers = [int(n) for n in release.split(".")]
    while len(numbers) > 1 and numbers[-1] == 0:
        numbers.pop()
    has_post = post_1 is not None or post_2 is not None
    if pre:
        pre_key = ({"a": 0, "b": 1}.get(pre[0].lower(), 2), int(pre_n or 0))
    else:
        pre_key = (-1, 0) if dev and not has_post else (3, 0)  # 1.0.dev1 < 1.0a1 < 1.0
    post_key = int(post_1 or post_2 or 0) if has_post else -1
    dev_key = int(dev_n or 0) if dev else float("inf")
    return int(epoch or 0), tuple(numbers), pre_key, post_key, dev_key


def satisfies(has, operator, wanted):
    if operator == "===":
        return has.strip() == wanted
    try:
        if wanted.endswith(".*"):
            return _starts_with(has, wanted[:-2]) == (operator == "==")
        mine, other = version_key(has), version_key(wanted)
    except ValueError:
        return False
    if operator == "~=":
        parent = wanted.rpartition(".")[0]
        return mine >= other and _starts_with(has, parent)
    if operator in ("==", "!=") and "+" in wanted:
        return (has.lower() == wanted.lower()) == (operator == "==")
    return {
        "==": mine == other,
        "!=": mine != other,
        "<=": mine <= other,
        ">=": mine >= other,
        "<": mine < other,
        ">": mine > other,
    }[operator]


def _starts_with(has, prefix):
    def release(text):
        found = VERSION.match(text)
        if not found:
            raise ValueError("%r is not a version" % text)
        return [int(n) for n in found.group(2).split(".")]

    wanted = release(prefix)
    mine = release(has)
    mine += [0] * (len(wanted) - len(mine))
    return mine[: len(wanted)] == wanted


TOKEN = re.compile(r"\s*(\(|\)|===|==|~=|!=|<=|>=|<|>|'[^']*'|\"[^\"]*\"|[a-z_.]+)")


class Marker:
    """`python_version < "3.12" and (sys_platform == "linux" or extra == "x")`."""

    def __init__(self, text):
        self.tokens, position = [], 0
        while position < len(text.rstrip()):
            found = TOKEN.match(text, position)
            if not found:
                raise ValueError("marker")
            self.tokens.append(found.group(1))
            position = found.end()

    def value(self):
        result = self._any()
        if self.tokens:
            raise ValueError("marker")
        return result

    def _any(self):
        result = self._all()
        while self.tokens and self.tokens[0] == "or":
            self.tokens.pop(0)
            result = self._all() or result
        return result

    def _all(self):
        result = self._one()
        while self.tokens and self.tokens[0] == "and":
            self.tokens.pop(0)
            result = self._one() and result
        return result

    def _one(self):
        if self.tokens[0] == "(":
            self.tokens.pop(0)
            result = self._any()
            if self.tokens.pop(0) != ")":
                raise ValueError("marker")
            return result
        left, operator = self._operand(), self.tokens.pop(0)
        if operator == "not":
            operator += " " + self.tokens.pop(0)
        return _compare(left, operator, self._operand())

    def _operand(self):
        token = self.tokens.pop(0)
        return (False, token[1:-1]) if token[0] in "'\"" else (True, token)


def _compare(left, operator, right):
    names = environment()
    is_version = any(is_name and "version" in text for is_name, text in (left, right))
    a, b = (names[text] if is_name else text for is_name, text in (left, right))
    if operator in ("in", "not in"):
        return (a in b) == (operator == "in")
    if is_version:
        return satisfies(a, operator, b)
    if operator not in ("==", "!="):
        raise ValueError("marker")
    return (a == b) == (operator == "==")


def environment():
    system = os_uname()
    full = "%d.%d.%d" % sys.version_info[:3]
    return {
        "python_version": "%d.%d" % sys.version_info[:2],
        "python_full_version": full,
        "implementation_version": full,
        "os_name": "posix",
        "sys_platform": sys.platform,
        "platform_system": system.sysname,
        "platform_machine": system.machine,
        "platform_release": system.release,
        "platform_version": system.version,
        "platform_python_implementation": "CPython",
        "implementation_name": sys.implementation.name,
        "extra": "",
    }


def os_uname():
    import os

    return os.uname()
