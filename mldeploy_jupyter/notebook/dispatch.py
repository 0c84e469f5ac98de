"""Runs a magic: its line becomes a command, and the command's result a value of the notebook."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from mldeploy_jupyter.commands import Context, Result, UsageError, WaitInterrupted, open_workspace, run, run_command
from mldeploy_jupyter.commands.waiting import follow
from mldeploy_jupyter.core.errors import MldeployError
from mldeploy_jupyter.core.text import json_text, printable
from mldeploy_jupyter.notebook.score import shorten_answer
from mldeploy_jupyter.notebook.session import Session, front_end, prompt_number
from mldeploy_jupyter.notebook.wording import in_magic_words, in_notebook_words, in_short_magics

if TYPE_CHECKING:
    from mldeploy_jupyter.notebook.magics import Magic


def run_magic(
    session: Session,
    magic: Magic,
    line: str,
    cell: str | None = None,
    local_ns: Mapping[str, Any] | None = None,
) -> Any:
    """Runs a magic and returns its value for the notebook. `local_ns` has the variables of the function that calls it.

    Raises `UsageError` for wrong words and the command's own `MldeployError`, both in a notebook's words, and
    `WaitInterrupted` when the user interrupts it.
    """
    context = make_context(session)
    if local_ns is not None and local_ns is not session.namespace:
        # One dict, because a comprehension or lambda in an expression sees its globals only.
        context.namespace = {**session.namespace, **local_ns}
    try:
        result = _run(session, magic, line, cell, context)
    except UsageError as error:
        raise in_magic_words(error, magic.sign + magic.name, magic.covers) from None
    except MldeployError as error:
        error.hint = in_short_magics(error.hint)
        raise
    except KeyboardInterrupt:
        raise WaitInterrupted(
            f"{magic.sign}{magic.name} was interrupted",
            why="the kernel was interrupted before it was done",
            hint="a deployment in progress continues: %services shows it",
        ) from None
    if result.failure is not None and not context.json:
        print(printable(in_short_magics(str(result.failure))))
    return display_result(result, context)


def _run(session: Session, magic: Magic, line: str, cell: str | None, context: Context) -> Result:
    # On the line of a cell magic there is no expression, so it is split like a shell line.
    split = magic.words if magic.words is not None and cell is None else shlex.split
    try:
        words = split(line)
    except ValueError as error:  # shlex: no closing quotation
        raise UsageError("the line cannot be read", why=f"{error}", hint="close the quotes") from None
    if magic.command is None:
        result = run(words, context=context)
        if _is_help(result) and (not words or words[0].startswith("-")):
            from mldeploy_jupyter.notebook.magics import magics, overview

            commands = result.text.partition("\n\n")[2].partition("\n\n")[2]
            text = f"{overview(magics(session))}\n\nCommands, as in %mldeploy model list:\n\n{commands}"
            return replace(result, text=text, data={"help": text})
        return result
    chosen = magic.cell_command(cell) if cell is not None and magic.cell_command else magic.command
    result = run_command(chosen, words, context)
    if _is_help(result):
        text = magic.help(every_option="--help-all" in words)
        return replace(result, text=text, data={"help": text})
    return result


def make_context(session: Session) -> Context:
    """The context of the session's commands. Notes go to standard output: a notebook paints its error stream red.

    The front end decides whether a command waits by default, and how a deployment is shown.
    """
    from mldeploy_jupyter.notebook import deploy

    kind = front_end(session.shell)

    def show(service: Any, wait: bool, timeout_sec: float | None) -> None:
        if kind != "terminal":
            from mldeploy_jupyter.notebook.timeline_view import show_deployment

            show_deployment(session, service, wait, timeout_sec)
        elif wait:
            session.timeline_cells[service.deployment_id] = prompt_number(session.shell) or 0
            follow(context, service, timeout_sec)

    def follow_latency(run: Any, limit: float | None) -> Any:
        from mldeploy_jupyter.notebook.latency.run_view import follow_run

        return follow_run(session, run, limit)

    context = Context(
        open_workspace,
        out=sys.stdout,
        err=sys.stdout,
        isatty=kind != "headless",
        wait_by_default=kind != "live",
        show_deployment=show,
        follow_latency=follow_latency if kind != "terminal" else None,
        namespace=session.namespace,
        default_models=lambda context, args: deploy.default_models(session, context, args),
        update_live=True,
        prefix="%mldeploy ",
    )
    return context


def display_result(result: Result, context: Context) -> Any:
    """The result as a value that displays itself. Without an object, and with `--json`, text is printed."""
    from mldeploy_jupyter.notebook.views import Keys, as_table

    if context.json:
        print(json_text(result.data, indent=2))
        return None
    # The text of a bool says more than the bool.
    if result.value is None or isinstance(result.value, bool) or _is_help(result):
        if result.text:
            print(printable(in_notebook_words(result.text)))
        return None
    if isinstance(result.data, dict) and "primaryKey" in result.data:
        return Keys(result.value)
    return shorten_answer(as_table(result.value), result.text)


def _is_help(result: Result) -> bool:
    return isinstance(result.data, dict) and "help" in result.data
