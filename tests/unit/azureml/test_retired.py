"""Retired v1 names can be imported; their use raises an error that names the replacement."""

from __future__ import annotations

import pytest

from mldeploy_jupyter.core.errors import MldeployError, TargetNotAvailable, UserErrorException


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
def test_using_a_retired_name_raises_with_its_replacement(
    migrated: None, statement: str, error: type[MldeployError], expected: str
) -> None:
    imports, use = statement.split("\n")
    names: dict[str, object] = {}
    exec(imports, names)
    with pytest.raises(error) as caught:
        exec(use, names)
    assert str(caught.value) == expected


def test_v1s_look_up_or_create_pattern_raises_target_not_available(migrated: None) -> None:
    from azureml.core.compute import ComputeTarget  # type: ignore[import-not-found]
    from azureml.core.compute_target import ComputeTargetException  # type: ignore[import-not-found]

    with pytest.raises(ComputeTargetException):
        ComputeTarget(workspace=None, name="aks")
    assert ComputeTargetException is TargetNotAvailable


def test_inspect_and_pickle_accept_a_retired_name(migrated: None) -> None:
    import inspect
    import pickle

    from azureml.core import Experiment

    assert inspect.getdoc(Experiment)
    assert inspect.getmembers(Experiment)
    assert pickle.loads(pickle.dumps(Experiment)) is Experiment
    assert not isinstance(3, Experiment)
