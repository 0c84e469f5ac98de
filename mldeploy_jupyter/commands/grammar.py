"""Commands as data: path, parameters, the function that runs them, their result.

The parser, the help, the completion and the notebook's magics are all derived from these classes.
"""

from __future__ import annotations

import argparse
import shlex
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal, TextIO

from mldeploy_jupyter.core.errors import MldeployError
from mldeploy_jupyter.core.text import printable

Args = argparse.Namespace

ParamKind = Literal["text", "integer", "number", "switch", "toggle", "list"]

Completion = Literal[
    "", "model", "model id", "service", "revision", "target", "file", "script", "workspace", "latency run"
]


@dataclass(frozen=True)
class Param:
    """A parameter of a command. Without `flags` it is positional; with `positional` its value may also stand alone.

    Kinds: a `switch` is present or absent; a `toggle` takes true or false, and means true without a value; a `list`
    takes several values and may be repeated. `group` is its heading in the help. `advanced` ones are shown by
    `--help-all` only. Of its `choices` those in `hidden_choices` are accepted, but neither completed nor in the help.
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
    advanced: bool = False
    hidden_choices: tuple[str, ...] = ()

    @property
    def offered_choices(self) -> tuple[str, ...]:
        return tuple(choice for choice in self.choices if choice not in self.hidden_choices)

    @property
    def display_name(self) -> str:
        """The name that messages use: the first flag that is a whole word (`--tag`), or NAME in capitals."""
        if not self.flags:
            return self.placeholder
        long = [flag for flag in self.flags if flag.startswith("--")]
        if not long:
            return self.flags[0]
        return next((flag for flag in long if len(flag) > 5), max(long, key=len))

    @property
    def placeholder(self) -> str:
        return self.metavar or self.name.upper().replace("_", "-")


@dataclass(frozen=True)
class Result:
    """The result of a command: the object, its text, its data for `--json`, the equivalent Python call.

    `kind` says what the text is: a message, a log, or an answer of a service (`data`). `failure` is what the result
    means for a script, such as a missed budget: it is shown after the result and determines the exit code.
    """

    value: Any = None
    text: str = ""
    data: Any = None
    python: str = ""
    kind: Literal["text", "log", "data"] = "text"
    failure: MldeployError | None = None


@dataclass(eq=False, repr=False)
class Context:
    """Where a command runs, and what its front end adds to it.

    `open_workspace(path, write=..., announce=...)` opens the workspace. `wait_by_default` says whether a command waits
    for the deployment that it began when neither `--wait` nor `--no-wait` is given. `show_deployment(service, wait,
    timeout_sec)` shows that deployment; without one it is shown on the error stream while the command waits.

    `follow_latency(run, limit)` shows a run of the latency lab until it ends and returns its result; `limit` is a
    latency in milliseconds to draw, or None. Without the function, a line on the error stream shows the progress.

    With `isatty`, `err` is a terminal, on which a line may be overwritten.

    `namespace` holds the notebook's variables. `defaults` stand in for omitted options: `entry_script` (a path) and
    `models` (ids); without these, `default_models(context, args)` chooses the models and says in words which. With
    `update_live` that command updates a live service of that name.
    """

    open_workspace: Callable[..., Any]
    out: TextIO = field(default_factory=lambda: sys.stdout)
    err: TextIO = field(default_factory=lambda: sys.stderr)
    stdin: TextIO = field(default_factory=lambda: sys.stdin)
    isatty: bool = False
    json: bool = False
    wait_by_default: bool = True
    show_deployment: Callable[[Any, bool, float | None], None] | None = None
    follow_latency: Callable[[Any, float | None], Any] | None = None
    namespace: dict[str, Any] | None = None
    defaults: dict[str, Any] = field(default_factory=dict)
    default_models: Callable[[Context, Args], tuple[list[str], str]] | None = None
    update_live: bool = False
    prefix: str = "mldeploy "  # typed before a command; "%mldeploy " in a notebook
    clock: Callable[[], float] = time.monotonic
    python: str = ""  # what the running command calls; printed when the call fails
    path: str | None = None  # the workspace that the running command's words name

    def command_line(self, words: str) -> str:
        """A command as the user would type it, for the workspace that the running command works in."""
        return f"{self.prefix}{words}{f' -w {shlex.quote(self.path)}' if self.path else ''}"

    @property
    def detached(self) -> bool:
        """Whether an update needs a process of its own: a command line may end before it does, a kernel stays."""
        return self.namespace is None

    def note(self, text: str) -> None:
        """Writes a line that is not part of the result, cleaned."""
        self.write_lines(text.replace("\n", " "))

    def write_lines(self, text: str) -> None:
        """Writes lines that are not part of the result, cleaned."""
        self.err.write(printable(text) + "\n")
        self.err.flush()

    def workspace(self, path: str | None = None, *, write: bool = False) -> Any:
        """The workspace at `path`, or the one found upwards from the current folder.

        With `write` a missing one is created, with a note. Raises `WorkspaceError` when there is none to read.
        """
        return self.open_workspace(path, write=write, announce=self.note)


@dataclass(frozen=True, eq=False)
class Command:
    """`path` holds the words the user types, such as `("model", "deploy")`; the first line of `doc` is the summary.

    `declared` are the parameters, or a function that returns them if they need imports: it is called when they are
    first used.
    """

    path: tuple[str, ...]
    doc: str
    declared: tuple[Param, ...] | Callable[[], tuple[Param, ...]]
    run: Callable[[Context, Args], Result]
    example: str = ""

    @property
    def name(self) -> str:
        return " ".join(self.path)

    @property
    def summary(self) -> str:
        return self.doc.partition("\n")[0]

    @cached_property
    def params(self) -> tuple[Param, ...]:
        return self.declared() if callable(self.declared) else self.declared

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
        completion="workspace",
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
        "output",
        ("--output", "-o"),
        "The format of the result; json is the same as --json. tsv is for shells: a line for each item, no names.",
        choices=("json", "jsonc", "table", "tsv", "yaml", "yamlc", "none"),
        group=_COMMON,
        advanced=True,
    ),
    Param(
        "query",
        ("--query",),
        "Which parts of the result to write, as JSON or as --output says: a JMESPath expression such as [].name.",
        metavar="EXPRESSION",
        group=_COMMON,
        advanced=True,
    ),
    Param(
        "show_python", ("--show-python",), "Also print the Python call the command stands for.", "switch", group=_COMMON
    ),
    Param(
        "resource_group", ("--resource-group", "-g"), "Accepted as in v1, but not used.", group=_COMMON, advanced=True
    ),
    Param("subscription_id", ("--subscription-id",), "Accepted as in v1, but not used.", group=_COMMON, advanced=True),
    Param(
        "verbose",
        ("--verbose", "-v", "--debug", "--only-show-errors"),
        "Accepted as in v1, but not used: errors always have all details.",
        "switch",
        group=_COMMON,
        advanced=True,
    ),
    Param("help", ("--help", "-h"), "Show the help.", "switch", group=_COMMON),
    Param("help_all", ("--help-all",), "Show the help with every option.", "switch", group=_COMMON),
)
