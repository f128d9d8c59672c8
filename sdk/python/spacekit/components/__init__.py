"""The components. Each file has one family; this one names them all."""

from .base import Component
from .text import HTML, Button, ClearButton, Markdown, State, Text, TextArea, Textbox

__all__ = ["HTML", "Button", "ClearButton", "Component", "Markdown", "State", "Text", "TextArea", "Textbox"]
