"""v1's switch of its telemetry. There is none to switch: nothing is collected."""

from __future__ import annotations

from typing import Any


def set_diagnostics_collection(send_diagnostics: bool = True, verbosity: Any = None, *args: Any, **kwargs: Any) -> None:
    """Does nothing: no diagnostics are collected, whatever `send_diagnostics` says."""


def get_diagnostics_collection_info(*args: Any, **kwargs: Any) -> tuple[bool, None]:
    """v1's pair of whether diagnostics are collected and how much: never."""
    return False, None
