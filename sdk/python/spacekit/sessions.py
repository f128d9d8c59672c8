"""gr.State: values per session, kept outside of the worker after each event.

A worker may be replaced (a cancelled function that does not stop, a crash); the next one finds the
values in the folder. The files are read by the app that wrote them and nobody else: unpickling them
runs nothing that the app could not run anyway.
"""

import os
from _thread import allocate_lock
from copy import deepcopy

from . import context

MOST_SESSIONS = 10000  # in memory; older ones are read back from their file
MOST_BYTES = 4 << 20  # of one session's file


def folder():
    return os.environ.get("SPACEKIT_STATE_DIR") or "/run/space/state"


class Session:
    def __init__(self, name, saved):
        self.name = name
        self.values = saved.get("values", {})  # component id -> value
        self.choices = saved.get("choices", {})  # component id -> choices that a handler set
        self.written = None  # digest of the file's content
        self.lock = allocate_lock()

    def value(self, block):
        if block.id not in self.values:
            self.values[block.id] = deepcopy(block.value)
        return self.values[block.id]

    def set(self, block, value):
        self.values[block.id] = value


class Sessions:
    def __init__(self, root):
        self._lock = allocate_lock()
        self._sessions = {}  # insertion order is order of use
        self._ended = set()
        # A file of another version of the app has other ids: told apart by the app's shape.
        self._shape = "%d:%s" % (
            len(root.dependencies),
            ",".join("%d" % id for id, b in sorted(root.blocks.items()) if b.type == "state"),
        )

    def of(self, call):
        """The session of a call; a call without one has values of its own that nobody sees again."""
        if call.session:
            return self.get(call.session)
        if call.own_session is None:
            call.own_session = Session("", {})
        return call.own_session

    def get(self, name):
        with self._lock:
            session = self._sessions.pop(name, None)
            if session is None:
                session = Session(name, self._load(name))
            self._sessions[name] = session
            if len(self._sessions) > MOST_SESSIONS:
                del self._sessions[next(iter(self._sessions))]
            return session

    def known(self, name):
        return name in self._sessions

    def choices(self, name, block):
        """What a handler set as choices for this session, or None."""
        session = self._sessions.get(name)
        if session is None and not _path(name, exists=True):
            return None
        return self.get(name).choices.get(block.id)

    def end(self, name):
        with self._lock:
            self._sessions.pop(name, None)
        try:
            os.unlink(_path(name))
        except OSError:
            pass

    def save(self, name):
        """At the end of an event. Writes only what changed, all or nothing."""
        session = self._sessions.get(name)
        if session is None or not name:
            return
        with session.lock:
            try:
                self._write(session)
            except Exception as error:
                context.say_once("warning: session state cannot be saved: %s" % error)

    def _write(self, session):
        import pickle
        from _blake2 import blake2b

        content = pickle.dumps(
            {
                "shape": self._shape,
                "values": _picklable(session.values),
                "choices": session.choices,
            },
            pickle.HIGHEST_PROTOCOL,
        )
        digest = blake2b(content, digest_size=16).digest()
        if digest == session.written:
            return
        if len(content) > MOST_BYTES:
            return context.say_once(
                "warning: session state of %d bytes is not saved (at most %d): it is lost when the "
                "worker is replaced" % (len(content), MOST_BYTES)
            )
        path = _path(session.name)
        temporary = path + ".new"
        os.makedirs(folder(), mode=0o700, exist_ok=True)
        with open(temporary, "wb") as file:
            file.write(content)
        os.replace(temporary, path)
        session.written = digest

    def _load(self, name):
        try:
            with open(_path(name), "rb") as file:
                content = file.read()
        except OSError:
            return {}
        import pickle

        try:
            saved = pickle.loads(content)
            if saved["shape"] == self._shape:
                return {
                    "values": {id: pickle.loads(v) for id, v in saved["values"].items()},
                    "choices": saved["choices"],
                }
        except Exception as error:
            context.say_once("warning: saved session state cannot be read: %s" % error)
        return {}


def _picklable(values):
    """Each value pickled by itself, so that one that cannot be does not cost the others."""
    import pickle

    found = {}
    for id, value in list(values.items()):
        try:
            found[id] = pickle.dumps(value, pickle.HIGHEST_PROTOCOL)
        except Exception as error:
            context.say_once(
                "warning: the gr.State with id %d holds a %s that cannot be saved (%s): it is lost "
                "when the worker is replaced" % (id, type(value).__name__, error)
            )
    return found


def _path(name, exists=False):
    """Session names are chosen by clients: hashed, they cannot name another path."""
    from _blake2 import blake2b

    hashed = blake2b(name.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()
    path = os.path.join(folder(), hashed)
    return path if not exists or os.path.exists(path) else None
