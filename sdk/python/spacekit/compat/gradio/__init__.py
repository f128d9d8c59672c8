"""Gradio's names over spacekit. Not Gradio: see `__spacekit__`, `__version__` and docs/sdk.md."""

from spacekit import COMPAT_VERSION as __version__
from spacekit.blocks import Blocks
from spacekit.components import *
from spacekit.errors import Error, unsupported as _unsupported
from spacekit.events import on
from spacekit.interface import Interface
from spacekit.layout import Accordion, Column, Group, Row, Tab, TabItem, Tabs

__spacekit__ = True


def __getattr__(name):
    if name.startswith("__"):
        raise AttributeError(name)
    raise _unsupported("gr." + name)
