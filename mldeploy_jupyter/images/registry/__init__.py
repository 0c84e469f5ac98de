"""A client of container registries (OCI distribution specification). No engine is needed.

parse_reference(text)          registry, repository, tag and digest
Registry(host, credentials)    authenticated requests, retried while that may help
fetch_manifest(...)            what an image consists of, verified
push_image(...)                uploads missing blobs, several at a time, resumed after a lost connection

Imports only `core` and the types of `images`.
"""

from __future__ import annotations

from mldeploy_jupyter.images.registry.blobs import Blob, download_blob, has_blob, read_blob, upload_blob
from mldeploy_jupyter.images.registry.connection import Registry
from mldeploy_jupyter.images.registry.credentials import Credentials, find_credentials
from mldeploy_jupyter.images.registry.manifests import (
    Manifest,
    choose_platform,
    fetch_manifest,
    parse_manifest,
    put_manifest,
    wrong_platform,
)
from mldeploy_jupyter.images.registry.push import Pushed, PushedBlob, push_image
from mldeploy_jupyter.images.registry.reference import Reference, parse_reference

__all__ = [
    "Blob",
    "Credentials",
    "Manifest",
    "Pushed",
    "PushedBlob",
    "Reference",
    "Registry",
    "choose_platform",
    "download_blob",
    "fetch_manifest",
    "find_credentials",
    "has_blob",
    "parse_manifest",
    "parse_reference",
    "push_image",
    "put_manifest",
    "read_blob",
    "upload_blob",
    "wrong_platform",
]
