"""A base image from Debian's own packages, so that no test depends on an outside registry.

The file system is made by debootstrap (two minutes, root), once a machine, and kept outside the repository: in
`MLDEPLOY_TEST_ENGINES`, or the user's cache folder. `python -m tests.engines.base_image` makes it beforehand.

`base_store()` is the folder of a registry that has it; `registry.py` starts registries with a copy.
"""

from __future__ import annotations

import fcntl
import gzip
import hashlib
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path

from tests.engines.missing import engine_missing, require

REPOSITORY = "mldeploy-base"
PACKAGES = "python3,python3-venv,ca-certificates"


def cache_folder() -> Path:
    """Where engines keep what is made once a machine."""
    named = os.environ.get("MLDEPLOY_TEST_ENGINES")
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    folder = Path(named) if named else cache / "mldeploy-tests"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def suite() -> str:
    """The release of this Debian, such as `bookworm`: also the tag of the base image."""
    return platform.freedesktop_os_release().get("VERSION_CODENAME", "")


def mirror(folder: Path = Path("/etc/apt")) -> str | None:
    """The first package mirror that apt is set up for on this machine."""
    for file in (
        *sorted(folder.glob("sources.list.d/debian*.sources")),
        *sorted(folder.glob("sources.list.d/*.sources")),
    ):
        for line in file.read_text().splitlines():
            if line.startswith("URIs:"):
                return line.split()[1]
    for file in (folder / "sources.list", *sorted(folder.glob("sources.list.d/*.list"))):
        for line in file.read_text().splitlines() if file.exists() else []:
            words = [word for word in line.split() if not word.startswith("[")]
            if words[:1] == ["deb"] and suite() in words[2:3]:
                return words[1]
    return None


def base_archive() -> Path:
    """The file system of the base image as a tar file; made when it is not there yet."""
    archive = cache_folder() / f"base-{suite()}.tar"
    with _one_at_a_time("base"):
        if not archive.exists():
            _make_archive(archive)
    return archive


def base_store() -> Path:
    """The data folder of a registry that has the base image, and nothing else. Copy it; do not write to it."""
    store = cache_folder() / f"base-registry-{suite()}"
    archive = base_archive()
    with _one_at_a_time("registry"):
        if not store.exists():
            from tests.engines.registry import RegistryServer

            making = store.with_suffix(".new")
            shutil.rmtree(making, ignore_errors=True)
            with RegistryServer(making) as registry:
                push_archive(registry.url, archive)
            making.rename(store)
    return store


def push_archive(url: str, archive: Path) -> None:
    """Pushes the file system as an image of one layer. The same archive makes the same digest."""
    import requests

    with tempfile.TemporaryFile() as packed, requests.Session() as session:
        content = hashlib.sha256()
        with archive.open("rb") as unpacked, gzip.GzipFile("", "wb", 1, packed, mtime=0) as writer:
            while piece := unpacked.read(1 << 20):
                content.update(piece)
                writer.write(piece)
        config = {
            "architecture": {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine()),
            "os": "linux",
            "created": "2000-01-01T00:00:00Z",
            "config": {"Cmd": ["bash"], "Env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"]},
            "rootfs": {"type": "layers", "diff_ids": [f"sha256:{content.hexdigest()}"]},
            "history": [{"created": "2000-01-01T00:00:00Z", "created_by": "debootstrap"}],
        }
        config_blob = json.dumps(config, sort_keys=True).encode()
        blobs = []
        for media, body in (("container.image.v1+json", config_blob), ("image.rootfs.diff.tar.gzip", packed)):
            if isinstance(body, bytes):
                size, digest = len(body), hashlib.sha256(body).hexdigest()
            else:
                size = body.seek(0, os.SEEK_END)
                body.seek(0)
                digest = hashlib.file_digest(body, "sha256").hexdigest()  # type: ignore[arg-type]
                body.seek(0)
            begun = session.post(f"{url}/v2/{REPOSITORY}/blobs/uploads/")
            begun.raise_for_status()
            put = session.put(begun.headers["Location"], params={"digest": f"sha256:{digest}"}, data=body)
            put.raise_for_status()
            blobs.append({"mediaType": f"application/vnd.docker.{media}", "size": size, "digest": f"sha256:{digest}"})
        media = "application/vnd.docker.distribution.manifest.v2+json"
        manifest = {"schemaVersion": 2, "mediaType": media, "config": blobs[0], "layers": blobs[1:]}
        address = f"{url}/v2/{REPOSITORY}/manifests/{suite()}"
        session.put(address, data=json.dumps(manifest), headers={"Content-Type": media}).raise_for_status()


def _make_archive(archive: Path) -> None:
    require("debootstrap", packages="debootstrap")
    source = mirror()
    if os.geteuid() != 0 or source is None:
        engine_missing(
            "the base image of the tests is made by debootstrap, as root, from the mirror that apt is set up for"
        )
    with tempfile.TemporaryDirectory(prefix="mldeploy-base-") as made:
        root = Path(made, "root")
        command = ["debootstrap", "--variant=minbase", f"--include={PACKAGES}", suite(), str(root), source]
        done = subprocess.run(command, capture_output=True, text=True, timeout=1200)
        if done.returncode:
            raise RuntimeError(f"debootstrap failed:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
        for unneeded in root.glob("var/cache/apt/archives/*.deb"):
            unneeded.unlink()
        making = archive.with_suffix(".new")
        subprocess.run(
            ["tar", "--sort=name", "--numeric-owner", "-C", root, "-cf", making, "."], check=True, timeout=300
        )
        making.rename(archive)


@lru_cache
def why_no_python(python: str) -> str:
    """Why a container from the base image cannot have this Python, such as `3.12`; "" when it can.

    It has the Python of its release, and uv downloads another one: where it cannot do so here, a build cannot either.
    """
    listed = subprocess.run(["tar", "-tf", base_archive()], capture_output=True, text=True, check=True, timeout=300)
    if f"./usr/bin/python{python}" in listed.stdout.splitlines():
        return ""
    command = ["uv", "python", "install", "--no-bin", "--install-dir", str(cache_folder() / "pythons"), python]
    done = subprocess.run([sys.executable, "-m", *command], capture_output=True, text=True, timeout=600)
    lines = done.stderr.strip().splitlines()
    return f"Python {python} is not in the base image and uv cannot download it: {lines[-1]}" if done.returncode else ""


@contextmanager
def _one_at_a_time(name: str) -> Iterator[None]:
    with (cache_folder() / f"{name}.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


if __name__ == "__main__":
    print(base_store())
