"""Descriptions that the author of a script wrote: `swagger.json`, `swagger2.json` and `swagger3.json`, as in v1."""

from __future__ import annotations

import json
from pathlib import Path

from ..log import writer
from ..settings import Settings

_NAMES = ("swagger.json", "swagger3.json", "swagger2.json")


def find_descriptions(settings: Settings) -> dict[str, bytes]:
    """The author's documents by version: "2.0", "3.0", "3.1", and "" for the one that is served by default.

    They lie in the working folder, the source directory, or beside the script. One that is no JSON object, or does not
    say its version, is left out, which is logged.
    """
    root = Path(settings.app_root or ".")
    script = root / settings.entry_script
    found: dict[str, bytes] = {}
    for folder in dict.fromkeys([root, root / settings.source_directory, script.parent]):
        for name in _NAMES:
            try:
                document = (folder / name).read_bytes()
            except OSError:
                continue
            version = _version_of(document)
            if not version:
                writer.log(f"{name} is not served: it is no OpenAPI or Swagger document", level="warning")
                continue
            found.setdefault(version, document)
            found.setdefault("", document)
    return found


def _version_of(document: bytes) -> str:
    try:
        data = json.loads(document)
        version = str(data.get("openapi") or data.get("swagger") or "")
    except (ValueError, AttributeError):
        return ""
    return next((known for known in ("2.0", "3.0", "3.1") if version.startswith(known)), "")
