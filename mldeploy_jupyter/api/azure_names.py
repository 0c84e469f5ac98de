"""v1's names that this package does not have: reading one raises an error that says why.

Apart from the two classes that read it, this is data. `tests/unit/azureml/v1_members.json` has every public name of
v1's classes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

from mldeploy_jupyter.api.arguments import AzureOnly


class AzureOnlyAttribute(AzureOnly, AttributeError):
    """An attribute of v1 that needs Azure; an `AttributeError`, so that `hasattr` returns False."""


class Reason(NamedTuple):
    """Why a name is not here, and what to write instead of it. `what` follows the name in the error."""

    why: str
    hint: str
    what: str = "needs Azure"


class _AzureNamesType(type):
    """Answers for the class itself, such as for v1's static methods."""

    if not TYPE_CHECKING:  # mypy would accept every name

        def __getattr__(cls, name: str) -> Any:
            reason = cls._find_reason(name) if not name.startswith("__") else None
            if reason is None:
                raise AttributeError(f"type object {cls.__name__!r} has no attribute {name!r}", name=name, obj=cls)
            raise AzureOnlyAttribute(f"{cls.__name__}.{name} {reason.what}", why=reason.why, hint=reason.hint)


class AzureNames(metaclass=_AzureNamesType):
    """The base of a class that has such names. Its subclass sets `_azure_owner`, as people call an object of it."""

    _azure_owner: ClassVar[str]
    _azure_names: ClassVar[Mapping[str, Reason]]

    @classmethod
    def _find_reason(cls, name: str) -> Reason | None:
        """The reason of the class itself, or of one that it inherits from."""
        tables = (vars(base).get("_azure_names", {}) for base in cls.__mro__)
        return next((table[name] for table in tables if name in table), None)

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            reason = self._find_reason(name)
            if reason is None:
                raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}", name=name, obj=self)
            raise AzureOnlyAttribute(f"{self._azure_owner}.{name} {reason.what}", why=reason.why, hint=reason.hint)


def _names(reason: Reason, names: str) -> dict[str, Reason]:
    return dict.fromkeys(names.split(), reason)


_SIGN_IN = Reason(
    "a workspace here is a folder, there is nothing to sign in to",
    'for a service write {"Authorization": "Bearer " + service.get_keys()[0]}',
)
_RESOURCE = Reason("a workspace here is a folder, not a resource of Azure", "leave this line out")
_NO_DATA = Reason(
    "a workspace here is a folder, and keeps no data sets",
    "read your files with pandas or numpy, then Model.register(workspace, path, name)",
)

WORKSPACE = {
    **_names(_SIGN_IN, "_auth _auth_object _service_context service_context list_keys sync_keys"),
    **_names(
        _RESOURCE,
        "add_private_endpoint delete_private_endpoint_connection diagnose_workspace discovery_url linked_services "
        "private_endpoints set_connection get_connection list_connections delete_connection update_dependencies setup",
    ),
    **_names(_NO_DATA, "set_default_datastore"),
}

_INNER = Reason("v1 had it for its own use", "leave this line out", "is not here")

WORKSPACE |= _names(
    Reason("no cluster is made or used", "leave this line out, and train in the notebook"),
    "DEFAULT_CPU_CLUSTER_CONFIGURATION DEFAULT_CPU_CLUSTER_NAME DEFAULT_GPU_CLUSTER_CONFIGURATION "
    "DEFAULT_GPU_CLUSTER_NAME",
)

_NO_PAGE = Reason(
    "nothing here has a page on Azure's website", "open the panel: %panel, or `mldeploy service show NAME`"
)

_NAME_ONLY = "an experiment here is a name that runs have"

EXPERIMENT = {
    **_names(
        Reason(_NAME_ONLY, "tag its runs: run.tag(key, value)"),
        "tags properties tag set_tags add_tags remove_tags add_properties",
    ),
    **_names(
        Reason(_NAME_ONLY, "leave this line out; delete the folders of its runs where they are in the way"),
        "archive archived_time delete from_directory get_docs_url reactivate",
    ),
    **_names(_NO_PAGE, "identity portal_url"),
    **_names(_INNER, "DELIM EXPERIMENT_ID_PATH EXPERIMENT_NAME_PATH TID_FMT WORKSPACE_FMT"),
}

_AUTOML = Reason(
    "AutoML and HyperDrive are outside of what this package does",
    "train in the notebook, then run.upload_file(name, path) and run.register_model(...)",
)
_SUBMITTED = Reason(
    "a run here is what the notebook trains; nothing was submitted", "keep what is needed: run.upload_file(name, path)"
)

