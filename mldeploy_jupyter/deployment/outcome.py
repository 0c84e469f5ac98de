"""Records how a deployment ended, in the store and in its journal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from mldeploy_jupyter.core.configs import passed_settings
from mldeploy_jupyter.core.records import RevisionRecord, utc_now

if TYPE_CHECKING:
    from mldeploy_jupyter.core.journal.journal import Journal
    from mldeploy_jupyter.core.store.store import Store
    from mldeploy_jupyter.targets import Endpoint


_CANCELLED = {
    "code": "cancelled",
    "what": "the deployment was cancelled",
    "why": "someone asked for it before it was live",
    "hint": "deploy it again when you want it",
}


def record_live(
    store: Store, journal: Journal, revision: RevisionRecord, endpoint: Endpoint, text: str = "", **event_data: Any
) -> None:
    """Records that the target has switched to a revision. Calling it again changes nothing.

    Nor does a call for a deployment whose end is recorded already: its process had been stopped, and was resumed.
    """
    deployment = store.get_deployment(revision.deployment_id)
    if deployment is not None and deployment.state != "running":
        return
    target: dict[str, Any] = {"target": deployment.target} if deployment is not None and deployment.target else {}
    passed = passed_settings(revision.deploy_config)
    store.promote_revision(  # becomes durable with the deployment's end, which is written last
        revision.service,
        revision.number,
        state="Live",
        endpoint={key: value for key, value in endpoint.to_dict().items() if key != "modules"},
        auth_enabled=passed.get("auth_enabled") is not False and passed.get("token_auth_enabled") is not True,
        updated_time=utc_now(),
        error=None,
        **target,
    )
    event_data |= {"scoring_uri": endpoint.scoring_uri, "revision": revision.number}
    journal.write("", "state", text, state="live", **event_data)
    # Written last: waiters read the other records once this one appears.
    store.update_deployment(revision.deployment_id, state="live", finished_time=utc_now())


def record_not_live(
    store: Store,
    journal: Journal,
    service_name: str,
    deployment_id: str,
    state: Literal["failed", "cancelled", "interrupted"],
    text: str,
    *,
    revision: int = 0,
    cause: dict[str, Any] | None = None,
    **event_data: Any,
) -> None:
    """Records that a deployment ended without becoming live; the old revision, if there is one, keeps serving.

    `revision` is the number of the deployment's revision, 0 if it has none yet. Changes nothing when the end is
    recorded already, as in `record_live`.
    """
    if _has_ended(store, deployment_id):
        return
    service = store.get_service(service_name)
    serving = service.revision if service else 0
    if revision and store.get_revision(service_name, revision) is not None:  # the number may be damaged
        store.update_revision(service_name, revision, outcome="failed")
    # An interrupted deployment says nothing about the service, so the last error stays.
    error: dict[str, Any] = {} if state == "interrupted" else {"error": cause}
    if state == "cancelled" and not serving:  # a service that was never live has failed or was cancelled: say which
        error = {"error": _CANCELLED}
    store.update_service(service_name, state="Live" if serving else "Failed", updated_time=utc_now(), **error)
    if state == "failed":
        event_data["cause"] = cause
    journal.write("", "state", text, state=state, serving=serving, **event_data)
    # Written last: waiters read the other records once this one appears.
    store.update_deployment(deployment_id, state=state, finished_time=utc_now(), cause=cause)


def _has_ended(store: Store, deployment_id: str) -> bool:
    deployment = store.get_deployment(deployment_id)
    return deployment is not None and deployment.state != "running"
