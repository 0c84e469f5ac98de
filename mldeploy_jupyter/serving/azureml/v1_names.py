"""The modules of Azure ML SDK v1 that can be imported, with their names; and those that are not, with the reason.

Data only. Entry scripts (`import_hook`) and notebooks (`mldeploy_jupyter.azureml`, after `migrate()`) have the same
names; what stands behind a name differs.
"""

from __future__ import annotations

import sys
from typing import NamedTuple

from .v1_reexports import IMPORTED_TOO

# Notebooks compare it, as text or as a version, with the release that they were written for. This is one of the last.
VERSION = "1.60.0"

# v1 had images of its own behind these names. Here they are the image that a service starts from by default.
DEFAULT_CPU_IMAGE = DEFAULT_GPU_IMAGE = f"python:{sys.version_info.major}.{sys.version_info.minor}-slim"

INSTRUMENTATION_KEY = ""  # of v1's telemetry: nothing is sent

CONSTANTS = {
    "VERSION": VERSION,
    "__version__": VERSION,
    "DEFAULT_CPU_IMAGE": DEFAULT_CPU_IMAGE,
    "DEFAULT_GPU_IMAGE": DEFAULT_GPU_IMAGE,
    "MPI_CPU_IMAGE": DEFAULT_CPU_IMAGE,
    "MPI_GPU_IMAGE": DEFAULT_GPU_IMAGE,
    "INSTRUMENTATION_KEY": INSTRUMENTATION_KEY,
}

# Those that nothing here raises, in a notebook or in a service.
UNUSED_EXCEPTIONS = (
    *("ActivityFailedException", "AuthenticationException", "AzureMLAggregatedException"),
    *("DatasetTimestampMissingError", "DiscoveryUrlNotFoundException", "ExperimentExecutionException"),
    *("ParallelRunException", "RunConfigurationException", "ServiceException", "SnapshotException"),
    *("TrainingException", "WorkspacePrivateEndpointException"),
)

_EXCEPTIONS = (
    *("AzureMLException", "ComputeTargetException", "ModelNotFoundException", "ModelPathNotFoundException"),
    *("ProjectSystemException", "RunEnvironmentException", "UserErrorException", "WebserviceException"),
    *("WorkspaceException", *UNUSED_EXCEPTIONS),
)

_COMPUTE = (
    *("AdlaCompute", "AksCompute", "AmlCompute", "BatchCompute", "ComputeInstance", "ComputeTarget"),
    *("DataFactoryCompute", "DatabricksCompute", "DsvmCompute", "HDInsightCompute", "KubernetesCompute"),
    *("KustoCompute", "RemoteCompute", "SynapseCompute"),
)

_RUN_SETTINGS = (
    *("AmlComputeConfiguration", "ApplicationEndpointConfiguration", "Data", "DataLocation", "DataPath"),
    *("DataReferenceConfiguration", "DatacacheConfiguration", "DatasetRegistrationOptions", "DockerConfiguration"),
    *("EnvironmentDefinition", "GlobsOptions", "HdiConfiguration", "HistoryConfiguration"),
    *("KubernetesComputeConfiguration", "MountOptions", "MpiConfiguration", "OutputData", "OutputOptions"),
    *("ParallelTaskConfiguration", "PyTorchConfiguration", "RegistrationOptions", "RunConfiguration"),
    *("ScriptRunConfig", "SparkConfiguration", "TensorflowConfiguration", "UploadOptions", "Uri"),
)

