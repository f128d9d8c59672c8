"""Image and File. Pillow and numpy are imported only by an app that asks for their types."""

from .. import files
from ..errors import Error, unsupported
from .base import Component


def needed(module, why):
    """The module, or a sentence that says what to do."""
    try:
        return __import__(module, fromlist=["_"])
    except ImportError:
        raise Error(
            '%s needs %s, which this base does not have: use type="filepath", or return a path'
            % (why, module.partition(".")[0])
        ) from None


class Image(Component):
    type = "image"
    EVENTS = ("clear", "change", "select", "upload", "input")
    holds_file = True
    API = files.SCHEMA
    PYTHON = "filepath"
    EXAMPLE = {"path": "image.png", "meta": files.MARK, "orig_name": "image.png", "url": None}

    def __init__(
        self,
        value=None,
        *,
        format="webp",
        height=None,
        width=None,
        image_mode="RGB",
        sources=None,
        type="numpy",
        streaming=False,
        placeholder=None,
        **common,
    ):
        for name in (
            "webcam_options",
            "watermark",
            "show_download_button",
            "show_share_button",
            "show_fullscreen_button",
            "mirror_webcam",
        ):
            common.pop(name, None)
        if streaming:
            raise unsupported("Image(streaming=True)")
        if type not in ("filepath", "pil", "numpy"):
            raise ValueError("Image(type=...) is 'filepath', 'pil' or 'numpy'")
        sources = [sources] if isinstance(sources, str) else sources
        self.begin(
            {
                "format": format,
                "height": height,
                "width": width,
                "image_mode": image_mode,
                "sources": ["upload", "clipboard"] if sources is None else sources,
                "type": type,
                "placeholder": placeholder,
                "streaming": False,
                "streamable": False,
                "buttons": ["download", "fullscreen"],
            },
            **common,
        )
        self.kind, self.format, self.image_mode = type, format, image_mode
        self.set_value(value)

    def preprocess(self, value):
        if value is None:
            return None
        path = files.incoming(value)
        if self.kind == "filepath":
            return path
        why = "gr.Image(type=%r)" % self.kind
        numpy = needed("numpy", why) if self.kind == "numpy" else None
        picture = needed("PIL.Image", why).open(path)
        if self.image_mode is not None and picture.mode != self.image_mode:
            picture = picture.convert(self.image_mode)
        return picture if numpy is None else numpy.array(picture)

    def postprocess(self, value):
        if value is None:
            return None
        if isinstance(value, str) or hasattr(value, "__fspath__"):
            return files.outgoing(value)
        if isinstance(value, dict) and "path" in value:
            return value
        if hasattr(value, "save") and hasattr(value, "convert"):
            return self._save(value)
        if hasattr(value, "__array_interface__"):
            return self._save(self._from_array(value))
        raise ValueError(
            "an Image needs a path, a Pillow image or a numpy array, not %s" % type(value).__name__
        )

    def _from_array(self, array):
        # Gradio takes floats as 0..1.
        if array.dtype.kind == "f":
            array = (array.clip(0, 1) * 255).round()
        return needed("PIL.Image", "a numpy array in gr.Image").fromarray(array.astype("uint8"))

    def _save(self, picture):
        path = files.new_path("image." + self.format)
        if self.format in ("jpeg", "jpg") and picture.mode not in ("RGB", "L"):
            picture = picture.convert("RGB")
        picture.save(path)
        return files.outgoing(path)


class File(Component):
    type = "file"
    EVENTS = ("change", "select", "clear", "upload", "delete", "download")
    holds_file = True
    PYTHON = "filepath"
    EXAMPLE = {"path": "file.txt", "meta": files.MARK, "orig_name": "file.txt", "url": None}

    def __init__(
        self,
        value=None,
        *,
        file_count="single",
        file_types=None,
        type="filepath",
        height=None,
        allow_reordering=False,
        **common,
    ):
        if file_count == "directory":
            raise unsupported("File(file_count='directory')")
        if type not in ("filepath", "binary"):
            raise ValueError("File(type=...) is 'filepath' or 'binary'")
        self.begin(
            {
                "file_count": file_count,
                "file_types": file_types,
                "type": type,
                "height": height,
                "allow_reordering": allow_reordering,
                "buttons": [],
            },
            **common,
        )
        self.kind, self.many, self.file_types = type, file_count == "multiple", file_types
        self.set_value(value)

    def preprocess(self, value):
        if value is None:
            return None
        if isinstance(value, list):
            return [self._read(entry) for entry in value]
        return [self._read(value)] if self.many else self._read(value)

    def _read(self, entry):
        path = files.incoming(entry)
        if self.kind == "filepath":
            return path
        with open(path, "rb") as file:
            return file.read()

    def postprocess(self, value):
        if value is None:
            return None
        if isinstance(value, (list, tuple)):
            return [self._write(entry) for entry in value]
        return self._write(value)

    def _write(self, entry):
        if isinstance(entry, (bytes, bytearray)):
            return files.save_bytes(bytes(entry), "file.bin")
        if isinstance(entry, dict) and "path" in entry:
            return entry
        return files.outgoing(entry)

    def api_info(self):
        return {"items": files.SCHEMA, "type": "array"} if self.many else files.SCHEMA
