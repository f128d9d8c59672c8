"""Gradio's names over spacekit. Not Gradio: see `__spacekit__`, `__version__` and docs/sdk.md."""

from spacekit import COMPAT_VERSION as __version__
from spacekit.blocks import Blocks
from spacekit.components import (
    HTML,
    JSON,
    Button,
    Chatbot,
    ChatMessage,
    Checkbox,
    CheckboxGroup,
    ClearButton,
    Code,
    ColorPicker,
    Component,
    Dropdown,
    File,
    HighlightedText,
    Image,
    Label,
    Markdown,
    Number,
    Radio,
    Slider,
    State,
    Text,
    TextArea,
    Textbox,
)
from spacekit.endpoint import SKIP as _SKIP
from spacekit.errors import Error
from spacekit.errors import unsupported as _unsupported
from spacekit.events import on
from spacekit.interface import Interface
from spacekit.layout import Accordion, Column, Group, Row, Tab, TabItem, Tabs
from spacekit.messages import EventData, Info, Progress, Request, SelectData, Success, Warning
from spacekit.updates import update

__spacekit__ = True


_LATER = {
    "themes": "gradio.themes",
    "ChatInterface": "spacekit.chat",
    "Dataset": "spacekit.examples",
    "Examples": "spacekit.examples",
}


def skip():
    """Returned by a handler for an output that stays as it is."""
    return _SKIP


def __getattr__(name):
    # hasattr(gr, "X") must answer, tools look for dunder names, and some parts are imported lazily.
    if name in _LATER:
        from importlib import import_module

        module = import_module(_LATER[name])
        return module if name == "themes" else getattr(module, name)
    if name.startswith("__"):
        raise AttributeError(name)
    raise _unsupported("gr." + name)