RUN = {
    **_names(
        _AUTOML,
        "get_best_child get_best_run_by_primary_metric get_children_sorted_by_primary_metric get_guardrails "
        "get_hyperparameters model_id summary register_onnx_model",
    ),
    **_names(
        _SUBMITTED,
        "add_type_provider clean get_detailed_status get_diagnostics get_snapshot_id get_submitted_run list_by_compute "
        "restore_snapshot take_snapshot",
    ),
    **_names(
        Reason("this package does not submit training runs", "train below run.child_run()"), "submit_child submit_run"
    ),
    **_names(
        Reason(
            "a run here is what the notebook trains, in the kernel's own Python",
            "deploy without an environment, which takes the kernel's packages, or with Environment(...)",
        ),
        "get_environment",
    ),
    **_names(
        Reason("this package keeps no secrets of yours", "read the secret from os.environ"), "get_secret get_secrets"
    ),
    **_names(_NO_PAGE, "get_docs_url identity portal_url"),
    **_names(
        Reason(
            "what a notebook prints stays in the notebook",
            "see run.get_file_names(), and service.get_logs() for a service",
            "is not kept here",
        ),
        "get_all_logs",
    ),
    **_names(_INNER, "DELIM EXPERIMENT_ID_PATH EXPERIMENT_NAME_PATH RUN_PATH TID_FMT WORKSPACE_FMT"),
}

# Private, and in notebooks of v1's own samples.
MODEL = _names(
    Reason(
        "v1 had it for its own use",
        "model.download(target_dir) copies the files; Model.get_model_path(name) finds them",
        "is not here",
    ),
    "_get_model_path_local _get_model_path_remote",
)

_LISTENS = Reason("a service here listens on this machine, by HTTP", "its address is service.scoring_uri")
_SETTING = Reason(
    "the settings of a service belong to the revision that serves",
    "service.live_revision().deploy_config has those that were passed",
    "is not here",
)

SERVICE = {
    **_names(
        Reason(
            "the environment of a service belongs to the revision that serves",
            "service.live_revision().environment names its Python and lock; service.receipt() has that of an image",
            "is not here",
        ),
        "environment",
    ),
    **_names(
        Reason("v1 had it for its own use", "call service.wait_for_deployment()", "is not here"),
        "_wait_for_operation_to_complete",
    ),
    **_names(_INNER, "NETWORK_NAME STATE_DELETED STATE_DEPLOYING STATE_FAILED STATE_RUNNING STATE_UNKNOWN"),
}

ACI_SERVICE = {
    **_names(
        _LISTENS,
        "cname encryption_properties location public_fqdn public_ip ssl_certificate ssl_enabled ssl_key "
        "vnet_configuration",
    ),
    **_names(_SETTING, "container_resource_requirements enable_app_insights"),
}

AKS_SERVICE = {
    **_names(Reason("no cluster is made or used", "its address is service.scoring_uri"), "compute_name namespace"),
    **_names(
        _SETTING,
        "autoscaler container_resource_requirements data_collection enable_app_insights liveness_probe_requirements "
        "max_concurrent_requests_per_container max_request_wait_time num_replicas scoring_timeout_ms",
    ),
    **_names(
        Reason("a service here has one revision that serves", "see service.revisions and service.state"),
        "deployment_status is_default traffic_percentile version_type versions VersionType",
    ),
}

CONFIGURATION = {
    **_names(_LISTENS, "location"),
    **_names(
        Reason("a configuration is checked when it is used", "call validate_configuration()", "is not here"),
        "validate_endpoint_configuration validate_image",
    ),
    **_names(
        Reason(
            "the base class has no settings",
            "call deploy_configuration() of LocalWebservice, AciWebservice or AksWebservice",
            "is not here",
        ),
        "description primary_key properties secondary_key tags",
    ),
}

INFERENCE_CONFIG = _names(
    Reason(
        "a service is made from what is there when it is deployed",
        "call Model.deploy(ws, name, models, inference_config)",
        "is not here",
    ),
    "build_create_payload build_profile_payload validation_script_content",
)

_WHEEL = Reason(
    "an environment here is not kept in Azure", 'name the file: CondaDependencies.add_pip_package("./name.whl")'
)

ENVIRONMENT = _names(_WHEEL, "add_private_pip_wheel asset_id")

CONDA = {
    **_names(_INNER, "DEFAULT_NUMBER_OF_CONDA_PACKAGES DEFAULT_NUMBER_OF_PIP_PACKAGES get_default_number_of_packages"),
    **_names(
        Reason("packages come from the index that pip is configured for", "leave this line out"), "sdk_origin_url"
    ),
}

PACKAGE = _names(
    Reason("a package reads its own state", "read package.state, or call wait_for_creation()", "is not here"),
    "update_creation_state",
)

PROFILE = {
    **_names(_INNER, "create_operation_id id input_dataset_id parent_request_id"),
    **_names(
        Reason(
            "a profile here is measured with a service of this machine, and kept in this process only",
            "profile.get_details() has what was measured",
            "is not here",
        ),
        "environment error_logs_url model_ids",
    ),
}

IMAGE = {
    **_names(
        Reason(
            "an image of v1 is only described here, and made when it is deployed",
            "call Webservice.deploy_from_image(ws, name, image); Model.package(...) makes an image alone",
            "is not here",
        ),
        "run",
    ),
    **_names(Reason("an image is kept in this process only", "call Image(ws, name)", "is not here"), "deserialize"),
    **_names(
        Reason("an image of v1 is only described here", "see image.image_config", "is not here"),
        "assets created_time driver_program target_runtime",
    ),
}
