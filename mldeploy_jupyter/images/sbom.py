"""The software bill of materials of an image, in CycloneDX: the packages of its lock and of its base image."""

from __future__ import annotations

import hashlib
import json
import re
import uuid
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from mldeploy_jupyter.core.files import atomic_write, make_private_dir

if TYPE_CHECKING:
    from cyclonedx.model.component import Component

    from mldeploy_jupyter.images.base_image import BaseImage

SPECIFICATION = "CycloneDX 1.6"

_RECIPE = 1  # raised when equal inputs give another document


def make(lock: str, python: str, base: BaseImage, cache: Path | None = None) -> str:
    """The document as JSON text: equal for equal inputs, so it has no time, and its number is made from them.

    `lock` is the environment's, `python` its full version. Packages of the base image are listed where a builder could
    read them. `cache` is a folder for documents that were made before.
    """
    key = _key(lock, python, base)
    file = cache / "sboms" / f"{key}.json" if cache is not None else None
    if file is not None:
        with suppress(OSError, ValueError):
            text = file.read_text("utf-8")
            json.loads(text)
            return text
    text = _render(key, lock, python, base)
    if file is not None:
        with suppress(OSError):  # it is made again next time
            make_private_dir(file.parent)
            atomic_write(file, text)
    return text


def _key(lock: str, python: str, base: BaseImage) -> str:
    data = [_RECIPE, lock, python, base.pinned, base.system, base.packages]
    return hashlib.sha256(json.dumps(data).encode()).hexdigest()


def _render(key: str, lock: str, python: str, base: BaseImage) -> str:
    from cyclonedx.model.bom import Bom, BomMetaData
    from cyclonedx.model.component import Component, ComponentType
    from cyclonedx.output.json import JsonV1Dot6

    image = Component(name=base.pinned, type=ComponentType.CONTAINER, bom_ref="base")
    parts = [image, *_system_packages(base), *_conda_packages(lock), *_python_packages(lock)]
    root = Component(name="mldeploy-service", type=ComponentType.CONTAINER, bom_ref="image")
    parts.append(Component(name="python", version=python, type=ComponentType.PLATFORM, bom_ref=f"python@{python}"))
    document = Bom(components=parts, metadata=BomMetaData(component=root))
    document.serial_number = uuid.uuid5(uuid.NAMESPACE_OID, key)
    document.register_dependency(root, parts)
    data = json.loads(JsonV1Dot6(document).output_as_string())
    data["metadata"].pop("timestamp", None)
    return json.dumps(data, indent=1, sort_keys=True)


def _python_packages(lock: str) -> Iterator[Component]:
    from cyclonedx.model import HashAlgorithm, HashType
    from cyclonedx.model.component import Component, ComponentType
    from packageurl import PackageURL

    for entry in re.split(r"\n(?=\S)", lock):
        pin = re.match(r"([A-Za-z0-9][A-Za-z0-9._-]*)==([^\s;\\]+)", entry)
        if pin is None:
            continue
        name, version = re.sub(r"[-_.]+", "-", pin[1]).lower(), pin[2]
        hashes = [
            HashType(alg=HashAlgorithm.SHA_256, content=found)
            for found in re.findall(r"--hash=sha256:([0-9a-f]{64})", entry)
        ]
        url = PackageURL("pypi", None, name, version)
        # Of several files, the image has one; which one depends on the platform, so none is claimed.
        only = hashes if len(hashes) == 1 else []
        yield Component(name=name, version=version, type=ComponentType.LIBRARY, purl=url, hashes=only, bom_ref=str(url))


def _conda_packages(lock: str) -> Iterator[Component]:
    from cyclonedx.model import HashAlgorithm, HashType
    from cyclonedx.model.component import Component, ComponentType
    from packageurl import PackageURL

    lines = re.findall(r"^# conda (\S+)=(\S+)=(\S+) (\S+) sha256:(\S+)$", lock, re.MULTILINE)
    for name, version, build, subdir, digest in lines:
        url = PackageURL("conda", None, name, version, {"build": build, "subdir": subdir})
        known = [HashType(alg=HashAlgorithm.SHA_256, content=digest)] if digest != "none" else []
        yield Component(
            name=name, version=version, type=ComponentType.LIBRARY, purl=url, hashes=known, bom_ref=str(url)
        )


def _system_packages(base: BaseImage) -> Iterator[Component]:
    from cyclonedx.model.component import Component, ComponentType
    from packageurl import PackageURL

    vendor = base.system.split(" ")[0].lower() or None  # "Debian GNU/Linux 12 (bookworm)" -> debian
    for kind, name, version, architecture in sorted(base.packages):
        url = PackageURL(kind, vendor, name, version, {"arch": architecture})
        yield Component(name=name, version=version, type=ComponentType.LIBRARY, purl=url, bom_ref=str(url))
