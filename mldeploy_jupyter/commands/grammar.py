"""What a command is, as data: its path, its parameters, what runs it and what it gives back.

The parsers, the help, the completion and the notebook's magics are all made from these.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal, TextIO

Args = argparse.Namespace

ParamKind = Literal["text", "integer", "number", "switch", "toggle", "list"]

Completion = Literal["", "model", "model id", "service", "target", "file", "script"]


@dataclass(frozen=True)
class Param:
    """A parameter. Without `flags` it is positional; `positional` lets a flag's value also stand alone.

    Kinds: `switch` is there or not; `toggle` takes true or false and means true when it stands alone; `list`
    takes several values and may be repeated. `group` is the heading in the help.
    """

    name: str
    flags: tuple[str, ...] = ()
    doc: str = ""
    kind: ParamKind = "text"
    choices: tuple[str, ...] = ()
    required: bool = False
    positional: bool = False
    completion: Completion = ""
    metavar: str = ""
    group: str = "Options"

    @property
    def shown(self) -> str:
        """The name as messages show it: the first flag that is a word, or NAME in capitals."""
        long = [flag for flag in self.flags if flag.startswith("--")]
        return (
            next((flag for flag in long if len(flag) > 5), max(long, key=len))
            if long
            else self.flags[0]
            if self.flags
            else self.placeholder
        )

    @property
    def placeholder(self) -> str:
        return self.metavar or self.name.upper().replace("_", "-")


@dataclass(frozen=True)
class Result:
    """What a command gave back: the object, its text, its data for `--json`, the Python call it stands for."""

    value: Any = None
    text: str = ""
    data: Any = None
    python: str = ""


@dataclass
class Context:
    """Where a command runs. `follow`: whether it waits for a deployment when nothing says otherwise.

    `namespace` and `defaults` are the notebook's: its variables, and values for what was left out
    (`entry_script`: a path, `models`: ids, `service`: a name). `update_live`: deploying to a name that is in use
    updates that service. `open` gives the workspace; a test hands in its own.
    """

    out: TextIO = field(default_factory=lambda: sys.stdout)
    err: TextIO = field(default_factory=lambda: sys.stderr)
    stdin: TextIO = field(default_factory=lambda: sys.stdin)
    isatty: bool = False
    json: bool = False
    follow: bool = True
    namespace: dict[str, Any] | None = None
    defaults: dict[str, Any] = field(default_factory=dict)
    update_live: bool = False
    prefix: str = "mldeploy "  # what the user types before a command; "%mldeploy " in a notebook
    clock: Callable[[], float] = time.monotonic
    open: Callable[..., Any] | None = None

    @property
    def detached(self) -> bool:
        """Whether an update needs a process of its own: a command line may end before it, a kernel stays."""
        return self.namespace is None

    def note(self, text: str) -> None:
        """A line that is not the result."""
        self.err.write(text + "\n")
        self.err.flush()

    def workspace(self, path: str | None = None, *, write: bool = False) -> Any:
        """The workspace at `path`, else the one found from here. `write` makes one where there is none, and says so."""
        if self.open is not None:
            return self.open(path, write=write)
        from mldeploy_jupyter.commands.workspace import open_workspace

        return open_workspace(self, path, write=write)


@dataclass(frozen=True)
class Command:
    """`path` is what the user types (`("model", "deploy")`); the first line of `doc` is its summary."""

    path: tuple[str, ...]
    doc: str
    params: tuple[Param, ...]
    run: Callable[[Context, Args], Result]
    example: str = ""

    @property
    def name(self) -> str:
        return " ".join(self.path)

    @property
    def summary(self) -> str:
        return self.doc.partition("\n")[0]

    @property
    def all_params(self) -> tuple[Param, ...]:
        return (*self.params, *COMMON)

    @property
    def positionals(self) -> tuple[Param, ...]:
        return tuple(param for param in self.params if param.positional or not param.flags)


_COMMON = "Common options"

COMMON: tuple[Param, ...] = (
    Param(
        "path",
        ("--path", "--workspace-name", "-w"),
        "The workspace's folder, or its name. Found upwards from here when left out.",
        completion="file",
        metavar="FOLDER",
        group=_COMMON,
    ),
    Param(
        "json",
        ("--json",),
        "Write one JSON document to standard output; an error is one JSON line on standard error.",
        "switch",
        group=_COMMON,
    ),
    Param(
        "output", ("--output", "-o"), "json is the same as --json.", choices=("json", "jsonc", "table"), group=_COMMON
    ),
    Param(
        "show_python", ("--show-python",), "Also print the Python call the command stands for.", "switch", group=_COMMON
    ),
    Param("resource_group", ("--resource-group", "-g"), "Accepted for v1's sake; not used.", group=_COMMON),
    Param("subscription_id", ("--subscription-id",), "Accepted for v1's sake; not used.", group=_COMMON),
    Param("help", ("--help", "-h"), "Show this help.", "switch", group=_COMMON),
)
