"""Requirements that the scoring server provides are not installed."""

from __future__ import annotations

from mldeploy_jupyter.environments.server_packages import split_provided


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
