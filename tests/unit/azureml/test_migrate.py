"""`migrate()`: installed, undone, as an extension, and beside an installed azureml."""

from __future__ import annotations

import importlib
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from IPython.core.interactiveshell import InteractiveShell

import mldeploy_jupyter
from mldeploy_jupyter.azureml import MigrationTooLate, load_ipython_extension, migrate, unload_ipython_extension
from mldeploy_jupyter.azureml.finder import MigrationFinder
from mldeploy_jupyter.core import migration
from mldeploy_jupyter.core.errors import UserErrorException


def run(code: str, *, path: Path | None = None) -> str:
    """Runs `code` in a new interpreter and gives its output back."""
    lines = f"import sys; sys.path.insert(0, {str(path)!r})\n{code}" if path else code
    done = subprocess.run([sys.executable, "-W", "error", "-c", lines], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout


def installed_azureml(folder: Path, *, core: bool = True) -> Path:
    """A folder on `sys.path` with other azureml packages in it, as an installation leaves them."""
    root = folder / "azureml"
    (root / "train").mkdir(parents=True)
    (root / "train" / "__init__.py").write_text("where = 'installed'\n")
    if core:
        (root / "__init__.py").write_text("__path__ = __import__('pkgutil').extend_path(__path__, __name__)\n")
        (root / "core").mkdir()
        (root / "core" / "__init__.py").write_text("class Workspace: where = 'installed'\n")
    return folder


def test_migrate_prints_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    migrate()
    migrate()
    migrate(undo=True)
    migrate(undo=True)
    first, *rest = capsys.readouterr().out.splitlines()
    assert first.startswith("migrate(): imports of azureml.core and azureml.exceptions now resolve to mldeploy-jupyter")
    assert first.endswith(". What is different: docs/migrating.md")
    assert rest == [
        "migrate(): azureml imports already resolve to mldeploy-jupyter.",
        "migrate(undo=True): azureml imports no longer resolve to mldeploy-jupyter.",
        "migrate(undo=True): nothing to take back.",
    ]


def test_options_are_said_added_and_taken_back(capsys: pytest.CaptureFixture[str]) -> None:
    migrate(local=True)
    migrate(python="kernel")
    migrate()
    assert migration.current() == migration.Migration(local=True, kernel_python=True)
    migrate(local=False, quiet=True)
    assert migration.current() == migration.Migration(local=False, kernel_python=True)
    migrate(undo=True, quiet=True)
    assert migration.current() is None
    first, second, third = capsys.readouterr().out.splitlines()
    here = " ACI and AKS configurations deploy to this machine; compute targets are stand-ins."
    kernel = " The kernel's Python is used where an environment asks for one that is too old."
    assert first.endswith(f"resolve to mldeploy-jupyter.{here} What is different: docs/migrating.md")
    assert second == third == f"migrate(): azureml imports already resolve to mldeploy-jupyter.{here}{kernel}"


@pytest.mark.parametrize(
    ("options", "what"), [({"python": "3.6"}, "python is '3.6'"), ({"local": "yes"}, "local is 'yes'")]
)
def test_other_values_of_the_options_are_refused(options: dict[str, Any], what: str) -> None:
    with pytest.raises(UserErrorException, match=what):
        migrate(**options)
    assert migration.current() is None and not any(isinstance(finder, MigrationFinder) for finder in sys.meta_path)


def test_a_second_migrate_adds_no_second_finder() -> None:
    migrate(quiet=True)
    migrate(quiet=True)
    assert sum(isinstance(finder, MigrationFinder) for finder in sys.meta_path) == 1


def test_undo_removes_the_finder_and_the_v1_modules(migrated: None) -> None:
    importlib.import_module("azureml.core.webservice.aks")
    importlib.import_module("azureml.exceptions")
    migrate(undo=True, quiet=True)
    assert not [name for name in sys.modules if name == "azureml" or name.startswith("azureml.")]
    assert not any(isinstance(finder, MigrationFinder) for finder in sys.meta_path)


def test_the_extension_migrates_and_loads_the_magics(capsys: pytest.CaptureFixture[str]) -> None:
    shell = InteractiveShell()

    def has_magics() -> bool:
        return "deploy" in shell.magics_manager.magics["line"]

    load_ipython_extension(shell)
    load_ipython_extension(shell)
    assert has_magics()
    from azureml.core.webservice import Webservice  # type: ignore[import-not-found]

    from mldeploy_jupyter.api.webservices import Webservice as ours

    assert Webservice is ours
    unload_ipython_extension(shell)
    assert "azureml.core" not in sys.modules and not has_magics()
    assert len(capsys.readouterr().out.splitlines()) == 3
    # Magics that were loaded by themselves stay.
    mldeploy_jupyter.load_ipython_extension(shell)
    load_ipython_extension(shell)
    unload_ipython_extension(shell)
    assert has_magics()


def test_in_a_notebook_an_unknown_import_shows_no_traceback() -> None:
    code = """
from IPython.core.interactiveshell import InteractiveShell
ip = InteractiveShell.instance()
ip.run_cell("%load_ext mldeploy_jupyter.azureml")
ip.run_cell("from azureml.core.run import Trial")
ip.run_cell("%unload_ext mldeploy_jupyter.azureml")
ip.run_cell("import azureml.core")
"""
    lines = re.sub(r"\x1b\[[\d;]*m", "", run(code)).splitlines()
    assert lines[0].startswith("migrate(): imports of azureml.core")
    assert lines[1] == "error: azureml.core.run has no Trial"
    assert lines[2].startswith("cause: ") and lines[3].startswith("hint: ")
    assert lines[4] == "migrate(undo=True): azureml imports no longer resolve to mldeploy-jupyter."
    assert lines[-1] == "ModuleNotFoundError: No module named 'azureml'"


def test_importing_v1_modules_loads_no_room_of_ours() -> None:
    code = """
import json, mldeploy_jupyter
mldeploy_jupyter.migrate(quiet=True)
import azureml.core, azureml.core.webservice.aks, azureml.core.authentication
print(json.dumps([name for name in sys.modules if name.startswith("mldeploy_jupyter.api.")]))
print(json.dumps([name for name in ("sqlalchemy", "requests", "IPython", "fsspec", "yaml") if name in sys.modules]))
"""
    rooms, heavy = map(json.loads, run("import sys" + code).splitlines())
    assert rooms == [] and heavy == []


def test_other_installed_azureml_packages_can_still_be_imported(tmp_path: Path) -> None:
    for core in (True, False):
        folder = installed_azureml(tmp_path / str(core), core=core)
        out = run(
            "import mldeploy_jupyter; mldeploy_jupyter.migrate(quiet=True)\n"
            "import azureml.train; from azureml.core.authentication import MsiAuthentication\n"
            "print(azureml.train.where, MsiAuthentication.__module__)",
            path=folder,
        )
        assert out == "installed mldeploy_jupyter.azureml.sign_in\n"


def test_undo_restores_the_installed_azureml(tmp_path: Path) -> None:
    out = run(
        "import mldeploy_jupyter; mldeploy_jupyter.migrate(quiet=True)\n"
        "import azureml.core.authentication, azureml.train\n"
        "mldeploy_jupyter.migrate(undo=True, quiet=True)\n"
        "import azureml.core; print(azureml.core.Workspace.where, azureml.train.where)\n"
        "print(hasattr(azureml.core, 'authentication'))",
        path=installed_azureml(tmp_path),
    )
    assert out == "installed installed\nFalse\n"


def test_migrate_is_refused_after_the_installed_azureml_was_imported(tmp_path: Path) -> None:
    out = run(
        "import azureml.core, mldeploy_jupyter\n"
        "from mldeploy_jupyter.azureml import MigrationTooLate\n"
        "try: mldeploy_jupyter.migrate()\n"
        "except MigrationTooLate as error: print(error)\n"
        "print(azureml.core.Workspace.where)",
        path=installed_azureml(tmp_path),
    )
    place = tmp_path / "azureml" / "core" / "__init__.py"
    assert out == (
        "error: azureml.core is already imported from the installed azureml-core\n"
        f"cause: its objects and ours cannot be mixed in one process ({place})\n"
        "hint: restart the kernel and call mldeploy_jupyter.migrate() before the first azureml import\n"
        "installed\n"
    )
    assert issubclass(MigrationTooLate, UserErrorException)
