"""A dependency made ready to run: inputs in, function, outputs out."""

import sys

from .call import data_text
from .context import current_call
from .errors import Cancelled
from .signature import ASYNC, ASYNC_GENERATOR, GENERATOR


class BadCall(Exception):
    """The request does not fit the function; the text is for the caller."""


class Endpoint:
    def __init__(self, root, dependency, worker):
        self.root = root
        self.dependency = dependency
        self.worker = worker
        self.fn = dependency.fn
        self.binder = dependency.binder
        self.kind = self.binder.signature.kind if self.binder else None
        self.inputs = dependency.inputs
        self.outputs = dependency.outputs
        raw = not dependency.options["preprocess"]
        self.choosers = []  # inputs whose choices a handler may have changed for the session
        self.readers = [_as_is if raw else block.preprocess for block in self.inputs]
        for index, block in enumerate(self.inputs):
            if hasattr(block, "choose") and not raw:
                self.choosers.append(index)
                self.readers[index] = _as_is
        self.has_state = any(b.type == "state" for b in self.inputs + self.outputs)
        self.plain_bind = not self.binder.specials if self.binder else True

    # -- in ----------------------------------------------------------------------------------------

    def arguments(self, call):
        data = call.message.get("data")
        if not isinstance(data, list) or len(data) != len(self.inputs):
            got = len(data) if isinstance(data, list) else 0
            raise BadCall(
                "%s needs %d input values, %d were sent" % (self.title(), len(self.inputs), got)
            )
        values = [reader(value) for reader, value in zip(self.readers, data)]
        for index in self.choosers:
            values[index] = self._chosen(call, index, data[index])
        if self.has_state:
            state = self.worker.sessions.of(call)
            for index, block in enumerate(self.inputs):
                if block.type == "state":
                    values[index] = state.value(block)
        if self.dependency.options["by_set"]:
            values = [dict(zip(self.inputs, values))]
        if self.plain_bind:
            return values, {}
        return self.binder.bind(values, call)

    def _chosen(self, call, index, value):
        block = self.inputs[index]
        changed = self.worker.sessions.choices(call.session, block)
        return block.choose(value, block.choices if changed is None else changed)

    def title(self):
        return "/" + self.dependency.api_name if self.dependency.api_name else "this event"

    # -- out ---------------------------------------------------------------------------------------

    def results(self, returned, call):
        """What the function returned, as one JSON-able value per output."""
        values = self._spread(returned)
        if not self.dependency.options["postprocess"]:
            return values
        return [self._write(block, value, call) for block, value in zip(self.outputs, values)]

    def _spread(self, returned):
        count = len(self.outputs)
        if isinstance(returned, dict) and returned and all(_is_block(key) for key in returned):
            return self._by_component(returned)
        if count == 1:
            return [returned]
        if count == 0:
            return []
        if returned is SKIP:
            return [SKIP] * count
        if not isinstance(returned, (list, tuple)):
            returned = [returned]
        if len(returned) < count:
            raise ValueError(
                "%s did not return enough output values (needed: %d, returned: %d)."
                % (self._function_name(), count, len(returned))
            )
        if len(returned) > count:
            print(
                "spacekit: warning: %s returned too many output values (needed: %d, returned: %d); "
                "the rest is ignored" % (self._function_name(), count, len(returned)),
                file=sys.stderr,
                flush=True,
            )
        return returned

    def _by_component(self, returned):
        for block in returned:
            if block not in self.outputs:
                raise ValueError(
                    "%s returned a value for %s, which is not among its outputs"
                    % (self._function_name(), type(block).__name__)
                )
        return [returned.get(block, SKIP) for block in self.outputs]

    def _function_name(self):
        return "the function %s" % getattr(self.fn, "__name__", type(self.fn).__name__)

    def _write(self, block, value, call):
        if value.__class__ is str:  # by far the most frequent
            if block.type != "state":
                return block.postprocess(value)
        elif value is SKIP:
            return {"__type__": "update"}
        elif _is_update(value):
            return self._write_update(block, value, call)
        if block.type == "state":
            self.worker.sessions.of(call).set(block, value)
            return None
        return block.postprocess(value)

    def _write_update(self, block, value, call):
        from .updates import update_for

        update = update_for(block, value)
        if "choices" in update and hasattr(block, "choose"):
            self.worker.sessions.of(call).choices[block.id] = update["choices"]
        if block.type == "state":
            if "value" in update:
                self.worker.sessions.of(call).set(block, update["value"])
            return None
        return update

    # -- run ---------------------------------------------------------------------------------------

    def run(self, call):
        """In a pool thread, from arguments to the last answer."""
        token = current_call.set(call)
        try:
            self._run(call)
        except Cancelled:
            call.end_cancelled()
        except BaseException as error:
            self.failed(call, error)
        finally:
            current_call.reset(token)

    def _run(self, call):
        positional, named = self.arguments(call)
        if self.kind == GENERATOR:
            from .streaming import run_generator

            return run_generator(self, call, positional, named)
        try:
            call.enter()
            returned = self.fn(*positional, **named)
        finally:
            call.leave()
        if call.cancelled:
            raise Cancelled()
        if hasattr(returned, "__next__") and hasattr(returned, "send"):
            # A plain function that hands back a generator (a lambda, a wrapper).
            from .streaming import drain

            return drain(self, call, returned)
        if hasattr(returned, "__await__"):
            from .asynchronous import finish

            returned = finish(call, returned)
        elif hasattr(returned, "__anext__"):
            from .asynchronous import drain, finish

            return finish(call, drain(self, call, returned))
        call.end_with(data_text(self.results(returned, call)))

    def failed(self, call, error):
        """Anything but a result that ended the function. SystemExit is an error of the app too."""
        if call.cancelled:
            return call.end_cancelled()
        if not isinstance(error, BadCall) and getattr(error, "print_exception", True):
            from .report import print_error

            print_error(error)
        call.end_with_error(error)

    def save_state(self, call):
        """Before the answer; never a reason for it to fail."""
        if self.has_state or self.worker.sessions.known(call.session):
            self.worker.sessions.save(call.session)

    @property
    def is_async(self):
        return self.kind in (ASYNC, ASYNC_GENERATOR)


def _as_is(value):
    return value


def _is_block(value):
    return getattr(value, "is_component", False) or hasattr(value, "children")


def _is_update(value):
    if value.__class__ is dict:
        return value.get("__type__") == "update"
    return getattr(value, "id", None) == -1 and _is_block(value)


class _Skip:
    """gr.skip(): leave this output as it is."""

    def __repr__(self):
        return "gr.skip()"


SKIP = _Skip()
