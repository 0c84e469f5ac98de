"""What is said of a service: tags, properties and description. Changing them makes no new revision."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from mldeploy_jupyter.api.arguments import check_json_dict, check_keys, check_text
from mldeploy_jupyter.core.configs import METADATA
from mldeploy_jupyter.core.errors import UserErrorException

if TYPE_CHECKING:
    from mldeploy_jupyter.api.webservices.webservice import Webservice
    from mldeploy_jupyter.core.records import ServiceRecord


Change = Callable[["ServiceRecord"], dict[str, Any]]


def checked(texts: Mapping[str, Any]) -> dict[str, Any]:
    """The texts that are given, as they are kept; a description of "" is none. Raises `WebserviceException`."""
    found: dict[str, Any] = {}
    for name in METADATA:
        value = texts.get(name)
        if value is not None:
            found[name] = check_text(name, value) if name == "description" else check_json_dict(name, value)
    return found


def merging(texts: Mapping[str, Any]) -> Change:
    """Replaces tags and description, adds properties. Raises `UserErrorException` for a property that would change."""

    def change(present: ServiceRecord) -> dict[str, Any]:
        properties = texts.get("properties", {})
        check_properties(present, properties)
        return {**texts, "properties": {**present.properties, **properties}}

    return change


def replacing(texts: Mapping[str, Any]) -> Change:
    """All three are those of `texts`: for a service that takes another's place."""
    return lambda present: {"tags": {}, "properties": {}, "description": None, **texts}


def change(service: Webservice, texts: Mapping[str, Any]) -> None:
    """Raises as `merging` does."""
    _change(service, merging(texts))


def add_tags(service: Webservice, tags: Any) -> None:
    added = check_json_dict("tags", tags)
    _change(service, lambda present: {"tags": {**present.tags, **added}})


def remove_tags(service: Webservice, tags: Any) -> None:
    removed = check_keys("tags", tags)
    _change(service, lambda present: {"tags": {k: v for k, v in present.tags.items() if k not in removed}})


def check_properties(service: ServiceRecord, properties: Mapping[str, Any]) -> None:
    """Raises `UserErrorException` when a property would change."""
    for name, value in properties.items():
        if name in service.properties and service.properties[name] != value:
            raise UserErrorException(
                f"the property {name} of {service.name} is {service.properties[name]!r} already",
                why="properties never change",
                hint="use a tag for what may change",
            )


def _change(service: Webservice, make: Change) -> None:
    service.workspace.folder.open_store().change_service(service.name, make)
