"""Measures the latency of services, and keeps the result. `preparation.py` has what comes before."""

from __future__ import annotations

import sys
import tempfile
import threading
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from mldeploy_jupyter.api.arguments import WorkspaceLike
from mldeploy_jupyter.api.webservices.latency.arguments import FUNCTION, bind, takes
from mldeploy_jupyter.api.webservices.latency.preparation import PreparedRun, prepare_run
from mldeploy_jupyter.core.errors import MldeployError
from mldeploy_jupyter.latency.measuring import DEPLOYMENT, Ending, Measurement, OnEvent, start_measurement
from mldeploy_jupyter.latency.plan import LatencyPlan
from mldeploy_jupyter.latency.recording import read_samples
from mldeploy_jupyter.latency.result import LatencyResult
from mldeploy_jupyter.latency.saved import SavedRun, change_plan, create_run, finish_run, prune_runs
from mldeploy_jupyter.latency.text import describe_progress

POLL_SECONDS = 0.25  # between two checks of a run that is shown

DEPLOYMENTS = 20  # of each service, at most, that a run names


@dataclass
class LatencyRun:
    """A run that continues in a process of its own. It ends with this process; `wait` or `stop` return its result.

    `progress` is the last message of the load about how far it is (`latency/generator/messages.py`).
    """

    measurement: Measurement
    saved: SavedRun | None
    workspace: WorkspaceLike | None
    cleanup: ExitStack = field(repr=False)
    progress: dict[str, Any] = field(default_factory=dict)
    _result: LatencyResult | None = None
    _ending: threading.Lock = field(default_factory=threading.Lock, repr=False)

    @property
    def id(self) -> str:
        return self.measurement.run

    @property
    def plan(self) -> LatencyPlan:
        return self.measurement.plan

    @property
    def running(self) -> bool:
        return self.measurement.running

    def wait(self, show: Callable[[str], object] | None = None, *, keep_interrupted: bool = False) -> LatencyResult:
        """The result, when the run has ended; `show` gets a line about its progress a few times a second.

        An interrupt ends the run: what was measured is kept, and the interrupt raised again, or with `keep_interrupted`
        what was measured is returned. Raises `WebserviceException` when the load's own process ended early.
        """
        names = [service.name for service in self.plan.services]
        try:
            while True:
                try:
                    self.measurement.wait(POLL_SECONDS)
                    break
                except TimeoutError:
                    if show is not None and self.progress:
                        show(describe_progress(self.progress, names))
        except KeyboardInterrupt:
            self._finish(self.measurement.stop())
            if not keep_interrupted:
                raise
        except MldeployError:
            self._finish(self.measurement.ending())
            raise
        return self._finish(self.measurement.ending())

    def stop(self) -> LatencyResult:
        """Ends the run, and returns what was measured."""
        return self._finish(self.measurement.stop())

    def _finish(self, ending: Ending) -> LatencyResult:
        """Makes the result and keeps it, once."""
        with self._ending, self.cleanup:
            if self._result is None:
                ending = self._with_deployments(ending)
                samples = read_samples(self.measurement.samples)
                made = LatencyResult(self.id, self.plan, ending, lambda: samples)
                rows, previous = made.rows(), None
                if self.saved is not None and self.workspace is not None:
                    finish_run(replace(self.saved, plan=self.plan), ending, rows=rows)
                    previous = made.find_previous(self.workspace)
                    prune_runs(self.workspace.folder)
                self._result = LatencyResult(self.id, self.plan, ending, lambda: samples, rows, previous)
        return self._result

    def _with_deployments(self, ending: Ending) -> Ending:
        """The ending with a note for each deployment of a measured service that began or failed meanwhile."""
        folder = self.workspace.find_folder() if self.workspace is not None else None
        if folder is None:
            return ending
        notes = list(ending.notes)
        for index, service in enumerate(self.plan.services):
            if service.workspace != folder.config.name:
                continue
            with suppress(MldeployError):  # an unavailable store must not cost the result
                for record in folder.open_store().list_deployments(service.name, limit=DEPLOYMENTS):
                    found = [(record.created_time, f"{record.operation} began")]
                    if record.state not in ("running", "live"):
                        found.append((record.finished_time or "", f"{record.operation} {record.state}"))
                    for stamp, text in found:
                        if ending.begun <= stamp <= ending.ended:
                            at = (datetime.fromisoformat(stamp) - self.measurement.origin).total_seconds()
                            note = {"time": round(at, 3), "service": index, "kind": DEPLOYMENT, "text": text}
                            notes.append(note)
        return replace(ending, notes=sorted(notes, key=lambda note: float(note.get("time", 0.0))))


