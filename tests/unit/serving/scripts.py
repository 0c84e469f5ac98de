"""Entry scripts for tests, made from a function."""

from __future__ import annotations

import types
from typing import Any

from mldeploy_jupyter.serving.scoring.script import Script, inspect_script


def script_of(run: Any) -> Script:
    """The script whose `run()` is given; its `init()` does nothing."""
    module = types.ModuleType("score")
    module.__dict__.update(init=lambda: None, run=run)
    return inspect_script(module)
