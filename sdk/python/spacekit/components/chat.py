"""Chatbot: a list of messages."""

from .. import files
from ..errors import unsupported
from .base import Component


class ChatMessage:
    """What a handler may return instead of a dict."""

    def __init__(self, content, role="assistant", metadata=None, options=None):
        self.role, self.content = role, content
        self.metadata, self.options = metadata, options


class Chatbot(Component):
    type = "chatbot"
    EVENTS = ("change", "select", "like", "clear", "copy")
    PYTHON = "list[dict]"
    API = {
        "items": {
            "properties": {
                "role": {"enum": ["user", "assistant", "system"], "type": "string"},
                "content": {"items": {"type": "object"}, "type": "array"},
                "metadata": {"anyOf": [{"type": "object"}, {"type": "null"}]},
                "options": {"anyOf": [{"type": "array"}, {"type": "null"}]},
            },
            "required": ["role", "content"],
            "type": "object",
        },
        "type": "array",
    }
    EXAMPLE = [
        {
            "role": "user",
            "metadata": None,
            "content": [{"text": "Hello!", "type": "text"}],
            "options": None,
        },
    ]

    def __init__(
        self,
        value=None,
        *,
        height=400,
        max_height=None,
        min_height=None,
        placeholder=None,
        autoscroll=True,
        render_markdown=True,
        rtl=False,
        sanitize_html=True,
        line_breaks=True,
        layout=None,
        **common,
    ):
        for name in (
            "avatar_images",
            "latex_delimiters",
            "show_copy_button",
            "resizable",
            "bubble_full_width",
            "group_consecutive_messages",
            "feedback_options",
            "allow_tags",
            "allow_file_downloads",
            "show_share_button",
            "type",
        ):
            if common.pop(name, None) == "tuples":
                raise unsupported("Chatbot(type='tuples')")
        self.begin(
            {
                "height": height,
                "max_height": max_height,
                "min_height": min_height,
                "placeholder": placeholder,
                "autoscroll": autoscroll,
                "layout": layout,
                "render_markdown": render_markdown,
                "rtl": rtl,
                "sanitize_html": True,
                "line_breaks": line_breaks,
                "likeable": False,
                "_undoable": False,
                "_retryable": False,
                "buttons": ["copy"],
            },
            **common,
        )
        self.set_value([] if value is None else value)

    def preprocess(self, value):
        if value is None:
            return []
        if not isinstance(value, list) or not all(isinstance(m, dict) for m in value):
            raise ValueError("a Chatbot's value is a list of messages")
        for message in value:
            content = message.get("content")
            for part in content if isinstance(content, list) else [content]:
                if isinstance(part, dict) and isinstance(part.get("file", part).get("path"), str):
                    files.incoming(part.get("file", part))  # a client may name any path
        return value

    def postprocess(self, value):
        return [] if value is None else [message_of(entry) for entry in value]

    def empty_value(self):
        return []


def message_of(entry):
    if isinstance(entry, ChatMessage):
        entry = vars(entry)
    if not isinstance(entry, dict) or "role" not in entry or "content" not in entry:
        raise ValueError(
            "a Chatbot needs messages: dicts with 'role' and 'content', not %s"
            % type(entry).__name__
        )
    content = entry["content"]
    parts = content if isinstance(content, list) else [content]
    return {
        "role": entry["role"],
        "metadata": entry.get("metadata"),
        "content": [part_of(part) for part in parts],
        "options": entry.get("options"),
    }


def part_of(part):
    if isinstance(part, str):
        return {"type": "text", "text": part}
    if isinstance(part, tuple):
        return {"type": "file", "file": files.outgoing(part[0]), "alt_text": (part + (None,))[1]}
    if isinstance(part, dict):
        if part.get("type") == "text":
            return {"type": "text", "text": str(part.get("text", ""))}
        if "file" in part:
            return {"type": "file", "file": _file(part["file"]), "alt_text": part.get("alt_text")}
        if "path" in part:
            return {"type": "file", "file": _file(part), "alt_text": part.get("alt_text")}
    raise unsupported("a %s inside of a chat message" % type(part).__name__)


def _file(value):
    """What came from a client is checked; what the app made is copied."""
    if isinstance(value, dict):
        return value if value.get("url") and value.get("meta") else files.outgoing(value["path"])
    return files.outgoing(value)
