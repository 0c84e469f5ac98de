"""What changes a service that is there: the body of `Webservice.update`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mldeploy_jupyter.api import deploying, service_texts
from mldeploy_jupyter.core.errors import UserErrorException

if TYPE_CHECKING:
    from mldeploy_jupyter.api.webservice import Webservice
    from mldeploy_jupyter.core.records import DeploymentRecord


def update(
    service: Webservice,
    changed: dict[str, Any],
    settings: dict[str, Any],
    texts: dict[str, Any],
    *,
    detached: bool,
) -> DeploymentRecord | None:
    """Begins an update and returns its deployment; None when only texts change, which needs none.

    `changed` has models, inference_config and deployment_config; what is None stays. Raises `UserErrorException`
    when everything is None.
    """
    changed, settings, texts = _given(changed), _given(settings), service_texts.checked(texts)
    if changed or settings:
        return deploying.begin_update(
            service.workspace, service.name, **changed, settings=settings, texts=texts, detached=detached
        )
    if not texts:
        raise UserErrorException(
            f"nothing to update in {service.name}",
            why="every parameter is None",
            hint="pass models=, inference_config=, deployment_config= or a setting such as auth_enabled=",
        )
    service_texts.change(service, texts)
    return None


def _given(arguments: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in arguments.items() if value is not None}
