"""`%%entry_script --update NAME`: the cell's script goes live at once in a running service.

There is no separate check: the new worker loads the script and scores its sample beside the old worker, which continues
serving when that fails. So `init()` runs once instead of twice.
"""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from mldeploy_jupyter.commands import Args, Context, UsageError, command
from mldeploy_jupyter.commands.lookup import find_service
from mldeploy_jupyter.commands.python_code import service_program
from mldeploy_jupyter.commands.script_defaults import fill_script
from mldeploy_jupyter.commands.waiting import wait_for_earlier
from mldeploy_jupyter.core.errors import DeploymentTimeout
from mldeploy_jupyter.notebook.wording import in_notebook_words

if TYPE_CHECKING:
    from mldeploy_jupyter.notebook.session import Session


# What the journal says of the last request (`serving/supervisor/rollout.py`, `targets/process_rollout.py`).
REPLAY_TEXTS = ("the last request was", "no request to score", "the service's supervisor is of an earlier version")

QUIET_SECONDS = 1.0  # in which most edits are live; after them the timeline is shown

_CHECK_ONLY = ("no_check", "conda_file", "requirements_file", "init_timeout")


def refuse_check_options(args: Args) -> None:
    """Raises `UsageError` for options that apply only to a separate check."""
    given = [name for name in _CHECK_ONLY if getattr(args, name)]
    if given:
        raise UsageError(
            f"--update does not go with --{given[0].replace('_', '-')}",
            why="the service has its own environment and settings, and its new revision is what is checked",
            hint=f"leave it out, or change the service first: %update {args.update} ...",
        )


def go_live(session: Session, context: Context, args: Args, path: Path) -> str:
    """Updates the service with the script and waits for the end; returns the line that says ok.

    Raises the deployment's error when it did not go live, `WaitInterrupted` when the user interrupts the wait.
    """
    from mldeploy_jupyter.core.journal import format_duration
    from mldeploy_jupyter.notebook.timeline_view import wait_interrupted

    update_args = Args(**{param.name: None for param in command("service", "update").all_params})
    update_args.name, update_args.path, update_args.replay = args.update, args.path, args.replay
    service = find_service(context, update_args)
    wait_for_earlier(context, service)
    began = time.monotonic()
    live = service.live_revision()
    is_current = live is not None and Path(live.inference_config.get("entry_path") or "") == path
    if is_current and not args.models and not args.source_directory:
        service.reload(replay=bool(args.replay), detached=False)
    else:
        update_args.entry_script, update_args.model, update_args.no_wait = str(path), args.models, True
        update_args.source_directory = args.source_directory
        fill_script(context, update_args, live)
        # Without a timeline: one line tells the result.
        service = command("service", "update").run(replace(context, show_deployment=None), update_args).value
    session.record_deployment(service)
    try:
        service.wait_for_deployment(timeout_sec=QUIET_SECONDS)
    except DeploymentTimeout:
        if context.show_deployment is not None:
            context.show_deployment(service, True, None)
        service.wait_for_deployment()
    except KeyboardInterrupt:
        raise wait_interrupted(service) from None
    seconds = format_duration(time.monotonic() - began)
    tried = _describe_probe(service.journal, path.read_text("utf-8", "replace"))
    return f"ok: {path.name} is live in {service.name}, revision {service.revision}, after {seconds}{tried}"


def _describe_probe(journal: Path, text: str) -> str:
    """What a request without a sample tells of the new revision: the replayed request, or that run() was not called."""
    from mldeploy_jupyter.core.journal.journal import read_events
    from mldeploy_jupyter.core.script import entry_script

    replayed = [event.text for event in read_events(journal) if event.text.startswith(REPLAY_TEXTS)]
    if replayed:
        return f" ({in_notebook_words(replayed[-1])})"
    if entry_script.check(text).decorators:  # @input_schema gave it a sample
        return ""
    return " (run() was not called, for lack of a sample; --replay would score the last request first)"


def reload_program(name: str, args: Args) -> str:
    """The Python that lets the written script go live."""
    lines = service_program(args.update, "service.reload(wait=True)")
    return f"{lines}  # reads {name} again"
