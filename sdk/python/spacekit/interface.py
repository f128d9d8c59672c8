"""gr.Interface: one function, its inputs and outputs, a ready layout."""

from . import context
from .blocks import Blocks
from .components import Button, ClearButton, Component, Markdown
from .errors import refuse, unsupported
from .layout import Column, Row

COSMETIC = (
    "article theme css js head flagging_mode allow_flagging flagging_options flagging_dir "
    "flagging_callback analytics_enabled deep_link fill_width show_progress_on".split()
)


class Interface(Blocks):
    def __init__(
        self,
        fn,
        inputs,
        outputs,
        examples=None,
        *,
        live=False,
        title=None,
        description=None,
        submit_btn="Submit",
        stop_btn="Stop",
        clear_btn="Clear",
        api_name=None,
        api_visibility="public",
        concurrency_limit="default",
        show_progress="full",
        cache_examples=None,
        batch=False,
        examples_per_page=10,
        example_labels=None,
        api_description=None,
        **other,
    ):
        super().__init__(mode="interface", title=title or "Gradio")
        ignored = [name for name in COSMETIC if other.pop(name, None)]
        if ignored:
            context.say_once("Interface(%s=...) is ignored" % ", ".join(ignored))
        if batch or cache_examples:
            raise unsupported("Interface(batch=...)" if batch else "Interface(cache_examples=...)")
        refuse("Interface", other)
        self.fn = fn
        with self:
            if title:
                Markdown("<h1 style='text-align: center; margin-bottom: 1rem'>%s</h1>" % title)
            if description:
                Markdown(description)
            options = {
                "api_name": api_name or "predict",
                "api_visibility": api_visibility,
                "concurrency_limit": concurrency_limit,
                "show_progress": show_progress,
                "api_description": api_description,
            }
            self._build(inputs, outputs, live, submit_btn, clear_btn, options)
            if examples:
                from .examples import Examples

                Examples(examples, self.input_components, examples_per_page=examples_per_page)

    def _build(self, inputs, outputs, live, submit, clear, options):
        inputs, outputs = components_of(inputs), components_of(outputs)
        self.input_components, self.output_components = inputs, outputs
        label_them(self.fn, inputs, outputs)
        with Row():
            with Column(variant="panel"):
                place(inputs)
                with Row():
                    clear_button = button_of(ClearButton, clear)
                    submit_button = None
                    if not live:
                        submit_button = button_of(Button, submit, variant="primary")
            with Column(variant="panel"):
                place(outputs)
        triggers = self._triggers(inputs, live, submit_button)
        from .events import add

        add(self, triggers, self.fn, inputs, outputs, options.pop("api_name"), options)
        if clear_button is not None:
            clear_button.add([c for c in inputs + outputs if not c.skip_api])

    def _triggers(self, inputs, live, submit_button):
        if live:
            return [(component, "change") for component in inputs if hasattr(component, "change")]
        triggers = [(submit_button, "click")] if submit_button is not None else []
        return triggers + [(c, "submit") for c in inputs if hasattr(c, "submit")]


def label_them(fn, inputs, outputs):
    """As Gradio: inputs are named by the function's parameters, outputs "output", "output 1"."""
    from .signature import Binder

    names = [parameter.name for parameter in Binder(fn).input_names()]
    for block, name in zip(inputs, names):
        set_label(block, name)
    for index, block in enumerate(outputs):
        set_label(block, "output" if len(outputs) == 1 else "output %d" % index)


def set_label(block, label):
    if block.label is None and not block.skip_api:
        block.label = block.props["label"] = label


def button_of(kind, given, **options):
    """Text, a component, or None for no button."""
    if not given:
        return None
    if isinstance(given, Component):
        return given if given.parent is not None else given.render()
    return kind(value=given, **options)


def components_of(given):
    """Gradio takes components, their names ("text", "slider"), or lists of both."""
    if given is None:
        return []
    if not isinstance(given, (list, tuple)):
        given = [given]
    return [one if isinstance(one, Component) else by_name(one) for one in given]


SHORTCUTS = {"text": "Textbox", "str": "Textbox", "files": "File", "md": "Markdown"}


def by_name(name):
    from . import components

    if not isinstance(name, str):
        raise ValueError("an input or output must be a component or its name, not %r" % (name,))
    wanted = SHORTCUTS.get(name.lower(), name).lower()
    for candidate in components.__all__:
        if candidate.lower() == wanted:
            return getattr(components, candidate)(render=False)
    raise unsupported("component %r" % name)


def place(components):
    for component in components:
        component.unrender()
        component.render()
