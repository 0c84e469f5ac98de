"""Finds the processes that a test has started."""

from __future__ import annotations

import os
from pathlib import Path


def list_processes_below(folder: Path) -> list[str]:
    """Every process but this one whose command line or working folder is below `folder`: pid and command."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                cwd = os.readlink(entry / "cwd")
            except OSError:
                continue
            if command and (str(folder) in command or cwd.startswith(str(folder))):
                found.append(f"{entry.name} {command}")
    return found
