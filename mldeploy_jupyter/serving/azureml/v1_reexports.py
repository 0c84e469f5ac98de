"""What a module of v1 had beside its own names because it imports them.

Scripts and notebooks take them from there, too, such as `from azureml.core.workspace import Dataset`. Data only: module
-> names, those of `v1_names.NAMES` alone.
"""

IMPORTED_TOO = {
    "azureml.core.workspace": (
        "AmlCompute ComputeTarget Dataset Image InteractiveLoginAuthentication Keyvault LinkedService Model "
        "ProjectSystemException UserErrorException VERSION Webservice WorkspaceException"
    ),
    "azureml.core.run": (
        "ActivityFailedException DataPath Datastore Environment ExperimentExecutionException Keyvault "
        "RunEnvironmentException SnapshotException UserErrorException"
    ),
    "azureml.core.experiment": "ComputeInstance DEFAULT_GPU_IMAGE UserErrorException",
    "azureml.core.datastore": "UserErrorException",
    "azureml.core.model": (
        "AksCompute ContainerRegistry Dataset Environment Experiment ModelNotFoundException ModelProfile "
        "RunEnvironmentException UserErrorException WebserviceException get_run"
    ),
    "azureml.core.profile": "UserErrorException WebserviceException",
    "azureml.core.resource_configuration": "WebserviceException",
    "azureml.core.environment": "AzureMLException ContainerRegistry DatabricksSection UserErrorException",
    "azureml.core.conda_dependencies": "UserErrorException VERSION",
    "azureml.core.runconfig": (
        "AbstractComputeTarget ComputeTarget DatabricksCluster DatabricksEnvironment DatabricksSection "
        "DockerEnvironment DockerSection EggLibrary Environment JarLibrary MavenLibrary PyPiLibrary "
        "PythonEnvironment PythonSection RCranLibrary Run RunConfigurationException SparkEnvironment "
        "SparkSection UserErrorException"
    ),
    "azureml.core.script_run_config": (
        "Data DataPath DatacacheConfiguration DockerConfiguration EnvironmentDefinition MpiConfiguration "
        "PyTorchConfiguration RunConfiguration RunConfigurationException TensorflowConfiguration "
        "UserErrorException"
    ),
    "azureml.core.script_run": "AzureMLException Run RunConfiguration UserErrorException",
    "azureml.core.databricks": "UserErrorException",
    "azureml.core.linked_service": "UserErrorException",
    "azureml.core.private_endpoint": "InteractiveLoginAuthentication",
    "azureml.core.webservice": "UnknownWebservice VERSION",
    "azureml.core.webservice.webservice": "Image Model WebserviceException",
    "azureml.core.webservice.container_resource_requirements": "WebserviceException",
    "azureml.core.webservice.unknown_webservice": "Webservice",
    "azureml.core.webservice.local": (
        "ContainerImageConfig InferenceConfig Model Webservice WebserviceDeploymentConfiguration WebserviceException"
    ),
    "azureml.core.webservice.aci": (
        "Environment Image Model Webservice WebserviceDeploymentConfiguration WebserviceException"
    ),
    "azureml.core.webservice.aks": (
        "ComputeTarget Environment Image Model WebServiceAccessToken Webservice "
        "WebserviceDeploymentConfiguration WebserviceException"
    ),
    "azureml.core.authentication": (
        "AuthenticationException AzureMLException RunEnvironmentException UserErrorException"
    ),
    "azureml.core.compute": "VERSION",
    "azureml.core.compute.compute": "ComputeTargetException UserErrorException",
    "azureml.core.compute.adla": "ComputeTarget ComputeTargetAttachConfiguration ComputeTargetException",
    "azureml.core.compute.aks": (
        "ComputeTarget ComputeTargetAttachConfiguration ComputeTargetException "
        "ComputeTargetProvisioningConfiguration ComputeTargetUpdateConfiguration"
    ),
    "azureml.core.compute.amlcompute": "ComputeTarget ComputeTargetException ComputeTargetProvisioningConfiguration",
    "azureml.core.compute.batch": "ComputeTarget ComputeTargetAttachConfiguration ComputeTargetException",
    "azureml.core.compute.computeinstance": (
        "AuthenticationException ComputeTarget ComputeTargetException ComputeTargetProvisioningConfiguration"
    ),
    "azureml.core.compute.databricks": "ComputeTarget ComputeTargetAttachConfiguration ComputeTargetException",
    "azureml.core.compute.datafactory": (
        "ComputeTarget ComputeTargetAttachConfiguration ComputeTargetException ComputeTargetProvisioningConfiguration"
    ),
    "azureml.core.compute.dsvm": "ComputeTarget ComputeTargetException ComputeTargetProvisioningConfiguration",
    "azureml.core.compute.hdinsight": "ComputeTarget ComputeTargetAttachConfiguration ComputeTargetException",
    "azureml.core.compute.kubernetescompute": "ComputeTarget ComputeTargetAttachConfiguration ComputeTargetException",
    "azureml.core.compute.kusto": "ComputeTarget ComputeTargetAttachConfiguration ComputeTargetException",
    "azureml.core.compute.remote": "ComputeTarget ComputeTargetAttachConfiguration ComputeTargetException",
    "azureml.core.compute.synapse": (
        "ComputeTarget ComputeTargetAttachConfiguration ComputeTargetException LinkedService"
    ),
    "azureml.core.compute_target": "UserErrorException",
    "azureml.core.image": "UnknownImage VERSION",
    "azureml.core.image.image": "Model WebserviceException",
    "azureml.core.image.container": "Asset ContainerRegistry Image ImageConfig TargetRuntime WebserviceException",
    "azureml.core.image.unknown_image": "Image",
    "azureml.exceptions": "VERSION",
}
