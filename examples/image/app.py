import os
import struct
import tempfile
import zlib

import gradio as gr

CHANNELS = {0: 1, 2: 3, 4: 2, 6: 4}  # grey, RGB, grey and alpha, RGBA


def chunks(data):
    """(type, body) of each chunk of a PNG."""
    if data[:8] != b"\x89PNG\r\n\x1a\n":
        raise gr.Error("That is not a PNG file.")
    at = 8
    while at + 8 <= len(data):
        (length,) = struct.unpack(">I", data[at : at + 4])
        yield data[at + 4 : at + 8], data[at + 8 : at + 8 + length]
        at += length + 12


def unfilter(raw, stride, pixel):
    """Lines of plain samples; PNG stores each as differences to its neighbours."""
    above = bytearray(stride)
    for start in range(0, len(raw), stride + 1):
        kind, line = raw[start], bytearray(raw[start + 1 : start + 1 + stride])
        for i in range(stride if kind else 0):
            left = line[i - pixel] if i >= pixel else 0
            corner = above[i - pixel] if i >= pixel else 0
            if kind == 1:
                guess = left
            elif kind == 2:
                guess = above[i]
            elif kind == 3:
                guess = (left + above[i]) // 2
            else:
                guess = min(
                    (left, above[i], corner), key=lambda v: abs(left + above[i] - corner - v)
                )
            line[i] = (line[i] + guess) & 255
        above = line
        yield line


def negative(path, progress=gr.Progress()):
    """The negative of a PNG."""
    if path is None:
        raise gr.Error("Choose a PNG first.")
    with open(path, "rb") as file:
        parts = list(chunks(file.read()))
    width, height, depth, colour, _, _, interlaced = struct.unpack(">IIBBBBB", dict(parts)[b"IHDR"])
    if depth != 8 or colour not in CHANNELS or interlaced:
        raise gr.Error("Only PNGs with 8 bits per channel, not interlaced, please.")
    if width * height > 4_000_000:
        raise gr.Error("At most 4 megapixels, please.")
    pixel = CHANNELS[colour]
    colours = pixel - (pixel in (2, 4))  # alpha stays
    packed = b"".join(body for kind, body in parts if kind == b"IDAT")
    size = height * (width * pixel + 1)
    raw = zlib.decompressobj().decompress(packed, size)  # never more, whatever the file says
    if len(raw) != size:
        raise gr.Error("The PNG is cut off.")
    invert = bytes(255 - value for value in range(256))
    out = bytearray()
    for line in progress.tqdm(unfilter(raw, width * pixel, pixel), total=height, unit="lines"):
        for channel in range(colours):
            line[channel::pixel] = line[channel::pixel].translate(invert)
        out += b"\0" + line
    folder = tempfile.mkdtemp()
    result = os.path.join(folder, "negative.png")
    with open(result, "wb") as file:
        file.write(b"\x89PNG\r\n\x1a\n")
        for kind, body in (
            (b"IHDR", dict(parts)[b"IHDR"]),
            (b"IDAT", zlib.compress(out)),
            (b"IEND", b""),
        ):
            crc = zlib.crc32(kind + body)
            file.write(struct.pack(">I", len(body)) + kind + body + struct.pack(">I", crc))
    return result, {
        "width": width,
        "height": height,
        "channels": pixel,
        "bytes": os.path.getsize(result),
    }


demo = gr.Interface(
    negative,
    inputs=gr.Image(type="filepath", label="PNG"),
    outputs=[gr.Image(label="Negative"), gr.JSON(label="About it")],
    title="🎞️ Image negative",
    description="Upload a PNG and get its negative. No image library: Python's own zlib does it.",
)
demo.launch()
