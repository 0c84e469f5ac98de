"""Looks into the files of a workspace."""

from __future__ import annotations

import subprocess
from pathlib import Path


def files_with(text: str, folder: Path) -> list[Path]:
    """The files below the folder that have this text, also binary ones.

    Another process looks: one that closes a store's file loses the locks of its own connections to it, and others may
    then damage the store.
    """
    grep = subprocess.run(["grep", "-rlF", "--devices=skip", text, folder], stdout=subprocess.PIPE, text=True)
    assert grep.returncode in (0, 1), grep
    return [Path(line) for line in grep.stdout.splitlines()]
