"""v1 names that can be imported but not used, so that the import cell of an old notebook runs.

Every use raises an error whose hint names the replacement. Clusters are not in this version.
"""

from __future__ import annotations

from typing import Any

from mldeploy_jupyter.core.errors import MldeployError, TargetNotAvailable, UserErrorException


class _Retired(type):
    """Metaclass: calling the class or reading an attribute raises `error` with `why` and `hint`."""

    why: str
    hint: str
    error: type[MldeployError]

    def __call__(cls, *args: Any, **kwargs: Any) -> Any:
        raise cls._refusal("()")

    def __getattr__(cls, name: str) -> Any:
        # Displays, inspect and pickle look for underscored names.
        if name.startswith("_"):
            raise AttributeError(f"type object {cls.__name__!r} has no attribute {name!r}")
        raise cls._refusal(f".{name}")

    def _refusal(cls, used: str) -> MldeployError:
        place = "this version of mldeploy-jupyter" if cls.error is TargetNotAvailable else "mldeploy-jupyter"
        return cls.error(f"{cls.__name__}{used} is not in {place}", why=cls.why, hint=cls.hint)


class _Cluster(metaclass=_Retired):
    why = "this version deploys to this machine only; clusters come later"
    hint = "deploy here with LocalWebservice.deploy_configuration() and leave out deployment_target"
    error = TargetNotAvailable


class ComputeTarget(_Cluster):
    """v1's compute: not in this version."""


class AksCompute(_Cluster):
    """v1's Kubernetes cluster: not in this version."""


class AmlCompute(_Cluster):
    """v1's training cluster."""

    why = "training clusters are outside of what this package does"
    hint = "train in the notebook, then register the file with Model.register(...)"


class ComputeInstance(AmlCompute):
    """v1's notebook machine."""


class _Image(metaclass=_Retired):
    why = "a service is described by its entry script and its environment, not by an image"
    hint = 'write InferenceConfig(entry_script="score.py", conda_file="env.yml") and pass it to Model.deploy(...)'
    error = UserErrorException


class ContainerImage(_Image):
    """v1's container image: see `InferenceConfig`."""


class Image(_Image):
    """v1's base class of images: see `InferenceConfig`."""


class Experiment(metaclass=_Retired):
    """v1's experiment: track with MLflow."""

    why = "experiments are tracked by MLflow, or by nothing at all"
    hint = "use mlflow.start_run(), then Run(workspace, run_id).register_model(...), or Model.register(...)"
    error = UserErrorException


class RunConfiguration(metaclass=_Retired):
    """v1's settings for a training run."""

    why = "this package does not submit training runs"
    hint = "train in the notebook; describe the service's packages with Environment or a conda file"
    error = UserErrorException


class ScriptRunConfig(RunConfiguration):
    """v1's training script with its settings."""


class Dataset(metaclass=_Retired):
    """v1's dataset."""

    why = "this package does not keep data sets"
    hint = "read the file with pandas or numpy; keep a note of it in Model.register(..., properties={...})"
    error = UserErrorException


class Datastore(Dataset):
    """v1's datastore."""


class Keyvault(metaclass=_Retired):
    """v1's key vault."""

    why = "this package keeps no secrets of yours"
    hint = "read the secret from an environment variable; a service's own keys are service.get_keys()"
    error = UserErrorException
