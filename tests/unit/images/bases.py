"""Base images on disk, of a few small files: OCI layouts that images are built on without a registry."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mldeploy_jupyter.images.blob_store import compress
from mldeploy_jupyter.images.registry.manifests import OCI_CONFIG, OCI_GZIP, OCI_MANIFEST, digest_of

DEBIAN = {
    "etc/passwd": b"root:x:0:0:root:/root:/bin/bash\n",
    "etc/group": b"root:x:0:\n",
    "usr/lib/os-release": b'PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\n',
    "etc/os-release": "../usr/lib/os-release",
    "lib": "usr/lib",
    "usr/lib/x86_64-linux-gnu/libc.so.6": b"GNU C Library (Debian GLIBC 2.36-9) stable release version 2.36.\n",
    "usr/bin/python3.11": b"\x7fELF",
    "usr/bin/python3": "python3.11",
    "usr/lib/python3.11/asyncio/__init__.py": b"",
    "usr/lib/python3.11/ssl.py": b"",
    "var/lib/dpkg/status": b"Package: python3.11\nStatus: install ok installed\nVersion: 3.11.2-6\nArchitecture: amd64",
}

Files = Mapping[str, bytes | str]


def archive(files: Files) -> bytes:
    """A layer; a text is the target of a symbolic link."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            if isinstance(content, str):
                info.type, info.linkname = tarfile.SYMTYPE, content
                tar.addfile(info)
            else:
                info.size = len(content)
                tar.addfile(info, io.BytesIO(content))
    return out.getvalue()


def write_base(folder: Path, *layers: Files, config: dict[str, Any] | None = None, architecture: str = "amd64") -> str:
    """Writes an image with these layers, by default one of Debian with Python 3.11. Returns its name, `oci:/path`."""
    blobs = folder / "blobs" / "sha256"
    blobs.mkdir(parents=True)

    def add(content: bytes, media_type: str) -> dict[str, Any]:
        digest = digest_of(content)
        (blobs / digest.removeprefix("sha256:")).write_bytes(content)
        return {"mediaType": media_type, "digest": digest, "size": len(content)}

    plain = [archive(files) for files in layers or (DEBIAN,)]
    packed = [add(b"".join(compress([content])), OCI_GZIP) for content in plain]
    described = {
        "architecture": architecture,
        "os": "linux",
        "config": config or {},
        "rootfs": {
            "type": "layers",
            "diff_ids": [f"sha256:{hashlib.sha256(content).hexdigest()}" for content in plain],
        },
    }
    manifest = {
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "config": add(json.dumps(described).encode(), OCI_CONFIG),
        "layers": packed,
    }
    entry = add(json.dumps(manifest).encode(), OCI_MANIFEST)
    (folder / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [entry]}))
    (folder / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')
    return f"oci:{folder}"
