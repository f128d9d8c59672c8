"""Changes of props that a handler returns: gr.update(...), or a component made for that."""

from .errors import unsupported

PROPERTIES_ONLY = ("render", "key", "every", "inputs")


def update(elem_id=None, elem_classes=None, visible=None, **props):
    """gr.update(value=..., choices=...). Without arguments: leave the output as it is."""
    made = {"__type__": "update"}
    for name, value in (("elem_id", elem_id), ("elem_classes", elem_classes), ("visible", visible)):
        if value is not None:
            made[name] = value
    made.update(props)
    return made


def update_for(block, value):
    """The wire form of an update of `block`."""
    props = dict(value) if isinstance(value, dict) else _given(value)
    props["__type__"] = "update"
    for name in PROPERTIES_ONLY:
        props.pop(name, None)
    if "choices" in props:
        from .components.choice import pairs

        props["choices"] = pairs(props["choices"])
    if "value" in props and block.type != "state" and hasattr(block, "postprocess"):
        if callable(props["value"]):
            raise unsupported("an update with a function as value")
        props["value"] = block.postprocess(props["value"])
    return props


def _given(block):
    """What the handler wrote: `gr.Textbox("hi", lines=3)` says value and lines, nothing else."""
    positional, named = block.given
    code = type(block).__init__.__code__
    names = code.co_varnames[1 : code.co_argcount]
    props = dict(zip(names, positional))
    props.update(named)
    return props
