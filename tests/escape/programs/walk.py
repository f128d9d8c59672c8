"""Ways up and out of the root."""
import os

from attack import attempt

top = os.open("/", os.O_RDONLY)
root = os.stat("/")


def is_root(path, fd=None):
    there = os.open(path, os.O_RDONLY, dir_fd=fd)
    if not os.path.samestat(os.fstat(there), root) or "app" not in os.listdir("/home/user"):
        return "ESCAPED"
    return True


def chroot_walk():
    os.makedirs("/tmp/in", exist_ok=True)
    os.chroot("/tmp/in")


def fchroot():
    os.fchdir(top)
    os.chroot(".")


def climb():
    os.fchdir(top)
    for _ in range(40):
        os.chdir("..")
    return is_root(".")


attempt("chroot", chroot_walk)
attempt("fchroot", fchroot)
attempt("above", lambda: is_root("../" * 40))
attempt("above_fd", climb)
attempt("proc_root", lambda: is_root("/proc/self/root/../.."))
