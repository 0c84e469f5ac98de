"""Reads the entry points of the installed packages once, before the fork.

Libraries look for their plugins at their first call (scikit-learn does, through narwhals), and so read a file of every
installed package: in each new worker, during its first request. Here the answer of the standard library is cached, and
asked for again as soon as anything that it depends on has changed.
"""

from __future__ import annotations

import os
import sys
from importlib import metadata
from typing import Any

_DISTRIBUTIONS = (".dist-info", ".egg-info", ".egg", ".egg-link")

_read_entry_points = metadata.entry_points


def cache_entry_points() -> None:
    """Makes `importlib.metadata.entry_points(...)` answer from a cache while the installed packages stay the same."""
    cached: Any = _read_entry_points()
    cached_state = _installation_state()

    def entry_points(**params: Any) -> Any:
        valid = params and _installation_state() == cached_state
        return cached.select(**params) if valid else _read_entry_points(**params)

    entry_points.__doc__ = _read_entry_points.__doc__
    metadata.entry_points = entry_points


def _installation_state() -> list[Any]:
    """What the answer depends on: the finders of packages, and the folders that have some, with their last change."""
    state: list[Any] = [finder for finder in sys.meta_path if hasattr(finder, "find_distributions")]
    for entry in sys.path:
        folder = entry or os.curdir
        try:
            if not os.path.isdir(folder) or any(name.endswith(_DISTRIBUTIONS) for name in os.listdir(folder)):
                state.append((folder, os.stat(folder).st_mtime_ns))
        except OSError:
            continue  # it does not exist
    return state
