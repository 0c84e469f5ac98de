"""The filters of `Webservice.list`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

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


class LiveFilter(NamedTuple):
    """What the live revision of a service must have; None for anything."""

    model_name: str | None
    model_id: str | None
    image_name: str | None
    image_id: str | None
    image_digest: str | None

    def matches(self, revision: RevisionRecord | None) -> bool:
        """An image's name may be given with or without its tag."""
        if revision is None:
            return False
        names = [model.rpartition(":")[0] for model in revision.models]
        repository, colon, tag = revision.image.rpartition(":")
        images = {revision.image, repository if colon and "/" not in tag else revision.image}
        return (
            (not self.model_name or self.model_name in names)
            and (not self.model_id or self.model_id in revision.models)
            and (not self.image_name or self.image_name in images)
            and (not self.image_id or self.image_id == revision.image_id)
            and (not self.image_digest or self.image_digest == revision.image_digest)
        )


def list_records(
    folder: WorkspaceFolder | None,
    compute_type: str | None = None,
    model_name: str | None = None,
    model_id: str | None = None,
    tags: Any = None,
    properties: Any = None,
    *,
    image_name: str | None = None,
    image_id: str | None = None,
    image_digest: str | None = None,
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
    wanted = LiveFilter(model_name, model_id, image_name, image_id, image_digest)
    live = {(one.service, one.number): one for one in store.list_revisions(outcome="live")} if any(wanted) else {}
    return [
        record
        for record in sorted(store.list_services(), key=lambda record: record.created_time)
        if wanted_type in (None, compute_type_of(record))
        and matches(record.tags, wanted_tags)
        and matches(record.properties, wanted_properties)
        and (not any(wanted) or wanted.matches(_find_live(store, record, live)))
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


def _find_live(
    store: Store, record: ServiceRecord, live: dict[tuple[str, int], RevisionRecord]
) -> RevisionRecord | None:
    """The live revision. `live` has those whose outcome was live; a deployment may have ended since it was read."""
    revision = live.get((record.name, record.revision))
    if revision is None and record.revision:
        revision = store.get_revision(record.name, record.revision)
    return revision
