"""The built JupyterLab extension, its settings, and its keys among those of JupyterLab."""

from __future__ import annotations

import json
import re
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import mldeploy_jupyter
from tests.unit.labextension.test_build_panel import FOLDER, build  # noqa: F401

SCHEMA = json.loads((FOLDER / "schema" / "plugin.json").read_text("utf-8"))
SOURCE = (FOLDER / "src" / "lab" / "plugins" / "tokens.ts").read_text("utf-8")
LARGEST_BYTES = 250_000  # of the plugins with all components: a page of JupyterLab loads 10 MB


def test_the_extension_is_built_as_jupyterlab_expects_it(build: Any) -> None:  # noqa: F811
    build.build()
    about = json.loads((build.EXTENSION / "package.json").read_text("utf-8"))
    assert about["name"] == "mldeploy-jupyter"
    assert about["version"] == mldeploy_jupyter.__version__
    load = build.EXTENSION / about["jupyterlab"]["_build"]["load"]
    assert re.fullmatch(r"remoteEntry\.[0-9a-f]{20}\.js", load.name) and load.is_file()
    (module,) = (build.EXTENSION / "static").glob("lab.*.js")
    assert module.name in load.read_text("utf-8")
    assert module.stat().st_size <= LARGEST_BYTES
    # What the page shares is not bundled, and is named with the releases that are supported.
    assert "^4.4" in about["dependencies"]["@jupyterlab/application"]
    assert all(name in load.read_text("utf-8") for name in about["dependencies"])
    assert not re.search(r"https?://(?!www\.w3\.org/)", module.read_text("utf-8"))


def test_commands_of_the_settings_are_those_of_the_plugins() -> None:
    known = set(re.findall(r"'(mldeploy:[a-z-]+)'", SOURCE))
    menus, toolbars = SCHEMA["jupyter.lab.menus"]["context"], SCHEMA["jupyter.lab.toolbars"]["Notebook"]
    used = {item["command"] for item in [*menus, *toolbars, *SCHEMA["jupyter.lab.shortcuts"]]}
    assert used <= known


def test_defaults_are_those_of_the_plugins() -> None:
    defaults = {name: one["default"] for name, one in SCHEMA["properties"].items()}
    (written,) = re.findall(r"DEFAULTS: Settings = \{ (.*) \};", SOURCE)
    assert written == ", ".join(f"{name}: {_js(value)}" for name, value in defaults.items())


def test_keys_are_not_jupyterlabs() -> None:
    ours = {_normalised(keys) for keys in _keys(SCHEMA)}
    assert ours and max(Counter(ours).values()) == 1
    schemas = Path(sys.prefix) / "share" / "jupyter" / "lab" / "schemas"
    taken = {
        _normalised(keys)
        for path in schemas.rglob("*.json")
        for keys in _keys(json.loads(path.read_text("utf-8")))
    }  # fmt: skip
    assert len(taken) > 50
    assert not ours & taken


def _keys(schema: dict[str, Any]) -> Iterator[str]:
    """The first stroke of each shortcut: a longer one that begins alike would never be reached."""
    for shortcut in schema.get("jupyter.lab.shortcuts", []):
        for name in ("keys", "winKeys", "macKeys", "linuxKeys"):
            yield from [keys for keys in shortcut.get(name, [])[:1] if keys]


def _normalised(keys: str) -> str:
    return " ".join(sorted(keys.lower().replace("accel", "ctrl").split()))


def _js(value: Any) -> str:
    return f"'{value}'" if isinstance(value, str) else json.dumps(value)
