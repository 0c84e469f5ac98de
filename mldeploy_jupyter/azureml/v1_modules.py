"""The v1 modules that `migrate()` provides: module -> public name -> our `module:attribute`.

Data only: the names are imported on use. An import of an unlisted module below a listed one raises an error that lists
the known names; any other module comes from the installed azureml packages.
"""

from __future__ import annotations

_CONFIGURATION = "mldeploy_jupyter.api.webservices.deploy_configuration"
_ENVIRONMENT = "mldeploy_jupyter.api.environments"
_ERRORS = "mldeploy_jupyter.core.errors"
_MODEL = "mldeploy_jupyter.api.models"
_RETIRED = "mldeploy_jupyter.azureml.retired"
_RUN = "mldeploy_jupyter.api.runs"
_SIGN_IN = "mldeploy_jupyter.azureml.sign_in"
_WEBSERVICE = "mldeploy_jupyter.api.webservices"
_WORKSPACE = "mldeploy_jupyter.api.workspace"


def _from(home: str, *names: str) -> dict[str, str]:
    return {name: f"{home}:{name}" for name in names}


_EXCEPTIONS = _from(
    _ERRORS,
    "ModelNotFoundException",
    "ModelPathNotFoundException",
    "RunEnvironmentException",
    "UserErrorException",
    "WebserviceException",
) | {
    # v1 names of exceptions that are called otherwise here.
    "AzureMLException": f"{_ERRORS}:MldeployError",
    "ComputeTargetException": f"{_ERRORS}:TargetNotAvailable",
    "ProjectSystemException": f"{_ERRORS}:WorkspaceError",
    "WorkspaceException": f"{_ERRORS}:WorkspaceError",
}
_BASE_WEBSERVICE = _from(_WEBSERVICE, "Webservice") | _from(_CONFIGURATION, "WebserviceDeploymentConfiguration")
_LOCAL = _from(_WEBSERVICE, "LocalWebservice") | _from(_CONFIGURATION, "LocalWebserviceDeploymentConfiguration")
_ACI = _from(_WEBSERVICE, "AciWebservice") | _from(_CONFIGURATION, "AciServiceDeploymentConfiguration")
_AKS = _from(_WEBSERVICE, "AksWebservice", "AksEndpoint") | _from(
    _CONFIGURATION, "AksServiceDeploymentConfiguration", "AksEndpointDeploymentConfiguration"
)
_COMPUTE = _from(_RETIRED, "ComputeTarget", "AksCompute", "AmlCompute", "ComputeInstance")
_IMAGE = _from(_RETIRED, "ContainerImage", "Image")

MODULES: dict[str, dict[str, str]] = {
    "azureml.core": {
        **_from(_WORKSPACE, "Workspace"),
        **_from(_MODEL, "Model"),
        **_from(_RUN, "Run"),
        **_from(_ENVIRONMENT, "Environment"),
        **_from(_ENVIRONMENT, "ContainerRegistry"),
        **_from(_WEBSERVICE, "Webservice"),
        **_from(
            _RETIRED,
            "ComputeTarget",
            "Dataset",
            "Datastore",
            "Experiment",
            "Image",
            "Keyvault",
            "RunConfiguration",
            "ScriptRunConfig",
        ),
        # v1 notebooks print it first.
        "VERSION": "mldeploy_jupyter:__version__",
        "__version__": "mldeploy_jupyter:__version__",
    },
    "azureml.core.workspace": _from(_WORKSPACE, "Workspace"),
    "azureml.core.run": _from(_RUN, "Run"),
    "azureml.core.experiment": _from(_RETIRED, "Experiment"),
    "azureml.core.dataset": _from(_RETIRED, "Dataset"),
    "azureml.core.datastore": _from(_RETIRED, "Datastore"),
    "azureml.core.keyvault": _from(_RETIRED, "Keyvault"),
    "azureml.core.profile": _from("mldeploy_jupyter.api.models.profile", "ModelProfile"),
    "azureml.core.model": _from(_MODEL, "Model", "ResourceConfiguration") | _from(_WEBSERVICE, "InferenceConfig"),
    "azureml.core.resource_configuration": _from(_MODEL, "ResourceConfiguration"),
    "azureml.core.environment": _from(
        _ENVIRONMENT, "Environment", "CondaDependencies", "DockerSection", "PythonSection"
    ),
    "azureml.core.conda_dependencies": _from(_ENVIRONMENT, "CondaDependencies"),
    "azureml.core.runconfig": _from(_ENVIRONMENT, "CondaDependencies")
    | _from(_RETIRED, "RunConfiguration", "ScriptRunConfig"),
    "azureml.core.container_registry": _from(_ENVIRONMENT, "ContainerRegistry"),
    "azureml.core.webservice": _from(
        _WEBSERVICE, "AciWebservice", "AksEndpoint", "AksWebservice", "LocalWebservice", "Webservice"
    ),
    "azureml.core.webservice.webservice": _BASE_WEBSERVICE,
    "azureml.core.webservice.local": _LOCAL,
    "azureml.core.webservice.aci": _ACI,
    "azureml.core.webservice.aks": _AKS,
    "azureml.core.authentication": _from(
        _SIGN_IN,
        "AzureCliAuthentication",
        "InteractiveLoginAuthentication",
        "MsiAuthentication",
        "ServicePrincipalAuthentication",
        "TokenAuthentication",
    ),
    "azureml.core.compute": _COMPUTE,
    "azureml.core.compute.compute": _from(_RETIRED, "ComputeTarget"),
    "azureml.core.compute.aks": _from(_RETIRED, "AksCompute"),
    "azureml.core.compute.amlcompute": _from(_RETIRED, "AmlCompute"),
    "azureml.core.compute_target": {"ComputeTargetException": _EXCEPTIONS["ComputeTargetException"]},
    "azureml.core.image": _IMAGE,
    "azureml.core.image.image": _from(_RETIRED, "Image"),
    "azureml.core.image.container": _from(_RETIRED, "ContainerImage"),
    "azureml.core.exceptions": _EXCEPTIONS,
    "azureml.exceptions": _EXCEPTIONS,
}
