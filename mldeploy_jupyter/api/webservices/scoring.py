"""Calls a service for `Webservice.run`: the client of its address, and the reason why a call failed."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, TypeVar

from mldeploy_jupyter import deployment
from mldeploy_jupyter.api.webservices import deployments
from mldeploy_jupyter.api.webservices.log_text import short_id
from mldeploy_jupyter.api.webservices.waiting import STATUS_CHECK_SECONDS
from mldeploy_jupyter.core.errors import ScoringError
from mldeploy_jupyter.core.scoring_client import NothingSent, ScoringClient

if TYPE_CHECKING:
    import requests

    from mldeploy_jupyter.core.records import ServiceRecord
    from mldeploy_jupyter.core.workspace.folder import WorkspaceFolder

Called = TypeVar("Called")

LAST_EXIT_AGE = timedelta(seconds=10)  # a worker that ended longer ago did not cause the failure at hand
LAST_EXIT_WAIT = 3.0  # seconds to wait for its record, which the supervisor writes after the connections broke
LAST_EXIT_POLL = 0.05  # seconds between two reads of it


class ServiceCaller:
    """Calls one service at the address where it serves now.

    `find_uri` returns the scoring URI and may wait for a deployment. It takes longer than a small request, so it is
    called only when this process began a deployment since, when the last call got no answer, or after
    `STATUS_CHECK_SECONDS`. `credential` returns the key or token, or "". `refuse` returns why what listens at a URI is
    not proven to be the service, or "".
    """

    def __init__(
        self,
        find_uri: Callable[[], str],
        credential: Callable[[], str],
        refuse: Callable[[str], str] = lambda uri: "",
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._find_uri, self._credential, self._refuse, self._clock = find_uri, credential, refuse, clock
        self._client: ScoringClient | None = None
        self._checked: float | None = None
        self._begun = 0

    def run(self, data: Any) -> Any:
        """The service's answer to `data`. Raises `ScoringError`, and what `find_uri` and `credential` raise."""
        return self._call(lambda client: client.run(data))

    def send(self, body: bytes, headers: dict[str, str]) -> requests.Response:
        """The response to one request, of any status. Raises like `run` when there is none."""
        return self._call(lambda client: client.post(body, headers))

    def read_document(self) -> dict[str, Any] | None:
        """The service's OpenAPI document, at most two seconds old; None when it has none. Raises like `run`."""
        return self._call(lambda client: client.read_document())

    def read_metrics(self) -> str:
        """The service's metrics as text; "" when it has none. Raises like `run`."""
        return self._call(lambda client: client.read_metrics())

    def _call(self, act: Callable[[ScoringClient], Called]) -> Called:
        client = self._current_client()
        try:
            try:
                return act(client)
            except NothingSent:  # the service may have moved to another port
                self._checked = None
                moved = self._current_client()
                if moved is client:
                    raise
                return act(moved)
        except ScoringError as error:
            if not error.request_id:
                self._checked = None  # the service did not answer: it may have moved
            raise

    def close(self) -> None:
        """Closes the open connections."""
        if self._client is not None:
            self._client.close()

    def _current_client(self) -> ScoringClient:
        now, begun = self._clock(), len(deployments.begun)
        fresh = self._checked is not None and begun == self._begun and now - self._checked <= STATUS_CHECK_SECONDS
        if self._client is None or not fresh:
            if self._client is None:
                # What the first request needs, imported now: the URI may wait for a deployment.
                from mldeploy_jupyter.core import checked_connections  # noqa: F401
            uri = self._find_uri()
            if self._client is None or self._client.uri != uri:
                self.close()
                self._client = ScoringClient(uri, self._credential, refuse=lambda: self._refuse(uri))
            self._begun, self._checked = begun, now
        return self._client


def explain_error(folder: WorkspaceFolder, record: ServiceRecord, error: ScoringError) -> None:
    """Adds to the error of a call why it failed, and the command that helps."""
    if error.request_id:
        _explain_script_error(folder, record, error)
    else:
        _explain_no_answer(folder, record, error)


def _explain_no_answer(folder: WorkspaceFolder, record: ServiceRecord, error: ScoringError) -> None:
    """An error without a request id did not come from the service."""
    status, name = deployment.query_status(folder, record), record.name
    if status.state == "Stopped" or (status.failure or {}).get("code") == "supervisor-lost":
        error.what = f"{name} does not run"
        error.why = "it was stopped" if status.state == "Stopped" else "its supervisor process is gone"
        if isinstance(error, NothingSent):
            error.why += "; another program listens on its port, and was sent nothing"
        elif error.status_code is not None:
            error.why += "; another program answered on its port"
        error.hint = f"start it with `mldeploy service start {name}`"
    elif isinstance(error, NothingSent):
        error.hint = f"see its state with `mldeploy service show {name}`"
    elif error.status_code is None:
        broken = any(word in error.why for word in ("aborted", "reset", "Disconnected", "Broken pipe"))
        end = _wait_for_worker_exit(folder, record, status) if broken else None
        if end is not None:
            from mldeploy_jupyter.core.diagnosis import explain

            cause = explain(end, settings={"service": name, "updating": True})
            error.why, error.hint = f"{cause.what}: {cause.why}", cause.hint
            return
        see = f"`mldeploy service show {name}` and its log with `mldeploy service get-logs {name}`"
        error.hint = f"see its state with {see}"


def _wait_for_worker_exit(folder: WorkspaceFolder, record: ServiceRecord, status: Any) -> dict[str, Any] | None:
    """How a worker ended a moment ago, or None when none did within `LAST_EXIT_WAIT`."""
    for _ in range(round(LAST_EXIT_WAIT / LAST_EXIT_POLL)):
        end = status.details.get("last_exit")
        if end and datetime.now(UTC) - datetime.fromisoformat(end["time"]) < LAST_EXIT_AGE:
            return dict(end)
        time.sleep(LAST_EXIT_POLL)
        status = deployment.query_status(folder, record)
    return None


def _explain_script_error(folder: WorkspaceFolder, record: ServiceRecord, error: ScoringError) -> None:
    """Adds what the script raised, and the line of the cell, to an error with status 500.

    The answer itself goes to clients and must not carry them; the log on this machine is its owner's to read.
    """
    if error.status_code != 500 or deployment.remote_location(folder, record):
        return
    raised, where, cause = deployment.find_request_error(folder, record, error.request_id)
    if not raised:
        return
    error.why, error.where = raised, where
    log = f"mldeploy service get-logs {record.name}"
    traceback = f"the log has the traceback, with {short_id(error.request_id)} on each line: {log}"
    if raised.startswith(("JSONDecodeError", "json.JSONDecodeError", "orjson.JSONDecodeError")):
        error.hint = f"is the input JSON? Correct it; or correct the line and update {record.name}"
    elif cause is not None:
        error.why = f"{cause.what}: {raised}"
        error.hint = f"{cause.hint}; {traceback}"
    else:
        error.hint = f"correct the line and update {record.name}; {traceback}"
