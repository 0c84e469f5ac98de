"""Requests of lists: models, their deletion, and the Python that gets a service or a model in a new cell."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mldeploy_jupyter.commands.python_code import program
from mldeploy_jupyter.core.errors import MldeployError
from mldeploy_jupyter.panel.context import PanelContext
from mldeploy_jupyter.panel.failures import FieldError
from mldeploy_jupyter.panel.lists.rows import Row, describe_models, find_users
from mldeploy_jupyter.panel.services.descriptions import find_service

if TYPE_CHECKING:
    from mldeploy_jupyter.api.workspace import Workspace
    from mldeploy_jupyter.core.workspace.folder import WorkspaceFolder


def answer_models(context: PanelContext, parameters: dict[str, Any]) -> list[Row]:
    """The answer to `model.list`: the models of one workspace, or with `all` those of every known one, by name."""
    if not parameters.get("all"):
        return _read_models(context.folder(parameters.get("workspace", "")))
    found: list[Row] = []
    for workspace in context.known():
        try:
            found += _read_models(workspace.folder)
        except MldeployError:  # one workspace that cannot be read hides no other
            continue
    return found


def _read_models(folder: WorkspaceFolder) -> list[Row]:
    lists = folder.open_store().list_reader().read()
    return list(describe_models(folder.id, lists.models, find_users(lists.services, lists.live)).values())


def answer_service_cell(context: PanelContext, parameters: dict[str, Any]) -> dict[str, str]:
    """The answer to `service.cell`. Raises `WebserviceNotFound`."""
    service = find_service(context, parameters)
    text = program(f"service = Webservice(ws, {service.name!r})", "service", workspace=_get_workspace(context, service))
    return {"text": text}


def answer_model_cell(context: PanelContext, parameters: dict[str, Any]) -> dict[str, str]:
    """The answer to `model.cell`. Raises `ModelNotFoundException`."""
    from mldeploy_jupyter.api.models import Model

    model = Model(context.workspace(parameters.get("workspace", "")), id=parameters["model"])
    return {"text": program(f"model = Model(ws, id={model.id!r})", "model", workspace=_get_workspace(context, model))}


def _get_workspace(context: PanelContext, thing: Any) -> str:
    """The Python that gets the workspace of a service or model; the notebook may be anywhere."""
    workspace: Workspace = thing.workspace
    if workspace is context.own:
        return "Workspace.from_config()"
    return f"Workspace.get(path={str(workspace.folder.root.parent)!r})"


def answer_delete_model(context: PanelContext, parameters: dict[str, Any]) -> dict[str, str]:
    """The answer to `model.delete`. `confirm` must be the model's id. Raises `ModelInUse` while a service needs it."""
    from mldeploy_jupyter.api.models import Model

    model = Model(context.workspace(parameters.get("workspace", "")), id=parameters["model"])
    if parameters["confirm"] != model.id:
        raise FieldError(
            "confirm",
            f"{model.id} was not deleted",
            why=f"{parameters['confirm'][:80]!r} is not its id",
            hint=f"type {model.id} to delete it",
        )
    model.delete()
    return {"text": f"Deleted {model.id}. Its number is not used again; `mldeploy prune` removes its files."}
