"""What a test does when a program of an engine is not installed: it is skipped, but in CI (`CI=true`) it fails."""

from __future__ import annotations

import os
import shutil
from typing import NoReturn

import pytest


def require(*programs: str, packages: str) -> None:
    """Skips the test unless all programs are on the PATH; the reason names the packages that have them."""
    absent = [program for program in programs if shutil.which(program) is None]
    if absent:
        engine_missing(f"not installed: {', '.join(absent)}: apt-get install {packages}")


def engine_missing(reason: str) -> NoReturn:
    if os.environ.get("CI", "").lower() == "true":
        pytest.fail(reason)
    pytest.skip(reason)
