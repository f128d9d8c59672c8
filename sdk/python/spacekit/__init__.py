"""spacekit: the worker side of spacesd, and the implementation behind the `gradio` compat package.

Importing it costs almost nothing: everything is in submodules, loaded when they are needed.
"""

GRADIO_VERSION = "6.25.0"
__version__ = "1"
COMPAT_VERSION = GRADIO_VERSION + "+spacekit." + __version__
ENGINE = "spacekit " + __version__ + " (compatible with Gradio 6.25, not Gradio)"
