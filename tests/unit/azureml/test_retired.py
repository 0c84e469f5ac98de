"""Retired v1 names can be imported; their use raises an error that names the replacement."""

from __future__ import annotations

import pytest

from mldeploy_jupyter.core.errors import MldeployError, UserErrorException


@pytest.mark.parametrize(
    ("statement", "error", "expected"),
    [
        (
            "from azureml.core.image.image import TargetRuntime\nTargetRuntime(runtime_type='python')",
            UserErrorException,
            "error: TargetRuntime() is not in mldeploy-jupyter\n"
            "cause: a service is described by its entry script and its environment, not by an image\n"
            'hint: write InferenceConfig(entry_script="score.py", conda_file="env.yml") '
            "and pass it to Model.deploy(...)",
        ),
        (
            "from azureml.core.runconfig import MpiConfiguration\nMpiConfiguration(process_count_per_node=2)",
            UserErrorException,
            "error: MpiConfiguration() is not in mldeploy-jupyter\n"
            "cause: this package does not submit training runs\n"
            "hint: train in the notebook; describe the service's packages with Environment or a conda file",
        ),
    ],
)
def test_using_a_retired_name_raises_with_its_replacement(
    migrated: None, statement: str, error: type[MldeployError], expected: str
) -> None:
    imports, use = statement.split("\n")
    names: dict[str, object] = {}
    exec(imports, names)
    with pytest.raises(error) as caught:
        exec(use, names)
    assert str(caught.value) == expected


def test_inspect_and_pickle_accept_a_retired_name(migrated: None) -> None:
    import inspect
    import pickle

    from azureml.core import Keyvault

    assert inspect.getdoc(Keyvault)
    assert inspect.getmembers(Keyvault)
    assert pickle.loads(pickle.dumps(Keyvault)) is Keyvault
    assert not isinstance(3, Keyvault)
