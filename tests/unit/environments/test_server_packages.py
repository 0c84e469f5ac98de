"""Requirements that the scoring server provides are not installed."""

from __future__ import annotations

from mldeploy_jupyter.environments.server_packages import explain_left_out, split_provided


def test_provided_packages_are_dropped_but_not_what_their_extras_bring() -> None:
    requirements = [
        "azureml-defaults>=1.0",
        "inference-schema[numpy-support]",
        "Azureml_Core",
        "six==1.0 --hash=sha256:aa",
    ]
    installed, dropped = split_provided(requirements)
    assert installed == ["numpy", "six==1.0 --hash=sha256:aa"]
    assert dropped == ["azureml-defaults>=1.0", "inference-schema[numpy-support]", "Azureml_Core"]


def test_names_of_python_itself_and_empty_packages_are_left_out_with_a_reason() -> None:
    requirements = [
        "json",
        "dataclasses==0.8",
        "DateTime",
        "sklearn==0.0",
        "pkg-resources==0.0.0",
        "six",
        "azureml-core",
        "futures==3.1.1",
    ]
    installed, dropped = split_provided(requirements)
    assert installed == ["DateTime", "scikit-learn", "six"]
    assert explain_left_out(dropped) == [
        "a part of Python, not installed: json, dataclasses==0.8, futures==3.1.1",
        "an empty package, for which scikit-learn is installed: sklearn==0.0",
        "an entry of Debian's pip freeze, no package: pkg-resources==0.0.0",
        "provided by the scoring server, not installed: azureml-core",
    ]
    assert split_provided(["scikit-learn", "sklearn"])[0] == ["scikit-learn"]
