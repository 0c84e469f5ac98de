"""Waiting for the deployment that a command began: the options, the view in a terminal, the result."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from mldeploy_jupyter.commands.errors import UsageError, WaitInterrupted
from mldeploy_jupyter.commands.formatting import listing
from mldeploy_jupyter.commands.grammar import Args, Context, Param, Result
from mldeploy_jupyter.core.errors import DeploymentCancelled, DeploymentFailed, DeploymentInterrupted

TIMEOUT = Param(
    "timeout_sec",
    ("--timeout-sec",),
    "Stop waiting after this many seconds; nothing is cancelled.",
    "number",
    metavar="SECONDS",
)

WAIT: tuple[Param, ...] = (
    Param("wait", ("--wait",), "Follow the deployment until it ends. The default on the command line.", "switch"),
    Param("no_wait", ("--no-wait",), "Return at once; the deployment continues.", "switch"),
    TIMEOUT,
)


@contextmanager
def going_on(context: Context, name: str) -> Iterator[None]:
    """An interrupt after a deployment of the service `name` was begun is `WaitInterrupted`, for it continues."""
    from mldeploy_jupyter.api.webservices import deployments

    before = len(deployments.begun)
    try:
        yield
    except KeyboardInterrupt:
        if len(deployments.begun) == before:
            raise
        raise interrupted(context, name) from None


def check_waiting(args: Args) -> None:
    """Raises `UsageError` when `--wait` and `--no-wait` are both given."""
    if args.wait and args.no_wait:
        raise UsageError("--wait and --no-wait exclude each other", why="both are given", hint="leave one of them out")


def must_wait(context: Context, args: Args) -> bool:
    """Whether a command that begins a deployment waits for its end."""
    return bool(args.wait or (context.wait_by_default and not args.no_wait))


def finish(context: Context, args: Args, service: Any, python: str, *, is_shown: bool = False) -> Result:
    """The result of a command that began a deployment, once the deployment was shown and, if asked, waited for.

    Raises the deployment's error, or `WaitInterrupted`.
    """
    wait = must_wait(context, args)
    if is_shown:
        pass
    elif context.show_deployment is not None:
        context.show_deployment(service, wait, args.timeout_sec)
    elif wait:
        follow(context, service, args.timeout_sec)
    if wait:
        return service_result(service, python)
    text = f"{service.name} is being deployed. Follow it with: {context.command_line(f'service wait {service.name}')}"
    # The service's state needs a request to its supervisor; only commands that print the data wait for it.
    data = service.serialize() if context.json or context.show_deployment is None else None
    return Result(service, text, data, python)


def wait_for_earlier(context: Context, service: Any) -> None:
    """Waits for a deployment of the service that is under way, so that a cell may change it next.

    Raises the deployment's error when no revision serves, and `WaitInterrupted`.
    """
    record = service.record
    last = service.workspace.folder.open_store().get_deployment(record.deployment_id)
    # The service is Live a moment before the deployment's own record says so.
    if record.state not in ("Deploying", "Updating") and (last is None or last.state != "running"):
        return
    context.note(f"waiting for the deployment of {service.name} ...")
    try:
        service.wait_for_deployment()
    except (DeploymentFailed, DeploymentCancelled, DeploymentInterrupted):
        if not service.record.revision:
            raise
    except KeyboardInterrupt:
        raise interrupted(context, service.name, service) from None


def follow(context: Context, service: Any, timeout_sec: float | None) -> None:
    """Shows the deployment on the error stream until it ends, for at most `timeout_sec` seconds.

    Raises the deployment's error, or `WaitInterrupted`.
    """
    try:
        _follow(context, service, timeout_sec)
    except KeyboardInterrupt:
        raise interrupted(context, service.name, service) from None


def _follow(context: Context, service: Any, timeout_sec: float | None) -> None:
    from mldeploy_jupyter.api.webservices.waiting import STATUS_CHECK_SECONDS
    from mldeploy_jupyter.core.journal.terminal import Screen, follow_deployment

    store = service.workspace.folder.open_store()
    begun = checked = context.clock()

    def seconds_left() -> float | None:
        return None if timeout_sec is None else max(0.0, timeout_sec - (context.clock() - begun))

    def ended() -> bool:
        nonlocal checked
        if context.clock() - checked < STATUS_CHECK_SECONDS:
            return seconds_left() == 0
        checked = context.clock()
        service.update_deployment_state()  # detects a dead runner
        record = store.get_deployment(service.deployment_id)
        return record is None or record.state != "running" or seconds_left() == 0

    if not context.json or context.isatty:
        cancel = context.command_line(f"service cancel {service.name}")
        # errors=False: the error is raised below, and shown by the caller.
        follow_deployment(service.journal, Screen(context.err), stop=ended, errors=False, cancel=cancel)
    service.wait_for_deployment(timeout_sec=seconds_left())


def interrupted(context: Context, name: str, service: Any = None) -> WaitInterrupted:
    """The error of a wait for the service `name` that the user has ended."""
    return WaitInterrupted(
        "stopped waiting; the deployment continues",
        why="the wait was interrupted, and an interrupt cancels nothing",
        hint=f"attach again with: {context.command_line(f'service wait {name}')}",
        value=service,
    )


def service_result(service: Any, python: str) -> Result:
    """The service as a result: its state, target and addresses as text."""
    data = service.serialize()
    text = listing(
        {
            "name": service.name,
            "state": service.shown_state,
            "target": "Docker" if data.get("imageId") else data.get("computeType"),
            "scoring uri": data.get("scoringUri"),
            "swagger uri": data.get("swaggerUri"),
        }
    )
    return Result(service, text, data, python)
