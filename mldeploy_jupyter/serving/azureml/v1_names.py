"""The modules of Azure ML SDK v1 that can be imported, with their names; and those that are not, with the reason.

Data only. Entry scripts (`import_hook`) and notebooks (`mldeploy_jupyter.azureml`, after `migrate()`) have the same
names; what stands behind a name differs.
"""

from __future__ import annotations

import sys
from typing import NamedTuple

# Notebooks compare it, as text or as a version, with the release that they were written for. This is one of the last.
VERSION = "1.60.0"

# v1 had images of its own behind these names. Here they are the image that a service starts from by default.
DEFAULT_CPU_IMAGE = DEFAULT_GPU_IMAGE = f"python:{sys.version_info.major}.{sys.version_info.minor}-slim"

CONSTANTS = {
    "VERSION": VERSION,
    "__version__": VERSION,
    "DEFAULT_CPU_IMAGE": DEFAULT_CPU_IMAGE,
    "DEFAULT_GPU_IMAGE": DEFAULT_GPU_IMAGE,
}

_EXCEPTIONS = (
    *("AzureMLException", "ComputeTargetException", "ModelNotFoundException", "ModelPathNotFoundException"),
    *("ProjectSystemException", "RunEnvironmentException", "UserErrorException", "WebserviceException"),
    "WorkspaceException",
)

_COMPUTE = (
    *("AdlaCompute", "AksCompute", "AmlCompute", "BatchCompute", "ComputeInstance", "ComputeTarget"),
    *("DataFactoryCompute", "DatabricksCompute", "DsvmCompute", "HDInsightCompute", "KubernetesCompute"),
    *("RemoteCompute", "SynapseCompute"),
)

_RUN_SETTINGS = (
    *("DockerConfiguration", "MpiConfiguration", "ParallelTaskConfiguration", "PyTorchConfiguration"),
    *("RunConfiguration", "ScriptRunConfig", "TensorflowConfiguration"),
)

NAMES: dict[str, tuple[str, ...]] = {
    "azureml.core": (
        *("ComputeTarget", "ContainerRegistry", "Dataset", "Datastore", "Environment", "Experiment", "Image"),
        *("Keyvault", "Model", "Run", "RunConfiguration", "ScriptRunConfig", "VERSION", "Webservice", "Workspace"),
        "__version__",
    ),
    "azureml.core.workspace": ("Workspace",),
    "azureml.core.run": ("Run", "_OfflineRun"),
    "azureml.core.experiment": ("Experiment",),
    "azureml.core.dataset": ("Dataset",),
    "azureml.core.datastore": ("Datastore",),
    "azureml.core.keyvault": ("Keyvault",),
    "azureml.core.model": ("InferenceConfig", "Model", "ModelPackage", "ResourceConfiguration"),
    "azureml.core.profile": ("ModelProfile",),
    "azureml.core.resource_configuration": ("ResourceConfiguration",),
    "azureml.core.environment": ("CondaDependencies", "DockerSection", "Environment", "PythonSection"),
    "azureml.core.conda_dependencies": ("CondaDependencies",),
    "azureml.core.runconfig": ("CondaDependencies", "DEFAULT_CPU_IMAGE", "DEFAULT_GPU_IMAGE", *_RUN_SETTINGS),
    "azureml.core.script_run_config": ("ScriptRunConfig",),
    "azureml.core.script_run": ("ScriptRun",),
    "azureml.core.container_registry": ("ContainerRegistry",),
    "azureml.core.webservice": ("AciWebservice", "AksEndpoint", "AksWebservice", "LocalWebservice", "Webservice"),
    "azureml.core.webservice.webservice": ("Webservice", "WebserviceDeploymentConfiguration"),
    "azureml.core.webservice.local": ("LocalWebservice", "LocalWebserviceDeploymentConfiguration"),
    "azureml.core.webservice.aci": ("AciServiceDeploymentConfiguration", "AciWebservice"),
    "azureml.core.webservice.aks": (
        *("AksEndpoint", "AksEndpointDeploymentConfiguration", "AksServiceDeploymentConfiguration", "AksWebservice"),
    ),
    "azureml.core.authentication": (
        *("AbstractAuthentication", "AzureCliAuthentication", "InteractiveLoginAuthentication", "MsiAuthentication"),
        *("ServicePrincipalAuthentication", "TokenAuthentication"),
    ),
    "azureml.core.compute": _COMPUTE,
    "azureml.core.compute.compute": ("ComputeTarget",),
    "azureml.core.compute.aks": ("AksCompute",),
    "azureml.core.compute.amlcompute": ("AmlCompute",),
    "azureml.core.compute.computeinstance": ("ComputeInstance",),
    "azureml.core.compute.remote": ("RemoteCompute",),
    "azureml.core.compute_target": ("ComputeTargetException",),
    "azureml.core.image": ("ContainerImage", "Image"),
    "azureml.core.image.image": ("Image",),
    "azureml.core.image.container": ("ContainerImage",),
    "azureml.core.exceptions": _EXCEPTIONS,
    "azureml.exceptions": _EXCEPTIONS,
    "azureml.contrib.services": (),
    "azureml.contrib.services.aml_request": ("AMLRequest", "rawhttp"),
    "azureml.contrib.services.aml_response": ("AMLResponse",),
    "azureml.monitoring": ("ModelDataCollector",),
    "azureml.telemetry": ("get_diagnostics_collection_info", "set_diagnostics_collection"),
    "azureml.widgets": ("RunDetails",),
}


class NotOffered(NamedTuple):
    """Why a package of v1 is not offered, and what to do in a notebook in place of it."""

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
    "azureml.ai": NotOffered("Azure's monitoring of models is not in this package", "ModelDataCollector keeps data"),
    "azureml.contrib": NotOffered(
        "this part of v1 was experimental and needs Azure", "docs/migrating.md lists every v1 call and ours"
    ),
    "azureml.studio": NotOffered("the designer is a part of Azure's website", _TRAINING),
}


def find_not_offered(module: str) -> NotOffered | None:
    """The reason why `module`, or a package that it is in, is not offered; None for any other module."""
    return NOT_OFFERED.get(".".join(module.split(".")[:2]))
