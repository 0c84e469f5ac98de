"""v1's compute targets. After `migrate(local=True)` they are stand-ins: nothing is made, services are deployed here.

Otherwise every use raises `TargetNotAvailable`, which is v1's `ComputeTargetException`.
"""

from __future__ import annotations

from builtins import list as List  # `ComputeTarget.list` hides the name inside the classes
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Self

from mldeploy_jupyter.azureml.retired import Retired
from mldeploy_jupyter.core import migration
from mldeploy_jupyter.core.errors import TargetNotAvailable

SUCCEEDED = "Succeeded"

_CLUSTER = "no cluster is made or used, services are deployed to this machine (migrate(local=True))"
_TRAINING = "no cluster is made or used (migrate(local=True)): train in the notebook"


class Status(str):
    """The state of a stand-in. v1 returned a text for some kinds and an object for others; this is both."""

    provisioning_state = property(str)
    errors = None

    def serialize(self) -> dict[str, Any]:
        """The state as data, with v1's keys."""
        return {"provisioningState": str(self), "currentNodeCount": 0, "targetNodeCount": 0, "errors": None}


class ComputeAttributeError(TargetNotAvailable, AttributeError):
    """An attribute of a cluster that is not there; an `AttributeError`, so that `hasattr` returns False."""


class ComputeConfiguration(SimpleNamespace):
    """What `provisioning_configuration` and `attach_configuration` return: its settings, which have no effect."""

    def __init__(self, kind: type[ComputeTarget], settings: dict[str, Any]) -> None:
        super().__init__(**settings)
        self._kind = kind

    def enable_ssl(self, *args: Any, **settings: Any) -> None:
        """Takes v1's settings, which have no effect: services of this machine are reached by HTTP."""
        vars(self).update(settings)

    def validate_configuration(self) -> None:
        """Checks nothing: there is no cluster to make."""


class _Compute(Retired):
    def __call__(cls, *args: Any, **kwargs: Any) -> Any:
        return type.__call__(cls, *args, **kwargs) if migration.is_local() else super().__call__(*args, **kwargs)


class ComputeTarget(metaclass=_Compute):
    """v1's compute. `ComputeTarget(ws, name)` always finds one, of the class that it was created with."""

    why = "this version deploys to this machine only; clusters come later"
    hint = (
        "call migrate(local=True) to try the notebook on this machine, or deploy here with "
        "LocalWebservice.deploy_configuration() and leave out deployment_target"
    )
    error = TargetNotAvailable
    type = "Compute"
    _note = _CLUSTER

    provisioning_state = SUCCEEDED
    provisioning_errors: tuple[str, ...] = ()
    is_attached = False
    description = None
    id = cluster_resource_id = property(lambda self: self.name)
    location = cluster_location = "this machine"
    status = property(lambda self: self.get_status())

    def __new__(cls, workspace: Any = None, name: str = "", *args: Any, **kwargs: Any) -> Self:
        known = migration.compute_targets.get(_key(workspace), {}).get(name)
        return known if isinstance(known, cls) else super().__new__(cls)

    def __init__(self, workspace: Any = None, name: str = "", *args: Any, **kwargs: Any) -> None:
        self.workspace, self.name = workspace, name
        self.tags: dict[str, str] = {}
        migration.say_once(f"{name}: {self._note}.")

    @classmethod
    def create(cls, workspace: Any, name: str, provisioning_configuration: Any) -> Any:
        """A stand-in of the class that the configuration is of; `ws.compute_targets` has it until the kernel ends."""
        cls._require_local(".create")
        kind = getattr(provisioning_configuration, "_kind", cls)
        made = kind(workspace, name)
        migration.compute_targets.setdefault(_key(workspace), {})[name] = made
        return made

    @classmethod
    def attach(cls, workspace: Any, name: str, attach_configuration: Any) -> Any:
        """As `create`."""
        cls._require_local(".attach")
        return cls.create(workspace, name, attach_configuration)

    @classmethod
    def list(cls, workspace: Any) -> List[Any]:
        """The stand-ins of this class that were created in this process."""
        cls._require_local(".list")
        known = migration.compute_targets.get(_key(workspace), {})
        return [target for target in known.values() if isinstance(target, cls)]

    @classmethod
    def provisioning_configuration(cls, *args: Any, **settings: Any) -> ComputeConfiguration:
        """The settings of a stand-in, which have no effect."""
        cls._require_local(".provisioning_configuration")
        return ComputeConfiguration(cls, settings)

    @classmethod
    def attach_configuration(cls, *args: Any, **settings: Any) -> ComputeConfiguration:
        """As `provisioning_configuration`."""
        cls._require_local(".attach_configuration")
        return ComputeConfiguration(cls, settings)

    @classmethod
    def _require_local(cls, used: str) -> None:
        if not migration.is_local():
            raise cls._refusal(used)

    def wait_for_completion(self, show_output: bool = False, *args: Any, **kwargs: Any) -> None:
        """Returns at once. `show_output` prints the state."""
        if show_output:
            print(SUCCEEDED)

    def get_status(self) -> Status:
        """Always `Succeeded`."""
        return Status(SUCCEEDED)

    def refresh_state(self) -> None:
        """Does nothing."""

    def update(self, *args: Any, **kwargs: Any) -> None:
        """Does nothing."""

    def delete(self) -> None:
        """Forgets the stand-in."""
        migration.compute_targets.get(_key(self.workspace), {}).pop(self.name, None)

    detach = delete

    def get_credentials(self) -> dict[str, Any]:
        """Raises `TargetNotAvailable`: there is no cluster to sign in to."""
        raise TargetNotAvailable(
            f"{self.name} has no credentials",
            why=self._note,
            hint="leave the call out; a service's own keys are service.get_keys()",
        )

    def serialize(self) -> dict[str, Any]:
        """The stand-in as data, with v1's keys."""
        return {"name": self.name, "computeType": self.type, "provisioningState": SUCCEEDED}

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            # Whatever else v1 had: sizes, addresses, users of machines that are not there.
            if name.startswith("_"):
                raise AttributeError(name)
            raise ComputeAttributeError(
                f"{self.name} is a stand-in and has no {name}", why=self._note, hint="leave this line out"
            )

    def __repr__(self) -> str:
        return f"{type(self).__name__}(name={self.name!r}, a stand-in)"


