"""The first process of a container: the supervisor of the service that the image holds."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
import threading
from pathlib import Path
from typing import Any

from ..ipc.failure import failure
from ..log.echo import Echo
from ..log.service_log import ServiceLog
from ..settings import Settings
from ..supervisor import EXIT_LOCKED
from ..supervisor.generation import Aborted, Emit, Generation
from ..supervisor.rollout import Hold, bind_failure
from ..supervisor.service_process import ServiceProcess, claim_folder
from ..system.json_file import read_json, write_json
from ..system.listening_socket import open_listener
from ..system.removal import remove_tree
from .configuration import (
    EXIT_PORT_IN_USE,
    EXIT_WRONG_CONFIGURATION,
    IMAGE_PLACES,
    Configuration,
    ConfigurationError,
    read_configuration,
)
from .hand_over import RETIRED_FILE, HandOverServer
from .keys import find_keys
from .listener_client import ListenerClient
from .remote_predecessor import RemotePredecessor
from .standby import Standby
from .start_record import StartRecord
from .working_folder import create_working_folder, remove_unused

EXIT_NOT_STARTED = 3

ORIGIN_FILE = "origin.json"  # what was last started here: another image or other settings start afresh

LOG_BYTES, LOG_FILES = 2 * 1024 * 1024, 1  # the engine keeps the log; the state folder may be in memory

TAKE_OVER_FILE = "take-over.json"  # exists while this container takes over from the one that it names

FOLLOWER_SECONDS = 60.0  # for a client to ask why a container that stands by could not be started

FLUSH_SECONDS = 2.0  # for the last lines to be written


def serve() -> int:
    """Serves until the process is told to stop; returns its exit code."""
    try:
        configuration = read_configuration(os.environ)
        folder = configuration.folder
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = claim_folder(folder)
        if lock is None:
            return _report(EXIT_LOCKED, f"another process serves from {folder}", "give each container its own folder")
        keys_path, has_keys = find_keys(folder, os.environ)
    except ConfigurationError as error:
        return _report(EXIT_WRONG_CONFIGURATION, str(error), error.hint)
    except OSError as error:
        hint = "mount a volume or a tmpfs there that the container's user may write to"
        cause = f"the state folder cannot be used: {error}"
        return _report(EXIT_WRONG_CONFIGURATION, cause, hint)
    signal.signal(signal.SIGTERM, _exit)  # a container's first process ignores what it does not handle
    (folder / "failure.json").unlink(missing_ok=True)
    echo = Echo(sys.stdout.fileno())
    log = ServiceLog(folder / "logs" / "service.log", LOG_BYTES, LOG_FILES, echo)
    owner = ListenerClient(configuration.listener, log) if configuration.listener else None
    try:
        listener = owner.connect() if owner else open_listener(configuration.host, configuration.port)
    except OSError as error:
        write_json(folder / "failure.json", bind_failure(configuration.port, error))
        cause = f"port {configuration.port}: {error.strerror}"
        return _report(EXIT_PORT_IN_USE, cause, "choose another port in MLDEPLOY_LISTEN")
    # Until it is known that this container may serve, nothing is accepted on a socket that it shares.
    shared = owner is not None
    process = ServiceProcess(
        folder,
        listener,
        configuration.host,
        log,
        stop_seconds=configuration.stop_seconds,
        stop_delay=configuration.stop_delay,
        shared=shared,
        standby=shared,
    )
    process.arbiter.pool.keys_path = keys_path
    service = _ContainerService(configuration, process, owner, has_keys)
    threading.Thread(target=service.start, daemon=True, name="start").start()
    process.serve(service.handle)
    echo.flush(FLUSH_SECONDS)
    return service.exit_code


class _ContainerService:
    """Starts what the image holds, and answers the operations that only a container has.

    `owner` is the process that owns the port, if it is not this one.
    """

    def __init__(
        self, configuration: Configuration, process: ServiceProcess, owner: ListenerClient | None, has_keys: bool
    ) -> None:
        self.exit_code = 0
        self._configuration = configuration
        self._process = process
        self._arbiter = process.arbiter
        self._log = process.log
        self._record = StartRecord()
        self._settings = configuration.settings
        self._deployment_id = os.environ.get("MLDEPLOY_DEPLOYMENT", "")
        self._owner = owner
        self._standby: Standby | None = None
        if owner is not None:
            owner.watch(self._arbiter.pool.listen_on)
        self._hand_over = (
            HandOverServer(configuration.folder, self._arbiter, self._log, lambda: process.stop(0)) if owner else None
        )
        if not has_keys and "auth_enabled" not in configuration.stated:
            self._settings = _replace(self._settings, auth_enabled=False, token_auth_enabled=False)
            self._log.write("no keys were given: requests need none", level="warning")
        elif not has_keys and (self._settings.auth_enabled or self._settings.token_auth_enabled):
            self._log.write("no keys were given yet: every request is refused", level="warning")

    def start(self) -> None:
        """Restores what served before, or starts what the image holds; ends the process on failure."""
        folder = self._configuration.folder
        if self._hand_over is not None and (folder / RETIRED_FILE).exists():
            self._hand_over.retired = True
            successor = (read_json(folder / RETIRED_FILE) or {}).get("to")
            self._log.write(f"another container has taken over: {successor}; this one does not serve again")
            self._record.finish({"ok": True, "state": "Retired"})
            return
        try:
            live = self._read_live()
            remove_unused(folder, Path(live.app_root) if live else None)
            if live is None and self._configuration.standby:
                answer = self._stand_by()
            else:
                answer = self._resume(live) if live else self._start_image()
        except Exception as error:
            text = f"{type(error).__name__}: {error}"
            answer = {"ok": False, "failure": failure("spawn-failed", "rollout", text)}
        self._record.finish(answer)
        if answer["ok"]:
            return
        self._tell_serving(False)
        data = answer["failure"]
        self._log.write(f"the service could not be started: {data['message']}", level="error", failure=json.dumps(data))
        with contextlib.suppress(OSError):  # a full disk; the log has it
            write_json(folder / "failure.json", data)
        if self._configuration.standby:
            self._record.await_follower(FOLLOWER_SECONDS)
        self.exit_code = EXIT_NOT_STARTED
        self._process.stop(0)

    def handle(self, op: str, request: dict[str, Any], emit: Emit) -> dict[str, Any]:
        match op:
            case "await":
                return self._record.follow(emit)
            case "deploy":
                return self._deploy(request, emit)
            case "take-over":
                if self._standby is None:
                    return {
                        "ok": False,
                        "failure": failure("not-standby", "switch", "this container does not stand by"),
                    }
                return self._standby.take_over(request, emit)
            case "forget":
                return self._forget(str(request.get("folder", "")))
            case "status":
                return {**self._arbiter.handle(op, request, emit), **self._state()}
        return self._arbiter.handle(op, request, emit)

    def _state(self) -> dict[str, Any]:
        """The states that exist only in containers."""
        if self._hand_over is not None and self._hand_over.retired:
            return {"state": "Retired"}
        return {"state": "Standby"} if self._standby is not None and self._standby.waiting else {}

    def _leave_standby(self) -> None:
        """Lets this supervisor accept connections; from then on, it also answers 503 while no worker is ready."""
        self._tell_serving(True)
        self._arbiter.pool.leave_standby()

    def _tell_serving(self, serving: bool) -> None:
        """To be told before anything is accepted here: the listener might answer 503 although a worker serves."""
        if self._owner is not None:
            self._owner.tell_serving(serving)

    def _stand_by(self) -> dict[str, Any]:
        """Loads and probes what the image holds, and serves it when it is told to take over."""
        folder, pool = self._configuration.folder, self._arbiter.pool
        (folder / TAKE_OVER_FILE).unlink(missing_ok=True)  # of a take-over that did not happen: the other one continues
        standby = self._standby = Standby(
            self._arbiter,
            lambda old: RemotePredecessor(old, folder, pool.adopt_connections, self._log),
            lambda generation: self._record.finish({"ok": True, "state": "Standby", **_facts(generation)}),
            self._begin_take_over,
        )

        def emit(event: dict[str, Any]) -> bool:
            return standby.emit(event) if standby.waiting else self._record.add(event)

        answer = self._start_image(emit, standby.hold)
        if answer["ok"]:
            (folder / TAKE_OVER_FILE).unlink(missing_ok=True)
        standby.finish(answer)
        return answer

    def _begin_take_over(self, old: Path | None) -> None:
        write_json(self._configuration.folder / TAKE_OVER_FILE, {"from": str(old or "")})
        self._tell_serving(True)

    def _finish_take_over(self) -> None:
        """Ends a take-over in whose middle this container ended: it has been recorded as the one that serves."""
        folder = self._configuration.folder
        unfinished = read_json(folder / TAKE_OVER_FILE) or {}
        if old := unfinished.get("from"):
            self._log.write("finishing the take-over that was cut off")
            predecessor = RemotePredecessor(Path(old), folder, self._arbiter.pool.adopt_connections, self._log)
            with contextlib.suppress(Aborted):
                predecessor.pause()
            predecessor.retire()
        (folder / TAKE_OVER_FILE).unlink(missing_ok=True)

    def _forget(self, name: str) -> dict[str, Any]:
        """Removes the state folder of a container that has retired."""
        folder = Path(name)
        if not (folder / RETIRED_FILE).exists() or folder == self._configuration.folder:
            text = f"no container has retired from {name}"
            return {"ok": False, "failure": failure("bad-request", "", text)}
        errors = remove_tree(folder)
        if errors:
            return {"ok": False, "failure": failure("spawn-failed", "", f"{folder} cannot be removed: {errors[0]}")}
        return {"ok": True}

    def _start_image(self, emit: Emit | None = None, hold: Hold | None = None) -> dict[str, Any]:
        if hold is None:
            self._leave_standby()
        folder = self._configuration.folder
        app = create_working_folder(folder, self._settings.revision, self._configuration.image_app)
        settings = _replace(self._settings, app_root=str(app))
        request = {"settings": settings.to_dict(), "deployment_id": self._deployment_id}
        (folder / "live.json").unlink(missing_ok=True)  # of another image
        write_json(folder / ORIGIN_FILE, {"origin": self._configuration.origin})
        return self._arbiter.rollouts.deploy(request, emit or self._record.add, hold)

    def _read_live(self) -> Settings | None:
        """What served when the container ended; None where that was another image, or is damaged."""
        folder = self._configuration.folder
        origin = (read_json(folder / ORIGIN_FILE) or {}).get("origin")
        live = read_json(folder / "live.json") if origin == self._configuration.origin else None
        if live is None:
            return None
        try:
            settings = Settings.from_dict(live.get("settings", {}))
        except TypeError as error:
            self._log.write(f"live.json is damaged, starting what the image holds: {error}", level="warning")
            return None
        self._deployment_id = str(live.get("deployment_id", ""))
        return settings if settings.app_root and Path(settings.app_root).is_dir() else None

    def _resume(self, live: Settings) -> dict[str, Any]:
        self._finish_take_over()
        self._log.write(f"resuming revision {live.label}")
        self._leave_standby()
        self._arbiter.resume(live, self._deployment_id)
        return {"ok": True, "port": self._arbiter.pool.port, "revision": live.revision, "resumed": True}

    def _deploy(self, request: dict[str, Any], emit: Emit) -> dict[str, Any]:
        """A revision with other code or settings in the same image. The port is the container's, not a revision's."""
        given = request.get("settings")
        live = self._arbiter.pool.live
        settings = {
            **(live.settings if live else self._settings).to_dict(),
            **(given if isinstance(given, dict) else {}),
        }
        source = request.get("source")
        folder, image_app = self._configuration.folder, self._configuration.image_app
        try:
            app = create_working_folder(
                folder, int(settings["revision"]), image_app, Path(str(source)) if source else None
            )
        except (OSError, TypeError, ValueError) as error:
            text = f"the working folder could not be made: {error}"
            return {"ok": False, "failure": failure("spawn-failed", "rollout", text)}
        request = {name: value for name, value in request.items() if name not in ("port", "source")}
        places = {name: getattr(self._settings, name) for name in IMAGE_PLACES}
        request["settings"] = {**settings, **places, "app_root": str(app)}
        answer = self._arbiter.handle("deploy", request, emit)
        if not answer["ok"]:
            remove_tree(app.parent)
        return answer


def _replace(settings: Settings, **changes: Any) -> Settings:
    return Settings.from_dict({**settings.to_dict(), "inherited": settings.inherited, **changes})


def _facts(generation: Generation) -> dict[str, Any]:
    """What the deployment's answer says of its first worker."""
    ready = generation.workers[0].ready
    return {
        "revision": generation.settings.revision,
        "modules": ready.get("modules", {}),
        "sample_scored": ready.get("sample", False),
        "openapi_ok": ready.get("openapi_ok", True),
        "warnings": ready.get("warnings", []),
    }


def _exit(*_: Any) -> None:
    raise SystemExit(0)


def _report(code: int, cause: str, hint: str) -> int:
    """Prints an error in three lines; returns the exit code."""
    print(f"error: the service cannot start\ncause: {cause}\nhint: {hint}", file=sys.stderr, flush=True)
    return code
