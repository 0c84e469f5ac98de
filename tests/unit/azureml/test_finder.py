"""An import or attribute that `migrate()` does not provide raises an error that lists the known names."""

from __future__ import annotations

import importlib

import pytest

from mldeploy_jupyter.core.errors import MldeployError


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
