"""The client of a local service's supervisor: finds its process, starts it, sends it requests, stops it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

from mldeploy_jupyter.core import process_identity
from mldeploy_jupyter.core.files import make_private_dir, open_private, read_json_if_valid
from mldeploy_jupyter.serving.system.lock_holder import Processes, find_control_socket
from mldeploy_jupyter.targets.base import TargetFailure
from mldeploy_jupyter.targets.ports import HOST
from mldeploy_jupyter.targets.process_log import read_log

START_SECONDS = 20.0  # allowed for a supervisor to write supervisor.json; usually it takes 0.05

STOP_SECONDS = 15.0  # allowed to drain and end; then the supervisor is killed

STATUS_SECONDS = 5.0  # allowed for an answer that needs no work, such as a status; then it counts as hung

FLUSH_SECONDS = 1.0  # allowed for lines to get into the log before it is read; they get there a moment later anyway


# What starts the supervisor's interpreter. Tests replace it to kill the supervisor at a given point.
SUPERVISOR = ["-P", "-m", "mldeploy_jupyter.serving.supervisor"]

FieldTypes = dict[str, tuple[type, ...]]

# The types of a file's fields. A file where one has another type is damaged, as is one without those that are REQUIRED.
DESCRIPTION_TYPES: FieldTypes = {"pid": (int,), "started": (int, str), "port": (int,), "control": (str,)}

LIVE_TYPES: FieldTypes = {"settings": (dict,), "revision": (int,), "port": (int,), "deployment_id": (str,)}

REQUIRED = ("pid", "started")


class SupervisorClient:
    """The supervisor of the service whose folder is `folder`, whether it runs or not.

    A supervisor describes itself in `supervisor.json` and listens on a control socket, so any process finds it. Who
    looks at many folders at one moment hands in `processes`; else the machine's are read for each look that needs them.
    """

    def __init__(
        self,
        folder: Path,
        *,
        clock: Callable[[], float] = time.monotonic,
        wait: Callable[[float], Any] = time.sleep,
        processes: Processes | None = None,
    ) -> None:
        self.folder = folder
        self._processes = processes
        self._clock = clock
        self._wait = wait

    def find_process(self, *, by_files: bool = False) -> dict[str, Any] | None:
        """What the running supervisor wrote about itself (pid, port, control socket); None when it does not run.

        With `by_files` only the files of its folder are looked at. They tell of every supervisor whose folder is whole,
        and the look takes 0.1 ms; a look at the processes of the machine takes 3 ms for 100 of them.
        """
        data = self._read_description()
        if data is None or "control" not in data or not _is_running(data):
            return self._find_listener() or (None if by_files else self._find_lock_holder())
        if self._was_copied(data):
            return None
        control = self.folder / Path(data["control"]).name
        if os.path.exists(control):  # the recorded path is wrong after the workspace was moved
            data["control"] = str(control)
        return data

    def read_live(self) -> dict[str, Any]:
        """What serves, or served when it was stopped: settings, revision, deployment_id, port. {} before the first.

        Where the file is damaged or gone and the supervisor runs, what it says serves; without settings.
        """
        live = read_json_if_valid(self.folder / "live.json") or {}
        if live and _has_types(live, LIVE_TYPES) and _are_settings(live.get("settings", {})):
            return live
        process = self.find_process()
        status = _ask_status(process["control"]) if process is not None else {}
        return {name: status[name] for name in LIVE_TYPES if name in status and status.get("revision")}

    def has_served(self) -> bool:
        """Whether a revision was live before, even if the file that says which is damaged."""
        return os.path.exists(self.folder / "live.json")

    def has_crashed(self) -> bool:
        """Whether it ended without a request to: one that is stopped removes `supervisor.json`."""
        if not os.path.exists(self.folder / "supervisor.json"):
            return False
        data = self._read_description()  # None: damaged
        return (data is None or not self._was_copied(data)) and self.find_process() is None

    def start(self, requested_port: int, preferred_port: int, *, resume: bool = False) -> dict[str, Any]:
        """Starts a detached supervisor and returns what `find_process` then finds.

        It listens on `requested_port`; where that is 0, on `preferred_port` or, if that is in use, on a free port.
        `resume` brings back the revision that served last.

        Raises:
            TargetFailure: the port is in use, or the supervisor did not start.
        """
        for port in dict.fromkeys([requested_port] if requested_port else [preferred_port, 0]):
            found = self.await_process(self.spawn(port, resume=resume))
            if found is not None:
                return found
        failure = read_json_if_valid(self.folder / "failure.json")
        if failure:
            raise TargetFailure({"stage": "rollout", **failure})
        tail = [line.text for line in read_log(self.folder / "logs" / "supervisor.log", tail=20)]
        raise TargetFailure({"code": "spawn-failed", "message": "the supervisor did not start", "log_tail": tail})

    def spawn(self, port: int, *, resume: bool = False, prewarm: bool = False) -> subprocess.Popen[bytes]:
        """Starts the process and returns at once; `await_process` waits for it. Raises `OSError`.

        With `prewarm` it first reads from its standard input what its zygote needs (`serving/supervisor/__main__.py`).
        """
        make_private_dir(self.folder / "logs")
        (self.folder / "failure.json").unlink(missing_ok=True)
        command = [sys.executable, *SUPERVISOR]
        command += ["--folder", str(self.folder), "--host", HOST, "--port", str(port)]
        command += ["--resume"] if resume else []
        command += ["--prewarm"] if prewarm else []
        with open_private(self.folder / "logs" / "supervisor.log", "ab") as log:
            process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE if prewarm else subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                # Neither the end of the kernel nor Ctrl+C in its terminal may reach the supervisor.
                start_new_session=True,
                cwd=self.folder,
            )
        # Reaps the process whenever it ends: a zombie would look like a supervisor that runs.
        threading.Thread(target=process.wait, name="mldeploy-reap", daemon=True).start()
        return process

    def await_process(self, process: subprocess.Popen[bytes]) -> dict[str, Any] | None:
        """What `find_process` returns once the process has started; None when it could not.

        If another one has just been started in the folder, that is awaited.
        """
        from mldeploy_jupyter.serving.supervisor import EXIT_LOCKED

        end, look_wider = self._clock() + START_SECONDS, self._clock() + 1.0
        while (now := self._clock()) < end:
            ended = process.poll()
            found = self.find_process(by_files=ended is None and now < look_wider)
            if found is not None:
                return found
            if ended not in (None, EXIT_LOCKED):
                return None
            self._wait(0.005)
        return None

    def call(
        self,
        op: str,
        on_event: Callable[[dict[str, Any]], None] | None = None,
        timeout: float | None = None,
        **arguments: Any,
    ) -> dict[str, Any]:
        """Sends one request of the control protocol (`serving/ipc/control_client.py`) and returns the answer.

        `timeout` is the longest silence in seconds; None waits as long as the supervisor answers at all.

        Raises:
            TargetFailure: it does not run, closes the connection before it answers, or does not answer.
        """
        from mldeploy_jupyter.serving.ipc import control_client

        process = self.find_process()
        if process is None:
            raise TargetFailure(self.describe_lost())
        try:
            return control_client.call(process["control"], op, on_event=on_event, timeout=timeout, **arguments)
        except control_client.NoAnswer as error:
            raise TargetFailure(self._describe_silent(process["pid"], str(error))) from error
        except control_client.ControlError as error:
            if not os.path.exists(process["control"]) and _is_running(process):
                raise TargetFailure(self._describe_unreachable(process)) from error
            lost = {**self.describe_lost(), "message": f"the connection to the supervisor was lost: {error}"}
            raise TargetFailure(lost) from error

    def flush_log(self) -> None:
        """Has what the workers have written until now put into the log, as far as the supervisor can do that."""
        from mldeploy_jupyter.serving.ipc import control_client

        process = self.find_process(by_files=True)
        if process is not None:
            with suppress(control_client.ControlError):
                control_client.call(process["control"], "flush", timeout=FLUSH_SECONDS)

    def describe_closed(self) -> dict[str, Any] | None:
        """The failure of a service whose folder this user cannot read; None if it can be read."""
        try:
            (self.folder / "lock").stat()
        except PermissionError as error:
            return {
                "code": "folder-closed",
                "message": str(error),
                "what": f"it is not known whether {self.folder.name} runs",
                "why": f"its folder cannot be read: {self.folder}",
                "hint": f"give yourself the right to use it: chmod -R u+rwX {self.folder}",
            }
        except OSError:
            pass
        return None

    def describe_lost(self) -> dict[str, Any]:
        """The failure of a supervisor that ended without being told to."""
        name = self.folder.name
        return {
            "code": "supervisor-lost",
            "message": "the supervisor process is gone",
            "what": f"the supervisor of {name} is gone",
            "why": "its process ended without being told to: it was killed, or this machine was restarted",
            "hint": f"start it again with `mldeploy service start -n {name}`"
            if self.read_live()
            else "deploy it again",
        }

    def _describe_silent(self, pid: int, message: str) -> dict[str, Any]:
        """The failure of a supervisor that is there and does not answer."""
        from mldeploy_jupyter.serving.system import procfs

        name = self.folder.name
        hint = f"end it with `mldeploy service stop -n {name}`, then `mldeploy service start -n {name}`"
        why = f"process {pid} runs but does not answer"
        if procfs.is_stopped(pid):
            why = f"process {pid} is stopped by a signal (SIGSTOP)"
            hint = f"resume it with `kill -CONT {pid}`, or {hint}"
        what = f"the supervisor of {name} does not answer"
        return {"code": "supervisor-silent", "message": message, "what": what, "why": why, "hint": hint}

    def _describe_unreachable(self, process: dict[str, Any]) -> dict[str, Any]:
        """The failure of a supervisor that runs and whose control socket was removed, as by a cleaner of /tmp."""
        name, pid = self.folder.name, process["pid"]
        return {
            "code": "supervisor-silent",
            "message": f"the control socket of supervisor {pid} is gone",
            "what": f"the supervisor of {name} cannot be reached",
            "why": f"process {pid} runs, and its control socket was removed: {process['control']}",
            "hint": f"end it with `mldeploy service stop -n {name}`, then `mldeploy service start -n {name}`",
        }

    def await_live(self) -> None:
        """Waits until a supervisor that was started with `resume` serves its revision again.

        Raises:
            TargetFailure: the revision could not be brought up.
        """
        limit = self.read_live().get("settings", {}).get("init_timeout", 300.0)
        end = self._clock() + limit + START_SECONDS
        while self._clock() < end:
            answer = self.call("status", timeout=STATUS_SECONDS)
            if answer["state"] == "Live":
                return
            if answer.get("failure"):
                raise TargetFailure(answer["failure"])
            self._wait(0.02)
        raise TargetFailure({"code": "init-timeout", "stage": "init", "message": f"not ready after {limit:g} s"})

    def stop(self) -> None:
        """Lets the supervisor drain and end, or kills it; then kills what a killed supervisor left behind.

        One that is only starting is killed. Its caller has ended, or it would hold the service's lease.
        """
        from mldeploy_jupyter.serving.supervisor.orphans import kill_orphans

        process = self.find_process()
        if process is not None:
            pid, start = process["pid"], process_identity.start_time(process["pid"])
            end = self._clock()  # one that does not answer is killed at once
            with suppress(TargetFailure):
                self.call("status", timeout=STATUS_SECONDS)
                end = self._clock() + STOP_SECONDS
                self.call("stop", timeout=STOP_SECONDS)
            # The start time tells whether the pid still is the supervisor's: pids are reused.
            while start and process_identity.start_time(pid) == start:
                if self._clock() > end:
                    try:
                        os.kill(pid, signal.SIGKILL)
                    except ProcessLookupError:
                        break
                self._wait(0.01)
        for pid in Processes().list_supervisors_in(self.folder):
            with suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        kill_orphans(self.folder)
        # A supervisor that was killed could not remove its description; nor can anybody on a read-only disk.
        with suppress(OSError):
            (self.folder / "supervisor.json").unlink(missing_ok=True)

    def _read_description(self) -> dict[str, Any] | None:
        data = read_json_if_valid(self.folder / "supervisor.json")
        return data if data is not None and _has_types(data, DESCRIPTION_TYPES) else None

    def _find_listener(self) -> dict[str, Any] | None:
        """The process that listens on the folder's control socket: a supervisor whose file is damaged or gone."""
        from mldeploy_jupyter.serving.ipc.control_client import find_listener

        path = self.folder / "control.sock"
        pid = find_listener(str(path)) if _is_socket(path) else 0
        if not pid:
            return None
        port = _ask_status(str(path)).get("port", 0)
        return {"pid": pid, "started": process_identity.start_time(pid), "port": port, "control": str(path)}

    def _find_lock_holder(self) -> dict[str, Any] | None:
        """The process that holds the folder's lock: a supervisor whose file and socket are missing from the folder.

        Where the folder's path is too long for a socket, that is in the folder for temporary files. Where the lock is
        gone too, or the whole folder, it is found by its command line.
        """
        lock, processes = self.folder / "lock", self._processes or Processes()
        pid = processes.find_lock_holder(lock) if os.path.isfile(lock) else processes.find_supervisor(self.folder)
        start = process_identity.start_time(pid) if pid else ""
        control = find_control_socket(pid) if start else ""
        if not control:  # it ends, or is only starting
            return None
        return {"pid": pid, "started": start, "port": _ask_status(control).get("port", 0), "control": control}

    def _was_copied(self, data: dict[str, Any]) -> bool:
        """Whether this folder is a copy of the one where that supervisor runs, which then is not ours to control."""
        from mldeploy_jupyter.serving.system.identity import folder_identity

        return data.get("folder") != folder_identity(self.folder)


