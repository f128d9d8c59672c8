"""Blocks: the tree of layout and components, and the handlers between them."""

from . import context
from .errors import refuse, unsupported
from .events import listener

Building = context.Building


class Block:
    """Anything with an id in the config. Subclasses say their wire `type` and their EVENTS."""

    type = "block"
    EVENTS = ()
    skip_api = True
    is_component = False

    def __init_subclass__(cls, **kwargs):
        super().__init_subclass__(**kwargs)
        for name in cls.__dict__.get("EVENTS", ()):
            setattr(cls, name, listener(name))

    def __new__(cls, *args, **kwargs):
        block = super().__new__(cls)
        block.given = (args, kwargs)  # for updates: what the handler said, not the defaults
        return block

    def setup(self, visible=True, elem_id=None, elem_classes=None, render=True, key=None):
        self.parent = None
        self.visible = visible
        self.elem_id = elem_id
        if isinstance(elem_classes, str):
            elem_classes = [elem_classes]
        self.elem_classes = list(elem_classes or [])
        self.props = {}
        if context.current_call.get() is not None:
            self.id = -1  # made by a handler to be returned as an update
            return
        self.id = context.new_id()
        if render:
            self.render()

    def render(self):
        block = Building.block
        if block is not None and self.parent is None:
            self.parent = block
            block.children.append(self)
            Building.root.blocks[self.id] = self
        return self

    def unrender(self):
        if self.parent is not None:
            self.parent.children.remove(self)
            self.parent = None
            Building.root.blocks.pop(self.id, None)
        return self

    def common_props(self):
        props = {"visible": self.visible, "elem_classes": self.elem_classes}
        if self.elem_id is not None:
            props["elem_id"] = self.elem_id
        return props

    def get_props(self):
        """Gradio leaves out what is None; so do we."""
        props = {name: value for name, value in self.props.items() if value is not None}
        props.update(self.common_props())
        props["name"] = self.type
        return props

    def config(self):
        return {"id": self.id, "type": self.type, "props": self.get_props(), "skip_api": True}


class Layout(Block):
    """A block with children: `with gr.Row(): ...`."""

    def setup(self, **common):
        self.children = []
        super().setup(**common)

    def __enter__(self):
        self._outer = Building.block
        Building.block = self
        return self

    def __exit__(self, kind, value, trace):
        Building.block = self._outer
        if kind is None:
            wrap_in_forms(self)


def wrap_in_forms(layout):
    """Consecutive form fields share one `form` block, as in Gradio."""
    if layout.type == "form":
        return
    grouped, form = [], None
    for child in layout.children:
        if not getattr(child, "is_form", False):
            grouped.append(child)
            form = None
            continue
        if form is None:
            form = Form(render=False)
            form.parent = layout
            Building.root.blocks[form.id] = form
            grouped.append(form)
        form.children.append(child)
        child.parent = form
    layout.children = grouped


class Form(Layout):
    type = "form"

    def __init__(self, scale=0, min_width=0, render=True):
        self.setup(render=render)
        self.props = {"scale": scale, "min_width": min_width}

    def common_props(self):
        """In a row the form stands for its fields: it takes the width they would take."""
        if self.parent is None or self.parent.type != "row":
            return {}
        scales = [getattr(child, "scale", None) for child in self.children]
        return {
            "scale": sum(1 if scale is None else scale for scale in scales),
            "min_width": sum(getattr(child, "min_width", None) or 0 for child in self.children),
        }


COSMETIC = (
    "theme css css_paths js head head_paths analytics_enabled fill_height fill_width "
    "delete_cache footer_links"
).split()


class Blocks(Layout):
    """The app. `with gr.Blocks() as demo: ...; demo.launch()`."""

    type = "blocks"
    EVENTS = ("load", "unload")

    def __init__(
        self, *, mode="blocks", title="Gradio", theme=None, css=None, js=None, head=None, **other
    ):
        self.blocks = {}
        self.dependencies = []
        self.value_functions = []  # components whose value is asked for at page load
        self.mode, self.title = mode, title
        self.max_size = None
        self.default_limit = 1
        self.max_threads = 40
        self.show_error = True
        self._names = {}
        for name, value in dict(other, theme=theme, css=css, js=js, head=head).items():
            if value and name in COSMETIC:
                context.say_once("Blocks(%s=...) is ignored: it changes only the looks" % name)
                other.pop(name, None)
        refuse("Blocks", other)
        self.setup()

    def setup(self, **common):
        if Building.root is not None:
            raise unsupported("Blocks inside of Blocks")
        super().setup(render=False)
        apps.append(self)

    def __enter__(self):
        self._outer_root = Building.root
        Building.root = self
        return super().__enter__()

    def __exit__(self, kind, value, trace):
        super().__exit__(kind, value, trace)
        Building.root = self._outer_root

    def unique_api_name(self, asked, fn):
        """Gradio's rules: the function's name, `_1`, `_2`, ... behind a name that is taken."""
        if asked is False or (fn is None and not asked):
            return None
        name = asked.strip("/") if isinstance(asked, str) else None
        if name is not None and (not name or "/" in name or len(name.encode()) > 100):
            raise ValueError("api_name=%r: at most 100 bytes, without '/'" % asked)
        if name is None:
            name = getattr(fn, "__name__", None) or type(fn).__name__
            name = "".join(c for c in name if c.isalnum() or c in "-_")[:60] or "fn"
        taken = self._names.get(name, 0)
        self._names[name] = taken + 1
        return "%s_%d" % (name, taken) if taken else name

    def queue(
        self,
        status_update_rate="auto",
        api_open=None,
        max_size=None,
        *,
        default_concurrency_limit="not_set",
        **other,
    ):
        """`max_size` waiting requests at most; how many of a function run at once by default."""
        if api_open is False:
            raise unsupported("queue(api_open=False)")
        refuse("queue", other)
        self.max_size = None if max_size is None else max(0, int(max_size))
        if default_concurrency_limit != "not_set":
            self.default_limit = default_concurrency_limit
        return self

    def launch(self, *args, **arguments):
        """Marks this as the app and goes on: the page and the queue are spacesd's."""
        from .launch import check_arguments

        check_arguments(self, args, arguments)
        if Building.launched is not None:
            context.say_once("launch() was called again; the first app stays")
            return None, None, None
        if Building.on_launch is not None:
            Building.on_launch(
                self
            )  # raises when the page cannot be made: then nothing is launched
        Building.launched = self
        return None, None, None

    def block_thread(self):
        """launch() has sent the app on its way; there is nothing to wait for."""

    def close(self, verbose=True):
        """The app ends with its worker."""

    def integrate(self, *args, **kwargs):
        raise unsupported("Blocks.integrate")


apps = []  # every Blocks of the program, in order of creation
