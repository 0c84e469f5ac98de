"""Runs one operation and dies by SIGKILL at its write point number N; run by test_kill_at_every_write.py.

A write point is a moment just before a change that others can see: a file opened for writing, written to, renamed,
linked or removed, a folder made or removed, a process started, a socket bound, a transaction committed.

    killed_at_write.py                 reads the path of a workspace, then lines `OPERATION N`, for each of which it
                                       forks a child (N 0: no kill); answers `[status of waitpid, write points]`
    killed_at_write.py WORKSPACE ID    as a deployment's runner, with N from the variable KILL_RUNNER_AT
    killed_at_write.py --folder ...    as a service's supervisor, with N from the file `kill-supervisor-at` beside the
                                       workspace; it counts while that is there, in the size of `supervisor-points`
"""

from __future__ import annotations

import json
import os
import signal
import stat
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mldeploy_jupyter import InferenceConfig, LocalWebservice, Model, Webservice, Workspace, prune

EVENTS = {"os.rename", "os.link", "os.symlink", "os.remove", "os.mkdir", "os.rmdir", "os.truncate", "subprocess.Popen"}
EVENTS |= {"socket.bind", "os.chmod"}

SUPERVISOR_LIMIT, SUPERVISOR_POINTS = "kill-supervisor-at", "supervisor-points"

ANSWERS = sys.stdout

count = 0  # write points so far


def arm(limit: int) -> None:
    """From now on counts the write points of this process, and kills it before the one of this number."""

    def point() -> None:
        global count
        count += 1
        if count == limit:
            os.kill(os.getpid(), signal.SIGKILL)

    from sqlalchemy import event
    from sqlalchemy.engine import Engine

    event.listen(Engine, "commit", lambda _: point())
    at_every_write(point)


def at_every_write(point: Callable[[], None]) -> None:
    """Calls `point` before every write of this process to a file or folder, and before it starts another."""

    def hook(name: str, arguments: tuple[Any, ...]) -> None:
        writes = name == "open" and isinstance(arguments[2], int) and arguments[2] & (os.O_WRONLY | os.O_RDWR)
        if name in EVENTS or (writes and arguments[0] != os.devnull):
            point()

    write = os.write

    def counted_write(fd: int, data: bytes) -> int:
        if stat.S_ISREG(os.fstat(fd).st_mode):
            point()
        return write(fd, data)

    os.write = counted_write  # type: ignore[assignment]
    sys.addaudithook(hook)


def deploy(ws: Workspace) -> None:
    config = InferenceConfig(entry_script=str(ws.folder.root.parent / "score.py"))
    target = LocalWebservice.deploy_configuration(description="new")
    Model.deploy(ws, "svc", [Model(ws, "m")], config, target, overwrite=True)


def update(ws: Workspace) -> None:
    service = Webservice(ws, "svc")
    service.update(inference_config=InferenceConfig(entry_script=str(ws.folder.root.parent / "score.py")))
    service.wait_for_deployment(timeout_sec=240)


def scale(ws: Workspace) -> None:
    service = Webservice(ws, "svc")
    service.update(worker_count=2)
    service.wait_for_deployment(timeout_sec=240)


def rollback(ws: Workspace) -> None:
    service = Webservice(ws, "svc")
    service.rollback()
    service.wait_for_deployment(timeout_sec=240)


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
                from mldeploy_jupyter.deployment import launch

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
    from mldeploy_jupyter.deployment import runner
    from mldeploy_jupyter.targets import supervisor_client

    if "KILL_RUNNER_AT" not in os.environ:
        supervisor_client.SUPERVISOR = ["-P", __file__]
        return runner.main(arguments)
    arm(int(os.environ["KILL_RUNNER_AT"]))
    code = runner.main(arguments)
    Path(arguments[0]).with_name("points").write_text(str(count))
    return code


def run_as_supervisor(arguments: list[str]) -> int:
    from mldeploy_jupyter.serving.supervisor.__main__ import main

    folder = Path(arguments[1]).parents[2]
    points = os.open(folder / SUPERVISOR_POINTS, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC)
    write = os.write

    def point() -> None:
        try:
            limit = int((folder / SUPERVISOR_LIMIT).read_text())
        except FileNotFoundError:
            return
        write(points, b".")
        if os.fstat(points).st_size == limit:
            os.kill(os.getpid(), signal.SIGKILL)

    at_every_write(point)
    return main(arguments)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--folder"]:
        sys.exit(run_as_supervisor(sys.argv[1:]))
    if len(sys.argv) > 1:
        sys.exit(run_as_runner(sys.argv[1:]))
    sys.stdout = sys.stderr  # what the operations print is no answer
    main()
