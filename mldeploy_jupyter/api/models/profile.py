"""`ModelProfile`: how much CPU and memory a model needs, from load on a service of its own that is removed again."""

from __future__ import annotations

import math
import os
import re
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mldeploy_jupyter.api.arguments import WorkspaceLike, check_text, check_workspace
from mldeploy_jupyter.api.azure_names import PROFILE, AzureNames
from mldeploy_jupyter.core.errors import UserErrorException, WebserviceException
from mldeploy_jupyter.core.records import utc_now
from mldeploy_jupyter.serving.system.procfs import read_sizes, read_stat

if TYPE_CHECKING:
    from mldeploy_jupyter.api.webservices import InferenceConfig, Webservice
    from mldeploy_jupyter.latency.result import LatencyResult

CPU_RANGE = (0.1, 3.5)  # cores, as in v1

MEMORY_RANGE = (0.1, 15.0)  # GB, as in v1

STEP_SECONDS = 3.0  # of load for each step of the ramp

RAMP_SHARES = (0.3, 0.6, 0.8, 0.95, 1.1)  # of the rate that four users reached, who wait for answers

USERS = 4  # of the closed loop that finds about how much one worker can do

KEPT_UP = 0.97  # of a step's rate that must be answered for the service to have kept up with it

UTILISATION = 0.7  # of the recommended cores that the sustained rate uses: the target at which v1's clusters scaled out

MEMORY_RESERVE = 1.5  # times the peak that was seen, as `memory_gb_limit` proposes

SAMPLE_SECONDS = 0.25  # between two checks of the processes

GB = 10**9

# v1's attributes -> their key in `get_details()`. None before the end, and where there were too few requests.
_FIGURES = {
    "average_latency_in_ms": "averageLatencyInMs",
    "latency_percentile_50_in_ms": "latencyPercentile50InMs",
    "latency_percentile_90_in_ms": "latencyPercentile90InMs",
    "latency_percentile_95_in_ms": "latencyPercentile95InMs",
    "latency_percentile_99_in_ms": "latencyPercentile99InMs",
    "latency_percentile_999_in_ms": "latencyPercentile999InMs",
    "max_utilized_cpu": "maxUtilizedCpu",
    "max_utilized_memory": "maxUtilizedMemoryInGB",
    "measured_queries_per_second": "measuredQueriesPerSecond",
    "recommended_cpu": "recommendedCpu",
    "recommended_memory": "recommendedMemoryInGB",
    "requested_cpu": "requestedCpu",
    "requested_memory_in_gb": "requestedMemoryInGB",
    "requested_queries_per_second": "requestedQueriesPerSecond",
    "success_queries": "successQueries",
    "success_rate": "successRate",
    "total_queries": "totalQueries",
}


@dataclass
class Usage:
    """What the processes of a service have used so far."""

    cpu_seconds: float = 0.0
    max_cores: float = 0.0
    peak_bytes: int = 0


