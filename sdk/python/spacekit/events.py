"""Event handlers: `button.click(fn, inputs, outputs)` and what follows from it."""

from . import context
from .errors import refuse
from .signature import GENERATOR, ASYNC_GENERATOR, Binder

NOT_GIVEN = object()


class Dependency:
    """One handler: Gradio's word for it, and one entry of `config.dependencies`."""

    def __init__(self, root, targets, fn, inputs, outputs, options):
        self.root = root
        self.id = len(root.dependencies)
        self.targets = targets
        self.fn = fn
        self.inputs = inputs
        self.outputs = outputs
        self.options = options
        self.binder = Binder(fn) if fn is not None else None
        self.api_name = root.unique_api_name(options["api_name"], fn)
        root.dependencies.append(self)

    @property
    def is_generator(self):
        return self.binder is not None and self.binder.signature.kind in (
            GENERATOR,
            ASYNC_GENERATOR,
        )

    def _follow(self, name, **conditions):
        block = self.targets[0][0] if self.targets else None

        def listener(fn=NOT_GIVEN, inputs=None, outputs=None, api_name=None, **options):
            options.update(conditions, trigger_after=self.id)
            return add(self.root, [(block, name)], fn, inputs, outputs, api_name, options)

        return listener

    @property
    def then(self):
        return self._follow("then")

    @property
    def success(self):
        return self._follow("success", trigger_only_on_success=True)

    @property
    def failure(self):
        return self._follow("failure", trigger_only_on_failure=True)


# What a listener understands, with Gradio's defaults.
OPTIONS = {
    "scroll_to_output": False,
    "show_progress": "full",
    "show_progress_on": None,
    "queue": True,
    "preprocess": True,
    "postprocess": True,
    "cancels": None,
    "trigger_mode": None,
    "js": None,
    "concurrency_limit": "default",
    "concurrency_id": None,
    "api_visibility": "public",
    "api_description": None,
    "trigger_after": None,
    "trigger_only_on_success": False,
    "trigger_only_on_failure": False,
    "collects_event_data": None,
}
IGNORED = ("time_limit", "stream_every", "max_batch_size", "key")


def add(root, targets, fn, inputs, outputs, api_name, options):
    """Registers a handler, or returns a decorator when no function was given."""
    if fn is NOT_GIVEN:
        if not options.get("js") and not options.get("cancels"):
            return lambda fn: add(root, targets, fn, inputs, outputs, api_name, options) and fn
        fn = None
    options = dict(options)
    if "show_api" in options and not options.pop("show_api"):
        options.setdefault("api_visibility", "undocumented")
    known = dict(OPTIONS, api_name=api_name)
    for name in list(options):
        if name in known:
            known[name] = options.pop(name)
        elif name in IGNORED:
            options.pop(name)
    refuse("event listener", options)
    _check(known)
    inputs, by_set = _as_list(inputs)
    outputs, _ = _as_list(outputs)
    if known["trigger_mode"] is None:
        late = len(targets) == 1 and targets[0][1] in ("change", "key_up")
        known["trigger_mode"] = "always_last" if late else "once"
    cancels = known["cancels"] or []
    known["cancels"] = cancels if isinstance(cancels, (list, tuple)) else [cancels]
    known["by_set"] = by_set
    dependency = Dependency(root, targets, fn, inputs, outputs, known)
    if fn is not None and not by_set:
        complaint = dependency.binder.complain(len(inputs))
        if complaint:
            context.say_once("warning: " + complaint)
    return dependency


def _check(options):
    if options["js"]:
        context.say_once("js=... is handed to the page, which does not run it")
    limit = options["concurrency_limit"]
    if limit != "default" and limit is not None and (not isinstance(limit, int) or limit < 1):
        raise ValueError(
            "concurrency_limit is a number above 0, None or 'default', not %r" % (limit,)
        )
    if options["api_visibility"] not in ("public", "undocumented", "private"):
        raise ValueError("api_visibility is 'public', 'undocumented' or 'private'")
    if options["trigger_mode"] not in (None, "once", "multiple", "always_last"):
        raise ValueError("trigger_mode is 'once', 'multiple' or 'always_last'")
    if options["show_progress"] not in ("full", "minimal", "hidden"):
        # Older apps write True and False.
        options["show_progress"] = "full" if options["show_progress"] else "hidden"


def _as_list(blocks):
    if blocks is None:
        return [], False
    if isinstance(blocks, (set, frozenset)):
        return sorted(blocks, key=lambda block: block.id), True
    return (list(blocks) if isinstance(blocks, (list, tuple)) else [blocks]), False


def listener(name):
    """The method `block.<name>(...)`."""

    def listen(self, fn=NOT_GIVEN, inputs=None, outputs=None, api_name=None, **options):
        root = context.Building.root
        if root is None:
            raise AttributeError("cannot call %s outside of a gradio.Blocks context" % name)
        return add(root, [(self, name)], fn, inputs, outputs, api_name, options)

    listen.__name__ = name
    listen.event_name = name
    return listen


def on(triggers=None, fn=NOT_GIVEN, inputs=None, outputs=None, *, api_name=None, **options):
    """One handler for several events: `gr.on([a.submit, b.click], fn, ...)`."""
    root = context.Building.root
    if root is None:
        raise AttributeError("cannot call on() outside of a gradio.Blocks context")
    if triggers is None:
        listened = _as_list(inputs)[0]
        triggers = [getattr(block, "change") for block in listened] + [root.load]
    if not isinstance(triggers, (list, tuple)):
        triggers = [triggers]
    targets = [(method.__self__, method.event_name) for method in triggers]
    return add(root, targets, fn, inputs, outputs, api_name, options)
