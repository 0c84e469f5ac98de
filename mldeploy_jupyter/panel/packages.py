"""What the answers to requests import, named so that one thread imports it before others answer.

Requests are answered in threads, and of two threads that import the same package at the same time one may get half of
it. A Jupyter server imports these before its first answer; a kernel while it is idle (`notebook/panels.py`, which names
them again, because this package is heavy itself).
"""

from __future__ import annotations

from contextlib import suppress
from importlib import import_module

PACKAGES = (
    "mldeploy_jupyter.api.webservices",
    "mldeploy_jupyter.targets.process",
    "sqlalchemy.dialects.sqlite",
    "mldeploy_jupyter.core.checked_connections",
    "packaging.requirements",
    "packaging.tags",
    "packaging.utils",
    "numpy.ma",
)


def import_packages() -> None:
    """Imports them all; an error is left to the request that needs the package."""
    for name in PACKAGES:
        with suppress(ImportError):
            import_module(name)
