"""The changes that a view may request: of a service, and the cancel or retry of a deployment."""

from __future__ import annotations

from datetime import UTC
from typing import TYPE_CHECKING, Any

from mldeploy_jupyter import deployment
from mldeploy_jupyter.panel.context import PanelContext
from mldeploy_jupyter.panel.deployments.timelines import find_deployment
from mldeploy_jupyter.panel.failures import FieldError

if TYPE_CHECKING:
    from mldeploy_jupyter.core.records import DeploymentRecord
    from mldeploy_jupyter.core.workspace.folder import WorkspaceFolder


def answer_scale(context: PanelContext, parameters: dict[str, Any]) -> dict[str, str]:
    """The answer to `service.scale`: a new revision with another number of workers."""
    return _update(context, parameters, settings={"worker_count": parameters["workers"]})


def answer_reload(context: PanelContext, parameters: dict[str, Any]) -> dict[str, str]:
    """The answer to `service.reload`: reads the entry script again."""
    return _update(context, parameters, reload=True)


def _update(context: PanelContext, parameters: dict[str, Any], **changes: Any) -> dict[str, str]:
    from mldeploy_jupyter.api.webservices import deployments

    workspace = context.workspace(parameters.get("workspace", ""))
    update = deployments.ServiceUpdate(**changes)
    detached = deployments.needs_process(None, wait=False)
    return _begun(deployments.begin_update(workspace, parameters["service"], update, detached=detached))


def answer_rollback(context: PanelContext, parameters: dict[str, Any]) -> dict[str, str]:
    """The answer to `service.rollback`: serves `revision` again, by default the one before."""
    from mldeploy_jupyter.api.webservices import deployments

    folder, number = _folder(context, parameters), parameters.get("revision")
    detached = deployments.needs_process(None, wait=False)
    return _begun(deployments.begin_rollback(folder, parameters["service"], number, detached=detached))


def answer_retry(context: PanelContext, parameters: dict[str, Any]) -> dict[str, str]:
    """The answer to `deployment.retry`."""
    from mldeploy_jupyter.api.webservices import deployments

    found = find_deployment(context, parameters["deployment"], parameters.get("workspace", ""))
    detached = deployments.needs_process(None, wait=False)
    return _begun(deployments.begin_retry(found.folder, found.record.id, detached=detached))


def _begun(record: DeploymentRecord) -> dict[str, str]:
    from mldeploy_jupyter.api.webservices import deployments

    deployments.unreported.discard(record.id)  # the view shows how it ends; no later call raises that again
    return {"deployment": record.id}


def answer_cancel(context: PanelContext, parameters: dict[str, Any]) -> dict[str, Any]:
    """The answer to `deployment.cancel`. The deployment ends a moment later."""
    found = find_deployment(context, parameters["deployment"], parameters.get("workspace", ""))
    name = found.record.service
    if not found.running:
        return {"cancelled": False, "text": f"The deployment of {name} has ended already."}
    if deployment.cancel_deployment(found.folder, name, found.record.id):
        return {"cancelled": True, "text": f"Cancelling the deployment of {name}."}
    return {"cancelled": False, "text": f"The deployment of {name} has ended, or another one was begun since."}


def answer_restart(context: PanelContext, parameters: dict[str, Any]) -> dict[str, str]:
    """The answer to `service.restart`."""
    deployment.control_service(_folder(context, parameters), parameters["service"], "restart")
    return {"text": f"Restarted {parameters['service']}: its workers were replaced one by one."}


def answer_stop(context: PanelContext, parameters: dict[str, Any]) -> dict[str, str]:
    """The answer to `service.stop`."""
    notes: list[str] = []
    deployment.control_service(_folder(context, parameters), parameters["service"], "stop", notes.append)
    return _with_notes(context, f"Stopped {parameters['service']}. It keeps its name, keys, revisions and port.", notes)


def answer_start(context: PanelContext, parameters: dict[str, Any]) -> dict[str, str]:
    """The answer to `service.start`."""
    from mldeploy_jupyter.api.webservices import control

    notes: list[str] = []
    control.start(_folder(context, parameters), parameters["service"], notes.append)
    return _with_notes(context, f"Started {parameters['service']}.", notes)


def _with_notes(context: PanelContext, text: str, notes: list[str]) -> dict[str, str]:
    return {"text": " ".join([text, *(f"{context.words(note.rstrip('.'))}." for note in notes)])}


def answer_delete(context: PanelContext, parameters: dict[str, Any]) -> dict[str, Any]:
    """The answer to `service.delete`. `confirm` must be the service's name; `left` proves that nothing is left."""
    name, folder = parameters["service"], _folder(context, parameters)
    if parameters["confirm"] != name:
        raise FieldError(
            "confirm",
            f"{name} was not deleted",
            why=f"{parameters['confirm'][:80]!r} is not its name",
            hint=f"type {name} to delete it",
        )
    deployment.delete_service(folder, name)
    left = [str(path) for path in (folder.services / name,) if path.exists()]
    left += [f"the record of {name}"] if folder.open_store().get_service(name) is not None else []
    return {"text": f"Deleted {name}. Its models stay registered.", "left": left}


def answer_keys(context: PanelContext, parameters: dict[str, Any]) -> dict[str, str]:
    """The answer to `service.keys`: the keys, or a new token; all empty where requests need neither."""
    from mldeploy_jupyter.api.webservices import Webservice

    service = Webservice(context.workspace(parameters.get("workspace", "")), parameters["service"])
    found = {"primary": "", "secondary": "", "token": "", "expires": ""}
    if service.token_auth_enabled:
        token = service.get_access_token()
        expires = token.expiry_on.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
        return {**found, "token": token.access_token, "expires": expires}
    if service.auth_enabled:
        primary, secondary = service.get_keys()
        return {**found, "primary": primary, "secondary": secondary}
    return found


def answer_regenerate(context: PanelContext, parameters: dict[str, Any]) -> dict[str, str]:
    """The answer to `service.regenKey`."""
    name, which = parameters["service"], parameters["key"]
    deployment.regenerate_key(_folder(context, parameters), name, which)
    if which == "token":
        return {"text": f"The tokens that {name} gave before no longer work."}
    return {"text": f"{name} has a new {which} key, and the old one no longer works. The other key stays valid."}


def _folder(context: PanelContext, parameters: dict[str, Any]) -> WorkspaceFolder:
    return context.folder(parameters.get("workspace", ""))