NAMES: dict[str, tuple[str, ...]] = {
    "azureml.core": (
        *("ComputeTarget", "ContainerRegistry", "Dataset", "Datastore", "Environment", "Experiment", "Image"),
        *("Keyvault", "LinkedService", "Model", "PrivateEndPoint", "PrivateEndPointConfig", "Run"),
        *("RunConfiguration", "ScriptRun", "ScriptRunConfig", "SynapseWorkspaceLinkedServiceConfiguration"),
        *("VERSION", "Webservice", "Workspace", "__version__", "get_run"),
    ),
    "azureml.core.workspace": ("Workspace",),
    "azureml.core.run": ("InputDatasets", "LinkOutput", "OutputDatasets", "Run", "_OfflineRun", "get_run"),
    "azureml.core.experiment": ("Experiment", "ViewType"),
    "azureml.core.dataset": ("Dataset",),
    "azureml.core.datastore": ("Datastore",),
    "azureml.core.keyvault": ("Keyvault",),
    "azureml.core.model": ("InferenceConfig", "Model", "ModelPackage", "ResourceConfiguration"),
    "azureml.core.profile": ("ModelProfile",),
    "azureml.core.resource_configuration": ("ResourceConfiguration",),
    "azureml.core.environment": (
        *("CondaDependencies", "DEFAULT_CPU_IMAGE", "DEFAULT_GPU_IMAGE", "DockerBuildContext", "DockerEnvironment"),
        *("DockerImageDetails", "DockerImagePlatform", "DockerSection", "Environment", "EnvironmentReference"),
        *("ImageBuildDetails", "PythonEnvironment", "PythonSection", "RCranPackage", "RGitHubPackage", "RSection"),
        *("SparkEnvironment", "SparkPackage", "SparkSection"),
    ),
    "azureml.core.conda_dependencies": ("CondaDependencies",),
    "azureml.core.runconfig": (
        *("CondaDependencies", "ContainerRegistry", "DEFAULT_CPU_IMAGE", "DEFAULT_GPU_IMAGE", "Dataset"),
        *("MPI_CPU_IMAGE", "MPI_GPU_IMAGE", *_RUN_SETTINGS),
    ),
    "azureml.core.script_run_config": ("ScriptRunConfig",),
    "azureml.core.script_run": ("ScriptRun",),
    "azureml.core.container_registry": ("ContainerRegistry", "RegistryIdentity"),
    "azureml.core.databricks": (
        *("DatabricksCluster", "DatabricksEnvironment", "DatabricksSection", "EggLibrary", "JarLibrary"),
        *("MavenLibrary", "PyPiLibrary", "RCranLibrary"),
    ),
    "azureml.core.linked_service": (
        *("LinkedService", "LinkedServiceConfiguration", "SynapseWorkspaceLinkedServiceConfiguration"),
    ),
    "azureml.core.private_endpoint": ("PrivateEndPoint", "PrivateEndPointConfig"),
    "azureml.core.webservice": ("AciWebservice", "AksEndpoint", "AksWebservice", "LocalWebservice", "Webservice"),
    "azureml.core.webservice.webservice": (
        *("AutoScaler", "ContainerResourceRequirements", "DataCollection", "LivenessProbeRequirements"),
        *("WebServiceAccessToken", "Webservice", "WebserviceDeploymentConfiguration"),
    ),
    "azureml.core.webservice.container_resource_requirements": ("ContainerResourceRequirements",),
    "azureml.core.webservice.unknown_webservice": ("UnknownWebservice",),
    "azureml.core.webservice.local": ("LocalWebservice", "LocalWebserviceDeploymentConfiguration"),
    "azureml.core.webservice.aci": (
        *("AciServiceDeploymentConfiguration", "AciWebservice", "ContainerResourceRequirements"),
        *("EncryptionProperties", "VnetConfiguration"),
    ),
    "azureml.core.webservice.aks": (
        *("AksServiceAccessToken", "AutoScaler", "ContainerResourceRequirements", "DataCollection"),
        *(
            "LivenessProbeRequirements",
            "AksEndpoint",
            "AksEndpointDeploymentConfiguration",
            "AksServiceDeploymentConfiguration",
            "AksWebservice",
        ),
    ),
    "azureml.core.authentication": (
        *("AbstractAuthentication", "AccessToken", "ArmTokenAuthentication", "Audience", "AzureCliAuthentication"),
        *("AzureMLTokenAuthentication", "InteractiveLoginAuthentication", "MsiAuthentication"),
        *("ServicePrincipalAuthentication", "TokenAuthentication"),
    ),
    "azureml.core.compute": _COMPUTE,
    "azureml.core.compute.compute": (
        *("ComputeTarget", "ComputeTargetAttachConfiguration", "ComputeTargetProvisioningConfiguration"),
        "ComputeTargetUpdateConfiguration",
    ),
    "azureml.core.compute.adla": ("AdlaCompute", "DataLakeAnalyticsAttachConfiguration"),
    "azureml.core.compute.aks": (
        *("AksAttachConfiguration", "AksCompute", "AksProvisioningConfiguration", "AksUpdateConfiguration"),
        *("SslConfiguration", "SystemService"),
    ),
    "azureml.core.compute.amlcompute": (
        *("AmlCompute", "AmlComputeNodeStateCounts", "AmlComputeProvisioningConfiguration", "AmlComputeStatus"),
        "ScaleSettings",
    ),
    "azureml.core.compute.batch": ("BatchAttachConfiguration", "BatchCompute"),
    "azureml.core.compute.computeinstance": (
        *("ComputeInstance", "ComputeInstanceProvisioningConfiguration", "ComputeInstanceStatus"),
    ),
    "azureml.core.compute.databricks": ("DatabricksAttachConfiguration", "DatabricksCompute"),
    "azureml.core.compute.datafactory": (
        *("DataFactoryAttachConfiguration", "DataFactoryCompute", "DataFactoryProvisioningConfiguration"),
    ),
    "azureml.core.compute.dsvm": ("DsvmCompute", "DsvmProvisioningConfiguration"),
    "azureml.core.compute.hdinsight": ("HDInsightAttachConfiguration", "HDInsightCompute"),
    "azureml.core.compute.kubernetescompute": (
        *("KubernetesCompute", "KubernetesComputeAttachConfiguration", "KubernetesComputeStatus"),
    ),
    "azureml.core.compute.kusto": ("KustoAttachConfiguration", "KustoCompute"),
    "azureml.core.compute.remote": ("RemoteCompute", "RemoteComputeAttachConfiguration"),
    "azureml.core.compute.synapse": ("SynapseAttachConfiguration", "SynapseCompute"),
    "azureml.core.compute_target": ("AbstractComputeTarget", "ComputeTargetException", "LocalTarget"),
    "azureml.core.image": ("ContainerImage", "Image"),
    "azureml.core.image.image": ("Asset", "Image", "ImageConfig", "TargetRuntime"),
    "azureml.core.image.container": ("ContainerImage", "ContainerImageConfig"),
    "azureml.core.image.unknown_image": ("UnknownImage",),
    "azureml.core.exceptions": _EXCEPTIONS,
    "azureml.exceptions": _EXCEPTIONS,
    "azureml.contrib.services": (),
    "azureml.contrib.services.aml_request": ("AMLRequest", "rawhttp"),
    "azureml.contrib.services.aml_response": ("AMLResponse",),
    "azureml.monitoring": ("ModelDataCollector",),
    "azureml.telemetry": ("INSTRUMENTATION_KEY", "get_diagnostics_collection_info", "set_diagnostics_collection"),
    "azureml.widgets": ("RunDetails",),
}

