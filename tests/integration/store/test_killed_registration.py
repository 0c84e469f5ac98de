"""SIGKILL during a registration, at any point: the model is there whole or not at all."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import time
from pathlib import Path

from mldeploy_jupyter.api.models import Model
from mldeploy_jupyter.api.workspace import Workspace
from mldeploy_jupyter.core.artifacts.artifact_store import ArtifactStore

POINTS = 60

# Forks a child for every number it reads; the child kills itself at that function call of the registration.
# A number below 0 kills nothing: the child says how many calls there were.
DRIVER = """
import os, signal, sys, json
from mldeploy_jupyter.api.models import Model
from mldeploy_jupyter.api.workspace import Workspace
import sqlalchemy, sqlite3
path = sys.argv[1]
Model.register(Workspace.get(path=path), path + "/model", "warm-up")

def count(limit):
    calls = 0
    def profile(frame, event, argument):
        nonlocal calls
        if event in ("call", "c_call"):
            calls += 1
            if calls == limit:
                os.kill(os.getpid(), signal.SIGKILL)
    ws = Workspace.get(path=path)
    sys.setprofile(profile)
    Model.register(ws, path + "/model", "m")
    sys.setprofile(None)
    return calls

for line in sys.stdin:
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.write(writer, json.dumps(count(int(line))).encode())
            os._exit(0)
        except BaseException as error:
            os.write(writer, json.dumps(repr(error)).encode())
            os._exit(1)
    os.close(writer)
    said = os.read(reader, 10000).decode()
    os.close(reader)
    _, status = os.waitpid(child, 0)
    print(json.dumps([status, said]), file=sys.stderr, flush=True)
"""


def test_a_kill_leaves_no_half_model(tmp_path: Path) -> None:
    ws = Workspace.create(path=tmp_path)
    folder = tmp_path / "model"
    folder.mkdir()
    contents = {name: os.urandom(size) for name, size in (("a.bin", 3_000_000), ("b.pkl", 1000), (".hidden", 0))}
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    seed = random.randrange(2**32)
    print("seed", seed)
    choose = random.Random(seed)
    command = [sys.executable, "-c", DRIVER, str(tmp_path)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE}
    driver = subprocess.Popen(command, text=True, **pipes)  # type: ignore[call-overload]

    def register(limit: int) -> tuple[int, str]:
        driver.stdin.write(f"{limit}\n")
        driver.stdin.flush()
        answer = driver.stderr.readline()
        assert answer.startswith("["), answer + driver.stderr.read()
        status, said = json.loads(answer)
        return status, said

    killed_before = killed_after = 0
    try:
        status, said = register(-1)
        assert status == 0, said
        total = int(said)
        # The content is new in every other round, so that both ways through `put` are cut.
        for point in sorted(choose.sample(range(1, total), POINTS)):
            if point % 2:
                contents["a.bin"] = os.urandom(3_000_000)
                (folder / "a.bin").write_bytes(contents["a.bin"])
            before = len(Model.list(ws, "m"))
            status, said = register(point)
            # Rounds differ by a few calls, so the last points may lie behind the end of one.
            assert status == 9 or (status == 0 and int(said) < point), (status, said)
            models = Model.list(ws, "m")
            if len(models) == before:
                killed_before += 1
                continue
            assert len(models) == before + 1
            killed_after += 1
            target = Path(models[0].download(str(tmp_path / "out" / str(models[0].version))))
            assert {path.name: path.read_bytes() for path in target.iterdir()} == contents
    finally:
        driver.communicate(timeout=60)
    assert killed_before > POINTS // 2, "the kills came too late to show anything"

    artifacts = ws.folder.open_artifacts()
    registered = {digest for model in Model.list(ws) for digest, _ in model.record.files.values()}
    later = ArtifactStore(artifacts.url, clock=lambda: time.time())
    later.sweep(registered)
    place = Path(artifacts.url)
    assert list((place / "tmp").iterdir()) == []
    assert {path.name for path in (place / "blobs").rglob("*") if path.is_file()} == registered
    for model in Model.list(ws):
        artifacts.materialize(model.record.files, tmp_path / "verified" / model.id)
    # And it continues from there.
    assert Model.register(ws, str(folder), "m").version == len(Model.list(ws, "m"))
