"""The scripts of `mldeploy completion`, in the shells that are installed."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

BASH = """
eval "$(mldeploy completion bash)"
ask() { COMP_LINE="$1"; COMP_POINT=${#1}; COMPREPLY=(); _mldeploy; echo "${COMPREPLY[*]}"; }
ask "mldeploy mo"; ask "mldeploy model de"; ask "mldeploy model deploy -m ch"; ask "mldeploy model deploy -m churn:"
ask "mldeploy service show "; ask "mldeploy model deploy --over"
"""
FISH = """
mldeploy completion fish | source
complete -C "mldeploy mo" | string join ' '; complete -C "mldeploy model de" | string join ' '
complete -C "mldeploy model deploy -m ch" | string join ' '
"""


def ask(folder: Path, *shell: str) -> list[str]:
    (folder / "model.pkl").write_bytes(b"model")
    environ = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    subprocess.run(["mldeploy", "model", "register", "churn", "model.pkl"], check=True, env=environ, timeout=60)
    ran = subprocess.run(shell, capture_output=True, text=True, timeout=60, check=True, env=environ)
    return ran.stdout.splitlines()


def test_bash(folder: Path) -> None:
    assert ask(folder, "bash", "--norc", "-c", BASH) == [
        "model",
        "delete deploy",
        "churn churn:1",
        "1",  # readline has the word up to the colon already
        "",
        "--overwrite",
    ]


@pytest.mark.skipif(shutil.which("fish") is None, reason="install fish to run this")
def test_fish(folder: Path) -> None:
    assert ask(folder, "fish", "--no-config", "-c", FISH) == ["model", "delete deploy", "churn churn:1"]


@pytest.mark.skipif(shutil.which("zsh") is None, reason="install zsh to run this")
def test_zsh_accepts_the_script(folder: Path) -> None:
    line = 'compdef() { :; }; eval "$(mldeploy completion zsh)"; compadd() { shift; print -r -- "$@"; }; '
    line += "words=(mldeploy model deploy -m ch); CURRENT=5; _mldeploy"
    assert ask(folder, "zsh", "-f", "-c", line) == ["churn churn:1"]
