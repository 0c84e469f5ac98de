from __future__ import annotations

from typing import Any


def install(settings: Any) -> None: ...
