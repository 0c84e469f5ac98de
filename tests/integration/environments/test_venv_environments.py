"""Environments that uv makes: real locks, real virtual environments, one build for everybody."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mldeploy_jupyter import environments
from mldeploy_jupyter.core.environment.spec import EnvironmentSpec
from mldeploy_jupyter.core.errors import EnvironmentBuildError
from mldeploy_jupyter.environments import PreparedEnvironment, capture, interpreters, lock, prepare, sweep
from tests.polling import wait_until

Make = Callable[..., PreparedEnvironment]
Specs = Callable[..., EnvironmentSpec]


def ask(python: str, code: str) -> str:
    return subprocess.run([python, "-c", code], capture_output=True, text=True, check=True, timeout=60).stdout.strip()


def test_a_lock_and_an_environment(
    made: Make, spec_of: Specs, lines: list[str], wheelhouse: Path, tmp_path: Path
) -> None:
    prepared = made(spec_of("demo", "azureml-defaults", name="x"))
    assert (prepared.kind, prepared.built, prepared.dropped) == ("venv", True, ["azureml-defaults"])
    assert ask(prepared.python, "import demo, helper, httptools; print(demo.VERSION, helper.VERSION)") == "2.0 1.5"
    assert "azureml" not in ask(
        prepared.python, "import importlib.metadata as m; print([d.name for d in m.distributions()])"
    )
    assert "provided by the scoring server, not installed: azureml-defaults" in lines
    # Exact pins with hashes; no address of an index, no path of this machine.
    pins = [line for line in prepared.lock.splitlines() if line and not line.startswith(("#", " "))]
    assert {re.match(r"[a-z]+==[\d.]+", pin)[0] for pin in pins} >= {"demo==2.0", "helper==1.5", "httptools==99.0"}  # type: ignore[index]
    assert prepared.lock.count("--hash=sha256:") == len(pins)
    assert "://" not in prepared.lock and str(tmp_path) not in prepared.lock and str(wheelhouse) not in prepared.lock
    assert sys.prefix not in prepared.lock


def test_the_second_time_builds_nothing_and_starts_nothing(
    made: Make, spec_of: Specs, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = made(spec_of("demo", "helper"))

    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("a process was started")

    monkeypatch.setattr(subprocess, "Popen", refuse)
    again = made(spec_of("helper", "demo", name="another"))
    assert (again.built, again.python, again.lock) == (False, first.python, first.lock)
    # The lock of a bundle is enough, too.
    known = made(spec_of("demo"), known_lock=first.lock, offline=True)
    assert (known.built, known.python) == (False, first.python)


def test_a_lock_kept_elsewhere_builds_the_same(made: Make, spec_of: Specs, tmp_path: Path) -> None:
    first = made(spec_of("demo==1.0"))
    again = made(spec_of("demo"), known_lock=first.lock, cache=tmp_path / "another")
    assert again.built and again.digest == first.digest
    assert ask(again.python, "import demo; print(demo.VERSION)") == "1.0"
    with pytest.raises(EnvironmentBuildError, match="lock cannot be read"):
        made(spec_of("demo"), known_lock="demo==1.0\n")


def test_a_lock_alone(spec_of: Specs, tmp_path: Path, uv_cache: None) -> None:
    made = lock(spec_of("demo==1.0"), kernel_python=sys.executable, cache=tmp_path)
    assert made.python_version == "{}.{}.{}".format(*sys.version_info[:3]) and "demo==1.0" in made.text
    assert not (tmp_path / "environments").exists()


def test_scripts_work_where_the_environment_ended_up(made: Make, spec_of: Specs) -> None:
    prepared = made(spec_of("demo"))
    assert ".building" not in ask(prepared.python, "import sys, demo; print(sys.prefix, demo.__file__)")
    activate = Path(prepared.python).with_name("activate").read_text()
    assert ".building" not in activate


def test_conflicts_name_both_sides(made: Make, spec_of: Specs, snapshot: object) -> None:
    found = {}
    for name, pip in {
        "a pin against the server's": ("httptools==0.1.0",),
        "a dependency against the server's": ("oldest",),
        "against each other": ("demo==1.0", "demo==2.0"),
        "no such package": ("nosuchthing",),
        "no such version": ("demo==7",),
        "a hash that no file has": ("demo==1.0 --hash=sha256:" + "0" * 64,),
    }.items():
        with pytest.raises(EnvironmentBuildError) as caught:
            made(spec_of(*pip))
        found[name] = f"{caught.value.code}\n{caught.value}"
    assert found == snapshot


def test_a_hash_that_was_given_is_the_one_that_is_kept(made: Make, spec_of: Specs, wheelhouse: Path) -> None:
    import hashlib

    digest = hashlib.sha256((wheelhouse / "demo-1.0-py3-none-any.whl").read_bytes()).hexdigest()
    prepared = made(spec_of(f"demo==1.0 --hash=sha256:{digest}"))
    assert digest in prepared.lock


def test_python_3_12_is_the_machines_3_12(made: Make, spec_of: Specs) -> None:
    others = [item for item in interpreters() if item.version.startswith(("3.12.", "3.13."))]
    others = [item for item in others if not item.version.startswith("{}.{}.".format(*sys.version_info))]
    if not others:
        pytest.skip("this machine has one Python only")
    minor = others[0].version.rpartition(".")[0]
    prepared = made(spec_of("demo", python=minor))
    assert ask(prepared.python, "import sys, demo; print('%d.%d' % sys.version_info[:2])") == minor
    with pytest.raises(EnvironmentBuildError, match=r"no Python 3\.12\.77 was found") as caught:
        made(spec_of("demo", python="3.12.77"))
    assert others[0].version in caught.value.why


def test_the_2019_python_is_refused_before_anything_is_made(made: Make, spec_of: Specs, tmp_path: Path) -> None:
    with pytest.raises(EnvironmentBuildError) as caught:
        made(spec_of("demo", python="3.6.2"))
    assert caught.value.code == "PythonTooOld"
    assert not (tmp_path / "cache").exists()


class Cancelled(Exception):
    pass


def give_up() -> None:
    raise Cancelled


WORKER = """
import json, sys
from pathlib import Path
from mldeploy_jupyter.core.environment.spec import EnvironmentSpec
from mldeploy_jupyter.environments import prepare
spec = EnvironmentSpec.from_dict(json.loads(sys.argv[1]))
done = prepare(spec, kernel_python=sys.executable, cache=Path(sys.argv[2]))
print(json.dumps([done.built, done.python]))
"""


def start(spec: EnvironmentSpec, cache: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", WORKER, json.dumps(spec.to_dict()), str(cache)], stdout=subprocess.PIPE, text=True
    )


def test_two_processes_at_once_build_once(
    spec_of: Specs, tmp_path: Path, uv_cache: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SLOW_PLACE", str(tmp_path))
    workers = [start(spec_of("slow"), tmp_path / "cache") for _ in range(2)]
    wait_until(lambda: list(tmp_path.glob("started-*")))
    (tmp_path / "go").touch()
    answers = [json.loads(worker.communicate(timeout=60)[0]) for worker in workers]
    assert sorted(built for built, _ in answers) == [False, True]
    assert answers[0][1] == answers[1][1]
    assert len(list(tmp_path.glob("started-*"))) == 1
    assert ask(answers[0][1], "import slow; print(slow.VERSION)") == "1.0"


def test_kill_9_during_a_build_leaves_nothing_that_is_taken_for_whole(
    made: Make, spec_of: Specs, lines: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SLOW_PLACE", str(tmp_path))
    worker = start(spec_of("slow"), tmp_path / "cache")
    wait_until(lambda: list(tmp_path.glob("started-*")))
    os.kill(worker.pid, signal.SIGKILL)
    worker.communicate(timeout=60)
    left = [path.name for path in (tmp_path / "cache" / "environments").iterdir()]
    assert len(left) == 1 and left[0].startswith(".building-")
    # uv outlives its parent and still holds the lock: nobody builds beside it.
    with pytest.raises(Cancelled):
        made(spec_of("slow"), cancel=give_up)
    assert "another process makes the same environment; waiting for it" in lines
    (tmp_path / "go").touch()
    prepared = made(spec_of("slow"))
    assert prepared.built
    assert ask(prepared.python, "import slow; print(slow.VERSION)") == "1.0"
    assert [path.name for path in (tmp_path / "cache" / "environments").iterdir()] == [prepared.digest]


def test_cancel_ends_uv_and_leaves_nothing(
    made: Make, spec_of: Specs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import psutil

    monkeypatch.setenv("SLOW_PLACE", str(tmp_path))

    def cancel() -> None:
        if list(tmp_path.glob("started-*")):
            raise Cancelled

    with pytest.raises(Cancelled):
        made(spec_of("slow"), cancel=cancel)
    assert list((tmp_path / "cache" / "environments").iterdir()) == []
    builder = int(next(iter(tmp_path.glob("started-*"))).name.partition("-")[2])
    wait_until(lambda: not psutil.pid_exists(builder) or psutil.Process(builder).status() == psutil.STATUS_ZOMBIE)


def test_offline_says_so_without_trying_again(made: Make) -> None:
    start = time.perf_counter()
    with pytest.raises(EnvironmentBuildError) as caught:
        made(EnvironmentSpec(pip=["a-package-nobody-cached"]), offline=True)
    assert caught.value.code == "Offline"
    assert time.perf_counter() - start < 30


def test_sweep_removes_what_no_one_uses(made: Make, spec_of: Specs, tmp_path: Path) -> None:
    one, two = made(spec_of("demo==1.0")), made(spec_of("helper"))
    assert sweep({one.digest}, cache=tmp_path / "cache") == 0  # both were used just now
    assert sweep({one.digest}, cache=tmp_path / "cache", min_age=-1) == 1
    assert Path(one.python).exists() and not Path(two.python).exists()
    assert made(spec_of("helper")).built


def test_the_kernels_interpreter_is_used_as_it_is(made: Make) -> None:
    prepared = made(None)
    assert (prepared.kind, prepared.python, prepared.built) == ("current", sys.executable, False)
    assert "httptools==" in prepared.lock and "://" not in prepared.lock and sys.prefix not in prepared.lock


def test_an_interpreter_without_the_servers_needs_names_the_pip_command(made: Make, tmp_path: Path) -> None:
    import venv

    venv.create(tmp_path / "bare", with_pip=False)
    python = str(tmp_path / "bare" / "bin" / "python")
    with pytest.raises(EnvironmentBuildError) as caught:
        made(EnvironmentSpec(interpreter=python))
    assert caught.value.code == "ServerRequirementsMissing"
    assert "httptools (missing)" in caught.value.why
    assert caught.value.hint.startswith(f'{python} -m pip install "httptools>=')
    with pytest.raises(EnvironmentBuildError, match="does not start"):
        made(EnvironmentSpec(interpreter="/nowhere/python"))


def test_what_modules_came_from() -> None:
    pins = capture(["numpy", "sklearn", "yaml", "os", "mldeploy_jupyter", "__main__", "no_such_module"], sys.executable)
    import numpy

    assert f"numpy=={numpy.__version__}" in pins
    assert sum(pin.startswith(("scikit-learn==", "PyYAML==")) for pin in pins) == 2
    local = [pin for pin in pins if pin.startswith("# local: mldeploy-jupyter==")]
    wheel = [pin for pin in pins if pin.startswith("mldeploy-jupyter==")]
    assert len(local) + len(wheel) == 1 and len(pins) == 4


def test_an_environment_built_by_hand_is_found_by_prepare(
    made: Make,
    wheelhouse: Path,
    tmp_path: Path,
    uv_cache: None,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from mldeploy_jupyter.api.environments import Environment

    (tmp_path / "requirements.txt").write_text(f"--no-index\n-f {wheelhouse}\ndemo==1.0\n")
    monkeypatch.setenv("MLDEPLOY_CACHE", str(tmp_path / "cache"))
    environment = Environment.from_pip_requirements("e", tmp_path / "requirements.txt")
    built = environment.build_local()
    assert built.built and "demo==1.0" in capsys.readouterr().out
    assert made(environment.to_spec()).built is False


@pytest.mark.network
def test_the_real_index(made: Make) -> None:
    """The scoring server's real requirements, a real package, and the real server in the new environment."""
    prepared = made(EnvironmentSpec(pip=["six==1.16.0", "inference-schema[numpy-support]"]))
    assert ask(prepared.python, "import six, numpy, httptools, orjson; print(six.__version__)") == "1.16.0"
    assert "://" not in prepared.lock
    with pytest.raises(EnvironmentBuildError) as caught:
        made(EnvironmentSpec(pip=["httptools==0.1.0"]))
    assert caught.value.code == "ServerRequirementsConflict"
    assert "httptools==0.1.0 against httptools" in caught.value.why


def test_an_index_that_cannot_be_reached(made: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UV_HTTP_RETRIES", "0")
    with pytest.raises(EnvironmentBuildError) as caught:
        made(EnvironmentSpec(pip=["six"], pip_options=["--index-url=http://127.0.0.1:9/simple"]))
    assert caught.value.code == "NoNetwork" and "127.0.0.1:9" in caught.value.why


def test_the_door_names_what_others_use() -> None:
    assert prepare is environments.prepare
    assert set(environments.__all__) >= {"prepare", "lock", "capture", "sweep", "interpreters"}
