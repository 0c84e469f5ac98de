"""Builds the notebook's panel before the package is built or installed: a hook around `labextension/build_panel.py`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

sys.path.insert(0, str(Path(__file__).resolve().parent / "labextension"))
import build_panel as panel


class PanelBuildHook(BuildHookInterface[Any]):
    """Runs before each wheel, sdist and editable install. Does nothing when the panel is built from these sources."""

    def dependencies(self) -> list[str]:
        if panel.is_built():
            return []
        try:
            panel.find_node()
        except panel.BuildError:
            return [panel.WHEEL]
        return []

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        try:
            panel.build()
        except panel.BuildError as error:
            sys.exit(str(error))
