"""Text, buttons, and what is not seen."""

from .base import Component

TEXT = {"type": "string"}


class Textbox(Component):
    type = "textbox"
    EVENTS = ("change", "input", "select", "submit", "focus", "blur", "stop", "copy")
    API = TEXT
    EXAMPLE = "Hello!!"
    is_form = True

    def __init__(
        self,
        value=None,
        *,
        type="text",
        lines=1,
        max_lines=None,
        placeholder=None,
        autofocus=False,
        autoscroll=True,
        text_align=None,
        rtl=False,
        max_length=None,
        submit_btn=False,
        stop_btn=False,
        html_attributes=None,
        show_copy_button=False,
        **common,
    ):
        self.begin(
            {
                "type": type,
                "lines": lines,
                "max_lines": max_lines,
                "placeholder": placeholder,
                "autofocus": autofocus,
                "autoscroll": autoscroll,
                "text_align": text_align,
                "rtl": rtl,
                "max_length": max_length,
                "submit_btn": submit_btn,
                "stop_btn": stop_btn,
                "buttons": ["copy"] if show_copy_button else [],
            },
            **common,
        )
        self.set_value(value)

    def preprocess(self, value):
        return value if value is None or value.__class__ is str else str(value)

    postprocess = preprocess


class TextArea(Textbox):
    def __init__(self, value=None, *, lines=7, max_lines=20, **common):
        super().__init__(value, lines=lines, max_lines=max_lines, **common)


Text = Textbox


def dedent(text):
    """Markdown written inside an indented triple quote, as inspect.cleandoc does."""
    lines = str(text).expandtabs().split("\n")
    margins = [len(line) - len(line.lstrip()) for line in lines[1:] if line.strip()]
    margin = min(margins) if margins else 0
    lines = [lines[0].lstrip()] + [line[margin:] for line in lines[1:]]
    return "\n".join(lines).strip("\n")


class Markdown(Component):
    type = "markdown"
    EVENTS = ("change", "copy")
    API = TEXT
    EXAMPLE = "# Hello!"

    def __init__(
        self,
        value=None,
        *,
        rtl=False,
        latex_delimiters=None,
        sanitize_html=True,
        line_breaks=False,
        header_links=False,
        height=None,
        max_height=None,
        min_height=None,
        container=False,
        padding=False,
        show_label=False,
        **common,
    ):
        if latex_delimiters is None:
            latex_delimiters = [{"left": "$$", "right": "$$", "display": True}]
        self.begin(
            {
                "rtl": rtl,
                "latex_delimiters": latex_delimiters,
                "sanitize_html": True,
                "line_breaks": line_breaks,
                "header_links": header_links,
                "height": height,
                "max_height": max_height,
                "min_height": min_height,
                "padding": padding,
            },
            container=container,
            show_label=show_label,
            **common,
        )
        self.set_value(value)

    def postprocess(self, value):
        return None if value is None else dedent(value)


class HTML(Component):
    type = "html"
    EVENTS = ("change", "click")
    API = TEXT
    EXAMPLE = "<p>Hello</p>"

    def __init__(
        self,
        value=None,
        *,
        padding=False,
        max_height=None,
        min_height=None,
        container=False,
        show_label=False,
        **common,
    ):
        self.begin(
            {"padding": padding, "max_height": max_height, "min_height": min_height},
            container=container,
            show_label=show_label,
            **common,
        )
        self.set_value(value)

    def postprocess(self, value):
        return None if value is None else str(value)


class Button(Component):
    type = "button"
    EVENTS = ("click",)
    skip_api = True

    def __init__(
        self,
        value="Run",
        *,
        variant="secondary",
        size="lg",
        icon=None,
        link=None,
        link_target="_self",
        interactive=True,
        **common,
    ):
        if icon is not None:
            from ..errors import unsupported

            raise unsupported("Button(icon=...)")
        common.setdefault("min_width", None)
        self.begin(
            {"variant": variant, "size": size, "link": link, "link_target": link_target},
            interactive=interactive,
            show_label=None,
            container=None,
            **common,
        )
        self.props["show_label"] = None
        self.set_value(value)

    def postprocess(self, value):
        return None if value is None else str(value)


class ClearButton(Button):
    """Empties the components it was given."""

    def __init__(self, components=None, *, value="Clear", **common):
        common.pop("api_visibility", None)
        super().__init__(value, **common)
        self._outputs = []
        if components is not None:
            self.add(components)

    def add(self, components):
        if not isinstance(components, (list, tuple)):
            components = [components]
        empty = [component.empty_value() for component in components]
        self.click(
            lambda: empty if len(empty) != 1 else empty[0],
            None,
            components,
            api_name=False,
            queue=False,
            show_progress="hidden",
            api_visibility="private",
        )
        return self


class State(Component):
    """A value per session that never leaves the worker."""

    type = "state"
    EVENTS = ("change",)
    skip_api = True

    def __init__(self, value=None, render=True, *, time_to_live=None, delete_callback=None):
        from copy import deepcopy

        from ..errors import unsupported

        if delete_callback is not None:
            raise unsupported("State(delete_callback=...)")
        self.begin({}, render=render)
        self.props = {"time_to_live": time_to_live}
        self.set_value(None)
        try:
            self.value = deepcopy(value() if callable(value) else value)
        except TypeError as error:
            raise ValueError("the initial value of a State must be copyable: %s" % error) from None

    def common_props(self):
        return {}

    def get_props(self):
        return {"time_to_live": self.props["time_to_live"], "name": "state"}
