"""Starts the load's process, follows it, ends it, and says how the run ended."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from mldeploy_jupyter.core.errors import MldeployError, WebserviceException
from mldeploy_jupyter.core.json_record import JsonRecord
from mldeploy_jupyter.core.records import utc_now
from mldeploy_jupyter.latency.generator.lag import LATE_SECONDS
from mldeploy_jupyter.latency.generator.messages import Order, pack_order
from mldeploy_jupyter.latency.payloads import Payload
from mldeploy_jupyter.latency.plan import LatencyPlan, check_plan

# -P: modules in the user's working folder must not hide the library's.
GENERATOR = ["-P", "-m", "mldeploy_jupyter.latency.generator"]

MAX_LAG = 1000 * LATE_SECONDS  # milliseconds at p99 by which the load's own process may be late

STOLEN_SHARE = 0.005  # of the processors' time, from which on the host of a virtual machine is named as the cause

CANCEL_SECONDS = 30.0  # that the process may take to end when it is told to; then it is killed

STOP_FILE = "stop"  # beside the samples: whoever makes it ends the run

DEPLOYMENT = "deployment"  # the kind of a note about a deployment of a service that is measured

STDERR_LIMIT = 20_000  # characters of its errors that are kept


@dataclass(frozen=True)
class Endpoint:
    """Where a service is now, and its key or token, "" without."""

    uri: str
    key: str = field(default="", repr=False)


class EndpointRefused(MldeployError):
    """The program at the address may not be the service, or the service is missing."""


# Returns where a service of the plan is and its key, by its index. It is called from a thread of its own, when the
# generator has connected and before it sends anything, after connections broke, and after an answer 401. Raises
# `MldeployError` when nothing may be sent there.
FindEndpoint = Callable[[int], Endpoint]

# Gets each message of the generator that is for views, with "run" added (`generator/messages.py`), from another thread.
OnEvent = Callable[[dict[str, Any]], object]


@dataclass(frozen=True)
class Ending(JsonRecord):
    """How a run ended, as data.

    `reason` is finished, cancelled, limit, slept (the machine did), stalled (the load's own process was stopped), died
    (every service did) or crashed (the load's own process did).
    `rate` is the one that was taken, None in a closed loop and a ramp, `rate_reason` why. `lag` is by how many
    milliseconds the load's process was late: p50, p99, max, and of how many looks; `stolen` is the share of the
    processors' time that the host of a virtual machine took away. `blocks` are `[number, service, step, begin, seconds,
    late, latest]`: the last two are the share of looks and requests that were late by more than `MAX_LAG`, and by how
    many milliseconds at most; earlier versions wrote five. `left_out` has the numbers of blocks that no number is made
    of, because the load's process was late in them (`generator/lag.py`). `services` are the counts of measured requests
    and the `seconds` under load. `notes` are `{"time", "service", "kind", "text"}`; service -1 means the whole run.
    """

    reason: str
    begun: str = ""
    ended: str = ""
    elapsed: float = 0.0
    rate: float | None = None
    rate_reason: str = ""
    lag: dict[str, float] = field(default_factory=dict)
    blocks: list[list[float]] = field(default_factory=list)
    left_out: list[int] = field(default_factory=list)
    services: list[dict[str, Any]] = field(default_factory=list)
    notes: list[dict[str, Any]] = field(default_factory=list)

    @property
    def invalid_reason(self) -> str:
        """Why nothing can be concluded from the run, or ""."""
        if self.reason == "crashed":
            return "the load's own process ended before the run did"
        late, stolen = self.lag.get("p99", 0.0), self.lag.get("stolen", 0.0)
        if late <= MAX_LAG or self.left_out:
            return ""
        if stolen >= STOLEN_SHARE:
            advice = f"the host of this machine gave {100 * stolen:.2g} % of its processors' time to others"
        else:
            advice = "close other programs or lower the rate"
        return f"the load's own process was late by {late:.1f} ms (p99); {advice}"


class Measurement:
    """A run in progress. `start_measurement` makes it."""

    def __init__(
        self, plan: LatencyPlan, payloads: list[Payload], samples: Path, find: FindEndpoint, on_event: OnEvent, run: str
    ) -> None:
        self.plan, self.samples, self.run = plan, samples, run
        self.begun = utc_now()
        self.origin = datetime.now(UTC)  # of the times in notes and samples: when the load's process began
        self.notes: list[dict[str, Any]] = []
        self._find, self._on_event = find, on_event
        self._report: dict[str, Any] | None = None
        self._ended_time = ""
        self._errors = ""
        self._cancelled = False
        self._writing = threading.Lock()
        self._ordered = threading.Event()  # the order is the first message
        # Not `Thread.join`: before Python 3.13 a thread whose join was interrupted counts as ended.
        self._ended = threading.Event()
        self._process = subprocess.Popen(
            [sys.executable, *GENERATOR],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,  # Ctrl-C is for the caller, who then ends the run
        )
        self._order = pack_order(Order(plan, str(samples), payloads))
        self._threads = [
            threading.Thread(target=target, name=f"mldeploy-latency-{name}", daemon=True)
            for name, target in (("errors", self._read_errors), ("events", self._follow))
        ]
        for thread in self._threads:
            thread.start()

    @property
    def pid(self) -> int:
        """Of the load's process."""
        return self._process.pid

    @property
    def running(self) -> bool:
        return not self._ended.is_set()

    def cancel(self) -> None:
        """Ends the run; what was measured stays. Returns at once."""
        self._cancelled = True
        self._write({"type": "cancel"})

    def wait(self, timeout: float | None = None) -> Ending:
        """Waits for the end of the run. An interrupt cancels it, and is raised when it has ended: see `ending`.

        Raises `TimeoutError` after `timeout` seconds, and `MldeployError` when the load's own process ended early.
        """
        try:
            self._ended.wait(timeout)
        except KeyboardInterrupt:
            self.stop()
            raise
        if self.running:
            raise TimeoutError(f"the run is still in progress after {timeout:g} s")
        ending = self.ending()
        if ending.reason == "crashed":
            raise self._explain_crash()
        return ending

    def stop(self) -> Ending:
        """Cancels the run and waits until it has ended, by force if need be."""
        self.cancel()
        if not self._ended.wait(CANCEL_SECONDS):
            self._process.kill()
            self._ended.wait()
        return self.ending()

    def ending(self) -> Ending:
        """How the run ended. Call it when it is not `running`."""
        report = self._report
        times: dict[str, Any] = {"begun": self.begun, "ended": self._ended_time, "notes": list(self.notes)}
        if report is None:
            return Ending(reason="cancelled" if self._cancelled else "crashed", **times)
        return Ending.from_dict({**report, **times})

    # -- threads --------------------------------------------------------------------------------------

    def _follow(self) -> None:
        try:
            self._send_order()
            self._read_messages()
        finally:
            self._process.kill()  # it has ended, unless this thread has failed
            self._close()
            self._ended_time = utc_now()
            self._ended.set()
        if self._report is None:
            self._tell({"type": "end", "reason": self.ending().reason})

    def _send_order(self) -> None:
        stream = self._process.stdin
        assert stream is not None
        try:
            with self._writing:
                stream.write(self._order)
                stream.flush()
        except BrokenPipeError:
            pass  # it has ended: the errors say why
        finally:
            self._order = b""
            self._ordered.set()

    def _read_messages(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            try:
                message = json.loads(line)
            except ValueError:
                continue  # the torn last line of a process that was killed
            self._handle(message)
        self._process.wait()

    def _close(self) -> None:
        process = self._process
        assert process.stdin is not None and process.stdout is not None
        process.wait()
        self._threads[0].join()
        with self._writing:
            process.stdout.close()
            try:
                process.stdin.close()
            except BrokenPipeError:
                pass

    def _handle(self, message: dict[str, Any]) -> None:
        kind = message["type"]
        if kind == "key":
            threading.Thread(
                target=self._answer_key, args=(message["service"],), name="mldeploy-latency-key", daemon=True
            ).start()
            return
        if kind == "note":
            self.notes.append({key: value for key, value in message.items() if key != "type"})
        elif kind == "duration":
            self.plan = replace(self.plan, duration=message["seconds"], until_p99=False)
        elif kind == "end":
            self._report = message
        elif kind == "progress" and not self._cancelled and self.samples.with_name(STOP_FILE).exists():
            self.cancel()
        elif kind == "begun":
            self.origin = datetime.now(UTC)
        if kind != "begun":
            self._tell(message)

    def _tell(self, message: dict[str, Any]) -> None:
        """A view that fails is told nothing more; the run continues."""
        try:
            self._on_event({**message, "run": self.run})
        except Exception:
            traceback.print_exc()
            self._on_event = lambda event: None

    def _answer_key(self, index: int) -> None:
        try:
            found = self._find(index)
        except MldeployError as error:
            self._write({"type": "key", "service": index, "refused": error.message})
        except Exception as error:
            self._write({"type": "key", "service": index, "refused": f"{type(error).__name__}: {error}"})
            raise
        else:
            self._write({"type": "key", "service": index, "key": found.key, "uri": found.uri})

    def _write(self, message: dict[str, Any]) -> None:
        stream = self._process.stdin
        assert stream is not None
        self._ordered.wait()
        with self._writing:
            try:
                stream.write(json.dumps(message).encode() + b"\n")
                stream.flush()
            except (BrokenPipeError, ValueError):
                pass  # it has ended

    def _read_errors(self) -> None:
        stream = self._process.stderr
        assert stream is not None
        with stream:
            for line in stream:
                self._errors = (self._errors + line.decode(errors="replace"))[-STDERR_LIMIT:]

    def _explain_crash(self) -> MldeployError:
        code = self._process.returncode
        last = self._errors.strip().splitlines()[-1] if self._errors.strip() else ""
        return WebserviceException(
            "the load's own process ended before the run did",
            why=last or (f"signal {-code} ended it" if code < 0 else f"it ended with code {code}"),
            hint="run it again; what was measured until then is kept: mldeploy latency list",
        )


def start_measurement(
    plan: LatencyPlan,
    payloads: list[Payload],
    samples: Path,
    find: FindEndpoint,
    on_event: OnEvent = lambda event: None,
    *,
    run: str = "",
) -> Measurement:
    """Starts a run in a process of its own and returns at once; `samples` is the file for them.

    The run belongs to this process: it ends when this one does. Raises `UserErrorException` for a plan that cannot be
    carried out.
    """
    return Measurement(check_plan(plan), payloads, samples, find, on_event, run)
