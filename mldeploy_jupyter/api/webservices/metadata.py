"""A service's metadata: tags, properties and description. Changing it makes no new revision."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from mldeploy_jupyter.api.arguments import check_json_dict, check_keys, check_text
from mldeploy_jupyter.core.configs import METADATA
from mldeploy_jupyter.core.errors import UserErrorException

if TYPE_CHECKING:
    from mldeploy_jupyter.core.records import ServiceRecord
    from mldeploy_jupyter.core.workspace.folder import WorkspaceFolder

# Given the service's record, returns the fields to set. The store calls it inside a transaction.
Change = Callable[["ServiceRecord"], dict[str, Any]]


def check(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """The values that are not None, as they are stored; a description of "" is stored as None.

    Raises `WebserviceException` or `UserErrorException` for a value of the wrong type.
    """
    checked: dict[str, Any] = {}
    for name in METADATA:
        value = metadata.get(name)
        if value is not None:
            checked[name] = check_text(name, value) if name == "description" else check_json_dict(name, value)
    return checked


def merge(metadata: Mapping[str, Any]) -> Change:
    """Replaces tags and description and adds properties. Raises `UserErrorException` when a property would change."""

    def merged(service: ServiceRecord) -> dict[str, Any]:
        properties = metadata.get("properties", {})
        check_properties(service, properties)
        return {**metadata, "properties": {**service.properties, **properties}}

    return merged


def replace_with(metadata: Mapping[str, Any]) -> Change:
    """Sets all three to those of `metadata`, for a service that takes the place of another."""
    return lambda service: {"tags": {}, "properties": {}, "description": None, **metadata}


def add_tags(tags: Any) -> Change:
    """Adds tags, replacing the value of an existing key. Raises `WebserviceException` when `tags` is not a dict."""
    added = check_json_dict("tags", tags)
    return lambda service: {"tags": {**service.tags, **added}}


def remove_tags(keys: Any) -> Change:
    """Removes tags; an unknown key is ignored. Raises `UserErrorException` when `keys` is not a list of strings."""
    removed = check_keys("tags", keys)
    return lambda service: {"tags": {key: value for key, value in service.tags.items() if key not in removed}}


def change(folder: WorkspaceFolder, name: str, make: Change) -> None:
    """Changes the metadata of the service `name`. Raises what `make` raises; then nothing changes."""
    folder.open_store().change_service(name, make)


def check_properties(service: ServiceRecord, properties: Mapping[str, Any]) -> None:
    """Raises `UserErrorException` when a property would change."""
    for name, value in properties.items():
        if name in service.properties and service.properties[name] != value:
            raise UserErrorException(
                f"the property {name} of {service.name} is {service.properties[name]!r} already",
                why="properties never change",
                hint="use a tag for what may change",
            )
