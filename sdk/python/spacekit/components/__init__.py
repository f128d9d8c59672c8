"""The components. Each file has one family; this one names them all."""

from .base import Component
from .choice import CheckboxGroup, Dropdown, Radio
from .data import JSON, Label
from .media import File, Image
from .numbers import Checkbox, Number, Slider
from .text import HTML, Button, ClearButton, Markdown, State, Text, TextArea, Textbox

__all__ = (
    "Button Checkbox CheckboxGroup ClearButton Component Dropdown File HTML Image JSON Label "
    "Markdown Number Radio Slider State Text TextArea Textbox"
).split()
