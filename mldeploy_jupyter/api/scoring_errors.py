"""Says why a request failed, where the service on this machine knows more than its answer tells."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mldeploy_jupyter import engine

if TYPE_CHECKING:
    from mldeploy_jupyter.core.errors import ScoringError
    from mldeploy_jupyter.core.records import ServiceRecord
    from mldeploy_jupyter.core.workspace import WorkspaceFolder


def explain(folder: WorkspaceFolder, service: ServiceRecord, error: ScoringError) -> None:
    """Puts what the script raised, and the line of the cell, into an error that answers 500.

    An answer never carries them, for it goes to clients; the log of a service on this machine is its owner's.
    """
    if error.status_code != 500 or not error.request_id or engine.elsewhere(folder, service):
        return
    raised, where = engine.of_request(folder, service, error.request_id)
    if raised:
        error.why, error.where = raised, where
        if raised.startswith(("JSONDecodeError", "json.JSONDecodeError", "orjson.JSONDecodeError")):
            error.hint = f"is the input JSON? Correct it; or correct the line and update {service.name}"
            return
        error.hint = f"correct the line and update {service.name}; the log has the traceback at {error.request_id}"
