"""Files in and out: FileData on the wire, paths in the app."""

import os

from . import context
from .errors import Error

MARK = {"_type": "gradio.FileData"}


def folder():
    return os.environ.get("SPACEKIT_FILES_DIR") or "/run/files"


def _below(path, parent):
    parent = os.path.realpath(parent)
    return path == parent or path.startswith(parent + os.sep)


class Name(str):
    """A path that also answers `.name`, because older apps read `file.name`."""

    @property
    def name(self):
        return str(self)


def incoming(value):
    """The path of a file that a client names in `data`.

    A client may name any path it likes, and the app would read that file and hand it back. So only
    what was uploaded or made by this app is accepted, with links followed before the check.
    """
    path = value.get("path") if isinstance(value, dict) else value
    if not isinstance(path, str) or "\0" in path:
        raise Error("A file was expected, but none was sent.", print_exception=False)
    real = os.path.realpath(path)
    if not (_below(real, folder() + "/u") or _below(real, folder() + "/o")):
        raise Error(
            "The file %s was not uploaded here." % os.path.basename(path), print_exception=False
        )
    if not os.path.isfile(real):
        raise Error(
            "The file %s is not there any more: upload it again." % os.path.basename(path),
            print_exception=False,
        )
    return Name(real)


def outgoing(path, orig_name=None):
    """FileData for a file that the app returned: a copy, as the app may change its own."""
    path = os.fspath(path)
    if path.startswith(("http://", "https://")):
        return file_data(path, path, None, orig_name)
    real = os.path.realpath(path)
    if not os.path.isfile(real):
        raise Error("The app returned the file %s, which does not exist." % path)
    name = orig_name or os.path.basename(path)
    if not (_below(real, folder() + "/u") or _below(real, folder() + "/o")):
        _check_may_leave(path, real)
        from shutil import copyfile

        target = new_path(name)
        copyfile(real, target)
        real = target
    return file_data(real, url_of(real), os.path.getsize(real), name)


def _check_may_leave(path, real):
    """Gradio's rule: the app's folder without hidden files, and the temporary folder.

    It stops an app that turns a visitor's text into a path from serving the rest of its sandbox.
    """
    app = os.path.realpath(context.Building.app_folder or os.getcwd())
    if _below(real, app):
        inside = real[len(app) :].split(os.sep)
        if not any(part.startswith(".") for part in inside):
            return
    elif _below(real, os.environ.get("TMPDIR") or "/tmp"):
        return
    raise Error("The file %s lies outside of the app's folder and the temporary folder." % path)


def save_bytes(data, name):
    """FileData for bytes that the app made in memory."""
    path = new_path(name)
    with open(path, "wb") as file:
        file.write(data)
    return file_data(path, url_of(path), len(data), name)


def new_path(name):
    """A free path of that name, in a folder whose name cannot be guessed."""
    made = os.path.join(folder(), "o", os.urandom(16).hex())
    os.makedirs(made, mode=0o755)
    if context.current_call.get() is None:
        _page_folders.append(made)
    return os.path.join(made, safe_name(name))


# Folders of files that the page itself shows: default values, examples.
_page_folders = []
KEEP_INTERVAL = 20  # s; the daemon's shortest time to live is a minute


def keep_page_files():
    """Outputs are removed when their folder is old; the page's own must not be."""
    if not _page_folders:
        return
    from time import monotonic

    from .pacer import pacer

    for made in _page_folders:
        try:
            os.utime(made)
        except OSError:
            pass
    pacer.at(monotonic() + KEEP_INTERVAL, keep_page_files)


def safe_name(name):
    """Letters, digits, `-_.`; short enough for any file system; never hidden."""
    name = "".join(c if c.isascii() and (c.isalnum() or c in "-_.") else "_" for c in name)
    stem, dot, ending = name.rpartition(".")
    if not dot or len(ending) > 20:
        stem, dot, ending = name, "", ""
    return (stem[:100].lstrip(".") or "file") + dot + ending


root_path = ""  # the prefix the daemon told in hello


def url_of(path):
    """Absolute when a request is being served: clients hand the URL on as it is."""
    call = context.current_call.get()
    base = (call.message.get("request") or {}).get("base") or "" if call else ""
    return base + root_path + "/gradio_api/file=" + path


def file_data(path, url, size, orig_name):
    from mimetypes import guess_type

    return {
        "path": path,
        "url": url,
        "size": size,
        "orig_name": orig_name or os.path.basename(path),
        "mime_type": guess_type(path)[0],
        "is_stream": False,
        "meta": MARK,
    }


SCHEMA = {
    "properties": {
        "path": {"title": "Path", "type": "string"},
        "url": {"anyOf": [{"type": "string"}, {"type": "null"}], "default": None, "title": "Url"},
        "size": {
            "anyOf": [{"type": "integer"}, {"type": "null"}],
            "default": None,
            "title": "Size",
        },
        "orig_name": {
            "anyOf": [{"type": "string"}, {"type": "null"}],
            "default": None,
            "title": "Orig Name",
        },
        "mime_type": {
            "anyOf": [{"type": "string"}, {"type": "null"}],
            "default": None,
            "title": "Mime Type",
        },
        "is_stream": {"default": False, "title": "Is Stream", "type": "boolean"},
        "meta": {
            "properties": {
                "_type": {"const": "gradio.FileData", "title": "Type", "type": "string"}
            },
            "required": ["_type"],
            "title": "FileDataMeta",
            "type": "object",
        },
    },
    "required": ["path"],
    "title": "FileData",
    "type": "object",
}
