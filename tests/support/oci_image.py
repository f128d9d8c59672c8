"""Images made by a test, in the OCI layout: what a builder would write, and what only an attacker would."""

import gzip
import hashlib
import io
import json
import os
import tarfile


def entry(name, content=None, **more):
    """One entry of a layer; `more` are fields of tarfile.TarInfo."""
    info = tarfile.TarInfo(name)
    info.mode = 0o644
    if content is None and "type" not in more:
        info.type, info.mode = tarfile.DIRTYPE, 0o755
    for key, value in more.items():
        setattr(info, key, value)
    data = (content or "").encode() if not isinstance(content, bytes) else content
    info.size = len(data)
    return info, data


def link(name, target, hard=False):
    return entry(name, type=tarfile.LNKTYPE if hard else tarfile.SYMTYPE, linkname=target)


def layer(*entries, form=tarfile.GNU_FORMAT):
    """The bytes of a tar."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=form) as archive:
        for info, data in entries:
            archive.addfile(info, io.BytesIO(data))
    return out.getvalue()


def layer_of(folder):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        archive.add(folder, arcname=".", recursive=True)
    return out.getvalue()


def image(path, layers, config=None, history=None, packed=True):
    """Writes a layout with one image into the folder `path`; returns it."""
    os.makedirs(os.path.join(path, "blobs", "sha256"))

    def blob(data):
        digest = hashlib.sha256(data).hexdigest()
        with open(os.path.join(path, "blobs", "sha256", digest), "wb") as file:
            file.write(data)
        return {"digest": "sha256:" + digest, "size": len(data)}

    def text(value):
        return json.dumps(value).encode()
    packed_layers = [blob(gzip.compress(data, 6, mtime=0) if packed else data) for data in layers]
    kind = "application/vnd.oci.image.layer.v1.tar" + ("+gzip" if packed else "")
    about = {"architecture": "amd64", "os": "linux", "config": config or {}, "rootfs": {
        "type": "layers", "diff_ids": ["sha256:" + hashlib.sha256(data).hexdigest() for data in layers]}}
    if history:
        about["history"] = history
    manifest = {"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
                "config": {"mediaType": "application/vnd.oci.image.config.v1+json", **blob(text(about))},
                "layers": [{"mediaType": kind, **one} for one in packed_layers]}
    index = {"schemaVersion": 2, "manifests": [{"mediaType": "application/vnd.oci.image.manifest.v1+json",
                                                **blob(text(manifest))}]}
    for name, value in {"index.json": index, "oci-layout": {"imageLayoutVersion": "1.0.0"}}.items():
        with open(os.path.join(path, name), "wb") as file:
            file.write(text(value))
    return path
