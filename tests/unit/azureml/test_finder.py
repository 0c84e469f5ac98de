"""An import or attribute that `migrate()` does not provide raises an error that lists the known names."""

from __future__ import annotations

import importlib
import sys

import pytest

from mldeploy_jupyter import migrate
from mldeploy_jupyter.azureml import finder
from mldeploy_jupyter.core.errors import MldeployError, UserErrorException
from mldeploy_jupyter.serving.azureml.v1_names import NOT_OFFERED


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
            "cause: migrate() provides a part of SDK v1; azureml.core.run has: "
            "InputDatasets, LinkOutput, OutputDatasets, Run, get_run\n"
            "hint: write `from azureml.core.model import InferenceConfig`; docs/migrating.md lists every v1 call and "
            "ours; migrate(undo=True) gives the installed azureml back",
        ),
        (
            "import azureml.core.run.tracking",
            "error: azureml.core.run has no tracking\n"
            "cause: migrate() provides a part of SDK v1; azureml.core.run has: "
            "InputDatasets, LinkOutput, OutputDatasets, Run, get_run\n"
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


@pytest.mark.parametrize("package", NOT_OFFERED)
def test_a_package_that_is_not_offered_is_imported_with_its_reason(
    migrated: None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], package: str
) -> None:
    monkeypatch.setattr(finder, "_noted", set())
    names: dict[str, object] = {}
    exec(f"import {package}.deep.module\nfrom {package}.deep.module import Thing, ThingException", names)
    reason = NOT_OFFERED[package]
    assert capsys.readouterr().out == f"{package} can be imported, not used: {reason.why}. Instead: {reason.hint}\n"
    for use in ("Thing()", "Thing.create"):
        with pytest.raises(UserErrorException) as caught:
            exec(use, names)
        assert str(caught.value) == (
            f"error: {use} is not in mldeploy-jupyter\ncause: {reason.why}\nhint: {reason.hint}"
        )
    with pytest.raises(ZeroDivisionError):
        exec("try: 1 / 0\nexcept ThingException: pass", names)


def test_v1s_services_in_contrib_are_there_and_the_rest_of_it_is_not_offered(migrated: None) -> None:
    from azureml.contrib.services.aml_request import AMLRequest, rawhttp  # type: ignore[import-not-found]

    from mldeploy_jupyter.serving.azureml import aml_request

    assert (AMLRequest, rawhttp) == (aml_request.AMLRequest, aml_request.rawhttp)
    assert importlib.import_module("azureml.contrib.fairness").__class__ is finder.AbsentModule


@pytest.mark.parametrize(
    ("module", "hint"), [("azureml.nonsense", "docs/migrating.md lists"), ("azureml.widget", "did you mean widgets?")]
)
def test_an_unknown_module_of_azureml_is_an_error_with_a_cause(migrated: None, module: str, hint: str) -> None:
    with pytest.raises(ModuleNotFoundError) as caught:
        importlib.import_module(module)
    what, why, advice = str(caught.value).splitlines()
    assert what == f"error: there is no {module}" and why.endswith(f"no installed package has {module}")
    assert advice.startswith(f"hint: {hint}")


def test_joblib_of_scikit_learn_is_answered_until_the_migration_is_undone(
    migrated: None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import joblib

    monkeypatch.delitem(sys.modules, "sklearn.externals.joblib", raising=False)
    assert importlib.import_module("sklearn.externals.joblib") is joblib
    assert "joblib stands in for it" in capsys.readouterr().err
    migrate(undo=True)
    with pytest.raises(ModuleNotFoundError):
        importlib.import_module("sklearn.externals.joblib")


def test_versions_compare_as_those_of_v1(migrated: None) -> None:
    import azureml.core  # type: ignore[import-not-found]
    from packaging.version import Version

    assert azureml.core.VERSION >= "1.35" and Version(azureml.core.__version__) >= Version("1.35")
