"""The settings of `LocalWebservice`: a service on this machine, as a process or as a container.

v1 had only `port`. Settings that v1 had for AKS have the same name and the same path in the file.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from mldeploy_jupyter.core.configs.config_spec import ConfigSpec, keys_differ, one_kind_of_auth, shared_fields
from mldeploy_jupyter.core.configs.fields import Field, Violation

_shared = shared_fields(token=True)
ENGINES = ("process", "docker", "auto")
DAY = 86_400  # seconds; the longest time allowed: more is a mistake, and much more overflows clocks


def is_passable(text: str) -> bool:
    """Whether a process can be given this text in its environment: no NUL, and encodable as UTF-8."""
    try:
        return b"\0" not in text.encode("utf-8")
    except UnicodeEncodeError:  # half of a surrogate pair
        return False


def variables_are_strings(passed: Mapping[str, Any]) -> Iterator[Violation]:
    """The rule that environment variables have valid names and strings as values."""
    variables = passed.get("environment_variables")
    if not isinstance(variables, dict):
        return
    for name, value in variables.items():
        # The value may be a password, so it is not shown.
        if not isinstance(value, str):
            limit = f"must have strings as values, and the value of {name!r} is of type {type(value).__name__}"
            yield Violation("environment_variables", "a dict", limit, "turn the value into a string with str()")
        elif not is_passable(value):
            limit = f"must have values without NUL or unpaired surrogates, which the value of {name!r} has"
            yield Violation("environment_variables", "a dict", limit, "remove the character")
        if isinstance(name, str) and not is_passable(name):
            limit = f"must not have {name!r} as the name of a variable"
            yield Violation("environment_variables", "a dict", limit, "use letters, digits and _, such as MY_VARIABLE")
        elif isinstance(name, str) and (not name or "=" in name):
            limit = f"must not have {name!r} as the name of a variable"
            yield Violation("environment_variables", "a dict", limit, "use a name without '=', such as MY_VARIABLE")


def container_has_limits(passed: Mapping[str, Any]) -> Iterator[Violation]:
    """The rule that only a container's CPU can be limited."""
    if passed.get("engine") == "process" and passed.get("cpu_cores_limit"):
        fix = "pass {engine='docker'}, or leave {cpu_cores_limit} out"
        yield Violation("cpu_cores_limit", repr(passed["cpu_cores_limit"]), "must not go with {engine='process'}", fix)


def headers_are_strings(passed: Mapping[str, Any]) -> Iterator[Violation]:
    """The rule that the sample's headers have names and values that HTTP can carry."""
    headers = passed.get("sample_headers")
    for name, value in headers.items() if isinstance(headers, dict) else ():
        if not isinstance(name, str) or not re.fullmatch(r"[\w!#$%&'*+.^`|~-]+", name, re.ASCII):
            limit = f"must not have {name!r} as the name of a header"
            yield Violation("sample_headers", "a dict", limit, "use letters, digits and -, such as X-Tenant")
        elif name.lower() in ("host", "connection", "content-length", "transfer-encoding"):
            limit = f"must not have {name!r}, which the server sets itself"
            yield Violation("sample_headers", "a dict", limit, "leave the header out")
        # The value may be a token, so it is not shown.
        elif not isinstance(value, str) or not re.fullmatch(r"[\t\x20-\x7e\xa0-\xff]*", value):
            limit = f"must have strings in Latin-1 without line breaks as values, and that of {name!r} is not"
            yield Violation("sample_headers", "a dict", limit, "turn the value into a string with str()")


def hosts_are_names(passed: Mapping[str, Any]) -> Iterator[Violation]:
    """The rule that allowed hosts are names or addresses, without a scheme, port or path."""
    hosts = passed.get("allowed_hosts")
    for host in hosts if isinstance(hosts, list) else []:
        if isinstance(host, str) and not re.fullmatch(r"\*|\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+", host):
            limit = "must have names of hosts, without scheme, port or path"
            yield Violation("allowed_hosts", repr(host), limit, "pass {allowed_hosts=['app.example.com']}")


