"""Threads for plain functions and generators: started when needed, kept, never more than `most`."""

import sys
from _queue import SimpleQueue
from _thread import start_new_thread


class Pool:
    """`submit(job)` is called by one thread (the reader); jobs are callables without arguments."""

    def __init__(self, most):
        self.most = most
        self.started = 0
        self._jobs = SimpleQueue()
        # One token per thread that waits for a job. list.append and list.pop are atomic, which
        # makes this a counter that needs no lock. A token may be stale (its thread took a job
        # that nobody counted) only when every thread is started already, where it is not asked.
        self._idle = []

    def submit(self, job):
        self._jobs.put(job)
        if self._idle:
            try:
                self._idle.pop()
                return
            except IndexError:
                pass
        if self.started < self.most:
            self.started += 1
            start_new_thread(self._serve, ())

    def _serve(self):
        get, idle = self._jobs.get, self._idle
        while True:
            job = get()
            try:
                job()
            except BaseException:  # a job answers for itself; what gets here is our own bug
                sys.excepthook(*sys.exc_info())
            job = None  # do not keep a finished request alive while waiting
            idle.append(None)
