"""Errors of the app, for its author's log and in one sentence for a page."""

import sys

OURS = __file__.rpartition("/")[0]


def print_error(error):
    """The traceback without our own frames at its top."""
    sys.stdout.flush()
    trace = error.__traceback__
    while trace is not None and trace.tb_frame.f_code.co_filename.startswith(OURS):
        trace = trace.tb_next
    sys.excepthook(type(error), error.with_traceback(trace), trace)
    sys.stderr.flush()


def sentence(error, app_file):
    """`ValueError: bad (app.py, line 3)`: the innermost place that is the app's own."""
    text = "%s: %s" % (type(error).__name__, error)
    if isinstance(error, ImportError):
        text = _import_sentence(error) or text
    if isinstance(error, SyntaxError):
        return text  # says file and line itself
    place, trace = None, error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == app_file:
            place = trace.tb_lineno
        trace = trace.tb_next
    if place is None:
        return text
    return "%s (%s, line %d)" % (text, app_file.rpartition("/")[2], place)


def _import_sentence(error):
    """`from gradio import X` and `import gradio.x` end in Python's words; ours say what to do."""
    from . import errors

    name = error.name or ""
    if name in ("gradio", "spaces"):
        return errors.latest
    if name.startswith("gradio."):
        return errors.HINT % ("module " + name)
    return None