# All that can be imported from a module.
EVERY_NAME = {module: (*names, *IMPORTED_TOO.get(module, "").split()) for module, names in NAMES.items()}


class NotOffered(NamedTuple):
    """Why a package of v1 is not offered, and what to do in a notebook instead of it."""

    why: str
    hint: str


_TRAINING = "train in the notebook, then register the file with Model.register(...)"
_DATA = NotOffered("this package keeps no data sets", "read the file with pandas or numpy")
_EXPLAIN = NotOffered(
    "explanations are made by libraries that need no Azure", "use shap or interpret-community by themselves"
)

# Packages below `azureml`; the modules in them are not offered either.
NOT_OFFERED: dict[str, NotOffered] = {
    "azureml.train": NotOffered(
        "training on Azure (AutoML, HyperDrive, estimators) is outside of what this package does", _TRAINING
    ),
    "azureml.automl": NotOffered(
        "AutoML is outside of what this package does, and a model that it made needs its packages",
        "keep the scikit-learn pipeline inside that model, or its ONNX form, and register that file",
    ),
    "azureml.pipeline": NotOffered(
        "pipelines run on Azure's clusters, outside of what this package does",
        "run the steps in the notebook; `mldeploy model deploy` is a step for any scheduler",
    ),
    "azureml.data": _DATA,
    "azureml.dataprep": _DATA,
    "azureml.dataset": _DATA,
    "azureml.opendatasets": NotOffered(
        "Azure's open data sets are outside of what this package does",
        "download the file from its publisher and read it with pandas",
    ),
    "azureml.datadrift": NotOffered(
        "drift of data sets is watched in Azure only", "ModelDataCollector keeps what a service was sent"
    ),
    "azureml.interpret": _EXPLAIN,
    "azureml.explain": _EXPLAIN,
    "azureml.responsibleai": _EXPLAIN,
    "azureml.mlflow": NotOffered(
        "MLflow works without a package of Azure", "mlflow.set_tracking_uri(ws.get_mlflow_tracking_uri())"
    ),
    "azureml.tensorboard": NotOffered(
        "TensorBoard needs no package of Azure", "run `tensorboard --logdir FOLDER` on the logs"
    ),
    "azureml.accel": NotOffered(
        "models on FPGAs need Azure's hardware", "deploy the model on this machine with Model.deploy(...)"
    ),
    "azureml.api": NotOffered(
        "the schemas of the Workbench of 2017 were written by generate_schema(), which is not here",
        "decorate run() with @input_schema of inference_schema",
    ),
    "azureml.datacollector": NotOffered(
        "the collector of the Workbench of 2017 has moved", "import ModelDataCollector from azureml.monitoring"
    ),
    "azureml.designer": NotOffered("the designer is a part of Azure's website", _TRAINING),
    "azureml.ai": NotOffered("Azure's monitoring of models is not in this package", "ModelDataCollector keeps data"),
    "azureml.contrib": NotOffered(
        "this part of v1 was experimental and needs Azure", "docs/migrating.md lists every v1 call and ours"
    ),
    "azureml.studio": NotOffered("the designer is a part of Azure's website", _TRAINING),
}


def find_not_offered(module: str) -> NotOffered | None:
    """The reason why `module`, or a package that it is in, is not offered; None for any other module."""
    return NOT_OFFERED.get(".".join(module.split(".")[:2]))
