"""`migrate()`: v1 imports resolve to ours, lazily, and can be taken back."""

from __future__ import annotations

import importlib
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from IPython.core.interactiveshell import InteractiveShell

import mldeploy_jupyter
from mldeploy_jupyter.azureml import (
    MigrationTooLate,
    load_ipython_extension,
    migrate,
    sign_in,
    unload_ipython_extension,
)
from mldeploy_jupyter.azureml.finder import MigrationFinder
from mldeploy_jupyter.azureml.names import MODULES
from mldeploy_jupyter.core.errors import MldeployError, TargetNotAvailable, UserErrorException


@pytest.fixture(autouse=True)
def clean() -> Iterator[None]:
    yield
    migrate(undo=True, quiet=True)


@pytest.fixture
def migrated() -> None:
    migrate(quiet=True)


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


# Names


@pytest.mark.parametrize(("module", "name"), [(module, name) for module, names in MODULES.items() for name in names])
def test_every_v1_name_is_one_of_ours(migrated: None, module: str, name: str) -> None:
    value = getattr(importlib.import_module(module), name)
    home, _, attribute = MODULES[module][name].partition(":")
    assert value is getattr(importlib.import_module(home), attribute)


@pytest.mark.parametrize("module", MODULES)
def test_a_star_import_gives_every_name(migrated: None, module: str) -> None:
    got: dict[str, object] = {}
    exec(f"from {module} import *", got)
    assert {name for name in MODULES[module] if name[0] != "_"} == got.keys() - {"__builtins__"}
    assert set(MODULES[module]) <= set(dir(sys.modules[module]))


def test_a_submodule_is_an_attribute_before_it_is_imported(migrated: None) -> None:
    import azureml.core  # type: ignore[import-not-found]

    assert azureml.core.webservice.aci.__name__ == "azureml.core.webservice.aci"


# Unknown names


@pytest.mark.parametrize(
    ("statement", "expected"),
    [
        (
            "from azureml.core.conda_dependencies import CondaDependencis",
            "error: azureml.core.conda_dependencies has no CondaDependencis\n"
            "cause: migrate() provides a part of SDK v1; azureml.core.conda_dependencies has: CondaDependencies\n"
            "hint: did you mean CondaDependencies? docs/migrating.md lists every v1 call and ours; "
            "migrate(undo=True) gives the installed azureml back",
        ),
        (
            "from azureml.core.run import InferenceConfig",
            "error: azureml.core.run has no InferenceConfig\n"
            "cause: migrate() provides a part of SDK v1; azureml.core.run has: Run\n"
            "hint: write `from azureml.core.model import InferenceConfig`; docs/migrating.md lists every v1 call and "
            "ours; migrate(undo=True) gives the installed azureml back",
        ),
        (
            "import azureml.core.run.tracking",
            "error: azureml.core.run has no tracking\n"
            "cause: migrate() provides a part of SDK v1; azureml.core.run has: Run\n"
            "hint: docs/migrating.md lists every v1 call and ours; "
            "migrate(undo=True) gives the installed azureml back",
        ),
    ],
)
def test_an_unknown_import_says_what_there_is(migrated: None, statement: str, expected: str) -> None:
    with pytest.raises(ImportError) as caught:
        exec(statement)
    assert str(caught.value) == expected
    assert isinstance(caught.value, MldeployError)


def test_a_mistyped_module_gets_a_suggestion(migrated: None) -> None:
    with pytest.raises(ImportError, match=r"did you mean webservice\?"):
        importlib.import_module("azureml.core.webservic")


def test_an_unknown_attribute_is_an_attribute_error(migrated: None) -> None:
    import azureml.core.run

    with pytest.raises(AttributeError, match=r"error: azureml\.core\.run has no Trial"):
        azureml.core.run.Trial  # noqa: B018
    assert not hasattr(azureml.core.run, "Trial")
    assert not hasattr(azureml.core.run, "_private")


# Retired names and signing in


@pytest.mark.parametrize(
    ("statement", "error", "expected"),
    [
        (
            "from azureml.core.image import ContainerImage\nContainerImage.image_configuration(runtime='python')",
            UserErrorException,
            "error: ContainerImage.image_configuration is not in mldeploy-jupyter\n"
            "cause: a service is described by its entry script and its environment, not by an image\n"
            'hint: write InferenceConfig(entry_script="score.py", conda_file="env.yml") '
            "and pass it to Model.deploy(...)",
        ),
        (
            "from azureml.core.compute import ComputeTarget\nComputeTarget(workspace=None, name='aks')",
            TargetNotAvailable,
            "error: ComputeTarget() is not in this version of mldeploy-jupyter\n"
            "cause: this version deploys to this machine only; clusters come later\n"
            "hint: deploy here with LocalWebservice.deploy_configuration() and leave out deployment_target",
        ),
        (
            "from azureml.core.compute import AksCompute\nAksCompute.ClusterPurpose.DEV_TEST",
            TargetNotAvailable,
            "error: AksCompute.ClusterPurpose is not in this version of mldeploy-jupyter\n"
            "cause: this version deploys to this machine only; clusters come later\n"
            "hint: deploy here with LocalWebservice.deploy_configuration() and leave out deployment_target",
        ),
        (
            "from azureml.core import Experiment\nExperiment(None, 'e')",
            UserErrorException,
            "error: Experiment() is not in mldeploy-jupyter\n"
            "cause: experiments are tracked by MLflow, or by nothing at all\n"
            "hint: use mlflow.start_run(), then Run(workspace, run_id).register_model(...), or Model.register(...)",
        ),
    ],
)
def test_a_retired_name_imports_and_says_what_to_write(
    migrated: None, statement: str, error: type[MldeployError], expected: str
) -> None:
    imports, use = statement.split("\n")
    names: dict[str, object] = {}
    exec(imports, names)
    with pytest.raises(error) as caught:
        exec(use, names)
    assert str(caught.value) == expected


