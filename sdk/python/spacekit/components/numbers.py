"""Number, Slider, Checkbox."""

from ..errors import Error
from .base import Component


class Number(Component):
    type = "number"
    EVENTS = ("change", "input", "submit", "focus", "blur")
    API = {"type": "number"}
    PYTHON = "float"
    EXAMPLE = 3
    is_form = True

    def __init__(
        self,
        value=None,
        *,
        placeholder=None,
        precision=None,
        minimum=None,
        maximum=None,
        step=1,
        **common,
    ):
        self.begin(
            {
                "placeholder": placeholder,
                "precision": precision,
                "minimum": minimum,
                "maximum": maximum,
                "step": step,
                "buttons": [],
            },
            **common,
        )
        self.precision, self.minimum, self.maximum = precision, minimum, maximum
        self.set_value(value)

    def preprocess(self, value):
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise Error(
                "%s: %r is not a number." % (self.label or "Number", value), print_exception=False
            )
        check_range(self, value)
        return self._round(value)

    def postprocess(self, value):
        if value is None:
            return None
        if isinstance(value, str):
            value = float(value)
        elif not isinstance(value, (int, float)) and hasattr(value, "item"):
            value = value.item()
        return self._round(value)

    def _round(self, value):
        if self.precision is None:
            return value
        return int(round(value)) if self.precision == 0 else round(value, self.precision)


def check_range(block, value):
    if block.minimum is not None and value < block.minimum:
        raise Error(
            "Value %s is less than minimum value %s." % (value, block.minimum),
            print_exception=False,
        )
    if block.maximum is not None and value > block.maximum:
        raise Error(
            "Value %s is greater than maximum value %s." % (value, block.maximum),
            print_exception=False,
        )


class Slider(Component):
    type = "slider"
    EVENTS = ("change", "input", "release")
    PYTHON = "float"
    is_form = True

    def __init__(
        self,
        minimum=0,
        maximum=100,
        value=None,
        *,
        step=None,
        precision=None,
        randomize=False,
        show_reset_button=True,
        **common,
    ):
        if step is None:
            # As Gradio: about a hundred steps, on a power of ten.
            from math import floor, log10

            span = abs(maximum - minimum)
            step = 1 if span == 0 else 10 ** floor(log10(span / 100)) if span < 100 else 1
        self.begin({"minimum": minimum, "maximum": maximum, "step": step}, **common)
        self.minimum, self.maximum, self.precision = minimum, maximum, precision
        if randomize:
            from random import uniform

            value = lambda: round(uniform(minimum, maximum) / step) * step
        self.set_value(minimum if value is None else value)
        if self.value_function is not None:
            self.value = minimum

    def preprocess(self, value):
        if value is None:
            return self.minimum
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise Error(
                "%s: %r is not a number." % (self.label or "Slider", value), print_exception=False
            )
        check_range(self, value)
        return value

    def postprocess(self, value):
        if value is None:
            return self.minimum
        if not isinstance(value, (int, float)) and hasattr(value, "item"):
            value = value.item()
        if self.precision is not None:
            value = round(value, self.precision or None)
        return value

    def api_info(self):
        return {
            "type": "number",
            "description": "numeric value between %s and %s" % (self.minimum, self.maximum),
            "minimum": self.minimum,
            "maximum": self.maximum,
        }

    def example(self):
        return self.minimum

    def empty_value(self):
        return self.minimum


class Checkbox(Component):
    type = "checkbox"
    EVENTS = ("change", "input", "select")
    API = {"type": "boolean"}
    PYTHON = "bool"
    EXAMPLE = True
    is_form = True

    def __init__(self, value=False, **common):
        self.begin({"buttons": []}, **common)
        self.set_value(value)

    def preprocess(self, value):
        return None if value is None else bool(value)

    postprocess = preprocess

    def empty_value(self):
        return False
