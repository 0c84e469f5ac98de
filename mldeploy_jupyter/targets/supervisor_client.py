"""The supervisor process of one local service, as seen from outside: start it, ask it, stop it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mldeploy_jupyter.core import process_identity
from mldeploy_jupyter.core.files import make_private_dir, read_json_if_valid
from mldeploy_jupyter.targets.base import TargetFailure
from mldeploy_jupyter.targets.process_log import read_log

HOST = "127.0.0.1"

START_DEADLINE = 20.0  # seconds for a supervisor to say who it is; it takes some 50 ms

STOP_DEADLINE = 15.0  # seconds to drain and end; then it is killed


class SupervisorClient:
    """The supervisor of the service whose folder is `folder`, running or not.

    It writes who it is into `supervisor.json` and listens on a control socket, so any process finds it again.
    """

    def __init__(
        self,
        folder: Path,
        *,
        clock: Callable[[], float] = time.monotonic,
        wait: Callable[[float], Any] = time.sleep,
    ) -> None:
        self.folder = folder
        self._clock = clock
        self._wait = wait

    def running(self) -> dict[str, Any] | None:
        """Its own words about itself (pid, port, control socket) if it lives, else None."""
        data = read_json_if_valid(self.folder / "supervisor.json")
        if not data or not self._lives(data) or self._is_copy(data):
            return None
        here = self.folder / Path(data["control"]).name
        if here.exists():  # also after the workspace was moved
            data["control"] = str(here)
        return data

    def _lives(self, data: dict[str, Any]) -> bool:
        """Whether the process it names is the one that wrote it. Where a supervisor cannot tell when it started (0, on
        macOS), that a process has its number must do."""
        now = process_identity.start_time(data["pid"])
        return now != "" and (str(data["started"]) in ("0", now))

    def live(self) -> dict[str, Any]:
        """What serves, or served when it was stopped: settings, revision, deployment_id, port."""
        return read_json_if_valid(self.folder / "live.json") or {}

    def died(self) -> bool:
        """True when it ended without being asked to: one that is asked removes `supervisor.json`."""
        data = read_json_if_valid(self.folder / "supervisor.json")
        return data is not None and not self._is_copy(data) and self.running() is None

    def _is_copy(self, data: dict[str, Any]) -> bool:
        """Whether this folder was copied from the one where that supervisor runs: it is not ours to command."""
        from mldeploy_jupyter.serving.system.identity import folder_identity

        return data.get("folder") != folder_identity(self.folder)

    def start(self, asked: int, preferred: int, *, resume: bool = False) -> dict[str, Any]:
        """Starts it detached, on the port `asked` for (0: none), else on `preferred` or, if that is taken, a free one.

        `resume` brings the revision back that served last.

        Raises:
            TargetFailure: the port is in use, or it did not start.
        """
        for port in dict.fromkeys([asked] if asked else [preferred, 0]):
            found = self.await_start(self.launch(port, resume=resume))
            if found is not None:
                return found
        failure = read_json_if_valid(self.folder / "failure.json")
        if failure:
            raise TargetFailure({"stage": "rollout", **failure})
        tail = [line.text for line in read_log(self.folder / "logs" / "supervisor.log", tail=20)]
        raise TargetFailure({"code": "spawn-failed", "message": "the supervisor did not start", "log_tail": tail})

    def call(
        self,
        op: str,
        on_event: Callable[[dict[str, Any]], None] | None = None,
        timeout: float | None = None,
        **arguments: Any,
    ) -> dict[str, Any]:
        """One call of the control protocol (`serving/ipc/control_client.py`).

        Raises:
            TargetFailure: it does not run, or went away before it answered.
        """
        from mldeploy_jupyter.serving.ipc import control_client

        running = self.running()
        if running is None:
            raise TargetFailure({"code": "supervisor-lost", "message": "the supervisor process is gone"})
        try:
            return control_client.call(running["control"], op, on_event=on_event, timeout=timeout, **arguments)
        except control_client.ControlError as error:
            raise TargetFailure({"code": "supervisor-lost", "message": f"the supervisor went away: {error}"}) from error

    def await_live(self) -> None:
        """Waits until a supervisor that was started again has its revision back.

        Raises:
            TargetFailure: the revision does not come up any more.
        """
        limit = self.live().get("settings", {}).get("init_timeout", 300.0)
        end = self._clock() + limit + START_DEADLINE
        while self._clock() < end:
            answer = self.call("status", timeout=5.0)
            if answer["state"] == "Live":
                return
            if answer.get("failure"):
                raise TargetFailure(answer["failure"])
            self._wait(0.02)
        raise TargetFailure({"code": "init-timeout", "stage": "init", "message": f"not ready after {limit:g} s"})

    def stop(self) -> None:
        """Lets it drain and end, and kills it if it does not. Ends what a supervisor that was killed left behind."""
        from mldeploy_jupyter.serving.supervisor.orphans import kill_orphans

        running = self.running()
        if running is not None:
            pid, start = running["pid"], process_identity.start_time(running["pid"])
            try:
                self.call("stop", timeout=STOP_DEADLINE)
            except TargetFailure:
                pass
            end = self._clock() + STOP_DEADLINE
            while start and process_identity.start_time(pid) == start:
                if self._clock() > end:
                    try:
                        os.kill(pid, signal.SIGKILL)
                    except ProcessLookupError:
                        break
                self._wait(0.01)
        kill_orphans(self.folder)
        # One that died without being asked: what it wrote about itself is no longer true.
        (self.folder / "supervisor.json").unlink(missing_ok=True)

    def launch(self, port: int, *, resume: bool = False) -> subprocess.Popen[bytes]:
        """Starts its process and returns at once; `await_start` waits for it. Raises `OSError`."""
        make_private_dir(self.folder / "logs")
        (self.folder / "failure.json").unlink(missing_ok=True)
        command = [sys.executable, "-P", "-m", "mldeploy_jupyter.serving.supervisor"]
        command += [
            "--folder",
            str(self.folder),
            "--host",
            HOST,
            "--port",
            str(port),
            *(["--resume"] if resume else []),
        ]
        with (self.folder / "logs" / "supervisor.log").open("ab") as log:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # the end of the kernel, or an interrupt of its terminal, does not reach it
                cwd=self.folder,
            )
        # Collects the exit status whenever it comes, so that no zombie stands in for a dead supervisor.
        threading.Thread(target=process.wait, name="mldeploy-reap", daemon=True).start()
        return process

    def await_start(self, process: subprocess.Popen[bytes]) -> dict[str, Any] | None:
        """What `running` says once it is there; None when it could not start."""
        end = self._clock() + START_DEADLINE
        while self._clock() < end:
            running = self.running()
            if running is not None:
                return running
            if process.poll() is not None:
                return None
            self._wait(0.005)
        return None
