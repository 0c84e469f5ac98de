"""Facts about an image from the archives of its layers: files, texts, C library, Pythons, packages. Nothing is run."""

from __future__ import annotations

import posixpath
import re
import tarfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, cast

from mldeploy_jupyter.images.blob_store import PieceReader

FACTS_FORMAT = 1  # of stored facts; raised when layers must be read again

FILE_LIMIT = 8 * 1024 * 1024  # bytes of a file that is read: the list of packages, the C library

ENTRY_LIMIT = 2_000_000  # files of a layer; an archive with more is malicious

# The files that are read, by their path in the image.
READ = re.compile(
    r"etc/(passwd|group|os-release)|usr/lib/os-release|var/lib/dpkg/status(\.d/[^/]+)?"
    r"|(usr/)?lib(32|64)?/([^/]+-linux-gnu[^/]*/)?(libc\.so\.6|libc-2\.\d+\.so)"
)
NOTED = re.compile(
    r"(usr/)?lib/ld-musl-[^/]+|(usr/|usr/local/|opt/conda/)?bin/(python3(\.\d+)?|sh)"
    r"|(usr/|usr/local/|opt/conda/)lib/python3\.\d+/(asyncio/__init__|ssl)\.py|bin|lib|lib64|opt|usr/local"
)


@dataclass(frozen=True)
class LayerFacts:
    """What one layer adds, of the files that matter. `links` maps links to their targets.

    `removed` are files and folders of lower layers that it removes, `emptied` folders whose content it replaces.
    """

    files: list[str] = field(default_factory=list)
    texts: dict[str, str] = field(default_factory=dict)  # in Latin-1, which any bytes can be read as
    links: dict[str, str] = field(default_factory=dict)
    removed: list[str] = field(default_factory=list)
    emptied: list[str] = field(default_factory=list)
    format: int = FACTS_FORMAT


def scan_layer(pieces: Iterator[bytes]) -> LayerFacts:
    """The facts of a layer, read from its archive without unpacking it.

    Raises `ValueError` or `tarfile.TarError` for a damaged or malicious archive.
    """
    facts = LayerFacts()
    hard: dict[str, str] = {}
    with tarfile.open(fileobj=cast(Any, PieceReader(pieces)), mode="r|", ignore_zeros=False) as archive:
        for number, member in enumerate(archive):
            if number >= ENTRY_LIMIT:
                raise ValueError(f"it has more than {ENTRY_LIMIT:,} files")
            cast(Any, archive).members = []  # it would keep every one
            name = clean_name(member.name)
            if name is None:
                continue  # outside of the image, where no engine would put it
            folder, last = posixpath.split(name)
            if last == ".wh..wh..opq":
                facts.emptied.append(folder)
            elif last.startswith(".wh."):
                facts.removed.append(posixpath.join(folder, last.removeprefix(".wh.")))
            elif not READ.fullmatch(name) and not NOTED.fullmatch(name):
                continue
            elif member.issym():
                facts.links[name] = member.linkname
            elif member.islnk():
                hard[name] = clean_name(member.linkname) or ""
                facts.files.append(name)
            elif member.isfile():
                facts.files.append(name)
                if READ.fullmatch(name) and member.size <= FILE_LIMIT:
                    file = archive.extractfile(member)
                    content = file.read() if file is not None else b""
                    facts.texts[name] = _kept(name, content).decode("latin-1")
            elif not member.isdir():
                continue  # a device or a pipe
    for name, target in hard.items():
        if target in facts.texts:
            facts.texts[name] = facts.texts[target]
    return facts


def _kept(name: str, content: bytes) -> bytes:
    """Only the version of the C library is needed."""
    if "libc" not in name or name.startswith(("etc/", "var/")):
        return content
    found = re.search(rb"release version (\d+\.\d+)", content)
    return found[1] if found else b""


