"""What a handler says while it runs: progress, toasts, and who asks."""

import sys

from .context import current_call
from .pacer import pacer
from .signature import Special
from time import monotonic

from . import jsonio

PROGRESS_INTERVAL = 0.05


# -- toasts ----------------------------------------------------------------------------------------


def toast(level, text, duration, visible, title):
    call = current_call.get()
    if call is None:
        print("spacekit: %s outside of an event: %s" % (level, text), file=sys.stderr, flush=True)
        return
    call.notify(str(text), level, str(title), duration, bool(visible))


def Info(message="Info issued.", duration=10, visible=True, title="Info"):
    toast("info", message, duration, visible, title)


def Warning(message="Warning issued.", duration=10, visible=True, title="Warning"):
    toast("warning", message, duration, visible, title)


def Success(message="Success issued.", duration=10, visible=True, title="Success"):
    toast("success", message, duration, visible, title)


# -- progress --------------------------------------------------------------------------------------


class ProgressChannel:
    """Progress messages of one call: at most one per 50 ms, the newest wins."""

    def __init__(self, call):
        self.call = call
        self._last = 0.0
        self._pending = None
        self._timer = False

    def report(self, data):
        with self.call.lock:
            self._pending = data
            self._send_or_wait()

    def _send_or_wait(self):
        due = self._last + PROGRESS_INTERVAL
        if due <= monotonic():
            self.flush()
        elif self._pending is not None and not self._timer:
            self._timer = True
            pacer.at(due, self._on_timer)

    def _on_timer(self):
        with self.call.lock:
            self._timer = False
            self._send_or_wait()

    def flush(self):
        """With call.lock held."""
        data, self._pending = self._pending, None
        if data is None or self.call.ended:
            return
        self._last = monotonic()
        self.call.send("progress", ',"progress_data":' + jsonio.encode(data))


class Level:
    """One bar; loops inside loops make several."""

    def __init__(self, index, length, unit, desc, progress=None):
        self.index, self.length, self.unit = index, length, unit
        self.desc, self.progress = desc, progress

    def data(self):
        return {
            "index": self.index,
            "length": self.length,
            "unit": self.unit,
            "progress": self.progress,
            "desc": self.desc,
        }


class Progress(Special):
    """`def f(x, progress=gr.Progress()): progress(0.5, desc="half")`, or `progress.tqdm(items)`."""

    def __init__(self, track_tqdm=False):
        self.track_tqdm = track_tqdm
        self._call = None
        self._levels = []

    @classmethod
    def for_call(cls, call, default):
        mine = cls(getattr(default, "track_tqdm", False))
        mine._call = call
        if mine.track_tqdm:
            from .tqdm_bridge import follow

            follow()
        return mine

    def __call__(self, progress, desc=None, total=None, unit="steps", _tqdm=None):
        """`progress`: 0 to 1, or (done, of), or None for "running"."""
        index = None
        if isinstance(progress, tuple):
            (index, total), progress = progress, None
        self._report(self._levels + [Level(index, total, unit, desc, progress)])
        return progress

    def tqdm(self, iterable, desc=None, total=None, unit="steps", _tqdm=None):
        """Goes through `iterable` and shows how far it is; without one, use update()."""
        if total is None and hasattr(iterable, "__len__"):
            total = len(iterable)
        level = Level(0, total, unit, desc)
        if iterable is None:
            self._levels.append(level)
            self._report(self._levels)
            return self
        return self._steps(iterable, level)

    def _steps(self, iterable, level):
        self._levels.append(level)
        self._report(self._levels)
        try:
            for item in iterable:
                yield item
                level.index += 1
                self._report(self._levels)
        finally:
            if level in self._levels:
                self._levels.remove(level)

    def update(self, n=1):
        if self._levels:
            self._levels[-1].index += n
            self._report(self._levels)

    def close(self, _tqdm=None):
        if self._levels:
            self._levels.pop()

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        self.close()

    def _report(self, levels):
        call = self._call or current_call.get()
        if call is None:
            return
        if call.progress is None:
            call.progress = ProgressChannel(call)
        call.progress.report([level.data() for level in levels])


# -- who asks --------------------------------------------------------------------------------------


class Headers(dict):
    """Names in lower case; found in any case, and as attributes, as Gradio's are."""

    def __getitem__(self, name):
        return super().__getitem__(name.lower())

    def get(self, name, default=None):
        return super().get(name.lower(), default)

    def __contains__(self, name):
        return super().__contains__(name.lower())

    def __getattr__(self, name):
        try:
            return self[name.replace("_", "-")]
        except KeyError:
            raise AttributeError(name) from None


class Client:
    def __init__(self, host):
        self.host = host
        self.port = 0


class Request(Special):
    """The visitor's request: `def f(x, request: gr.Request)`."""

    def __init__(self, request=None, username=None, session_hash=None, **ignored):
        request = request or {}
        headers = request.get("headers") or {}
        self.headers = Headers((name.lower(), value) for name, value in headers.items())
        self.query_params = dict(request.get("query") or {})
        self.path_params = {}
        self.client = Client((request.get("client") or {}).get("host"))
        self.username = username
        self.session_hash = session_hash
        self.request = self

    @classmethod
    def for_call(cls, call, default):
        request = call.message.get("request") or {}
        return cls(request, request.get("username"), call.session)

    @property
    def cookies(self):
        pairs = (part.partition("=") for part in (self.headers.get("cookie") or "").split(";"))
        return {name.strip(): value.strip() for name, _, value in pairs if name.strip()}


class EventData(Special):
    """What happened, for handlers that ask: `def f(event: gr.SelectData)`."""

    def __init__(self, target, data):
        self.target = target
        self._data = data if isinstance(data, dict) else {}

    def __getattr__(self, name):
        if name.startswith("_"):
            raise AttributeError(name)
        try:
            return self._data[name]
        except KeyError:
            raise AttributeError(
                "%s has no %r; the event carries %s"
                % (type(self).__name__, name, sorted(self._data))
            ) from None

    @classmethod
    def for_call(cls, call, default):
        trigger = call.message.get("trigger")
        return cls(call.endpoint.root.blocks.get(trigger), call.message.get("event_data"))


class SelectData(EventData):
    def __init__(self, target, data):
        super().__init__(target, data)
        self.index = self._data.get("index")
        self.value = self._data.get("value")
        self.row_value = self._data.get("row_value")
        self.col_value = self._data.get("col_value")
        self.selected = self._data.get("selected", True)
