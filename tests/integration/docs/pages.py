"""Reads the fenced blocks of a guide and runs them as its reader would: commands in a shell, Python in one kernel.

What the word behind the backticks means:

    ```console               lines that begin with "$ " are commands; the lines below each are its output
    ```python                a cell, run in the page's kernel
    ```python file=NAME      a file that the reader saves (any language)
    ```text                  directly below a Python block: what that block shows
    ```python norun          shown only (any language)

In outputs `...` stands for any text. A command or cell whose output has a line `error:` must fail, any other must not.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jupyter_client.manager import KernelManager

DEADLINE = 120  # seconds for one command or cell; a busy machine needs more than an idle one
_FENCE = re.compile(r"^```(\w*)([^\n]*)\n(.*?)^```[ ]*$", re.MULTILINE | re.DOTALL)
_COLOURS = re.compile(r"\x1b\[[0-9;]*m")


@dataclass(frozen=True)
class Block:
    """A fenced block. `line` is that of its first backtick, from 1; `words` are the words behind the language."""

    language: str
    words: tuple[str, ...]
    text: str
    line: int

    @property
    def file(self) -> str:
        return next((word.removeprefix("file=") for word in self.words if word.startswith("file=")), "")


def blocks_of(page: str) -> list[Block]:
    return [
        Block(match[1], tuple(match[2].split()), match[3], page.count("\n", 0, match.start()) + 1)
        for match in _FENCE.finditer(page)
    ]


def commands_of(block: Block) -> list[tuple[str, str]]:
    """The commands of a console block, each with the output below it. A command continues after a backslash."""
    found: list[tuple[str, str]] = []
    going_on = False
    for line in block.text.splitlines():
        if line.startswith("$ ") or going_on:
            if going_on:
                command, output = found.pop()
                found.append((f"{command}\n{line}", output))
            else:
                found.append((line[2:], ""))
            going_on = line.endswith("\\")
        else:
            assert found, f"line {block.line}: output without a command: {line}"
            command, output = found.pop()
            found.append((command, f"{output}{line}\n"))
    return found


def fits(expected: str, shown: str) -> bool:
    """Whether the output is what the page says, where `...` stands for anything. Blank ends of lines do not count."""
    parts = [re.escape(part) for part in _trimmed(expected).split("...")]
    return re.fullmatch(r"\s*" + ".*?".join(parts) + r"\s*", _trimmed(shown), re.DOTALL) is not None


def _trimmed(text: str) -> str:
    return "\n".join(line.rstrip() for line in _COLOURS.sub("", text).strip().splitlines())


class Reader:
    """Runs a page in `folder`. `swaps` are texts of the page that stand for something of this run."""

    def __init__(self, folder: Path, swaps: dict[str, str] | None = None) -> None:
        self.folder = folder
        self.swaps = swaps or {}
        tools = str(Path(sys.executable).parent)
        self.env = {
            **os.environ,
            "PATH": f"{tools}{os.pathsep}{os.environ['PATH']}",
            "NO_COLOR": "1",
            # A reader who begins: no workspaces, nothing built.
            "MLDEPLOY_HOME": str(folder.parent / "home"),
            "MLDEPLOY_CACHE": str(folder.parent / "cache"),
        }
        self.ran = 0
        self._variables = folder.parent / "variables.sh"  # what a command sets is there for the next one
        self._kernel: Any = None
        self._client: Any = None

    def read(self, page: str) -> None:
        """Runs every block, in order. Raises `AssertionError` with the line of the page where it lies."""
        for text, real in self.swaps.items():
            page = page.replace(text, real)
        blocks = blocks_of(page)
        for index, block in enumerate(blocks):
            if "norun" in block.words:
                continue
            if block.file:
                path = self.folder / block.file
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(block.text)
            elif block.language == "console":
                for command, expected in commands_of(block):
                    self._command(command, expected, block)
            elif block.language == "python":
                after = blocks[index + 1] if index + 1 < len(blocks) else None
                below = after is not None and after.language == "text" and not after.words
                self._cell(block, after.text if below and after is not None else None)

    def close(self) -> None:
        """Ends the kernel and every service that the page left."""
        if self._kernel is not None:
            self._client.stop_channels()
            self._kernel.shutdown_kernel(now=True)
        code = (
            "from mldeploy_jupyter.core.workspace.folder import list_workspaces\n"
            "from mldeploy_jupyter import Webservice, Workspace\n"
            "for folder in list_workspaces():\n"
            f"    if str(folder.root).startswith({str(self.folder)!r}):\n"
            "        for service in Webservice.list(Workspace.from_config(str(folder.root))):\n"
            "            service.cancel()\n"
            "            service.delete()\n"
        )
        subprocess.run([sys.executable, "-c", code], env=self.env, cwd=self.folder, timeout=DEADLINE, check=True)

    def _command(self, command: str, expected: str, block: Block) -> None:
        before = f"source {self._variables}\n" if self._variables.exists() else ""
        after = f"status=$?; {{ export -p; declare -f; }} > {self._variables}; exit $status"
        done = subprocess.run(
            ["bash", "-c", f"set -ao pipefail\n{before}{command}\n{after}"],
            cwd=self.folder,
            env=self.env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=DEADLINE,
        )
        self._compare(command, expected or None, done.stdout, done.returncode != 0, block)

    def _cell(self, block: Block, expected: str | None) -> None:
        if self._kernel is None:
            self._kernel = KernelManager(kernel_name="python3")
            self._kernel.start_kernel(cwd=str(self.folder), env=self.env)
            self._client = self._kernel.client()
            self._client.start_channels()
            self._client.wait_for_ready(timeout=DEADLINE)
        shown: list[str] = []

        def hook(message: dict[str, Any]) -> None:
            kind, content = message["msg_type"], message["content"]
            if kind == "stream":
                shown.append(content["text"])
            elif kind in ("display_data", "execute_result"):
                shown.append(content["data"].get("text/plain", "") + "\n")
            elif kind == "error":
                shown.append("\n".join(content["traceback"]) + "\n")

        reply = self._client.execute_interactive(block.text, output_hook=hook, timeout=DEADLINE, allow_stdin=True)
        self._compare(block.text, expected, "".join(shown), reply["content"]["status"] == "error", block)

    def _compare(self, did: str, expected: str | None, shown: str, failed: bool, block: Block) -> None:
        self.ran += 1
        shown = re.sub(r"[^\n]*\r(?!\n)", "", shown)  # what a front end overwrites
        shown = shown.replace(str(self.folder), "FOLDER")
        told = f"at line {block.line}:\n{did}\nshows:\n{shown}"
        should_fail = expected is not None and re.search(r"^(error|UsageError): ?", expected, re.MULTILINE) is not None
        assert failed == should_fail, f"{'failed' if failed else 'did not fail'} {told}"
        if expected is not None:
            assert fits(expected, shown), f"{told}\nthe page says:\n{expected}"
