"""The machine, and what a process costs it."""

from __future__ import annotations

import os
import platform
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any


def describe_machine() -> str:
    versions = [
        f"{name} {version(name)}" for name in ("jupyterlab", "ipykernel", "anywidget", "ipywidgets", "playwright")
    ]
    now, system = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"), f"Linux {platform.release()}"
    return ", ".join(
        [now, f"{os.cpu_count()} cores", system, f"Python {platform.python_version()}", *versions,
         f"load before {os.getloadavg()[0]:.1f}"]
    )  # fmt: skip


def browser_version(browser: Any) -> str:
    page = browser.new_page()
    found = str(page.evaluate("() => navigator.userAgent.match(/Chrome\\/([\\d.]+)/)?.[1]"))
    page.close()
    return found


def processor_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def memory(pid: int) -> float:
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("Pss:")) / 1024


def read_bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""
