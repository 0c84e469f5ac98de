from __future__ import annotations

from typing import Any

from mldeploy_jupyter.commands.errors import UsageError, WaitInterrupted
from mldeploy_jupyter.commands.formatting import listing
from mldeploy_jupyter.commands.grammar import Args, Context, Param, Result

LOOK_EVERY = 0.5  # seconds between two looks whether the runner still lives

WAIT: tuple[Param, ...] = (
    Param("wait", ("--wait",), "Follow the deployment until it ends. The default on the command line.", "switch"),
    Param("no_wait", ("--no-wait",), "Return at once; the deployment goes on.", "switch"),
    Param(
        "timeout_sec",
        ("--timeout-sec",),
        "Stop waiting after so many seconds; nothing is cancelled.",
        "number",
        metavar="SECONDS",
    ),
)


def check_waiting(args: Args) -> None:
    """Before anything is begun."""
    if args.wait and args.no_wait:
        raise UsageError("--wait and --no-wait exclude each other", why="both are given", hint="leave one of them out")


def finish(context: Context, args: Args, service: Any, name: str, python: str, *, begun: bool = True) -> Result:
    """The result of a command that began a deployment, after following it where that is wished. Not `begun`: nothing
    had changed."""
    if not begun:
        return Result(service, describe(service), service.serialize(), python)
    if args.wait or (context.follow and not args.no_wait):
        follow(context, service, name, args.timeout_sec)
        return Result(service, describe(service), service.serialize(), python)
    text = f"{name} is being deployed. Follow it with: {context.prefix}service wait {name}"
    return Result(service, text, service.serialize(), python)


def follow(context: Context, service: Any, name: str, timeout_sec: float | None) -> None:
    """Shows the deployment on the error stream until it ended. Raises its error, or `WaitInterrupted`."""
    from mldeploy_jupyter.core.journal.terminal import Screen, follow_deployment

    store = service.workspace.folder.open_store()
    begun = looked = context.clock()

    def left() -> float | None:
        return None if timeout_sec is None else max(0.0, timeout_sec - (context.clock() - begun))

    def ended() -> bool:
        nonlocal looked
        if context.clock() - looked < LOOK_EVERY:
            return left() == 0
        looked = context.clock()
        service.update_deployment_state()  # finds a dead runner
        record = store.get_deployment(service.deployment_id)
        return record is None or record.state != "running" or left() == 0

    try:
        # How it failed is left out: that is the error that is raised.
        if not context.json or context.isatty:
            cancel = f"{context.prefix}service cancel {name}"
            follow_deployment(service.journal, Screen(context.err), stop=ended, errors=False, cancel=cancel)
        service.wait_for_deployment(timeout_sec=left())
    except KeyboardInterrupt:
        raise WaitInterrupted(
            "stopped waiting; the deployment goes on",
            hint=f"attach again with: {context.prefix}service wait {name}",
            value=service,
        ) from None


def describe(service: Any) -> str:
    data = service.serialize()
    return listing(
        {
            "name": service.name,
            "state": service.shown_state,
            "target": data.get("computeType"),
            "scoring uri": data.get("scoringUri"),
            "swagger uri": data.get("swaggerUri"),
        }
    )
