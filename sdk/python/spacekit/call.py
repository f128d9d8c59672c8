"""One request that runs: its answers, its cancellation, and its place in the app's eyes."""

from _thread import allocate_lock, get_ident
from time import monotonic

from . import jsonio
from .errors import Cancelled, Error
from .wire import VALUE_LIMIT


LOG_LIMIT = 16 << 10  # characters of an error or a toast
DEPTH_LIMIT = (
    58  # the daemon refuses lines nested deeper than 64; edits need up to 6 around a value
)


class TooLarge(Exception):
    """Values above the limits of the protocol; the text is for the visitor."""


def seconds(value):
    """A toast's duration as the wire wants it: a number, or None for "until clicked away"."""
    usable = value is None or (isinstance(value, (int, float)) and not isinstance(value, bool))
    return value if usable else 10


class Call:
    """From `call` to exactly one of `return`, `error`, `cancelled`.

    `lock` orders three threads that may speak about the request: the one that runs it, the reader
    (cancel, credit) and the pacer (delayed yields and progress). After `ended` nothing is sent.
    """

    __slots__ = (
        "wire",
        "endpoint",
        "id",
        "attempt",
        "session",
        "message",
        "own_session",
        "lock",
        "ended",
        "cancelled",
        "thread",
        "raised",
        "on_cancel",
        "stream",
        "progress",
        "head",
        "started",
    )

    def __init__(self, wire, endpoint, message):
        self.wire = wire
        self.endpoint = endpoint
        self.id = message["id"]
        self.attempt = message["attempt"]
        self.session = message.get("session") or ""
        self.message = message
        self.own_session = None
        self.lock = allocate_lock()
        self.ended = False
        self.cancelled = False
        self.thread = 0  # the thread that runs the app's code now, 0 when none does
        self.raised = False  # Cancelled was raised in that thread
        self.on_cancel = None  # how an async function is told
        self.stream = None  # partial results, for generators
        self.progress = None
        self.head = '","id":%s,"attempt":%d' % (jsonio.encode(self.id), self.attempt)
        self.started = monotonic()

    # -- answers -----------------------------------------------------------------------------------

    def send(self, kind, rest):
        """`rest` is JSON text of further members. Not under the lock: callers decide."""
        self.wire.send_text('{"type":"' + kind + self.head + rest + "}")

    def end(self, kind, rest):
        # State first: what a visitor has seen must survive the worker.
        self.endpoint.save_state(self)
        with self.lock:
            if self.ended:
                return
            if self.progress is not None:
                self.progress.flush()
            self.ended = True
            self.send(kind, rest)

    def end_with(self, text, generator=False):
        """`text` is the final data array as JSON."""
        duration = monotonic() - self.started
        self.end(
            "return",
            ',"data":%s,"duration":%.6f,"generator":%s'
            % (text, duration, "true" if generator else "false"),
        )

    def end_with_error(self, error):
        show = self.endpoint.root.show_error
        if isinstance(error, Error):
            message, title = str(error.message), str(error.title)
            duration, visible = seconds(error.duration), bool(error.visible)
        else:
            message = (str(error) or type(error).__name__) if show else None
            title, duration, visible = "Error", 10, True
        if message is not None and len(message) > LOG_LIMIT:
            message = message[:LOG_LIMIT] + " ..."
        members = {"error": message, "title": title, "duration": duration, "visible": visible}
        self.end("error", "," + jsonio.encode(members)[1:-1])

    def end_cancelled(self):
        self.end("cancelled", "")

    def notify(self, text, level, title, duration, visible):
        members = {
            "log": text[:LOG_LIMIT],
            "level": level,
            "title": title,
            "duration": seconds(duration),
            "visible": visible,
        }
        rest = "," + jsonio.encode(members)[1:-1]
        with self.lock:
            if not self.ended:
                self.send("log", rest)

    # -- cancellation ------------------------------------------------------------------------------

    def enter(self):
        """From here to leave() the app's code runs in this thread and may be interrupted."""
        with self.lock:
            if self.cancelled:
                raise Cancelled()
            self.thread = get_ident()

    def leave(self):
        """After it the thread is ours again: no Cancelled can arrive any more.

        Cancelled may arrive inside of this function, so it starts over until it is through; it is
        raised at most once per request.
        """
        while True:
            try:
                with self.lock:
                    self.thread = 0
                    if self.raised:
                        from .interrupt import clear

                        clear(get_ident())
                return
            except Cancelled:
                continue

    def cancel(self):
        """Called by the reader."""
        with self.lock:
            if self.ended or self.cancelled:
                return
            self.cancelled = True
            if self.thread and not self.raised:
                from .interrupt import interrupt

                self.raised = True
                interrupt(self.thread, Cancelled)
            tell = self.on_cancel
            stream = self.stream
        if stream is not None:
            stream.wake()
        if tell is not None:
            tell()


def data_text(values):
    """The data array as JSON text, within the limits of the protocol."""
    return checked(jsonio.encode(values))


def checked(text):
    """`text` of a data array, if the daemon will take it."""
    if len(text) > VALUE_LIMIT // 4 and len(jsonio.to_bytes(text)) > VALUE_LIMIT:
        raise TooLarge(
            "The result is %.1f MiB of JSON; at most 1 MiB can be sent that way. Return a file "
            "(gr.File, gr.Image) for larger results." % (len(text) / (1 << 20))
        )
    # Counting brackets is cheap and an upper bound; only what may be too deep is looked at closely.
    if (
        text.count("[") + text.count("{") > DEPTH_LIMIT
        and _depth(jsonio.decode(text)) > DEPTH_LIMIT
    ):
        raise TooLarge("The result is nested deeper than %d levels." % DEPTH_LIMIT)
    return text


def _depth(value):
    deepest, todo = 0, [(value, 0)]
    while todo:
        value, depth = todo.pop()
        if isinstance(value, (list, dict)):
            deepest = max(deepest, depth + 1)
            if deepest > DEPTH_LIMIT:
                break
            items = value if isinstance(value, list) else value.values()
            todo += [(item, depth + 1) for item in items]
    return deepest
