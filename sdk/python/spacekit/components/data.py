"""Label and JSON."""

from .. import jsonio
from .base import Component


class Label(Component):
    type = "label"
    EVENTS = ("change", "select")
    PYTHON = "Dict(label: str | int | float | None, confidences: list[dict] | None)"
    EXAMPLE = {
        "label": "Cat",
        "confidences": [{"label": "cat", "confidence": 0.9}, {"label": "dog", "confidence": 0.1}],
    }
    API = {
        "properties": {
            "label": {
                "anyOf": [{"type": t} for t in ("string", "integer", "number", "null")],
                "default": None,
                "title": "Label",
            },
            "confidences": {
                "anyOf": [{"items": {"type": "object"}, "type": "array"}, {"type": "null"}],
                "default": None,
                "title": "Confidences",
            },
        },
        "title": "LabelData",
        "type": "object",
    }

    def __init__(
        self, value=None, *, num_top_classes=None, color=None, show_heading=True, **common
    ):
        self.begin(
            {
                "num_top_classes": num_top_classes,
                "color": color,
                "show_heading": show_heading,
                "buttons": [],
            },
            **common,
        )
        self.num_top_classes = num_top_classes
        self.set_value(value)

    def preprocess(self, value):
        if not isinstance(value, dict):
            return value
        if value.get("confidences"):
            return {entry["label"]: entry["confidence"] for entry in value["confidences"]}
        return value.get("label")

    def postprocess(self, value):
        if value is None or value == {}:
            return {}
        if isinstance(value, dict) and "label" in value and "confidences" in value:
            return value
        if isinstance(value, dict):
            ranked = sorted(value.items(), key=lambda entry: entry[1], reverse=True)
            ranked = ranked[: self.num_top_classes] if self.num_top_classes else ranked
            return {
                "label": ranked[0][0],
                "confidences": [{"label": name, "confidence": share} for name, share in ranked],
            }
        if isinstance(value, (str, int, float)):
            return {"label": str(value)}
        raise ValueError(
            "a Label needs text, a number, or a dict of label to confidence, not %s"
            % type(value).__name__
        )


class Quoted(str):
    """Text for a JSON component that is a value itself, not JSON text."""


class JSON(Component):
    type = "json"
    EVENTS = ("change",)
    API = {"type": {}, "description": "any valid json"}
    PYTHON = "str | float | bool | list | dict"
    EXAMPLE = {"foo": "bar"}

    def __init__(
        self,
        value=None,
        *,
        open=False,
        show_indices=False,
        height=None,
        max_height=500,
        min_height=None,
        **common,
    ):
        self.begin(
            {
                "open": open,
                "show_indices": show_indices,
                "height": height,
                "max_height": max_height,
                "min_height": min_height,
                "buttons": ["copy"],
            },
            **common,
        )
        self.set_value(value)

    def postprocess(self, value):
        if isinstance(value, str) and not isinstance(value, Quoted):
            return jsonio.decode(value)
        return value
