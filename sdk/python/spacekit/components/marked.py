"""Code, HighlightedText, ColorPicker."""

from .base import Component

TEXT = {"type": "string"}


class Code(Component):
    type = "code"
    EVENTS = ("change", "input", "focus", "blur")
    API = TEXT
    EXAMPLE = "print('Hello World')"

    def __init__(
        self,
        value=None,
        language=None,
        *,
        lines=5,
        max_lines=None,
        wrap_lines=False,
        show_line_numbers=True,
        **common,
    ):
        common.pop("autocomplete", None)
        self.begin(
            {
                "language": language,
                "lines": lines,
                "max_lines": max_lines,
                "wrap_lines": wrap_lines,
                "show_line_numbers": show_line_numbers,
                "buttons": ["copy", "download"],
            },
            **common,
        )
        self.set_value(value)

    def postprocess(self, value):
        return None if value is None else str(value).strip("\n")


class ColorPicker(Component):
    type = "colorpicker"
    EVENTS = ("change", "input", "submit", "focus", "blur")
    API = TEXT
    EXAMPLE = "#000000"
    is_form = True

    def __init__(self, value=None, **common):
        self.begin({}, **common)
        self.set_value(value)

    def postprocess(self, value):
        return None if value is None else str(value)


class HighlightedText(Component):
    type = "highlightedtext"
    EVENTS = ("change", "select")
    PYTHON = "list[dict(token: str, class_or_confidence: str | float | None)]"
    API = {"items": {"type": "object"}, "type": "array"}
    EXAMPLE = [{"token": "The", "class_or_confidence": None}]

    def __init__(
        self,
        value=None,
        *,
        color_map=None,
        show_legend=False,
        combine_adjacent=False,
        adjacent_separator="",
        **common,
    ):
        common.pop("show_inline_category", None)
        self.begin(
            {
                "color_map": color_map,
                "show_legend": show_legend,
                "combine_adjacent": combine_adjacent,
                "buttons": [],
            },
            **common,
        )
        self.combine, self.separator = combine_adjacent, adjacent_separator
        self.set_value(value)

    def preprocess(self, value):
        if not isinstance(value, list):
            return value
        return [(entry["token"], entry["class_or_confidence"]) for entry in value]

    def postprocess(self, value):
        if value is None:
            return None
        pairs = (
            _from_entities(value) if isinstance(value, dict) else [tuple(pair) for pair in value]
        )
        if self.combine:
            pairs = self._combined(pairs)
        return [{"token": text, "class_or_confidence": mark} for text, mark in pairs]

    def _combined(self, pairs):
        found = []
        for text, mark in pairs:
            if found and found[-1][1] == mark:
                found[-1] = (found[-1][0] + self.separator + text, mark)
            else:
                found.append((text, mark))
        return found


def _from_entities(value):
    """{"text": ..., "entities": [{"entity", "start", "end"}]} as token classifiers give it."""
    text, at, pairs = value["text"], 0, []
    for entity in sorted(value["entities"], key=lambda entity: entity["start"]):
        pairs.append((text[at : entity["start"]], None))
        mark = entity.get("entity") or entity.get("entity_group")
        pairs.append((text[entity["start"] : entity["end"]], mark))
        at = entity["end"]
    pairs.append((text[at:], None))
    return [pair for pair in pairs if pair[0]]