class ModelProfile(AzureNames):
    """A profile that is being measured, or was. `Model.profile` makes it."""

    _azure_owner, _azure_names = "profile", PROFILE

    def __init__(
        self,
        workspace: WorkspaceLike,
        name: str,
        deploy: Callable[[str], Webservice],
        payload: Any,
        *,
        cpu: float | None,
        memory_in_gb: float | None,
        description: str | None,
        step_seconds: float,
    ) -> None:
        self.workspace, self.name, self.description = workspace, name, description
        self.created_time = utc_now()
        self._cpu, self._memory = cpu, memory_in_gb
        self._deploy, self._payload, self._step_seconds = deploy, payload, step_seconds
        self._stopped = threading.Event()
        self._error: BaseException | None = None
        self._doing = "deploying"
        self._details: dict[str, Any] = {}
        # No daemon: a process that ends before the profile does waits for the removal of its service.
        self._thread = threading.Thread(target=self._measure, name="mldeploy-profile")
        self._thread.start()

    @property
    def state(self) -> str:
        """v1's word: Running, Succeeded or Failed."""
        if self._thread.is_alive():
            return "Running"
        return "Failed" if self._error is not None else "Succeeded"

    def wait_for_completion(self, show_output: bool = False) -> None:
        """Waits for the end; `show_output` prints what is being done. An interrupt ends the profile.

        Raises the error for which it failed: that of the deployment, or `WebserviceException`.
        """
        shown = ""
        try:
            while self._thread.is_alive():
                if show_output and self._doing != shown:
                    shown = self._doing
                    print(f"profile {self.name}: {shown}", flush=True)
                self._thread.join(0.1)
        except KeyboardInterrupt:
            self._stopped.set()
            self._thread.join()
            raise
        if self._error is not None:
            raise self._error

    def get_details(self) -> dict[str, Any]:
        """The figures, with v1's keys; before the end only name, state and what was asked for.

        `recommendedCpu` (cores) and `recommendedMemoryInGB` are for `measuredQueriesPerSecond`, the highest rate of the
        ramp that one worker kept up with. They rest on `cpuSecondsPerQuery`, on `maxUtilizedMemoryInGB` (the peak of
        the worker and its supervisor) and on the reserves in `utilization` and `memoryReserve`. Latencies are in
        milliseconds and belong to that rate; a percentile is None where there were too few requests. `steps` has the
        whole ramp.
        """
        known: dict[str, Any] = {"name": self.name, "state": self.state, "createdTime": self.created_time}
        known |= {"description": self.description, "requestedCpu": self._cpu, "requestedMemoryInGB": self._memory}
        if self._error is not None and self.state == "Failed":
            known["error"] = str(self._error)
        return {**known, **(self._details if self.state == "Succeeded" else {})}

    def get_results(self) -> dict[str, Any]:
        """v1's older name of `get_details`."""
        return self.get_details()

    def serialize(self) -> dict[str, Any]:
        """The same as `get_details`."""
        return self.get_details()

    @property
    def error(self) -> str | None:
        """Why it failed; None otherwise."""
        return self.get_details().get("error")

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            if name in _FIGURES:
                return self.get_details().get(_FIGURES[name])
            return super().__getattr__(name)

    def __repr__(self) -> str:
        return f"ModelProfile(name={self.name!r}, state={self.state!r})"

    def _measure(self) -> None:
        try:
            self._details = self._profile()
        except BaseException as error:
            self._error = error

    def _profile(self) -> dict[str, Any]:
        from mldeploy_jupyter.api.webservices import Webservice

        temporary = f"profile-{os.urandom(4).hex()}"
        try:
            service = self._deploy(temporary)
            service.wait_for_deployment()
            return self._load(service)
        finally:
            self._doing = "removing its service"
            left = Webservice(self.workspace, temporary, must_exist=False)
            if any(each.name == temporary for each in Webservice.list(self.workspace)):
                left.cancel()
                left.delete()

    def _load(self, service: Webservice) -> dict[str, Any]:
        watch = UsageWatch(service)
        watch.start()
        try:
            self._doing = "finding how much one worker can do"
            capacity = self._run(service, users=USERS, duration=self._step_seconds)
            closed = next(iter(capacity.rows()), None)
            if closed is None or not closed["rate_reached"] or closed["errors"] == closed["requests"]:
                raise WebserviceException(
                    f"{self.name} could not be profiled: the model answered nothing",
                    why="; ".join(capacity.verdict[:2]) or "no request was answered",
                    hint="try the script with a request of its own: mldeploy script check score.py",
                )
            rates = [float(f"{share * closed['rate_reached']:.3g}") for share in RAMP_SHARES]
            before = watch.read()
            self._doing = f"load at {', '.join(f'{rate:g}' for rate in rates)} requests a second"
            ramp = self._run(service, ramp=rates, duration=self._step_seconds)
        finally:
            usage = watch.stop()
        return make_details(ramp, before, usage)

    def _run(self, service: Webservice, **load: Any) -> LatencyResult:
        from mldeploy_jupyter.api.webservices.latency.measure import start_latency
        from mldeploy_jupyter.api.webservices.latency.preparation import NoSample

        try:
            run = start_latency(service, payload=self._payload, save=False, seed=1, **load)
        except NoSample as error:
            error.what = f"the profile {self.name} has nothing to send"
            error.hint = f"pass what clients send: input_dataset=[{error.example!r}]"
            raise
        while run.running:
            if self._stopped.wait(0.1):
                run.stop()
                raise WebserviceException(
                    f"the profile {self.name} was stopped",
                    why="its wait was interrupted",
                    hint="its service is removed; profile again when you are ready",
                )
        return run.wait()