LOCAL = ConfigSpec(
    "Local",
    "local",
    "LocalWebservice",
    (
        Field("port", "integer", "The port on 127.0.0.1. 0 or None: a free one is chosen once and kept.", 0, "port",
              ("--po", "--port"), minimum=0, maximum=65535),
        *_shared.values(),
        Field("init_timeout", "integer", "Seconds that the script's imports and init() may take.", 300, "initTimeout",
              ("--init-timeout",), minimum=1, maximum=DAY),
        Field("scoring_timeout_ms", "integer", "Milliseconds that one call of run() may take.", 60000,
              "scoringTimeoutMs", ("--tm", "--scoring-timeout-ms"), minimum=1, maximum=1000 * DAY),
        Field("worker_count", "integer", "Processes that score; each loads the model.", 1, "workerCount",
              ("--worker-count",), above=0),
        Field("max_request_body_mb", "number", "The largest request body, in megabytes.", 100, "maxRequestBodyMb",
              ("--max-request-body-mb",), above=0),
        Field("cors_origins", "strings", "Origins whose pages may call the service; none by default.", [],
              "corsOrigins", ("--cors-origins",)),
        Field("environment_variables", "mapping", "Environment variables of the service.", {}, "environmentVariables",
              ("--env",)),
        Field("token_auth_enabled", "boolean", "Whether an expiring token is required instead of a key.", False,
              "tokenAuthEnabled", ("--token-auth-enabled",)),
        Field("max_batch_size", "integer", "The most rows of waiting requests that one call of run() gets. 0: no "
              "batching.", 0, "maxBatchSize", ("--max-batch-size",), minimum=0, maximum=1_000_000),
        Field("memory_gb_limit", "number", "Private memory in gigabytes that a worker may use, above which it is "
              "replaced; with engine docker, that the whole container may use. 0: no limit.", 0,
              "containerResourceRequirements.memoryInGBLimit",
              ("--gbl", "--memory-gb-limit"), minimum=0, maximum=1_000_000),
        Field("max_requests_per_worker", "integer", "Requests after which a worker is replaced by a fresh one. 0: "
              "never.", 0, "maxRequestsPerWorker", ("--max-requests-per-worker",), minimum=0, maximum=10**12),
        Field("max_queue_length", "integer", "Requests that may wait for run() in one worker; further ones are "
              "answered 429.", 500, "maxQueueLength", ("--max-queue-length",), minimum=1, maximum=1_000_000),
        Field("max_request_wait_time", "integer", "Milliseconds a request may wait in the queue; then it is answered "
              "503.", 30_000, "maxQueueWaitMs", ("--mr", "--max-request-wait-time"), minimum=1, maximum=1000 * DAY),
        Field("tracing", "string", "Where OpenTelemetry spans go: otlp (as the OTEL_ variables say), console, or off.",
              "off", "tracing", ("--tracing",), pattern="otlp|console|off", rule="must be 'otlp', 'console' or 'off'"),
        Field("allowed_hosts", "strings", "Host names, besides localhost, 127.0.0.1 and [::1], by which proxies and "
              "tunnels may call the service. *: any.", [], "allowedHosts", ("--allowed-hosts",)),
        Field("keep_last_request", "boolean", "Whether a worker remembers the last request of up to 64 KiB that it "
              "answered, in memory only, for --replay.", True, "keepLastRequest", ("--keep-last-request",)),
        Field("engine", "string", "What runs the service: process, docker (a container), or auto: a container where a "
              "Docker engine answers, else a process. A service keeps its engine.", "process", "engine",
              ("--engine",), pattern="|".join(ENGINES), rule="must be 'process', 'docker' or 'auto'"),
        Field("cpu_cores_limit", "number", "CPU cores that the container may use; only with engine docker. 0: no "
              "limit.", 0, "containerResourceRequirements.cpuLimit", ("--ccl", "--cpu-cores-limit"), minimum=0,
              maximum=1_000),
        Field("no_probe", "boolean", "Whether a new revision gets traffic without scoring the script's sample first.",
              False, "noProbe", ("--no-probe",)),
        Field("sample_headers", "mapping", "Headers of the request that scores the sample, for a script that asks for "
              "them.", {}, "sampleHeaders", ("--sample-header",)),
    ),
    (keys_differ, variables_are_strings, headers_are_strings, hosts_are_names, one_kind_of_auth, container_has_limits),
)  # fmt: skip
