"""`Webservice.list` and its filters."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mldeploy_jupyter.api.arguments import WorkspaceLike, check_workspace
from mldeploy_jupyter.api.tag_filters import matches, parse_filter
from mldeploy_jupyter.core.errors import UserErrorException

if TYPE_CHECKING:
    from mldeploy_jupyter.api.webservices.webservice import Webservice


# v1's words, and ours for the local target, which v1 never listed.
COMPUTE_TYPES = ("Local", "ACI", "AKS", "AKSENDPOINT")


def list_services(
    workspace: WorkspaceLike,
    compute_type: str | None = None,
    model_name: str | None = None,
    model_id: str | None = None,
    tags: Any = None,
    properties: Any = None,
    *,
    image: str | None = None,
) -> list[Webservice]:
    """The services for which every given filter holds, oldest first.

    `tags` and `properties`: as those of `Model.list`.

    Raises:
        UserErrorException: an unknown compute type, a filter of another form.
    """
    from mldeploy_jupyter.api.webservices.webservice import Webservice

    wanted = None
    if compute_type is not None:
        wanted = next((known for known in COMPUTE_TYPES if known.lower() == str(compute_type).lower()), None)
        if wanted is None:
            raise UserErrorException(
                f"{compute_type!r} is not a compute type",
                why=f"the compute types are {', '.join(COMPUTE_TYPES)}",
                hint="leave it out to list every service",
            )
    tags, properties = parse_filter("tags", tags), parse_filter("properties", properties)
    folder = check_workspace(workspace).find_folder()
    if folder is None:
        return []
    store = folder.open_store()
    found = []
    for record in sorted(store.list_services(), key=lambda record: record.created_time):
        revision = store.get_revision(record.name, record.revision) if record.revision else None
        models = revision.models if revision else []
        if wanted and record.compute_type != wanted:
            continue
        if model_id and model_id not in models:
            continue
        if model_name and model_name not in [model.rpartition(":")[0] for model in models]:
            continue
        if not matches(record.tags, tags) or not matches(record.properties, properties):
            continue
        if image is not None:  # a process has no image
            continue
        found.append(Webservice(workspace, record.name))
    return found
