"""Partial results: yields with edits, flow control, at most 20 per second."""

from _thread import allocate_lock
from time import monotonic

from . import diff, jsonio
from .call import checked, data_text
from .errors import Cancelled
from .pacer import pacer
from .wire import VALUE_LIMIT

CREDITS = 8
# A burst of BURST, then one per INTERVAL: never more than 20 in any second (4 + 16).
BURST = 4
INTERVAL = 1 / 16


class Frozen:
    """JSON text of a value that the app may change after it yielded it."""

    __slots__ = ("text", "_value")

    def __init__(self, value):
        self.text = checked(jsonio.encode(value))

    @property
    def value(self):
        try:
            return self._value
        except AttributeError:
            self._value = jsonio.decode(self.text)
            return self._value


def freeze(value):
    kind = value.__class__
    if kind is str or kind is int or kind is bool or value is None:
        return value  # cannot change; a long text is not copied
    return Frozen(value)


def thaw(value):
    return value.value if value.__class__ is Frozen else value


def text_of(values):
    """The data array as JSON text."""
    return "[%s]" % ",".join(v.text if v.__class__ is Frozen else jsonio.encode(v) for v in values)


class Stream:
    """The yields of one call. Names with an underscore want call.lock held; others take it."""

    def __init__(self, call):
        self.call = call
        self.newest = None  # last values the app yielded, frozen
        self.on_wake = None  # for async generators: called when offer() may go on
        self._sent = None  # last values the daemon knows
        self._pending = False  # newest is not sent yet
        self._seq = 0
        self._credits = CREDITS
        self._tokens = BURST
        self._refilled = monotonic()
        self._timer = False
        self._gate = allocate_lock()
        self._gate.acquire()

    def offer(self, values):
        """Sends now or soon. True when the app must wait for credit: see wait()."""
        values = [freeze(value) for value in values]
        with self.call.lock:
            self.newest = values
            self._pending = True
            self._try_send()
            return self._pending and self._credits <= 0

    def must_wait(self):
        with self.call.lock:
            return self._credits <= 0 and not self.call.cancelled

    def wait(self):
        """Blocks until there is credit again, or the call is cancelled."""
        while self.must_wait():
            self._gate.acquire()

    def wake(self):
        """Lets wait() look again. Not under call.lock."""
        if self._gate.locked():
            try:
                self._gate.release()
            except RuntimeError:
                pass  # another thread was quicker
        if self.on_wake is not None:
            self.on_wake()

    def credit(self, count):
        """The daemon takes `count` more. Called by the reader."""
        with self.call.lock:
            self._credits += max(0, int(count))
            self._try_send()
        self.wake()

    def _try_send(self):
        if not self._pending or self._credits <= 0 or self.call.ended:
            return
        now = monotonic()
        gained = int((now - self._refilled) / INTERVAL)
        if gained:
            self._tokens = min(BURST, self._tokens + gained)
            self._refilled = now if self._tokens == BURST else self._refilled + gained * INTERVAL
        if self._tokens > 0:
            self._tokens -= 1
            self._send()
        elif not self._timer:
            self._timer = True
            pacer.at(self._refilled + INTERVAL, self._on_timer)

    def _on_timer(self):
        with self.call.lock:
            self._timer = False
            self._try_send()

    def _send(self):
        self._pending = False
        if self._sent is None:
            member, text = "data", text_of(self.newest)
        else:
            member, text = "ops", jsonio.encode(self._edits())
        if len(text) > VALUE_LIMIT // 4 and len(jsonio.to_bytes(text)) > VALUE_LIMIT:
            return  # too large for a partial result; the end says so if it still is then
        self._seq += 1
        self._credits -= 1
        self._sent = self.newest
        self.call.send("yield", ',"seq":%d,"%s":%s' % (self._seq, member, text))

    def _edits(self):
        changes = []
        for old, new in zip(self._sent, self.newest):
            if old.__class__ is Frozen and new.__class__ is Frozen and old.text == new.text:
                changes.append([])
            else:
                changes.append(diff.edits(thaw(old), thaw(new)))
        return changes

    def final_text(self, outputs):
        """The last values in full; unchanged outputs when nothing was yielded."""
        if self.newest is None:
            return data_text([{"__type__": "update"}] * outputs)
        return checked(text_of(self.newest))


def run_generator(endpoint, call, positional, named):
    drain(endpoint, call, endpoint.fn(*positional, **named))


def drain(endpoint, call, generator):
    """Takes values from a generator, in the thread of the call, until it ends or is cancelled."""
    stream = Stream(call)
    with call.lock:
        call.stream = stream
    try:
        while _step(endpoint, call, generator, stream):
            pass
    except BaseException:
        _close(generator)
        raise
    if call.cancelled:
        raise Cancelled()
    call.end_with(stream.final_text(len(endpoint.outputs)), generator=True)


def _step(endpoint, call, generator, stream):
    try:
        call.enter()
        value = next(generator)
    except StopIteration:
        return False
    finally:
        call.leave()
    if call.cancelled:
        raise Cancelled()
    if stream.offer(endpoint.results(value, call)):
        stream.wait()
    return True


def _close(generator):
    """Runs the generator's own `finally`; what it raises there has nobody to go to."""
    close = getattr(generator, "close", None)
    try:
        if close is not None:
            close()
    except BaseException as error:
        from .report import print_error

        print_error(error)
