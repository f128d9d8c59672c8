"""Attributes and nodes that mean something to overlayfs, made by the app."""
import os
import stat
import subprocess

from attack import attempt

APP = "/home/user/app/"
os.makedirs("/tmp/work", exist_ok=True)
folder = APP + "made"
try:
    os.mkdir(folder)
except OSError:
    folder = "/tmp/work"
attempt("trusted_opaque", lambda: os.setxattr(folder, "trusted.overlay.opaque", b"y"))
attempt("trusted_redirect", lambda: os.setxattr(folder, "trusted.overlay.redirect", b"/../../etc"))
attempt("user_opaque", lambda: os.setxattr(folder, "user.overlay.opaque", b"y"))
attempt("whiteout", lambda: os.mknod(folder + "/whiteout", stat.S_IFCHR | 0o666, os.makedev(0, 0)))
attempt("upper", lambda: os.listdir("/mnt/u"))
attempt("work", lambda: os.listdir("/mnt/w"))


def replace():
    os.unlink(APP + "app.py")
    os.rename(APP + "stay.py", APP + "app.py")


attempt("unlink_rename", replace)


def setuid_copy():
    """Copied up by chmod: set-id bits of a file of ours, which nosuid makes nothing of."""
    os.chmod(APP + "ids", 0o6755)
    text = subprocess.run([APP + "ids"], capture_output=True, text=True, check=True).stdout
    return 0 if "caps 0000000000000000" in text and text.startswith("ids %d %d " % (os.getuid(), os.getuid())) else "GAINED"


attempt("setuid_copy", setuid_copy)
