"""Errors that an app or its visitor sees."""

HINT = 'spacekit (compatible with Gradio 6.25, not Gradio) has no %s; set "gradio: pip" in the card'


class Unsupported(NotImplementedError, AttributeError):
    """The app asked for a part of Gradio that spacekit does not have."""


class Error(Exception):
    """Shown to the visitor: `raise gr.Error("text")`."""

    def __init__(
        self,
        message="Error raised.",
        duration=10,
        visible=True,
        title="Error",
        print_exception=True,
    ):
        self.title = title
        self.message = message
        self.duration = duration
        self.visible = visible
        self.print_exception = print_exception
        super().__init__(message)

    def __str__(self):
        return repr(self.message)


class Cancelled(GeneratorExit):
    """Raised inside a function that the visitor cancelled.

    Not an Exception, so that `except Exception` in an app does not swallow it; a GeneratorExit, so
    that a generator may tidy up as it does for close().
    """


latest = None  # the last such sentence: `from gradio import X` replaces it by one of Python's own


def unsupported(name):
    global latest
    latest = HINT % name
    return Unsupported(latest)


def refuse(owner, arguments):
    """Raises for arguments that spacekit does not have. `arguments` is what **kwargs caught."""
    for name, value in arguments.items():
        if value is None or value is False:
            continue
        raise unsupported("%s(%s=...)" % (owner, name))
