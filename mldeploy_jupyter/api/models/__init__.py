"""Registered models: register, find, describe, download, and the path a script loads them from.

Imports only `api.webservices`, `api.arguments`, `api.record_attribute`, `api.tag_filters` and the rooms below `api`.
"""

from mldeploy_jupyter.api.models.model import Model
from mldeploy_jupyter.api.models.resource_configuration import ResourceConfiguration

__all__ = ["Model", "ResourceConfiguration"]
