"""The settings of `AksWebservice` (a service on a Kubernetes cluster) and of `AksEndpoint` (one of its versions)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from mldeploy_jupyter.core.configs.config_spec import ConfigSpec, at_least, keys_differ, one_kind_of_auth, shared_fields
from mldeploy_jupyter.core.configs.fields import Field, Violation
from mldeploy_jupyter.core.name_rules import NAMESPACE, NAMESPACE_RULE, SERVICE_NAME, SERVICE_NAME_RULE

_shared = shared_fields(token=True)
_AUTOSCALE = (
    "autoscale_min_replicas",
    "autoscale_max_replicas",
    "autoscale_refresh_seconds",
    "autoscale_target_utilization",
)


def replicas_or_autoscale(passed: Mapping[str, Any]) -> Iterator[Violation]:
    """The rule that a service has either a fixed number of replicas or autoscaling."""
    autoscale = passed.get("autoscale_enabled")
    if autoscale is True and "num_replicas" in passed:
        fix = "leave {num_replicas} out, or pass {autoscale_enabled=False}"
        yield Violation(
            "num_replicas", repr(passed["num_replicas"]), "must not be given when {autoscale_enabled=True}", fix
        )
    if autoscale is False and "num_replicas" not in passed:
        fix = "pass {num_replicas=1}, or leave {autoscale_enabled} out"
        yield Violation("num_replicas", "missing", "must be given when {autoscale_enabled=False}", fix)
    if autoscale is not True:
        # As in v1, they are refused even when autoscaling is on by default.
        for name in _AUTOSCALE:
            if name in passed:
                limit = "must only be given together with {autoscale_enabled=True}"
                yield Violation(
                    name, repr(passed[name]), limit, f"pass {{autoscale_enabled=True}} too, or leave {{{name}}} out"
                )


_FIELDS = (
    Field("autoscale_enabled", "boolean", "Whether replicas follow the load. On when num_replicas is left out.", True,
          "autoScaler.autoscaleEnabled", ("--as", "--autoscale-enabled"),
          derive=lambda passed: "num_replicas" not in passed),
    Field("autoscale_min_replicas", "integer", "The fewest replicas.", 1, "autoScaler.minReplicas",
          ("--mi", "--autoscale-min-replicas"), above=0),
    Field("autoscale_max_replicas", "integer", "The most replicas.", 10, "autoScaler.maxReplicas",
          ("--ma", "--autoscale-max-replicas"), above=0),
    Field("autoscale_refresh_seconds", "integer", "Seconds between two checks of the load.", 1,
          "autoScaler.refreshPeriodInSeconds", ("--ar", "--autoscale-refresh-seconds"), above=0),
    Field("autoscale_target_utilization", "integer", "Percent of the replicas that should be busy.", 70,
          "autoScaler.targetUtilization", ("--at", "--autoscale-target-utilization"), above=0),
    Field("collect_model_data", "boolean", "Whether inputs and outputs are stored.", False,
          "dataCollection.storageEnabled", ("--md", "--collect-model-data")),
    _shared["auth_enabled"],
    Field("cpu_cores", "number", "CPU cores each replica asks for; may be a fraction.", 0.1,
          "containerResourceRequirements.cpu", ("--cc", "--cpu-cores"), above=0),
    Field("memory_gb", "number", "Memory each replica asks for, in gigabytes.", 0.5,
          "containerResourceRequirements.memoryInGB", ("--gb", "--memory-gb"), above=0),
    Field("enable_app_insights", "boolean", "Whether Application Insights collects metrics and logs.", False,
          "appInsightsEnabled", ("--ai", "--enable-app-insights")),
    Field("scoring_timeout_ms", "integer", "Milliseconds that one call of run() may take.", 60000, "scoringTimeoutMs",
          ("--tm", "--scoring-timeout-ms"), above=0),
    Field("replica_max_concurrent_requests", "integer", "Requests that one replica scores at once.", 1,
          "maxConcurrentRequestsPerContainer", ("--rm", "--replica-max-concurrent-requests"), above=0),
    Field("max_request_wait_time", "integer", "Milliseconds a request may wait in the queue; then it is answered 503.",
          500, "maxQueueWaitMs", ("--mr", "--max-request-wait-time"), above=0),
    Field("num_replicas", "integer", "A fixed number of replicas, without autoscaling.", None, "numReplicas",
          ("--nr", "--num-replicas"), above=0),
    _shared["primary_key"],
    _shared["secondary_key"],
    _shared["tags"],
    _shared["properties"],
    _shared["description"],
    Field("gpu_cores", "integer", "GPUs each replica asks for.", 0, "gpuCores", ("--gc", "--gpu-cores"), minimum=0),
    Field("period_seconds", "integer", "Seconds between two liveness probes.", 10,
          "livenessProbeRequirements.periodSeconds", ("--ps", "--period-seconds"), above=0),
    Field("initial_delay_seconds", "integer", "Seconds before the first liveness probe.", 310,
          "livenessProbeRequirements.initialDelaySeconds", ("--id", "--initial-delay-seconds"), above=0),
    Field("timeout_seconds", "integer", "Seconds after which a liveness probe counts as failed.", 2,
          "livenessProbeRequirements.timeoutSeconds", ("--ts", "--timeout-seconds"), above=0),
    Field("success_threshold", "integer", "Successful liveness probes in a row until a replica counts as healthy.",
          1, "livenessProbeRequirements.successThreshold", ("--st", "--success-threshold"), above=0),
    Field("failure_threshold", "integer", "Failed liveness probes in a row after which a replica is restarted.", 3,
          "livenessProbeRequirements.failureThreshold", ("--ft", "--failure-threshold"), above=0),
    Field("namespace", "string", "The Kubernetes namespace. The cluster's default when left out.", None, "namespace",
          ("--namespace",), pattern=NAMESPACE, rule=NAMESPACE_RULE),
    Field("token_auth_enabled", "boolean", "Whether a Microsoft Entra token is required instead of a key.", False,
          "tokenAuthEnabled", ("--token-auth-enabled",)),
    Field("compute_target_name", "string", "The cluster's name in the workspace.", None, "computeTargetName",
          ("--ct", "--compute-target", "-ct")),
    Field("cpu_cores_limit", "number", "CPU cores a replica may use at most.", None,
          "containerResourceRequirements.cpuLimit", ("--ccl", "--cpu-cores-limit"), above=0),
    Field("memory_gb_limit", "number", "Memory a replica may use at most, in gigabytes.", None,
          "containerResourceRequirements.memoryInGBLimit", ("--gbl", "--memory-gb-limit"), above=0),
    Field("blobfuse_enabled", "boolean", "Whether models are mounted from blob storage instead of copied.", True, "",
          ("--blobfuse-enabled",)),
)  # fmt: skip

_RULES = (
    replicas_or_autoscale,
    at_least("autoscale_max_replicas", "autoscale_min_replicas"),
    at_least("cpu_cores_limit", "cpu_cores"),
    at_least("memory_gb_limit", "memory_gb"),
    one_kind_of_auth,
    keys_differ,
)

AKS = ConfigSpec("AKS", "aks", "AksWebservice", _FIELDS, _RULES)

_VERSION = (
    Field("version_name", "string", "The name of this version of the endpoint.", None, "versionName",
          ("--vn", "--version-name"), pattern=SERVICE_NAME, rule=SERVICE_NAME_RULE),
    Field("traffic_percentile", "number", "Percent of the requests that this version gets.", None,
          "trafficPercentile", ("--tp", "--traffic-percentile"), minimum=0, maximum=100),
)  # fmt: skip
# v1's positional order: the version stands before the cluster's name.
_CLUSTER_INDEX = next(index for index, field in enumerate(_FIELDS) if field.name == "compute_target_name")

AKS_ENDPOINT = ConfigSpec(
    "AKSENDPOINT", "aks", "AksEndpoint", (*_FIELDS[:_CLUSTER_INDEX], *_VERSION, *_FIELDS[_CLUSTER_INDEX:]), _RULES
)
