"""The life of a worker: hello, the app, calls, the end. docs/worker-protocol.md is normative."""

import _signal
import os
import sys
from _thread import allocate_lock, start_new_thread

from . import ENGINE, context, jsonio, wire
from .call import Call
from .endpoint import Endpoint
from .pool import Pool

FEATURES = ["ops", "credit", "cancel", "state"]


class Worker:
    """Reads in a thread of its own, so that pings are answered while the app is loaded."""

    def __init__(self, connection):
        self.wire = connection
        self.endpoints = []
        self.calls = {}  # (id, attempt) -> Call, those that have not ended
        self.pool = None
        self.sessions = None
        self._told = False  # ready or failed has been sent
        self._telling = allocate_lock()

    # -- loading -----------------------------------------------------------------------------------

    def start(self, hello):
        from . import files, loader, report

        files.root_path = hello.get("root") or ""
        self.threads = hello.get("threads") or 0
        context.Building.on_launch = self.serve
        try:
            from .requirements import check

            check(os.getcwd())
            root = loader.load(hello.get("app_file") or "app.py")
            if context.Building.launched is None:
                self.serve(root)
        except loader.Failed as failure:
            self._fail(failure)
        except Exception as error:  # the page of an app that was not launched cannot be made
            report.print_error(error)
            self._fail(loader.Failed("RUNTIME_ERROR", report.sentence(error, "")))

    def _fail(self, failure):
        message = {"type": "failed", "stage": failure.stage, "message": str(failure)}
        if failure.missing:
            message["missing"] = failure.missing
        with self._telling:
            if not self._told:
                self._told = True
                self.wire.send(message)

    def serve(self, root):
        """launch() was called: tell the daemon what this app is."""
        from . import config, files, sessions

        attach_value_functions(root)
        self.sessions = sessions.Sessions(root)
        self.pool = Pool(self.threads or root.max_threads)
        self.endpoints = [Endpoint(root, dependency, self) for dependency in root.dependencies]
        message = {
            "type": "ready",
            "version": 1,
            "features": FEATURES,
            "engine": ENGINE,
            "config": config.page_config(root),
            "info": config.api_info(root),
            "functions": config.functions(root),
            "max_size": root.max_size,
            "max_threads": root.max_threads,
            "delete_cache": None,
        }
        text = jsonio.encode(message)
        if len(jsonio.to_bytes(text)) > wire.VALUE_LIMIT:
            raise ValueError("the app's page is larger than 1 MiB: use files for large values")
        with self._telling:
            self._told = True
            self.wire.send_text(text)
        files.keep_page_files()

    # -- messages ----------------------------------------------------------------------------------

    def read(self, batches):
        """Until EOF or shutdown. Runs in the reader thread."""
        for lines in batches:
            for line in lines:
                message = wire.decode_line(line)
                handler = HANDLERS.get(message.get("type"))
                if handler is not None:
                    handler(self, message)

    def on_call(self, message):
        number = message["fn"]
        endpoints = self.endpoints
        if (
            not (isinstance(number, int) and 0 <= number < len(endpoints))
            or not endpoints[number].fn
        ):
            return self._no_function(message, number)
        endpoint = endpoints[number]
        call = Call(self.wire, endpoint, message)
        key = (call.id, call.attempt)
        self.calls[key] = call
        if endpoint.is_async:
            from .asynchronous import start

            start(self, call)
        else:
            self.pool.submit(lambda: self._run(key, call))

    def _no_function(self, message, number):
        self.wire.send(
            {
                "type": "error",
                "id": message["id"],
                "attempt": message["attempt"],
                "error": "function %r does not exist" % (number,),
                "title": "Error",
                "duration": 10,
                "visible": True,
            }
        )

    def _run(self, key, call):
        try:
            call.endpoint.run(call)
        finally:
            self.calls.pop(key, None)

    def on_cancel(self, message):
        call = self.calls.get((message["id"], message["attempt"]))
        if call is not None:
            call.cancel()

    def on_credit(self, message):
        call = self.calls.get((message["id"], message["attempt"]))
        if call is not None and call.stream is not None:
            call.stream.credit(message["n"])

    def on_session_end(self, message):
        if self.sessions is not None:
            self.sessions.end(message["session"])

    def on_ping(self, message):
        self.wire.send({"type": "pong", "n": message.get("n")})

    def on_shutdown(self, message):
        start_new_thread(self._finish, (message.get("grace_ms") or 0,))

    def _finish(self, grace_ms):
        from time import monotonic, sleep

        deadline = monotonic() + grace_ms / 1000
        while self.calls and monotonic() < deadline:
            sleep(0.01)
        leave(0)


HANDLERS = {
    "call": Worker.on_call,
    "cancel": Worker.on_cancel,
    "credit": Worker.on_credit,
    "session_end": Worker.on_session_end,
    "ping": Worker.on_ping,
    "shutdown": Worker.on_shutdown,
}


def attach_value_functions(root):
    """Components whose value is a function get it from the function each time the page loads."""
    from .events import add

    for block in root.value_functions:
        options = {"queue": False, "show_progress": "hidden", "api_visibility": "private"}
        add(
            root,
            [(root, "load")],
            block.value_function,
            block._value_inputs,
            [block],
            False,
            options,
        )


_leaving = allocate_lock()


def leave(code):
    """Ends the process at once, threads or not; what the app registered for its end runs first.

    Once: a second way to the end (the daemon hangs up, a TERM) waits for the first.
    """
    _leaving.acquire()
    try:
        if "atexit" in sys.modules:
            sys.modules["atexit"]._run_exitfuncs()
        sys.stdout.flush()
        sys.stderr.flush()
    finally:
        os._exit(code)


def leave_by(error):
    """As the interpreter ends by an exception that nobody has caught."""
    code = 1
    if isinstance(error, SystemExit):
        code = 0 if error.code is None else error.code
        if not isinstance(code, int):
            print(code, file=sys.stderr, flush=True)
            code = 1
    else:
        sys.excepthook(type(error), error, error.__traceback__)
    leave(code & 0xFF)


def _read_to_the_end(worker, batches):
    try:
        worker.read(batches)
    except OSError:
        pass  # the daemon is gone
    except BaseException as error:
        print("spacekit: protocol error: %s" % error, file=sys.stderr, flush=True)
        leave(1)
    leave(0)


def run():
    """Called by worker.py, and in forks of the zygote. Does not return."""
    try:
        _run()
    except BaseException as error:  # a handler of a signal, mostly: sys.exit()
        leave_by(error)


def _run():
    connection = wire.Wire.from_environment()
    print("spacekit: engine " + ENGINE, flush=True)
    worker = Worker(connection)
    batches = connection.lines()
    hello, rest = _hello(batches)
    start_new_thread(_read_to_the_end, (worker, _chain(rest, batches)))
    worker.start(hello)
    _handle_signals()


def _handle_signals():
    """What is left to the main thread; does not return.

    Asleep in a lock it would miss a signal that came just before: the kernel's part of a handler
    writes into the pipe instead.
    """
    woken, wake = os.pipe()
    os.set_blocking(wake, False)
    the_apps = _signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
    if the_apps >= 0:
        _signal.set_wakeup_fd(the_apps)
    while True:
        os.read(woken, 64)


def _hello(batches):
    for lines in batches:
        message = wire.decode_line(lines[0])
        if message.get("type") != "hello" or message.get("version") != 1:
            print("spacekit: protocol error: expected hello version 1", file=sys.stderr, flush=True)
            leave(1)
        return message, lines[1:]
    leave(0)


def _chain(first, batches):
    yield first
    for lines in batches:
        yield lines