def clean_name(name: str) -> str | None:
    """The path in the image of a name in an archive; None for one that leads out of the image."""
    path = posixpath.normpath("/" + name.lstrip("/"))
    if ".." in name.split("/") or "\0" in name:
        return None
    return path.lstrip("/")


def merge_layers(layers: list[LayerFacts]) -> tuple[set[str], dict[str, bytes]]:
    """The files of all layers together, and their texts, by every path that leads to them.

    Links to folders, such as `bin` to `usr/bin`, are followed.
    """
    files: set[str] = set()
    texts: dict[str, bytes] = {}
    links: dict[str, str] = {}
    for layer in layers:
        gone = [*layer.removed, *(f"{folder}/" for folder in layer.emptied)]
        for known in [*files, *links]:
            if any(known == name or known.startswith(name.rstrip("/") + "/") for name in gone):
                files.discard(known)
                texts.pop(known, None)
                links.pop(known, None)
        for name in layer.files:
            files.add(name)
            links.pop(name, None)
            texts.pop(name, None)
        texts.update({name: text.encode("latin-1") for name, text in layer.texts.items()})
        for name, target in layer.links.items():
            links[name] = target
            files.discard(name)
            texts.pop(name, None)
    for _ in range(4):  # links to links
        for name, target in links.items():
            resolved = clean_name(target if target.startswith("/") else posixpath.join(posixpath.dirname(name), target))
            if resolved is None and not target.startswith("/"):
                resolved = posixpath.normpath(posixpath.join(posixpath.dirname(name), target)).lstrip("./")
            for known in list(files):
                if resolved and (known == resolved or known.startswith(resolved + "/")):
                    alias = name + known[len(resolved) :]
                    files.add(alias)
                    if known in texts:
                        texts[alias] = texts[known]
    return files, texts


def find_system(texts: Mapping[str, bytes]) -> str:
    text = (texts.get("etc/os-release") or texts.get("usr/lib/os-release") or b"").decode("utf-8", "replace")
    found = re.search(r'^PRETTY_NAME="?([^"\n]*)"?$', text, re.MULTILINE)
    return found[1] if found else ""


def find_libc(files: set[str], texts: Mapping[str, bytes]) -> str:
    if any("ld-musl-" in name for name in files):
        return "musl"
    versions = {text.decode() for name, text in texts.items() if re.search(r"libc(\.so\.6|-2)", name) and text}
    versions |= {found[1] for name in files if (found := re.search(r"libc-(2\.\d+)\.so$", name))}
    return f"glibc {max(versions, key=lambda text: [int(part) for part in text.split('.')])}" if versions else ""


def find_pythons(files: set[str], config: Mapping[str, Any], texts: Mapping[str, bytes]) -> list[str]:
    found = {match[1] for name in files if (match := re.search(r"bin/python(3\.\d+)$", name))}
    known = {package[1]: package[2] for package in find_packages(texts)}
    variables = dict(text.partition("=")[::2] for text in (config.get("config") or {}).get("Env") or [])
    versions = []
    for minor in sorted(found, key=lambda text: int(text.split(".")[1]), reverse=True):
        full = variables.get("PYTHON_VERSION", "")
        packaged = re.match(r"\d+\.\d+\.\d+", known.get(f"python{minor}", ""))
        versions.append(full if full.startswith(f"{minor}.") else packaged[0] if packaged else minor)
    return versions


def find_packages(texts: Mapping[str, bytes]) -> list[list[str]]:
    """The Debian packages, each [kind, name, version, architecture]."""
    found = []
    for name in sorted(texts):
        if not name.startswith("var/lib/dpkg/status"):
            continue
        for block in texts[name].decode("utf-8", "replace").split("\n\n"):
            values = dict(re.findall(r"^(Package|Version|Architecture|Status): (.*)$", block, re.MULTILINE))
            if values.get("Package") and "Version" in values and "installed" in values.get("Status", "installed"):
                found.append(["deb", values["Package"], values["Version"], values.get("Architecture", "")])
    return found
