"""Things to do a little later: coalesced yields and progress. One thread, made on first use."""

import sys
from _heapq import heappop, heappush
from _thread import allocate_lock, start_new_thread
from time import monotonic


class Pacer:
    """Sleeps without a wakeup while nothing is due."""

    def __init__(self):
        self._lock = allocate_lock()
        self._wake = allocate_lock()
        self._wake.acquire()
        self._heap = []
        self._count = 0  # order of equal times; functions do not compare
        self._started = False

    def at(self, when, job):
        with self._lock:
            self._count += 1
            heappush(self._heap, (when, self._count, job))
            first = self._heap[0][1] == self._count
            if not self._started:
                self._started = True
                start_new_thread(self._serve, ())
            elif first and self._wake.locked():
                self._wake.release()

    def _serve(self):
        while True:
            with self._lock:
                due = self._heap[0][0] if self._heap else None
                job = None
                if due is not None and due <= monotonic():
                    job = heappop(self._heap)[2]
            if job is None:
                self._wake.acquire(True, -1 if due is None else max(0.0, due - monotonic()))
                continue
            try:
                job()
            except OSError:
                pass  # the socket is gone; the reader ends the worker
            except BaseException:
                sys.excepthook(*sys.exc_info())


pacer = Pacer()
