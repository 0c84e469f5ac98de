"""Every command, called in this process over whatever is damaged, and what is wanted of each."""

from __future__ import annotations

import ctypes
import io
import os
import sys
import threading
import time
import traceback
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

from mldeploy_jupyter import Webservice, Workspace, prune
from mldeploy_jupyter.commands import Context, open_workspace, run
from mldeploy_jupyter.core.errors import MldeployError
from mldeploy_jupyter.notebook import views
from mldeploy_jupyter.panel import PanelContext, handle

SECONDS = 60  # allowed for a command; a machine that runs other tests takes ten times as long as one at rest

Attempt = Callable[[], str]


class Refused(Exception):
    """A command was refused with an error of ours, whose text this is."""


def command(*words: str) -> Attempt:
    """The words of a command line; its attempt returns the text."""

    def attempt() -> str:
        context = Context(open_workspace, out=io.StringIO(), err=io.StringIO())
        with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
            return run(list(words), context=context).text

    return attempt


def _display_services() -> str:
    return views.services_bundle(Webservice.list(Workspace.get(path=".")))["text/plain"]


def _display_service() -> str:
    return views.service_bundle(Webservice(Workspace.get(path="."), "svc"))["text/plain"]


def panel(name: str, **params: Any) -> Attempt:
    """A request of the panel, whose `deployment` is the service's last one."""

    def attempt() -> str:
        ws = Workspace.get(path=".")
        if name.startswith("deployment."):
            service = ws.folder.open_store().get_service("svc")
            params["deployment"] = (service.deployment_id if service else "") or "none"
        answer = handle(name, params, PanelContext(ws))
        if answer["ok"]:
            return str(answer["result"])
        failure = answer["failure"]
        if failure["code"] == "internal":
            raise AssertionError(f"{name}: {failure['cause']}")
        raise Refused("\n".join(f"{key}: {failure[key]}" for key in ("error", "cause", "hint") if failure[key]))

    return attempt


LOOKS: dict[str, Attempt] = {
    "service list": command("service", "list"),
    "service show": command("service", "show", "svc"),
    "service get-logs": command("service", "get-logs", "svc"),
    "service get-keys": command("service", "get-keys", "svc"),
    "service run": command("service", "run", "svc", "-d", "1"),
    "%services": _display_services,
    "a service displayed": _display_service,
    "service.describe": panel("service.describe", service="svc"),
    "service.list": panel("service.list"),
    "service.history": panel("service.history", service="svc"),
    "service.log": panel("service.log", service="svc"),
    "deployment.timeline": panel("deployment.timeline"),
    "deployment.log": panel("deployment.log"),
    "deployment.report": panel("deployment.report"),
    "model list": command("model", "list"),
    "model show": command("model", "show", "m"),
    "model download": command("model", "download", "m", "--overwrite", "-t", "downloaded"),
    "workspace show": command("workspace", "show"),
    "workspace list": command("workspace", "list"),
    "prune --dry-run": command("prune", "--dry-run"),
}

CHANGES: dict[str, Attempt] = {
    "model register": command("model", "register", "m", "m.txt"),
    "service update": command("service", "update", "svc", "--entry-script", "score.py", "--wait"),
    "service stop": command("service", "stop", "svc"),
    "service start": command("service", "start", "svc"),
    "service regen-key": command("service", "regen-key", "svc", "-k", "primary"),
    "service rollback": command("service", "rollback", "svc", "--wait"),
    "model deploy": command("model", "deploy", "fresh", "-m", "m", "--entry-script", "score.py", "--wait"),
    "deploy packed": command(
        *("model", "deploy", "packed", "--entry-script", "score.py", "--overwrite", "--wait"),
        *("--requirements", "requirements.txt"),
    ),
    "prune": lambda: str(prune(Workspace.get(path="."), keep_deployments=1)),
    "service delete": command("service", "delete", "svc"),
}


def carry_out(attempt: Attempt, *, as_user: bool = False) -> tuple[str, bool]:
    """What it answers, and whether it was refused. Raises `AssertionError` for a defect or after the deadline.

    `as_user` takes root's right to read and write every file from the attempt.
    """
    result: list[tuple[str, bool] | BaseException] = []

    def work() -> None:
        try:
            if as_user:
                drop_rights()
            result.append((attempt(), False))
        except (MldeployError, Refused) as error:
            hint = error.hint if isinstance(error, MldeployError) else str(error).partition("hint: ")[2]
            result.append((str(error), True) if hint else AssertionError(f"no hint: {error}"))
        except AssertionError as error:
            result.append(error)
        except BaseException:
            result.append(AssertionError(traceback.format_exc()))

    thread = threading.Thread(target=work, daemon=True)
    began = time.monotonic()
    thread.start()
    thread.join(SECONDS)
    if not result:
        stack = "".join(traceback.format_stack(sys._current_frames()[thread.ident or 0]))
        raise AssertionError(f"no answer after {time.monotonic() - began:.0f} s:\n{stack}")
    if isinstance(result[0], BaseException):
        raise result[0]
    return result[0]


_CAPABILITIES = 0x20080522  # version 3 of the structure, from linux/capability.h

_OVERRIDE = 1 << 1 | 1 << 2  # CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH


def drop_rights() -> None:
    """Modes of files hold for this thread and those that it starts, though it is root's; not for its processes."""
    if os.geteuid() != 0:
        return
    libc = ctypes.CDLL(None, use_errno=True)
    header = (ctypes.c_uint32 * 2)(_CAPABILITIES, 0)
    sets = (ctypes.c_uint32 * 6)()  # effective, permitted, inheritable; twice 32 capabilities
    libc.capget(header, sets)
    sets[0] &= ~_OVERRIDE
    if libc.capset(header, sets) != 0:
        raise OSError(ctypes.get_errno(), "capset")


def can_drop_rights(folder: Path) -> bool:
    """Whether a file without any rights cannot be read after `drop_rights`."""
    path = folder / "unreadable"
    path.touch(mode=0)
    path.chmod(0)
    try:
        return carry_out(lambda: path.read_text(), as_user=True) == ("", True)
    except AssertionError as error:
        return "PermissionError" in str(error)
    finally:
        path.unlink()