@dataclass
class UsageWatch:
    """Looks at the processes of a service in a thread: its workers as its metrics name them, and its supervisor."""

    service: Webservice
    _usage: Usage = field(default_factory=Usage)
    _ended: threading.Event = field(default_factory=threading.Event)
    _cpu: dict[int, float] = field(default_factory=dict)

    def start(self) -> None:
        self._pids = service_pids(self.service)
        self._look(None)
        self._thread = threading.Thread(target=self._watch, name="mldeploy-profile-usage", daemon=True)
        self._thread.start()

    def read(self) -> Usage:
        """What was used until now; resets the largest figures."""
        usage, self._usage.max_cores = Usage(**vars(self._usage)), 0.0
        return usage

    def stop(self) -> Usage:
        self._ended.set()
        self._thread.join()
        return self._usage

    def _watch(self) -> None:
        last = time.monotonic()
        while not self._ended.wait(SAMPLE_SECONDS):
            now = time.monotonic()
            self._look(now - last)
            last = now

    def _look(self, seconds: float | None) -> None:
        ticks = os.sysconf("SC_CLK_TCK")
        used, peak = 0.0, 0
        for pid in self._pids:
            stat = read_stat(pid)
            if stat is not None:
                cpu = stat.cpu_time / ticks
                used += cpu - self._cpu.get(pid, cpu)
                self._cpu[pid] = cpu
            peak += (read_sizes(pid, "status") or {}).get("VmHWM", 0)
        self._usage.cpu_seconds += used
        self._usage.peak_bytes = max(self._usage.peak_bytes, peak)
        if seconds:
            self._usage.max_cores = max(self._usage.max_cores, used / seconds)


def service_pids(service: Webservice) -> list[int]:
    """The processes of a service on this machine: its supervisor and its workers."""
    found = re.findall(r'^mldeploy_worker_ready\{.*pid="(\d+)"', service.read_metrics(), re.MULTILINE)
    supervisor = service.record.endpoint.get("pid")
    return [*({int(supervisor)} if supervisor else ()), *map(int, found)]


def make_details(ramp: LatencyResult, before: Usage, after: Usage) -> dict[str, Any]:
    """The figures of a profile, from its ramp and from what the processes used in it."""
    steps = ramp.rows("step")
    kept = [step for step in steps if keeps_up(step)]
    best = kept[-1] if kept else steps[0]
    sent = max(1, len(ramp.samples))  # with the warm-up, which costs CPU too
    per_query = (after.cpu_seconds - before.cpu_seconds) / sent
    rate = best["rate_reached"] or 0.0
    answered = sum(step["requests"] for step in steps)
    failed = sum(step["errors"] for step in steps)
    peak = after.peak_bytes / GB
    known = after.peak_bytes > 0  # there is no /proc on macOS
    return {
        "recommendedCpu": recommend_cores(per_query * rate) if known else None,
        "recommendedMemoryInGB": recommend_memory(peak) if known else None,
        "maxUtilizedCpu": round(after.max_cores, 3) if known else None,
        "maxUtilizedMemoryInGB": round(peak, 3) if known else None,
        "cpuSecondsPerQuery": round(per_query, 6) if known else None,
        "utilization": UTILISATION,
        "memoryReserve": MEMORY_RESERVE,
        "totalQueries": answered,
        "successQueries": answered - failed,
        "successRate": round(100 * (answered - failed) / answered, 3) if answered else None,
        "averageLatencyInMs": best["mean"],
        **{
            f"latencyPercentile{name.replace('p', '').replace('.', '')}InMs": best[name]
            for name in ("p50", "p90", "p95", "p99", "p99.9")
        },
        "requestedQueriesPerSecond": best["rate_wanted"],
        "measuredQueriesPerSecond": rate,
        "keptUp": bool(kept),
        "valid": ramp.valid,
        "invalidReason": ramp.invalid_reason,
        "steps": [
            {
                "requestedQueriesPerSecond": step["rate_wanted"],
                "measuredQueriesPerSecond": step["rate_reached"],
                "keptUp": keeps_up(step),
                "latencyPercentile50InMs": step["p50"],
                "latencyPercentile95InMs": step["p95"],
            }
            for step in steps
        ],
    }


