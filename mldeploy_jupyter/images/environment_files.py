"""The files that the environment's stage of a build is given: uv, the lock, the scripts, the machine's settings."""

from __future__ import annotations

import hashlib
import re
import tarfile
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from mldeploy_jupyter.core.errors import ImageError
from mldeploy_jupyter.images import dockerfile
from mldeploy_jupyter.images.context import ImageContent
from mldeploy_jupyter.images.layer_tar import Entry, LayerFile
from mldeploy_jupyter.images.uv_program import uv_program

Entries = Mapping[str, Entry]

# Installs the conda packages of the lock into a new folder, as they are to lie in /opt/venv.
InstallConda = Callable[[Path], None]


def environment_entries(content: ImageContent) -> Entries:
    """What the stage of the environment needs, except for the settings of the machine."""
    return {
        "environment/uv": uv_program(content.platform),
        "environment/environment.lock": LayerFile.of(content.lock.encode()),
        "environment/create.sh": LayerFile.of(dockerfile.create_script(content).encode()),
        "environment/install.sh": LayerFile.of(dockerfile.install_script().encode()),
    }


def environment_settings(variables: Mapping[str, str], ca_bundle: str) -> Entries:
    """The settings of the machine, for the stage that is discarded."""
    script = dockerfile.settings_script(variables, bool(ca_bundle))
    found: dict[str, Entry] = {"environment/settings.sh": LayerFile.of(script.encode())}
    return found | ({"environment/ca.pem": LayerFile.of(ca_bundle.encode())} if ca_bundle else {})


def take_local_packages(variables: Mapping[str, str], lock: str) -> tuple[Mapping[str, str], Entries]:
    """The settings for a container, which cannot see folders of this machine, and the locked files from these.

    They are the folders of `--find-links`.
    """
    places = variables.get("UV_FIND_LINKS", "").replace(",", " ").split()
    folders = [Path(place.removeprefix("file://")) for place in places if place.startswith(("/", "file:///"))]
    if not folders:
        return variables, {}
    pins = {
        f"{_normal(name)}-{version}" for name, version in re.findall(r"^([\w.-]+)==([^\s;\\]+)", lock, re.MULTILINE)
    }
    entries: dict[str, Entry] = {}
    for folder in folders:
        for path in sorted(folder.glob("*")):
            name, _, rest = path.name.partition("-")
            version = re.sub(r"\.(tar\.gz|zip)$", "", rest.partition("-")[0])
            if path.is_file() and f"{_normal(name)}-{version}" in pins:
                entries.setdefault(f"environment/packages/{path.name}", LayerFile.of(path.read_bytes()))
    remote = [place for place in places if not place.startswith(("/", "file:///"))]
    return {**variables, "UV_FIND_LINKS": " ".join([f"{dockerfile.TOOLS}/packages", *remote])}, entries


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


@contextmanager
def conda_entries(lock: str, install: InstallConda | None) -> Iterator[Entries]:
    """The conda packages of the lock, if it has any, as one archive, which is there until the end of the block.

    They are installed on this machine, which has the channels and what opens them. Raises `ImageError` when nothing
    says how.
    """
    if not dockerfile.has_conda(lock):
        yield {}
        return
    if install is None:
        raise ImageError(
            "the image's environment has conda packages, which this build was not given",
            why="the lock names conda packages, and nothing says which channels have them",
            hint="deploy with the InferenceConfig whose environment names the channels",
            code="UnsupportedByBuilder",
        )
    with tempfile.TemporaryDirectory(prefix="mldeploy-conda-") as name:
        folder, path = Path(name, "prefix"), Path(name, "conda.tar")
        install(folder)
        with tarfile.open(path, "w", format=tarfile.PAX_FORMAT) as archive:
            archive.add(folder, ".", filter=_owned_by_root)
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        yield {"environment/conda.tar": LayerFile(path, digest, path.stat().st_size)}


def _owned_by_root(entry: tarfile.TarInfo) -> tarfile.TarInfo:
    entry.uid = entry.gid = 0
    entry.uname = entry.gname = ""
    entry.mode |= 0o755 if entry.isdir() or entry.mode & 0o100 else 0o644  # everybody may read it
    return entry
