"""`%score NAME EXPRESSION`, `%score NAME --data FILE`, and `%%score NAME` with the request's JSON in the cell."""

from __future__ import annotations

import json
import shlex
from typing import Any

from mldeploy_jupyter.commands import Args, Command, Context, Param, Result, UsageError, command
from mldeploy_jupyter.commands.lookup import find_service
from mldeploy_jupyter.commands.python_code import service_of
from mldeploy_jupyter.commands.service import NAME
from mldeploy_jupyter.notebook.session import Session

DOC = """Score data with a service and give back its answer.

The data is a Python expression over the notebook's variables, a file, or, with %%score, the JSON in the cell.
An array, a DataFrame or a list is sent under the name of the one parameter of run() when that has a sample
(@input_schema); a dict, a str and bytes go as they are. Waits for a deployment that is under way."""

PARAMS: tuple[Param, ...] = (
    NAME,
    Param("expression", (), 'A Python expression, such as X_test[:3] or {"data": [[1.0, 2.0]]}.', metavar="EXPRESSION"),
    Param("data", ("--data", "-d"), "The file with the request's body.", completion="file", metavar="FILE"),
)


def score_command(session: Session) -> Command:
    def run(context: Context, args: Args) -> Result:
        return score(session, context, args, None)

    return Command(("score",), DOC, PARAMS, run, "score churn X_test[:3]")


def words_of(line: str) -> list[str]:
    """The words of the line, with the expression as one word: it may hold spaces, quotes and brackets."""
    name, _, rest = line.strip().partition(" ")
    front = []
    while name == "--show-python":
        front.append(name)
        name, _, rest = rest.strip().partition(" ")
    rest = rest.strip()
    if rest.endswith("--show-python"):
        front.append("--show-python")
        rest = rest.removesuffix("--show-python").strip()
    if name.startswith("-") or (rest.startswith("-") and not _is_number(rest)):
        return [*front, *shlex.split(line)]
    # After "--" nothing is taken for an option.
    return [*front, name, *(["--", rest] if rest else [])] if name else front


def score(session: Session, context: Context, args: Args, cell: str | None) -> Result:
    """Scores and gives back the answer. Raises `UsageError` for data that cannot be made, `ScoringError` for any
    answer but 200."""
    given = [part for part in (args.expression, args.data, cell) if part]
    if len(given) != 1:
        why = "nothing says what to score" if not given else "more than one thing says what to score"
        raise UsageError(
            f"%score {args.name} needs one input",
            why=why,
            hint=f"for example: %score {args.name} X_test[:3], or %%score {args.name} with JSON in the cell",
        )
    if args.data:
        args.input_data = None
        result = command("service", "run").run(context, args)
        printed = f"from pathlib import Path\nservice.run(Path({args.data!r}).read_bytes())"
        return Result(result.value, result.text, result.data, service_of(args.name, printed))
    if cell:
        value: Any = _checked_json(args.name, cell)
        shown = repr(value)
    else:
        value, shown = _evaluated(session, args.expression), args.expression
    service = find_service(context, args)
    wrapped = _parameter(service, value)
    if wrapped:
        value, shown = {wrapped: value}, f"{{{wrapped!r}: {shown}}}"
    answer = service.run(value)
    text = answer if isinstance(answer, str) else json.dumps(answer, ensure_ascii=False, default=str)
    return Result(answer, text, answer, service_of(args.name, f"service.run({shown})"))


def score_cell(session: Session, cell: str) -> Command:
    def run(context: Context, args: Args) -> Result:
        return score(session, context, args, cell if cell.strip() else None)

    return Command(("score",), DOC, PARAMS, run, "score churn")


def _checked_json(name: str, cell: str) -> str:
    text = cell.strip()
    try:
        json.loads(text)
    except json.JSONDecodeError as error:
        from mldeploy_jupyter.core.configs.config_file import json_problem

        words, line, column = json_problem(error)
        raise UsageError(
            f"the cell of %%score {name} is not JSON",
            why=f"{words}, at line {line + 1} column {column} of the cell",
            hint=f"correct the JSON; for a Python expression write %score {name} EXPRESSION",
        ) from None
    return text


def _evaluated(session: Session, expression: str) -> Any:
    try:
        return eval(compile(expression, "<%score>", "eval"), session.shell.user_global_ns, session.namespace)
    except Exception as error:  # the user's own expression
        raise UsageError(
            f"{expression} cannot be evaluated",
            why=f"{type(error).__name__}: {error}",
            hint="it is a Python expression over the notebook's variables; for a file write --data FILE",
        ) from None


def _parameter(service: Any, value: Any) -> str:
    """The name under which the service's script takes its one value, "" when the value goes as it is."""
    if isinstance(value, (dict, str, bytes)):
        return ""
    from mldeploy_jupyter.core.bundle import builder
    from mldeploy_jupyter.core.script import entry_script

    store = service.workspace.folder.open_store()
    service.scoring_uri  # noqa: B018  waits for a deployment under way, so that its script is the live one
    revision = store.get_revision(service.name, service.revision)
    if revision is None or not revision.bundle_digest:
        return ""
    made = builder.load(service.workspace.folder.bundles / revision.bundle_digest)
    script = entry_script.check((made.app / made.entry_script).read_text("utf-8", "replace"))
    required = [parameter.name for parameter in script.parameters if parameter.required]
    with_sample = any(name.rpartition(".")[2] == "input_schema" for name in script.decorators)
    return required[0] if with_sample and len(required) == 1 else ""


def _is_number(text: str) -> bool:
    return text[1:2].isdigit() or text[1:2] == "."
