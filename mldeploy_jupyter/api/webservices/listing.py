"""The filters of `Webservice.list`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mldeploy_jupyter.api.tag_filters import matches, parse_filter
from mldeploy_jupyter.api.webservices.details import print_note
from mldeploy_jupyter.api.webservices.migrated import compute_type_of
from mldeploy_jupyter.core.errors import UserErrorException
from mldeploy_jupyter.deployment import recover_lost_deployments

if TYPE_CHECKING:
    from mldeploy_jupyter.core.records import RevisionRecord, ServiceRecord
    from mldeploy_jupyter.core.store.store import Store
    from mldeploy_jupyter.core.workspace.folder import WorkspaceFolder

# v1's names, and "Local", which v1 never listed.
COMPUTE_TYPES = ("Local", "ACI", "AKS", "AKSENDPOINT")


def list_records(
    folder: WorkspaceFolder | None,
    compute_type: str | None = None,
    model_name: str | None = None,
    model_id: str | None = None,
    tags: Any = None,
    properties: Any = None,
) -> list[ServiceRecord]:
    """The records of the services that match every given filter, oldest first.

    `tags` and `properties` are filters as in `Model.list`.

    Raises:
        UserErrorException: an unknown compute type, or a filter of another form.
    """
    wanted_type = None if compute_type is None else _parse_compute_type(compute_type)
    wanted_tags, wanted_properties = parse_filter("tags", tags), parse_filter("properties", properties)
    if folder is None:
        return []
    recover_lost_deployments(folder, print_note)
    store = folder.open_store()
    by_model = bool(model_name or model_id)
    live = {(one.service, one.number): one for one in store.list_revisions(outcome="live")} if by_model else {}
    return [
        record
        for record in sorted(store.list_services(), key=lambda record: record.created_time)
        if wanted_type in (None, compute_type_of(record))
        and matches(record.tags, wanted_tags)
        and matches(record.properties, wanted_properties)
        and (not by_model or _serves(store, record, live, model_name, model_id))
    ]


def _parse_compute_type(text: str) -> str:
    for known in COMPUTE_TYPES:
        if known.lower() == str(text).lower():
            return known
    raise UserErrorException(
        f"{text!r} is not a compute type",
        why=f"the compute types are {', '.join(COMPUTE_TYPES)}",
        hint="leave it out to list every service",
    )


def _serves(
    store: Store,
    record: ServiceRecord,
    live: dict[tuple[str, int], RevisionRecord],
    model_name: str | None,
    model_id: str | None,
) -> bool:
    """Whether the live revision has the model of that name and of that id, as far as given.

    `live` has the revisions whose outcome is live; a deployment that ends now may have changed that since.
    """
    revision = live.get((record.name, record.revision))
    if revision is None and record.revision:
        revision = store.get_revision(record.name, record.revision)
    models = revision.models if revision else []
    names = [model.rpartition(":")[0] for model in models]
    return (not model_id or model_id in models) and (not model_name or model_name in names)
