"""Radio, Dropdown, CheckboxGroup."""

from ..errors import Error
from .base import Component


def pairs(choices):
    """[[label, value], ...] from names, or from (label, value) tuples."""
    found = []
    for choice in choices or ():
        if isinstance(choice, (tuple, list)) and len(choice) == 2:
            found.append([str(choice[0]), choice[1]])
        else:
            found.append([str(choice), choice])
    return found


class Choice(Component):
    """`choose` is given the choices: a handler may have changed them for a session."""

    has_choices = True
    is_form = True
    kind = "value"
    free = False  # values that are no choice are accepted

    def set_choices(self, choices, kind):
        if kind not in ("value", "index"):
            raise ValueError("%s(type=...) is 'value' or 'index'" % type(self).__name__)
        self.choices = pairs(choices)
        self.kind = kind
        self.props.update(choices=self.choices, type=kind)

    def preprocess(self, value):
        return self.choose(value, self.choices)

    def one(self, value, choices):
        values = [choice[1] for choice in choices]
        if value not in values:
            if not self.free:
                raise Error(
                    "Value: %r is not in the list of choices: %r" % (value, values),
                    print_exception=False,
                )
            return None if self.kind == "index" else value
        return values.index(value) if self.kind == "index" else value

    def choose(self, value, choices):
        return None if value is None else self.one(value, choices)

    def choose_many(self, value, choices):
        if not isinstance(value, list):
            value = [] if value is None else [value]
        return [self.one(item, choices) for item in value]

    def _schema(self):
        return {"enum": [choice[1] for choice in self.choices], "type": "string"}

    def api_info(self):
        return self._schema()

    def example(self):
        return self.choices[0][1] if self.choices else None


class Radio(Choice):
    type = "radio"
    EVENTS = ("select", "change", "input")

    def __init__(self, choices=None, *, value=None, type="value", rtl=False, **common):
        self.begin({"rtl": rtl, "buttons": []}, **common)
        self.set_choices(choices, type)
        self.set_value(value)


class CheckboxGroup(Choice):
    type = "checkboxgroup"
    EVENTS = ("change", "input", "select")
    PYTHON = "list[str]"

    def __init__(self, choices=None, *, value=None, type="value", show_select_all=False, **common):
        self.begin({"show_select_all": show_select_all, "buttons": []}, **common)
        self.set_choices(choices, type)
        self.set_value([] if value is None else value)

    def choose(self, value, choices):
        return self.choose_many(value, choices)

    def postprocess(self, value):
        if value is None:
            return []
        return list(value) if isinstance(value, (list, tuple, set)) else [value]

    def api_info(self):
        return {"items": self._schema(), "type": "array", "title": "Checkbox Group"}

    def example(self):
        return [self.choices[0][1]] if self.choices else []

    def empty_value(self):
        return []


FIRST = object()


class Dropdown(Choice):
    type = "dropdown"
    EVENTS = ("change", "input", "select", "focus", "blur", "key_up")

    def __init__(
        self,
        choices=None,
        *,
        value=FIRST,
        type="value",
        multiselect=None,
        allow_custom_value=False,
        max_choices=None,
        filterable=True,
        **common,
    ):
        self.begin(
            {
                "multiselect": multiselect,
                "allow_custom_value": allow_custom_value,
                "max_choices": max_choices,
                "filterable": filterable,
                "buttons": [],
            },
            **common,
        )
        self.multiselect, self.free = bool(multiselect), allow_custom_value
        self.max_choices = max_choices
        self.set_choices(choices, type)
        if value is FIRST:
            value = self.choices[0][1] if self.choices and not multiselect else None
        self.set_value(value)

    def choose(self, value, choices):
        if not self.multiselect:
            return super().choose(value, choices)
        chosen = self.choose_many(value, choices)
        if self.max_choices is not None and len(chosen) > self.max_choices:
            raise Error("At most %d choices may be made." % self.max_choices, print_exception=False)
        return chosen

    def postprocess(self, value):
        if value is None or not self.multiselect:
            return value
        return list(value) if isinstance(value, (list, tuple, set)) else [value]

    def _schema(self):
        return {"type": "string"} if self.free else super()._schema()

    def api_info(self):
        if self.multiselect:
            return {"items": self._schema(), "type": "array"}
        return self._schema()

    def example(self):
        first = super().example()
        return [first] if self.multiselect and first is not None else first
