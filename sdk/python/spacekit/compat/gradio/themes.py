"""gr.themes.Soft() and the like: accepted, not applied. The page has its own themes."""

from spacekit.context import say_once as _say_once


class Base:
    def __init__(self, *args, **kwargs):
        _say_once("gr.themes are ignored: the page has its own theme")

    def set(self, **kwargs):
        return self


Default = Soft = Monochrome = Glass = Origin = Citrus = Ocean = Base


class _Named:
    def __getattr__(self, name):
        return name


colors = sizes = _Named()


def GoogleFont(name, *args, **kwargs):
    return name


Font = GoogleFont
