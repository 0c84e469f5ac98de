"""The shape of the source tree: what a reader relies on to find a room from its name."""

from __future__ import annotations

from pathlib import Path

import mldeploy_jupyter

PACKAGE = Path(mldeploy_jupyter.__file__).parent
MAX_MODULES = 20  # modules a folder; a longer list is not read but searched


def test_no_folder_is_wider_than_one_look() -> None:
    folders = [PACKAGE, *(path.parent for path in PACKAGE.rglob("__init__.py") if path.parent != PACKAGE)]
    wide = {
        str(folder.relative_to(PACKAGE.parent)): count
        for folder in folders
        if (count := sum(path.name != "__init__.py" for path in folder.glob("*.py"))) > MAX_MODULES
    }
    assert len(folders) > 20
    assert wide == {}


def test_every_folder_says_what_it_is_for() -> None:
    packages = sorted(PACKAGE.rglob("__init__.py"))
    assert packages
    assert [str(path.relative_to(PACKAGE)) for path in packages if not path.read_text().startswith('"""')] == []