def _are_settings(data: dict[str, Any]) -> bool:
    from mldeploy_jupyter.serving.settings import Settings

    try:
        Settings.from_dict(data)
    except TypeError:
        return False
    return True


def _is_socket(path: Path) -> bool:
    try:
        return path.is_socket()
    except OSError:  # its folder cannot be read
        return False


def _ask_status(control: str) -> dict[str, Any]:
    """What the supervisor on this socket says of itself; {} when it does not answer."""
    from mldeploy_jupyter.serving.ipc import control_client

    try:
        return control_client.call(control, "status", timeout=STATUS_SECONDS)
    except control_client.ControlError:
        return {}


def _has_types(data: dict[str, Any], types: FieldTypes) -> bool:
    return all(isinstance(data[name], types[name]) if name in data else name not in REQUIRED for name in types)


@cache
def _boot_id() -> str:
    """That of this machine, which no process outlives."""
    from mldeploy_jupyter.serving.system import procfs

    return procfs.read_boot_id()


def _is_running(data: dict[str, Any]) -> bool:
    """Whether the process that wrote this `supervisor.json` runs, and not another one that has its pid now.

    On macOS supervisors of earlier versions wrote 0 as their start; there, any process with the pid counts.
    """
    if data.get("boot", "") not in ("", _boot_id()):
        return False
    start = process_identity.start_time(data["pid"])
    return start != "" and str(data["started"]) in ("0", start)
