"""Every listed v1 name can be imported after `migrate()`."""

from __future__ import annotations

import importlib
import sys

import pytest

from mldeploy_jupyter.azureml.v1_modules import MODULES


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
