"""The entry points of the installed packages, read once before the fork.

Libraries look for their plugins at their first call (scikit-learn does, through narwhals), which reads a file of every
installed package: in each new worker, and in its first request, while somebody waits. Only the standard library is
asked here, and its own answer is given; it is asked again as soon as anything that it would look at is not the same.
"""

from __future__ import annotations

import os
import sys
from importlib import metadata
from typing import Any

_DISTRIBUTIONS = (".dist-info", ".egg-info", ".egg", ".egg-link")

_ask = metadata.entry_points


def remember() -> None:
    """From now on `importlib.metadata.entry_points(...)` answers from what is installed now, while that stays."""
    found: Any = _ask()
    seen = _seen()

    def entry_points(**params: Any) -> Any:
        return found.select(**params) if params and _seen() == seen else _ask(**params)

    entry_points.__doc__ = _ask.__doc__
    metadata.entry_points = entry_points


def _seen() -> list[Any]:
    """What the answer depends on: who looks for packages, and the places that have some, each with its last change."""
    found: list[Any] = [finder for finder in sys.meta_path if hasattr(finder, "find_distributions")]
    for place in sys.path:
        folder = place or os.curdir
        try:
            if not os.path.isdir(folder) or any(name.endswith(_DISTRIBUTIONS) for name in os.listdir(folder)):
                found.append((folder, os.stat(folder).st_mtime_ns))
        except OSError:
            continue  # it is not there
    return found
