"""A script that waits for the test, and what a test reads from a cell."""

from __future__ import annotations

from pathlib import Path

from .conftest import SCRIPT, Ran

GATED = SCRIPT.replace(
    "def init():\n", "def init():\n    import time\n    while not os.path.exists(GATE):\n        time.sleep(0.02)\n"
)


def gated(folder: Path) -> tuple[str, Path]:
    gate = folder / "gate"
    return f"GATE = {str(gate)!r}\n{GATED}", gate


def last_text(ran: Ran) -> str:
    return next(iter(ran.displays.values()))[-1]


def no_traceback(ran: Ran) -> str:
    """What a refused cell shows, proven to be no traceback and no `error` without its cause."""
    assert ran.status == "error"
    text = ran.error + ran.stream
    assert "Traceback" not in text and "mldeploy_jupyter/" not in text, text
    return text
