"""Runs one operation and dies by SIGKILL at its write point number N; run by test_kill_at_every_write.py.

A write point is a moment just before a change that others can see: a file opened for writing, written to, renamed,
linked or removed, a folder made or removed, a process started, a transaction committed.

    killed_at_write.py                 reads the path of a workspace, then lines `OPERATION N`, for each of which it
                                       forks a child (N 0: no kill); answers `[status of waitpid, write points]`
    killed_at_write.py WORKSPACE ID    as a deployment's runner, with N from the variable KILL_RUNNER_AT
"""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sqlalchemy import event
from sqlalchemy.engine import Engine

from mldeploy_jupyter import InferenceConfig, LocalWebservice, Model, Webservice, Workspace, prune
from mldeploy_jupyter.deployment import launch, runner

EVENTS = {"os.rename", "os.link", "os.symlink", "os.remove", "os.mkdir", "os.rmdir", "os.truncate", "subprocess.Popen"}

ANSWERS = sys.stdout

count = 0  # write points so far


def arm(limit: int) -> None:
    """From now on counts the write points of this process, and kills it before the one of this number."""

    def point() -> None:
        global count
        count += 1
        if count == limit:
            os.kill(os.getpid(), signal.SIGKILL)

    def hook(name: str, arguments: tuple[Any, ...]) -> None:
        writes = name == "open" and isinstance(arguments[2], int) and arguments[2] & (os.O_WRONLY | os.O_RDWR)
        if name in EVENTS or (writes and arguments[0] != os.devnull):
            point()

    write = os.write

    def counted_write(fd: int, data: bytes) -> int:
        point()
        return write(fd, data)

    os.write = counted_write  # type: ignore[assignment]
    event.listen(Engine, "commit", lambda _: point())
    sys.addaudithook(hook)


def deploy(ws: Workspace) -> None:
    config = InferenceConfig(entry_script=str(ws.folder.root.parent / "score.py"))
    target = LocalWebservice.deploy_configuration(description="new")
    Model.deploy(ws, "svc", [Model(ws, "m")], config, target, overwrite=True)


def update(ws: Workspace) -> None:
    service = Webservice(ws, "svc")
    service.update(inference_config=InferenceConfig(entry_script=str(ws.folder.root.parent / "score.py")))
    service.wait_for_deployment(timeout_sec=60)


def scale(ws: Workspace) -> None:
    service = Webservice(ws, "svc")
    service.update(worker_count=2)
    service.wait_for_deployment(timeout_sec=60)


def rollback(ws: Workspace) -> None:
    service = Webservice(ws, "svc")
    service.rollback()
    service.wait_for_deployment(timeout_sec=60)


OPERATIONS: dict[str, Callable[[Workspace], object]] = {
    "deploy": deploy,
    "runner": deploy,  # the process that dies is the runner
    "update": update,
    "rollback": rollback,
    "scale": scale,
    "stop": lambda ws: Webservice(ws, "svc").stop(),
    "start": lambda ws: Webservice(ws, "svc").start(),
    "regen-key": lambda ws: Webservice(ws, "svc").regen_key("Primary"),
    "delete": lambda ws: Webservice(ws, "svc").delete(),
    "register": lambda ws: Model.register(ws, str(ws.folder.root.parent / "m.txt"), "m"),
    "prune": lambda ws: prune(ws, keep_deployments=0),
}


def main() -> None:
    path = sys.stdin.readline().strip()
    for line in sys.stdin:
        operation, limit = line.split()
        reader, writer = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(reader)
            try:
                ws = Workspace.get(path=path)
                if operation == "runner":
                    os.environ["KILL_RUNNER_AT"] = limit
                    launch.RUNNER = ["-P", __file__]
                else:
                    arm(int(limit))
                OPERATIONS[operation](ws)
                done = count
                with os.fdopen(writer, "w") as file:
                    file.write(str(done))
                os._exit(0)
            except BaseException:
                import traceback

                traceback.print_exc()
                os._exit(1)
        os.close(writer)
        with os.fdopen(reader) as file:
            said = file.read()
        _, status = os.waitpid(child, 0)
        print(json.dumps([status, int(said or 0)]), file=ANSWERS, flush=True)


def run_as_runner(arguments: list[str]) -> int:
    arm(int(os.environ["KILL_RUNNER_AT"]))
    code = runner.main(arguments)
    Path(arguments[0]).with_name("points").write_text(str(count))
    return code


if __name__ == "__main__":
    if len(sys.argv) > 1:
        sys.exit(run_as_runner(sys.argv[1:]))
    sys.stdout = sys.stderr  # what the operations print is no answer
    main()
