"""v1 names that can be imported but not used, so that the import cell of an old notebook runs.

Every use raises an error whose hint names the replacement.
"""

from __future__ import annotations

from typing import Any

from mldeploy_jupyter.core.errors import MldeployError, TargetNotAvailable, UserErrorException
from mldeploy_jupyter.serving.azureml.stand_ins import StandIn
from mldeploy_jupyter.serving.azureml.v1_names import NotOffered


class Retired(StandIn):
    """The metaclass of retired names. A use raises `error` with `why` and `hint`."""

    why: str
    hint: str
    error: type[MldeployError]

    def _refusal(cls, used: str) -> MldeployError:
        place = "this version of mldeploy-jupyter" if cls.error is TargetNotAvailable else "mldeploy-jupyter"
        return cls.error(f"{cls.__name__}{used} is not in {place}", why=cls.why, hint=cls.hint)


def make_retired(name: str, module: str, reason: NotOffered) -> Any:
    """A retired class for `name` of a package that is not offered. v1's exceptions can still be caught."""
    bases = (Exception,) if name.endswith(("Exception", "Error")) else (object,)
    texts = {"why": reason.why, "hint": reason.hint, "error": UserErrorException}
    return Retired(name, bases, {**texts, "__module__": module, "__doc__": f"v1's {name}: {reason.why}."})


class _Image(metaclass=Retired):
    why = "a service is described by its entry script and its environment, not by an image"
    hint = 'write InferenceConfig(entry_script="score.py", conda_file="env.yml") and pass it to Model.deploy(...)'
    error = UserErrorException


class RunConfiguration(metaclass=Retired):
    """v1's settings for a training run."""

    why = "this package does not submit training runs"
    hint = "train in the notebook; describe the service's packages with Environment or a conda file"
    error = UserErrorException


class Dataset(metaclass=Retired):
    """v1's dataset."""

    why = "this package does not keep data sets"
    hint = "read the file with pandas or numpy; keep a note of it in Model.register(..., properties={...})"
    error = UserErrorException


class Datastore(Dataset):
    """v1's datastore."""


class Keyvault(metaclass=Retired):
    """v1's key vault."""

    why = "this package keeps no secrets of yours"
    hint = "read the secret from an environment variable; a service's own keys are service.get_keys()"
    error = UserErrorException


_NO_CLUSTER = "no cluster is made or used"
_DEPLOYS_HERE = "deploy to this machine with LocalWebservice.deploy_configuration(), or call migrate(local=True)"

# Names that are imported beside others, or as a type: why and hint of each, as in `NotOffered`.
_TYPES = {
    NotOffered(RunConfiguration.why, RunConfiguration.hint): (
        "AmlComputeConfiguration ApplicationEndpointConfiguration Data DataLocation DataPath "
        "DataReferenceConfiguration DatacacheConfiguration DatasetRegistrationOptions DockerConfiguration "
        "EnvironmentDefinition GlobsOptions HdiConfiguration HistoryConfiguration KubernetesComputeConfiguration "
        "MountOptions MpiConfiguration OutputData OutputOptions ParallelTaskConfiguration PyTorchConfiguration "
        "RegistrationOptions ScriptRunConfig SparkConfiguration TensorflowConfiguration UploadOptions Uri ScriptRun "
        "InputDatasets OutputDatasets LinkOutput ViewType DatabricksCluster DatabricksEnvironment DatabricksSection "
        "EggLibrary JarLibrary MavenLibrary PyPiLibrary RCranLibrary AbstractComputeTarget LocalTarget"
    ),
    NotOffered("an environment here is a Python with its packages", "describe it with Environment or a conda file"): (
        "DockerImageDetails DockerImagePlatform EnvironmentReference ImageBuildDetails RCranPackage RGitHubPackage "
        "RSection RegistryIdentity SparkPackage"
    ),
    NotOffered("a setting of a service is a parameter here", "see deploy_configuration(...) and service.serialize()"): (
        "AccessToken AksServiceAccessToken Audience AutoScaler ContainerResourceRequirements DataCollection "
        "EncryptionProperties LivenessProbeRequirements UnknownWebservice VnetConfiguration WebServiceAccessToken"
    ),
    NotOffered("a workspace here is a folder, not a resource of Azure", "leave this line out"): (
        "LinkedService LinkedServiceConfiguration PrivateEndPoint PrivateEndPointConfig "
        "SynapseWorkspaceLinkedServiceConfiguration"
    ),
    NotOffered(_NO_CLUSTER, _DEPLOYS_HERE): (
        "AksAttachConfiguration AksProvisioningConfiguration AksUpdateConfiguration AmlComputeNodeStateCounts "
        "AmlComputeProvisioningConfiguration AmlComputeStatus BatchAttachConfiguration "
        "ComputeInstanceProvisioningConfiguration ComputeInstanceStatus ComputeTargetAttachConfiguration "
        "ComputeTargetProvisioningConfiguration ComputeTargetUpdateConfiguration DataFactoryAttachConfiguration "
        "DataFactoryProvisioningConfiguration DataLakeAnalyticsAttachConfiguration DatabricksAttachConfiguration "
        "DsvmProvisioningConfiguration HDInsightAttachConfiguration KubernetesComputeAttachConfiguration "
        "KubernetesComputeStatus KustoAttachConfiguration RemoteComputeAttachConfiguration ScaleSettings "
        "SslConfiguration SynapseAttachConfiguration SystemService"
    ),
    NotOffered(_Image.why, _Image.hint): ("Asset ImageConfig TargetRuntime UnknownImage"),
}

for _reason, _names in _TYPES.items():
    for _name in _names.split():
        globals()[_name] = make_retired(_name, __name__, _reason)