class AksCompute(ComputeTarget):
    """v1's Kubernetes cluster."""

    type = "AKS"

    class ClusterPurpose:
        """What a cluster is for; without effect."""

        FAST_PROD = "FastProd"
        DENSE_PROD = "DenseProd"
        DEV_TEST = "DevTest"


class KubernetesCompute(ComputeTarget):
    """v1's attached Kubernetes cluster."""

    type = "Kubernetes"


class KustoCompute(ComputeTarget):
    """v1's attached Data Explorer cluster."""

    type = "Kusto"


class AmlCompute(ComputeTarget):
    """v1's training cluster."""

    why = "training clusters are outside of what this package does"
    hint = "train in the notebook, then register the file with Model.register(...)"
    type = "AmlCompute"
    _note = _TRAINING

    @classmethod
    def supported_vmsizes(cls, workspace: Any, location: str | None = None) -> List[dict[str, Any]]:
        """An empty list: no machine is rented."""
        cls._require_local(".supported_vmsizes")
        return []

    def list_nodes(self) -> List[dict[str, Any]]:
        """An empty list: no cluster is used."""
        return []


class ComputeInstance(AmlCompute):
    """v1's notebook machine."""

    type = "ComputeInstance"

    def start(self, *args: Any, **kwargs: Any) -> None:
        """Does nothing."""

    stop = restart = start


class RemoteCompute(AmlCompute):
    """v1's attached virtual machine."""

    type = "VirtualMachine"


class DsvmCompute(RemoteCompute):
    """v1's data science virtual machine."""


def _make_stand_in(name: str, type: str, doc: str) -> Any:
    """A class of v1 of which nothing but its name and its type matters here."""
    return _Compute(name, (AmlCompute,), {"__module__": __name__, "__doc__": f"v1's {doc}.", "type": type})


BatchCompute = _make_stand_in("BatchCompute", "Batch", "Azure Batch")
DatabricksCompute = _make_stand_in("DatabricksCompute", "Databricks", "Databricks workspace")
DataFactoryCompute = _make_stand_in("DataFactoryCompute", "DataFactory", "data factory")
SynapseCompute = _make_stand_in("SynapseCompute", "SynapseSpark", "Spark pool")
HDInsightCompute = _make_stand_in("HDInsightCompute", "HDInsight", "HDInsight cluster")
AdlaCompute = _make_stand_in("AdlaCompute", "DataLakeAnalytics", "Data Lake Analytics account")


def _key(workspace: Any) -> str:
    return str(getattr(workspace, "name", ""))
