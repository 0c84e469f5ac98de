"""The shape of the source tree: what a reader relies on to find a room from its name."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import mldeploy_jupyter

PACKAGE = Path(mldeploy_jupyter.__file__).parent
ROOT = PACKAGE.parent
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


def test_the_pages_for_developers_name_files_that_exist() -> None:
    folders = [ROOT / name for name in ("mldeploy_jupyter", "tests", "docs", "labextension/src")]
    files = {f"/{path.relative_to(ROOT)}" for folder in folders for path in folder.rglob("*.[pt]*") if path.is_file()}
    files |= {f"/{path.relative_to(ROOT)}" for path in (ROOT / "labextension").glob("*.mjs")}
    for page in ("ARCHITECTURE.md", "CONTRIBUTING.md"):
        named = set(re.findall(r"`([\w./-]+\.(?:py|tsx?|mjs))`", (ROOT / page).read_text()))
        assert named
        assert sorted(name for name in named if not any(file.endswith(f"/{name}") for file in files)) == [], page


def test_the_architecture_names_the_layers_that_are_checked() -> None:
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    layers = next(one["layers"] for one in contracts if one["containers"] == ["mldeploy_jupyter"])
    named = re.search(r"Imports go down only: (.*?)\. `serving`", (ROOT / "ARCHITECTURE.md").read_text(), re.DOTALL)
    assert named is not None
    assert [layer.strip("` ") for layer in named[1].replace("\n", " ").split(">")] == layers
