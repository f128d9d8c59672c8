"""Async handlers: one event loop in a thread of its own, made on first use."""

import asyncio
from _thread import allocate_lock, start_new_thread

from .call import data_text
from .context import current_call
from .errors import Cancelled
from .signature import ASYNC
from .streaming import Stream

_lock = allocate_lock()
_loop = None


def loop():
    global _loop
    with _lock:
        if _loop is None:
            _loop = asyncio.new_event_loop()
            start_new_thread(_serve_loop, (_loop,))
        return _loop


def _serve_loop(running):
    asyncio.set_event_loop(running)
    running.run_forever()


def start(worker, call):
    """Called by the reader; the task ends the call."""
    running = loop()
    running.call_soon_threadsafe(_start_task, running, worker, call)


_tasks = set()  # the loop itself holds tasks only weakly


def _start_task(running, worker, call):
    task = running.create_task(_serve(worker, call))
    _tasks.add(task)
    task.add_done_callback(_tasks.discard)
    with call.lock:
        # A cancel from now on is queued behind the task's first step. One that came before is seen
        # by that step: cancelling a task that has not begun would skip its `finally`.
        call.on_cancel = lambda: running.call_soon_threadsafe(task.cancel)


async def _serve(worker, call):
    current_call.set(call)
    endpoint = call.endpoint
    try:
        if call.cancelled:
            raise Cancelled()
        positional, named = endpoint.arguments(call)
        if endpoint.kind == ASYNC:
            returned = await endpoint.fn(*positional, **named)
            if call.cancelled:
                raise Cancelled()
            call.end_with(data_text(endpoint.results(returned, call)))
        else:
            await drain(endpoint, call, endpoint.fn(*positional, **named))
    except Cancelled:
        call.end_cancelled()
    except BaseException as error:  # CancelledError of an answered cancel ends in failed() too
        endpoint.failed(call, error)
    finally:
        worker.calls.pop((call.id, call.attempt), None)


async def drain(endpoint, call, generator):
    stream = Stream(call)
    running = asyncio.get_running_loop()
    room = asyncio.Event()
    stream.on_wake = lambda: running.call_soon_threadsafe(room.set)
    with call.lock:
        call.stream = stream
    try:
        async for value in generator:
            if call.cancelled:
                raise Cancelled()
            if stream.offer(endpoint.results(value, call)):
                room.clear()
                if stream.must_wait():
                    await room.wait()
    finally:
        await generator.aclose()
    if call.cancelled:
        raise Cancelled()
    call.end_with(stream.final_text(len(endpoint.outputs)), generator=True)


def finish(call, awaitable):
    """The result of an awaitable that a plain function returned; waits in the call's thread."""

    async def wrapped():
        return await awaitable

    future = asyncio.run_coroutine_threadsafe(wrapped(), loop())
    with call.lock:
        cancelled = call.cancelled
        call.on_cancel = future.cancel
    if cancelled:
        future.cancel()
    try:
        return future.result()
    except asyncio.CancelledError:
        raise Cancelled() from None
