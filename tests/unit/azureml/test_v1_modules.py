"""Every listed v1 name can be imported after `migrate()`.

`v1_module_names.json` has the public classes of each module in the last release of v1, with those that it imports from
another and without those of v1's own plumbing.
"""

from __future__ import annotations

import importlib
import json
import sys
from pathlib import Path

import pytest

from mldeploy_jupyter.azureml.v1_modules import MODULES
from mldeploy_jupyter.core.errors import MldeployError
from mldeploy_jupyter.serving.azureml import import_hook

V1: dict[str, str] = json.loads(Path(__file__).with_name("v1_module_names.json").read_text())


@pytest.mark.parametrize(("module", "name"), [(module, name) for module, names in MODULES.items() for name in names])
def test_every_v1_name_resolves_to_ours(migrated: None, module: str, name: str) -> None:
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


@pytest.mark.parametrize("module", V1)
def test_a_module_has_the_names_that_it_had_in_v1(migrated: None, module: str) -> None:
    names = set(V1[module].split())
    assert names <= set(MODULES[module])
    assert names <= set(import_hook.attributes_of(module))  # in an entry script


def test_an_exception_of_v1_can_be_caught(migrated: None) -> None:
    from azureml.core.authentication import AuthenticationException  # type: ignore[import-not-found]
    from azureml.exceptions import AzureMLException, ServiceException  # type: ignore[import-not-found]

    assert issubclass(AuthenticationException, AzureMLException) and issubclass(ServiceException, MldeployError)


def test_get_run_finds_a_run_of_its_experiment(migrated: None, folder: Path) -> None:
    from azureml.core import Experiment, Workspace, get_run

    experiment = Experiment(Workspace.create("w", path=str(folder)), "e")
    run = experiment.start_logging()
    assert get_run(experiment, run_id=run.id).id == run.id
