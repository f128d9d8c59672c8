"""Layout blocks: rows, columns, tabs."""

from . import context
from .blocks import Layout
from .errors import refuse

COMMON = ("visible", "elem_id", "elem_classes", "render", "key")


def split_common(owner, arguments):
    """(what every block takes, the rest refused)."""
    common = {name: arguments.pop(name) for name in COMMON if name in arguments}
    arguments.pop("preserved_by_key", None)
    refuse(owner, arguments)
    return common


class Row(Layout):
    type = "row"

    def __init__(
        self,
        *,
        variant="default",
        scale=None,
        equal_height=False,
        height=None,
        max_height=None,
        min_height=None,
        show_progress=False,
        **common,
    ):
        self.setup(**split_common("Row", common))
        self.props = {
            "variant": variant,
            "scale": scale,
            "equal_height": equal_height,
            "height": height,
            "max_height": max_height,
            "min_height": min_height,
            "show_progress": show_progress,
        }


class Column(Layout):
    type = "column"

    def __init__(self, scale=1, *, min_width=320, variant="default", show_progress=False, **common):
        self.setup(**split_common("Column", common))
        self.scale, self.min_width = scale, min_width
        self.props = {
            "scale": scale,
            "min_width": min_width,
            "variant": variant,
            "show_progress": show_progress,
        }


class Group(Layout):
    type = "group"

    def __init__(self, **common):
        self.setup(**split_common("Group", common))


class Accordion(Layout):
    type = "accordion"
    EVENTS = ("expand", "collapse")

    def __init__(self, label=None, *, open=True, **common):
        self.setup(**split_common("Accordion", common))
        self.props = {"label": label, "open": open}


class Tabs(Layout):
    type = "tabs"
    EVENTS = ("change", "select")

    def __init__(self, *, selected=None, **common):
        self.setup(**split_common("Tabs", common))
        self.props = {"selected": selected}


class Tab(Layout):
    type = "tabitem"
    EVENTS = ("select",)

    def __init__(
        self, label=None, *, interactive=True, id=None, scale=None, render_children=False, **common
    ):
        # Gradio puts a Tab that has no Tabs around it into one.
        parent = context.Building.block
        if parent is not None and parent.type != "tabs":
            last = parent.children[-1] if parent.children else None
            self._tabs = last if getattr(last, "implicit", False) else Tabs()
            self._tabs.implicit = True
            with self._tabs:
                self.setup(**split_common("Tab", common))
        else:
            self.setup(**split_common("Tab", common))
        self.props = {
            "label": label,
            "interactive": interactive,
            "id": self.id if id is None else id,
            "scale": scale,
            "render_children": render_children,
        }


TabItem = Tab
