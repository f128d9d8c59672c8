"""The components. Each file has one family; this one names them all."""

from .base import Component
from .chat import Chatbot, ChatMessage
from .choice import CheckboxGroup, Dropdown, Radio
from .data import JSON, Label
from .marked import Code, ColorPicker, HighlightedText
from .media import File, Image
from .numbers import Checkbox, Number, Slider
from .text import HTML, Button, ClearButton, Markdown, State, Text, TextArea, Textbox

__all__ = (
    "Button Chatbot ChatMessage Checkbox CheckboxGroup ClearButton Code ColorPicker Component "
    "Dropdown File HTML HighlightedText Image JSON Label Markdown Number Radio Slider State Text "
    "TextArea Textbox"
).split()