def keeps_up(step: dict[str, Any]) -> bool:
    """Whether the service answered a step's requests as fast as they came, nearly all of them well."""
    wanted, reached = step["rate_wanted"], step["rate_reached"]
    return bool(wanted and reached and reached >= KEPT_UP * wanted and step["errors"] <= 0.01 * step["requests"])


def recommend_cores(used: float) -> float:
    """Cores, in tenths, of which `used` are the share that `UTILISATION` says."""
    return max(CPU_RANGE[0], math.ceil(round(10 * used / UTILISATION, 6)) / 10)


def recommend_memory(peak: float) -> float:
    """GB, in tenths."""
    return max(MEMORY_RANGE[0], math.ceil(round(10 * peak * MEMORY_RESERVE, 6)) / 10)


def profile(
    workspace: WorkspaceLike,
    profile_name: str,
    models: Sequence[Any],
    inference_config: InferenceConfig,
    input_dataset: Any = None,
    cpu: float | None = None,
    memory_in_gb: float | None = None,
    description: str | None = None,
    step_seconds: float = STEP_SECONDS,
    *,
    deploy: Callable[..., Webservice],
) -> ModelProfile:
    """The body of `Model.profile`, which documents it and names the errors; `deploy` is `Model.deploy`."""
    from mldeploy_jupyter.api.webservices import LocalWebservice
    from mldeploy_jupyter.api.webservices.deploy_arguments import default_inference, resolve_models, to_inference_data

    check_workspace(workspace)
    if not check_text("profile_name", profile_name):
        raise UserErrorException(
            "the profile has no name", why="profile_name is empty", hint='pass profile_name="churn-profile"'
        )
    check_text("description", description)
    _check_resource("cpu", cpu, CPU_RANGE, "cores")
    _check_resource("memory_in_gb", memory_in_gb, MEMORY_RANGE, "GB")
    payload = make_payload(input_dataset)
    if isinstance(models, Iterable) and not isinstance(models, (str, Path)):
        models = list(models)
    references = resolve_models(workspace, models)
    to_inference_data(inference_config or default_inference(workspace, references))
    settings = {"memory_gb_limit": memory_in_gb} if memory_in_gb is not None else {}
    config = LocalWebservice.deploy_configuration(worker_count=1, auth_enabled=True, **settings)

    def deploy_as(name: str) -> Webservice:
        return deploy(workspace, name, models, inference_config, config)

    return ModelProfile(
        workspace,
        profile_name,
        deploy_as,
        payload,
        cpu=cpu,
        memory_in_gb=memory_in_gb,
        description=description,
        step_seconds=step_seconds,
    )


def make_payload(dataset: Any) -> Any:
    """What is sent, as `start_latency` takes it: inputs of a table with one column of strings, of a list, or a file."""
    if dataset is None or isinstance(dataset, (Path, bytes)) or callable(dataset):
        return dataset
    if hasattr(dataset, "columns") and hasattr(dataset, "iloc"):
        values = dataset.iloc[:, 0].tolist() if len(dataset.columns) == 1 else []
        if not values or not all(isinstance(value, str) for value in values):
            raise UserErrorException(
                "input_dataset cannot be used",
                why="as in v1 it is a table with one column of strings, each the body of a request, and at least a row",
                hint="pass a list of inputs, such as [[[1.0, 2.0]], [[3.0, 4.0]]]",
            )
        dataset = values
    if not isinstance(dataset, (list, tuple)) or not dataset:
        raise UserErrorException(
            f"input_dataset is {type(dataset).__name__ if dataset else repr(dataset)}",
            why="it must be a list of inputs, a table with one column of strings, or a Path to a JSON lines file",
            hint="pass a list of inputs, such as [[[1.0, 2.0]], [[3.0, 4.0]]], or None for the script's sample",
        )
    inputs = list(dataset)
    return lambda number: inputs[number % len(inputs)]


def _check_resource(name: str, value: Any, bounds: tuple[float, float], unit: str) -> None:
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if value is not None and not (is_number and bounds[0] <= value <= bounds[1]):
        raise UserErrorException(
            f"{name} is {value!r}",
            why=f"it must be a number of {unit} from {bounds[0]:g} to {bounds[1]:g}",
            hint=f"leave it out, or pass {name}={max(1.0, bounds[0]):g}",
        )