def test_v1s_look_up_or_create_pattern_ends_in_our_error(migrated: None) -> None:
    from azureml.core.compute import ComputeTarget  # type: ignore[import-not-found]
    from azureml.core.compute_target import ComputeTargetException  # type: ignore[import-not-found]

    with pytest.raises(ComputeTargetException):
        ComputeTarget(workspace=None, name="aks")
    assert ComputeTargetException is TargetNotAvailable


def test_tools_that_only_look_at_a_retired_name_get_no_error(migrated: None) -> None:
    import inspect
    import pickle

    from azureml.core import Experiment

    assert inspect.getdoc(Experiment)
    assert inspect.getmembers(Experiment)
    assert pickle.loads(pickle.dumps(Experiment)) is Experiment
    assert not isinstance(3, Experiment)


def test_signing_in_is_accepted_and_noted_once(
    migrated: None, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from azureml.core.authentication import ServicePrincipalAuthentication  # type: ignore[import-not-found]

    monkeypatch.setattr(sign_in, "_noted", set())
    made = [ServicePrincipalAuthentication("tenant", "id", service_principal_password="hush") for _ in range(2)]
    assert capsys.readouterr().out == (
        "ServicePrincipalAuthentication is accepted and ignored: "
        "a workspace is a folder, there is nothing to sign in to.\n"
    )
    assert "hush" not in repr(made[0]) and "hush" not in str(vars(made[0]))
    with pytest.raises(UserErrorException, match="has no authentication header"):
        made[0].get_authentication_header()


# In place, twice, and back


def test_it_says_in_one_line_what_it_did(capsys: pytest.CaptureFixture[str]) -> None:
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


def test_twice_is_once() -> None:
    migrate(quiet=True)
    migrate(quiet=True)
    assert sum(isinstance(finder, MigrationFinder) for finder in sys.meta_path) == 1


def test_undo_leaves_nothing(migrated: None) -> None:
    importlib.import_module("azureml.core.webservice.aks")
    importlib.import_module("azureml.exceptions")
    migrate(undo=True, quiet=True)
    assert not [name for name in sys.modules if name == "azureml" or name.startswith("azureml.")]
    assert not any(isinstance(finder, MigrationFinder) for finder in sys.meta_path)


def test_the_extension_does_the_same_and_loads_the_magics(capsys: pytest.CaptureFixture[str]) -> None:
    shell = InteractiveShell()

    def has_magics() -> bool:
        return "deploy" in shell.magics_manager.magics["line"]

    load_ipython_extension(shell)
    load_ipython_extension(shell)
    assert has_magics()
    from azureml.core.webservice import Webservice  # type: ignore[import-not-found]

    from mldeploy_jupyter.api.webservices.webservice import Webservice as ours

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


def test_nothing_is_loaded_before_it_is_used() -> None:
    code = """
import json, mldeploy_jupyter
mldeploy_jupyter.migrate(quiet=True)
import azureml.core, azureml.core.webservice.aks, azureml.core.authentication
print(json.dumps([name for name in sys.modules if name.startswith("mldeploy_jupyter.api.")]))
print(json.dumps([name for name in ("sqlalchemy", "requests", "IPython", "fsspec", "yaml") if name in sys.modules]))
"""
    rooms, heavy = map(json.loads, run("import sys" + code).splitlines())
    assert rooms == [] and heavy == []


# Beside an installed azureml


def test_other_installed_azureml_packages_go_on_importing(tmp_path: Path) -> None:
    for core in (True, False):
        folder = installed_azureml(tmp_path / str(core), core=core)
        out = run(
            "import mldeploy_jupyter; mldeploy_jupyter.migrate(quiet=True)\n"
            "import azureml.train; from azureml.core.authentication import MsiAuthentication\n"
            "print(azureml.train.where, MsiAuthentication.__module__)",
            path=folder,
        )
        assert out == "installed mldeploy_jupyter.azureml.sign_in\n"


def test_undo_gives_the_installed_one_back(tmp_path: Path) -> None:
    out = run(
        "import mldeploy_jupyter; mldeploy_jupyter.migrate(quiet=True)\n"
        "import azureml.core.authentication, azureml.train\n"
        "mldeploy_jupyter.migrate(undo=True, quiet=True)\n"
        "import azureml.core; print(azureml.core.Workspace.where, azureml.train.where)\n"
        "print(hasattr(azureml.core, 'authentication'))",
        path=installed_azureml(tmp_path),
    )
    assert out == "installed installed\nFalse\n"


def test_too_late_is_refused(tmp_path: Path) -> None:
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
