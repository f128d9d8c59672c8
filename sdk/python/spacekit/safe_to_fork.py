"""What an import may leave that two processes cannot share: the reasons not to fork."""

import gc
import os
import sys

HARMLESS = ("/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom")
KINDS = {
    "socket": "a socket is open",
    "pipe": "a pipe is open",
    "anon_inode": "an event loop or a kernel object is open",
}


def open_files():
    """{descriptor: what it is}, without the one that looks."""
    found = {}
    for name in os.listdir("/proc/self/fd"):
        try:
            found[int(name)] = os.readlink("/proc/self/fd/" + name)
        except OSError:  # the folder that was being listed
            pass
    return found


def reason_against(before):
    """A sentence, or None. `before` is open_files() from before the imports."""
    return (
        _threads()
        or _cuda()
        or _databases()
        or _files(before)
        or _memory()
        or _folders()
        or _rest()
    )


def _threads():
    count = len(os.listdir("/proc/self/task"))
    if count == 1:
        return None
    names = []
    if "threading" in sys.modules:
        threads = sys.modules["threading"].enumerate()
        names = [t.name for t in threads if t is not sys.modules["threading"].main_thread()]
    return "%d threads run after its imports%s" % (count, _listed(names))


def _listed(names):
    return ": " + ", ".join(str(name)[:40] for name in names[:3]) if names else ""


def _cuda():
    if any("/libcuda.so" in line for line in _maps()):
        return "CUDA is loaded by its imports"
    if any(what.startswith("/dev/nvidia") for what in open_files().values()):
        return "a GPU is open after its imports"
    return None


def _maps():
    with open("/proc/self/maps", encoding="utf-8", errors="replace") as file:
        return file.readlines()


def _databases():
    """sqlite3 keeps no file open before its first query, and none at all for one in memory."""
    sqlite3 = sys.modules.get("sqlite3")
    if sqlite3 and any(issubclass(type(o), sqlite3.Connection) for o in gc.get_objects()):
        return "a database (sqlite3) is open after its imports"
    return None


def _files(before):
    for fd, what in sorted(open_files().items()):
        if fd in before and before[fd] == what or what in HARMLESS:
            continue
        kind = KINDS.get(what.partition(":")[0])
        return "%s after its imports" % (kind or "the file '%s' is open" % what)
    return None


def _memory():
    for line in _maps():
        parts = line.split(None, 5)
        if parts[1].startswith("rw") and parts[1].endswith("s"):
            return "memory that forks would share is mapped by its imports"
    return None


def _folders():
    """The end of one worker would take it from the others."""
    tempfile, weakref = sys.modules.get("tempfile"), sys.modules.get("weakref")
    if tempfile is None or weakref is None:
        return None
    for each in list(getattr(weakref.finalize, "_registry", ())):
        if isinstance((each.peek() or (None,))[0], tempfile.TemporaryDirectory):
            return "a temporary folder is made by its imports, which goes with the first that ends"
    return None


def _rest():
    from .context import Building

    if Building.launched is not None:
        return "an import has called launch()"
    if Building.block is not None:
        return "an import has left a layout open"
    try:
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return None
    return "a process is started by its imports"


# -- BLAS ------------------------------------------------------------------------------------------


class OneThreadForBlas:
    """OpenBLAS starts its threads when it is loaded. Ours gets one, and each fork all of them."""

    NAME = "OPENBLAS_NUM_THREADS"
    SETTERS = (
        "openblas_set_num_threads",
        "openblas_set_num_threads64_",
        "scipy_openblas_set_num_threads",
        "scipy_openblas_set_num_threads64_",
    )

    def __init__(self):
        self.asked = self.NAME in os.environ or "OMP_NUM_THREADS" in os.environ
        if not self.asked:
            os.environ[self.NAME] = "1"

    def give_back(self):
        """In a fork; its environment is its own by then."""
        if self.asked or "numpy" not in sys.modules:
            return
        import ctypes

        paths = {line.split(None, 5)[5].strip() for line in _maps() if "openblas" in line}
        for path in paths:
            library = ctypes.CDLL(path)
            for name in self.SETTERS:
                if hasattr(library, name):
                    getattr(library, name)(len(os.sched_getaffinity(0)))
