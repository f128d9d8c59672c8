"""What all components share: value, label, width, and the way between wire and function."""

from .. import context
from ..blocks import Block
from ..errors import refuse
from ..layout import COMMON


# Which small buttons a component shows, under the names of Gradio 4, 5 and 6.
COSMETIC = (
    "preserved_by_key buttons show_copy_button show_download_button show_share_button "
    "show_fullscreen_button show_reset_button"
).split()


class Component(Block):
    """Subclasses give `type`, EVENTS, API (a JSON schema), and pre/postprocess.

    preprocess: wire value -> what the handler gets. postprocess: what it returned -> wire value.
    """

    is_component = True
    skip_api = False
    is_form = False
    holds_file = False
    API = {}
    PYTHON = "str"
    EXAMPLE = None

    def begin(
        self,
        arguments,
        label=None,
        info=None,
        show_label=None,
        container=True,
        scale=None,
        min_width=160,
        interactive=None,
        every=None,
        inputs=None,
        **common,
    ):
        """Takes what every component takes; called first by each __init__."""
        mine = {name: common.pop(name) for name in COMMON if name in common}
        for name in COSMETIC:
            if common.pop(name, None):
                context.say_once("%s=... is ignored: it changes only the looks" % name)
        refuse(type(self).__name__, common)
        if every is not None:
            refuse(type(self).__name__, {"every": every})
        self.label, self.interactive, self.scale, self.min_width = (
            label,
            interactive,
            scale,
            min_width,
        )
        self._value_inputs = inputs
        self.setup(**mine)
        self.props = {
            "label": label,
            "info": info,
            "show_label": True if show_label is None else show_label,
            "container": container,
            "scale": scale,
            "min_width": min_width,
            "interactive": interactive,
        }
        self.props.update(arguments)

    def set_value(self, value):
        """A function as value is asked when the page loads."""
        self.value_function = value if callable(value) else None
        if self.value_function is not None:
            root = context.Building.root
            if root is not None and self.id >= 0:
                root.value_functions.append(self)
            value = None
        self.value = value

    def preprocess(self, value):
        return value

    def postprocess(self, value):
        return value

    def get_props(self):
        props = super().get_props()
        value = self.postprocess(self.value)
        if value is not None:
            props["value"] = value
        return props

    def api_info(self):
        return self.API

    def example(self):
        return self.EXAMPLE

    def config(self):
        config = super().config()
        config["skip_api"] = self.skip_api
        if not self.skip_api:
            info = self.api_info()
            config["api_info"] = config["api_info_as_input"] = config["api_info_as_output"] = info
            config["example_inputs"] = self.example()
        return config

    def empty_value(self):
        """What a Clear button puts here."""
        return None
