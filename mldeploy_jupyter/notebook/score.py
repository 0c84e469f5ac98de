"""`%score NAME EXPRESSION`, `%score NAME --data FILE`, and `%%score NAME` with the request's JSON in the cell."""

from __future__ import annotations

import json
import re
import shlex
from dataclasses import replace
from typing import Any, ClassVar

from mldeploy_jupyter.commands import Args, Command, Context, Param, Result, UsageError, command
from mldeploy_jupyter.commands.lookup import find_service_anywhere
from mldeploy_jupyter.commands.python_code import service_program
from mldeploy_jupyter.commands.service import NAME
from mldeploy_jupyter.core.text import format_size, json_text
from mldeploy_jupyter.notebook.session import Session, raw_cell

DOC = """Score data with a service and return its response.

The data is a Python expression over the notebook's variables, a file, or, with %%score, the JSON in the cell.
Where the service takes a JSON object, an array, a DataFrame, a list or a number is sent under the name of the one
parameter of run(). A dict is sent as it is. Waits for a deployment under way."""

PARAMS: tuple[Param, ...] = (
    NAME,
    Param("expression", (), 'A Python expression, such as X_test[:3] or {"data": [[1.0, 2.0]]}.', metavar="EXPRESSION"),
    Param("data", ("--data", "-d"), "The file with the request's body.", completion="file", metavar="FILE"),
)


# Characters of the answer's JSON. A page with tens of millions stands still for minutes, and the notebook keeps them.
LIMIT = 200_000

SHOWN = 1_000  # characters of a longer answer


def score_command(session: Session, cell: str = "") -> Command:
    """The magic as a command; `%%score` has the text of its cell."""

    def run(context: Context, args: Args) -> Result:
        return score(session, context, args, cell if cell.strip() else "")

    return Command(("score",), DOC, PARAMS, run, "score churn X_test[:3]")


def split_line(line: str) -> list[str]:
    """The words of a `%score` line. The expression is one word, whatever spaces, quotes and brackets it has."""
    options, rest = _split_options(line)
    name, _, rest = rest.partition(" ")
    more, rest = _split_options(rest)
    options += more
    if rest.endswith("--show-python"):
        options.append("--show-python")
        rest = rest.removesuffix("--show-python").strip()
    if name.startswith("-") or (rest.startswith("-") and not _is_number(rest)):
        return [*options, *shlex.split(line)]
    # After "--" no word is an option.
    return [*options, name, *(["--", rest] if rest else [])] if name else options


_OPTION = r"\s*(?:(--show-python|--json)|(-w|--path|--workspace-name)(?:=|\s+)(\"[^\"]*\"|'[^']*'|[^\s\"']+))(?=\s|$)"


def _split_options(text: str) -> tuple[list[str], str]:
    """The options that `text` begins with, as far as an expression may follow them, and the rest."""
    options: list[str] = []
    while match := re.match(_OPTION, text):
        switch, flag, value = match.groups()
        options += [switch] if switch else [flag, *shlex.split(value)]
        text = text[match.end() :]
    return options, text.strip()


def score(session: Session, context: Context, args: Args, cell: str) -> Result:
    """Scores the expression, the file or the cell, and returns the response.

    Raises `UsageError` for data that cannot be evaluated, `ScoringError` for any status but 200.
    """
    inputs = [part for part in (args.expression, args.data, cell) if part]
    if len(inputs) != 1:
        why = "no input is given" if not inputs else "more than one input is given"
        raise UsageError(
            f"%score {args.name} needs one input",
            why=why,
            hint=f"for example: %score {args.name} X_test[:3], or %%score {args.name} with JSON in the cell",
        )
    if args.data:
        args.input_data = None
        result = command("service", "run").run(context, args)
        code = f"from pathlib import Path\nservice.run(Path({args.data!r}).read_bytes())"
        return replace(result, python=service_program(args.name, code))
    if cell:
        _check_json(args.name, cell.rstrip(), count_lines_before(raw_cell(session.shell)))
        cell = cell.strip()
        value: Any = cell
        code = repr(cell)
    else:
        value, code = _evaluate(session, context, args.expression), args.expression
    service = find_service_anywhere(context, args, beyond_workspace=False)
    context.python = service_program(args.name, f"service.run({code})")
    response = service.run(value)
    text = response if isinstance(response, str) else json_text(response)
    return Result(response, text, response, context.python)


def count_lines_before(raw: str) -> int:
    """How many lines of the whole cell precede its JSON: blank ones, and that of the magic."""
    blank = len(raw) - len(raw.lstrip())
    return raw[:blank].count("\n") + 1


def _check_json(name: str, text: str, lines_before: int) -> None:
    """Raises `UsageError` for a cell that is not JSON; `lines_before` it are other lines of the cell."""
    try:
        json.loads(text)
    except json.JSONDecodeError as error:
        from mldeploy_jupyter.core.configs.config_file import describe_json_error

        words, line, column = describe_json_error(error)
        raise UsageError(
            f"the cell of %%score {name} is not JSON",
            why=f"{words}, at line {line + lines_before} column {column} of the cell",
            hint=f"correct the JSON; for a Python expression write %score {name} EXPRESSION",
        ) from None


def _evaluate(session: Session, context: Context, expression: str) -> Any:
    variables, scope = context.namespace, session.shell.user_global_ns
    if variables is not session.namespace:  # called in a function, whose variables come first
        scope = {**scope, **(variables or {})}
    try:
        return eval(compile(expression, "<%score>", "eval"), scope, variables)
    except Exception as error:  # the user's expression may raise anything
        raise UsageError(
            f"{expression} cannot be evaluated",
            why=f"{type(error).__name__}: {error}",
            hint="it is a Python expression over the notebook's variables; for a file write --data FILE",
        ) from None


def _is_number(text: str) -> bool:
    return text[1:2].isdigit() or text[1:2] == "."


class _Shortened:
    """Shows the beginning of the value's JSON, and where the rest is."""

    kind: ClassVar[type]
    text: ClassVar[str]
    length: ClassVar[int]

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        size = format_size(self.length)
        printer.text(f"{self.text}…\n(the beginning of an answer of {size}; the variable _ has the whole)")

    def __reduce__(self) -> Any:  # a copy, and what is pickled, is the plain value
        return self.kind, (self.kind(self),)


def shorten_answer(value: Any, text: str) -> Any:
    """The answer; it shows only its beginning where `text`, its JSON, is too long for a page."""
    kind = type(value)
    if len(text) <= LIMIT or kind not in (str, list, dict):
        return value
    parts = {"kind": kind, "text": text[:SHOWN], "length": len(text.encode("utf-8", "surrogatepass"))}
    return type(kind.__name__, (_Shortened, kind), parts)(value)
