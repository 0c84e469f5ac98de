"""Which modules were imported, and when, without looking at them.

Looking at a module writes to it (its reference count), so that a forked process copies the page. `sys.modules` is in
the order of import: from its end only what is new has to be touched.
"""

from __future__ import annotations

import itertools
import sys


def imported_after(last: str) -> list[str]:
    """The names of the modules imported after `last`, in order of import; all of them if `last` is not imported."""
    while True:
        try:
            return list(itertools.takewhile(lambda name: name != last, reversed(sys.modules)))[::-1]
        except RuntimeError:  # another thread imported something meanwhile
            continue
