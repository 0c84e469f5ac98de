"""The name and the place of the server's package: `mldeploy_jupyter.serving`, or `mldeploy_serving` in a bundle."""

from __future__ import annotations

import os
from pathlib import Path

NAME = __package__.rpartition(".")[0] if __package__ else ""

# With a separator at the end. Not resolved: it is compared with the file names of stack frames.
FOLDER = str(Path(__file__).parent.parent) + os.sep


def import_root() -> Path:
    """The folder that must be on `sys.path` for `NAME` to be importable."""
    return Path(__file__).resolve().parents[len(NAME.split(".")) + 1]
