"""The v1 modules that `migrate()` provides: module -> public name -> our `module:attribute`.

Data only: the names are imported on use. Which modules have which names is in `serving/azureml/v1_names.py`, since
entry scripts can import the same. An import of an unlisted module below a listed one raises an error that lists the
known names; any other module comes from the installed azureml packages.
"""

from __future__ import annotations

from mldeploy_jupyter.serving.azureml import v1_names

_CONFIGURATION = "mldeploy_jupyter.api.webservices.deploy_configuration"
_ENVIRONMENT = "mldeploy_jupyter.api.environments"
_ERRORS = "mldeploy_jupyter.core.errors"
_MODEL = "mldeploy_jupyter.api.models"
_RETIRED = "mldeploy_jupyter.azureml.retired"
_RUN = "mldeploy_jupyter.api.runs"
_SERVING = "mldeploy_jupyter.serving.azureml"
_SIGN_IN = "mldeploy_jupyter.azureml.sign_in"
_WEBSERVICE = "mldeploy_jupyter.api.webservices"


def _from(home: str, *names: str) -> dict[str, str]:
    return {name: f"{home}:{name}" for name in names}


# v1's name -> `module:attribute`. A name that is not here is retired.
_HOMES = {
    **_from("mldeploy_jupyter.api.workspace", "Workspace"),
    **_from(_MODEL, "Model", "ResourceConfiguration"),
    **_from(f"{_MODEL}.package", "ModelPackage"),
    **_from(f"{_MODEL}.profile", "ModelProfile"),
    **_from(_RUN, "Experiment", "Run", "get_run"),
    **_from(
        *(_ENVIRONMENT, "CondaDependencies", "ContainerRegistry", "DockerBuildContext", "DockerSection", "Environment"),
        *("PythonSection", "SparkSection"),
    ),
    # Their older names.
    "DockerEnvironment": f"{_ENVIRONMENT}:DockerSection",
    "PythonEnvironment": f"{_ENVIRONMENT}:PythonSection",
    "SparkEnvironment": f"{_ENVIRONMENT}:SparkSection",
    **_from(_WEBSERVICE, "AciWebservice", "AksEndpoint", "AksWebservice", "InferenceConfig", "LocalWebservice"),
    **_from(_WEBSERVICE, "Webservice"),
    **_from(f"{_WEBSERVICE}.container_image", "ContainerImage", "ContainerImageConfig", "Image"),
    **_from(
        _CONFIGURATION,
        "AciServiceDeploymentConfiguration",
        "AksEndpointDeploymentConfiguration",
        "AksServiceDeploymentConfiguration",
        "LocalWebserviceDeploymentConfiguration",
        "WebserviceDeploymentConfiguration",
    ),
    **_from(
        _SIGN_IN,
        "AbstractAuthentication",
        "ArmTokenAuthentication",
        "AzureCliAuthentication",
        "AzureMLTokenAuthentication",
        "InteractiveLoginAuthentication",
        "MsiAuthentication",
        "ServicePrincipalAuthentication",
        "TokenAuthentication",
    ),
    **_from(
        _ERRORS,
        "ModelNotFoundException",
        "ModelPathNotFoundException",
        "RunEnvironmentException",
        "UserErrorException",
        "WebserviceException",
    ),
    **_from("mldeploy_jupyter.azureml.compute", *v1_names.NAMES["azureml.core.compute"]),
    # v1 names of exceptions that are called otherwise here.
    "AzureMLException": f"{_ERRORS}:MldeployError",
    "ComputeTargetException": f"{_ERRORS}:TargetNotAvailable",
    "ProjectSystemException": f"{_ERRORS}:WorkspaceError",
    "WorkspaceException": f"{_ERRORS}:WorkspaceError",
    **_from("mldeploy_jupyter.azureml.exceptions", *v1_names.UNUSED_EXCEPTIONS),
    # What notebooks and scripts have in common.
    "VERSION": f"{_SERVING}.v1_names:VERSION",
    "__version__": f"{_SERVING}.v1_names:VERSION",
    **_from(f"{_SERVING}.v1_names", "DEFAULT_CPU_IMAGE", "DEFAULT_GPU_IMAGE", "INSTRUMENTATION_KEY"),
    "MPI_CPU_IMAGE": f"{_SERVING}.v1_names:DEFAULT_CPU_IMAGE",
    "MPI_GPU_IMAGE": f"{_SERVING}.v1_names:DEFAULT_GPU_IMAGE",
    **_from(f"{_SERVING}.offline_run", "_OfflineRun"),
    **_from(f"{_SERVING}.telemetry", "get_diagnostics_collection_info", "set_diagnostics_collection"),
    **_from(f"{_SERVING}.data_collector", "ModelDataCollector"),
    **_from(f"{_SERVING}.aml_request", "AMLRequest", "rawhttp"),
    **_from(f"{_SERVING}.aml_response", "AMLResponse"),
    **_from("mldeploy_jupyter.azureml.widgets", "RunDetails"),
}

MODULES: dict[str, dict[str, str]] = {
    module: {name: _HOMES.get(name, f"{_RETIRED}:{name}") for name in names}
    for module, names in v1_names.EVERY_NAME.items()
}