@takes(FUNCTION)
def measure_latency(*args: Any, **kwargs: Any) -> LatencyResult:
    """Measures the latency of one or several services side by side, and returns the result.

    By default an open loop: `rate` requests a second to each service, at times planned before, for `duration` seconds
    each, in turns of a second in random order. A latency begins when its request was due, so that a slow service does
    not slow the measurement down. Without `rate` it is at most 100 a second, and half of what one connection reached.
    `users` makes it a closed loop of that many, who each wait for an answer. `ramp` is a list of rates that are tried
    one after the other, for `duration` seconds each. Without `duration` it is what p99 needs, 1,000 requests at the
    rate, from 10 seconds to two minutes; 10 seconds with `users` and in a ramp. `arrivals` is "constant" or "poisson".

    `payload` is an input as for `service.run`; a `Path` to a JSON lines file, or to another file that is sent as it is;
    a function that returns inputs, called with 0, 1, 2 and so on; or bytes. Without one it is the sample of the first
    service. `warmup` requests to each service are not counted. `timeout` is in seconds (30), `max_requests` the limit
    of the whole run (100,000). The same `seed` makes the same order and the same times.

    The run is kept in the workspace of the first service, unless `save` is False. A string among the services is an
    address that is in no store: it is measured only with `allow_foreign`, and gets `key` if one is given. `workspace`
    keeps the runs of such addresses. `show_output` prints how far the run is. An interrupt ends it, and what was
    measured is kept: `LatencyResult.list(ws)`.

    Raises:
        UserErrorException: an argument that cannot be used, or a service without a sample.
        DeploymentFailed, DeploymentCancelled, DeploymentInterrupted: how the deployment of a service ended.
        WebserviceException: the load's own process ended early.
    """
    given = bind(FUNCTION, "measure_latency", args, kwargs)
    line = ProgressLine() if given.pop("show_output") else None
    run = start_latency(**given)
    try:
        return run.wait(line)
    except KeyboardInterrupt:
        if line is not None and run.saved is not None:
            line.close()
            print(f"stopped; what was measured is kept: LatencyResult.load(ws, {run.id!r})")
        raise
    finally:
        if line is not None:
            line.close()


def start_latency(services: Any, *, on_event: OnEvent = lambda event: None, **options: Any) -> LatencyRun:
    """Begins what `measure_latency` does, with the same arguments, and returns at once.

    `on_event` gets the messages of the load, in a thread of its own (`latency/measuring.py`). Raises as
    `measure_latency` does.
    """
    return carry_out(prepare_run(services, **options), on_event=on_event)


def carry_out(
    prepared: PreparedRun, saved: SavedRun | None = None, on_event: OnEvent = lambda event: None
) -> LatencyRun:
    """Begins a run in this process. `saved` is its record where another process has made that."""
    home = prepared.workspace
    if saved is None and prepared.keep and home is not None:
        saved = create_run(home.folder, prepared.plan)
    kept, cleanup = saved, ExitStack()
    if kept is None:
        path = Path(cleanup.enter_context(tempfile.TemporaryDirectory(prefix="mldeploy-latency-"))) / "samples.bin"
    else:
        path = kept.samples_path

    progress: dict[str, Any] = {}

    def handle(event: dict[str, Any]) -> None:
        if event["type"] == "progress":
            progress.update(event)
        elif event["type"] == "duration" and kept is not None:
            with suppress(MldeployError):  # it is only shown, and recorded again at the end
                change_plan(kept, replace(kept.plan, duration=event["seconds"], until_p99=False))
        on_event(event)

    measurement = start_measurement(
        prepared.plan,
        prepared.bodies,
        path,
        lambda index: prepared.find[index](),
        handle,
        run=kept.id if kept else "not-kept",
    )
    return LatencyRun(measurement, kept, home, cleanup, progress)


class ProgressLine:
    """Shows a line that the next one overwrites, on standard output; where that is a file, none."""

    def __init__(self) -> None:
        self._out = sys.stdout
        self._shown = 0
        self._overwrites = self._out.isatty() or "ipykernel" in sys.modules

    def __call__(self, text: str) -> None:
        if self._overwrites:
            self._out.write(f"\r{text}{' ' * max(0, self._shown - len(text))}")
            self._out.flush()
            self._shown = len(text)

    def close(self) -> None:
        if self._shown:
            self._out.write(f"\r{' ' * self._shown}\r")
            self._out.flush()
            self._shown = 0
