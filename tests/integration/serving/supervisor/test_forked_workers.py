"""Forked workers: fast, like new interpreters, and not used where forking is unsafe."""

from __future__ import annotations

import importlib.util
import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.integration.serving.supervised import KEY, Supervised
from tests.polling import wait_until

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="workers are forked on Linux only")

ABOUT = """
    import json, os, random, sys, signal
    import numpy, {imports}
    def init(): pass
    def run(data):
        return {{
            "pid": os.getpid(), "session": os.getsid(0), "cwd": os.getcwd(), "argv": sys.argv[1:],
            "main": sys.modules["__main__"].__spec__.name, "random": random.random(), "numpy": numpy.random.rand(),
            "root": os.environ["AML_APP_ROOT"], "mine": os.environ.get("MINE"), "mark": os.environ["MLDEPLOY_WORKER"],
            "stdin": os.readlink("/proc/self/fd/0"), "interrupt": signal.getsignal(signal.SIGINT) is not None,
            "version": {version},
        }}
"""


def about(service: Supervised, version: int, imports: str = "json", **more: Any) -> dict[str, Any]:
    answer = service.deploy(ABOUT.format(version=version, imports=imports), preload=["numpy", imports], **more)
    assert answer["ok"], answer
    return service.score().json()


def forking(service: Supervised) -> dict[str, Any]:
    return service.ask("status")["forking"]


def live(service: Supervised) -> list[dict[str, Any]]:
    return [worker for worker in service.ask("status")["workers"] if worker["state"] == "live"]


def test_a_forked_worker_is_like_a_new_one(supervised: Supervised, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = (about(supervised, version, env={"MINE": "yes"}) for version in (1, 2))
    assert live(supervised)[0]["forked"] and forking(supervised)["forking"]
    for facts in (first, second):
        assert (
            facts["session"] == facts["pid"] and facts["main"].endswith(".worker.__main__") and facts["mine"] == "yes"
        )
        assert facts["stdin"] == "/dev/null" and facts["argv"][0].startswith("--channel=")
        assert facts["cwd"] == facts["root"]
    assert first["root"] != second["root"] and first["mark"] != second["mark"]
    assert first["random"] != second["random"] and first["numpy"] != second["numpy"]
    process = psutil.Process(second["pid"])
    assert process.ppid() == supervised.process.pid
    assert process.environ()["MLDEPLOY_WORKER"] == second["mark"]  # the processes that it forks have it, too
    assert any(word.endswith(".worker") for word in process.cmdline())


def test_an_update_does_not_import_libraries_again(supervised: Supervised) -> None:
    source = """
        import sys
        IMPORTED = {{"sklearn.linear_model", "pandas"}} <= sys.modules.keys()
        def init(): pass
        def run(data): return [IMPORTED, {}]
    """
    supervised.deploy(source.format(0), preload=["sklearn.linear_model", "pandas"])
    assert forking(supervised)["modules"] > 500
    supervised.deploy(source.format(1), preload=["sklearn.linear_model", "pandas"])
    assert supervised.score().json() == [True, 1]


def test_a_module_that_a_worker_imported_late_is_preloaded_for_the_next(supervised: Supervised) -> None:
    source = "def init():\n    import {0} as m\n    globals()['m'] = m\ndef run(data): return m.__name__\n"
    supervised.deploy(source.format("sklearn.linear_model"))
    wait_until(lambda: forking(supervised)["modules"] > 300, what="the modules are learned")
    written = (supervised.folder / "preload.json").read_text()
    assert '"sklearn.linear_model"' in written and '"score"' not in written
    modules = supervised.deploy(source.format("sklearn.linear_model"))["modules"]
    assert {"sklearn", "numpy", "score"} <= modules.keys()  # said of a fork as of a new process


def test_when_any_process_is_killed_the_service_comes_back(supervised: Supervised) -> None:
    about(supervised, 1)
    facts = wait_until(lambda: (f := forking(supervised))["spare"] and f)
    for name in ("spare", "pid"):
        os.kill(facts[name], signal.SIGKILL)
        assert supervised.score().status_code == 200
    (worker,) = supervised.pids()
    os.kill(worker, signal.SIGKILL)
    wait_until(lambda: supervised.pids() not in ([], [worker]))
    assert supervised.score().status_code == 200
    assert about(supervised, 2)["version"] == 2
    family = psutil.Process(supervised.process.pid).children(recursive=True)
    os.kill(supervised.process.pid, signal.SIGKILL)
    supervised.process.wait()
    _, alive = psutil.wait_procs(family, 60)
    assert not alive


def test_a_worker_that_dies_is_replaced_by_a_fork(supervised: Supervised) -> None:
    about(supervised, 1, "pandas")
    wait_until(lambda: forking(supervised)["spare"])
    (worker,) = supervised.pids()
    os.kill(worker, signal.SIGKILL)
    wait_until(lambda: supervised.pids() not in ([], [worker]))
    assert live(supervised)[0]["forked"]


def test_orphans_of_a_script_are_reaped(supervised: Supervised) -> None:
    source = """
        import subprocess, sys
        def init(): subprocess.run(["sh", "-c", "sleep 1 &"])
        def run(data): return 1
    """
    supervised.deploy(source)
    parent = psutil.Process(supervised.process.pid)

    def orphans() -> list[str]:
        found = []
        for child in parent.children():
            with suppress(psutil.NoSuchProcess):
                if child.name() == "sleep" or child.status() == psutil.STATUS_ZOMBIE:
                    found.append(child.name())
        return found

    wait_until(orphans, what="the orphan was adopted")
    wait_until(lambda: not orphans(), what="it was collected")
    assert supervised.score().status_code == 200


def test_a_changed_library_is_imported_again(supervised: Supervised, tmp_path: Path) -> None:
    python, library = _environment_with(tmp_path, "VALUE = 1\n")
    source = "import ownlib\ndef init(): pass\ndef run(data): return ownlib.VALUE\n"
    supervised.deploy(source, python=python, preload=["ownlib"])
    assert live(supervised)[0]["forked"] and supervised.score().json() == 1
    library.write_text("VALUE = 22\n")
    assert supervised.deploy(source, python=python, preload=["ownlib"])["ok"]
    assert supervised.score().json() == 22
    assert "ownlib.py has changed" in supervised.log


SPAWNING = """
    import multiprocessing, sys
    def init(): pass
    def run(data):
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            return pool.apply(eval, ("sorted(__import__('sys').modules)",))
"""


def test_a_process_that_a_forked_worker_spawns_does_not_import_the_worker_again(supervised: Supervised) -> None:
    assert supervised.deploy(SPAWNING)["ok"]
    assert live(supervised)[0]["forked"]
    modules = supervised.score().json()
    assert "multiprocessing.spawn" in modules
    assert [name for name in modules if ".serving." in name] == []


PYTHON_THREAD = "import threading\nthreading.Thread(target=threading.Event().wait, daemon=True).start()\n"
NATIVE_THREAD = (
    "import _thread\nlock = _thread.allocate_lock()\nlock.acquire()\n_thread.start_new_thread(lock.acquire, ())\n"
)


@pytest.mark.parametrize(
    ("library", "reason"),
    [
        (PYTHON_THREAD, "Python threads run"),
        (NATIVE_THREAD, "native threads run"),
        ("import os\nos._exit(3)\n", "its process died"),
    ],
)
def test_a_module_that_makes_forking_unsafe_is_left_to_the_worker(
    supervised: Supervised, tmp_path: Path, library: str, reason: str
) -> None:
    guard = "import sys\nif 'zygote' in sys.argv[0]:\n    " if "_exit" in library else ""
    text = guard + library.replace("\n", "\n    ") if guard else library
    python, _ = _environment_with(tmp_path, text)
    source = "import ownlib, json\ndef init(): pass\ndef run(data): return 7\n"
    answer = supervised.deploy(source, python=python, preload=["json", "ownlib"])
    assert answer["ok"], answer
    assert supervised.score().json() == 7
    facts = forking(supervised)
    assert facts["forking"] and reason in facts["excluded"]["ownlib"]
    assert supervised.log.count("ownlib is not imported in advance") == 1


def test_a_package_that_makes_forking_unsafe_is_left_to_the_worker_with_its_modules(
    supervised: Supervised, tmp_path: Path
) -> None:
    python, library = _environment_with(tmp_path, "")
    library.unlink()
    package = library.with_suffix("")
    package.mkdir()
    (package / "__init__.py").write_text(PYTHON_THREAD)
    names = [f"ownlib.part{number}" for number in range(6)]
    for name in names:
        (package / f"{name.partition('.')[2]}.py").touch()
    source = f"import json, {', '.join(names)}\ndef init(): pass\ndef run(data): return 7\n"
    assert supervised.deploy(source, python=python, preload=["json", *names])["ok"]
    assert forking(supervised)["forking"] and list(forking(supervised)["excluded"]) == ["ownlib"]
    assert live(supervised)[0]["forked"] and supervised.score().json() == 7


PYARROW = """
    import numpy as np, pandas as pd, pyarrow as pa, pyarrow.compute as pc
    def init(): pass
    def run(data):
        sums = []
        for pool in (pa.jemalloc_memory_pool(), pa.system_memory_pool()):
            pa.set_memory_pool(pool)
            sums += [pc.sum(pc.add(pa.array(np.arange(100_000)), 1)).as_py() for _ in range(20)]
        table = pa.Table.from_pandas(pd.DataFrame({{"n": range(100_000), "s": "x"}}))
        return [len(set(sums)), table.group_by("s").aggregate([("n", "sum")]).num_rows, {}]
"""


@pytest.mark.skipif(importlib.util.find_spec("pyarrow") is None, reason="pip install pyarrow")
def test_arrow_runs_in_forked_workers(supervised: Supervised) -> None:
    for version in range(3):
        assert supervised.deploy(PYARROW.format(version), preload=["pandas", "pyarrow"])["ok"]
        assert supervised.score().json() == [1, 1, version]
        assert live(supervised)[0]["forked"] and not forking(supervised)["excluded"]


BROKEN_BY_FORKING = """
    import gc, os, signal, threading
    FORKED = gc.get_freeze_count() > 0
    def init():
        if FORKED: {}
    def run(data): return FORKED
"""


@pytest.mark.parametrize("how", ["os.kill(os.getpid(), signal.SIGSEGV)", "os._exit(5)", "threading.Event().wait()"])
def test_a_worker_that_only_a_fork_breaks_gets_a_new_interpreter(supervised: Supervised, how: str) -> None:
    answer = supervised.deploy(BROKEN_BY_FORKING.format(how), init_timeout=8.0)
    assert answer["ok"], answer
    assert supervised.score().json() is False
    assert "not in a new interpreter" in forking(supervised)["reason"] and not forking(supervised)["forking"]
    assert supervised.log.count("workers are no longer forked") == 1
    assert supervised.deploy(BROKEN_BY_FORKING.format(how), init_timeout=8.0)["ok"]
    assert supervised.log.count("trying a new interpreter") == 1  # nothing was forked the second time


LIVE_POOLS = """
    import json, os
    import numpy as np
    from joblib import Parallel, delayed
    from sklearn.ensemble import HistGradientBoostingClassifier
    X = np.random.default_rng(0).random((2000, 20)); y = X[:, 0] > 0.5
    def work():
        model = HistGradientBoostingClassifier(max_iter=5).fit(X, y)
        dot = float((X @ X.T).sum())
        threads = Parallel(n_jobs=2, prefer="threads")(delayed(np.linalg.norm)(X) for _ in range(4))
        return [int(model.predict(X).sum()), round(dot), len(threads)]
    def init():
        global expected
        expected = work()
    def run(data):
        return [work() == expected, VERSION]
    VERSION = {}
"""


def test_blas_openmp_and_threads_run_in_forked_workers(supervised: Supervised) -> None:
    for version in range(4):  # each is forked beside one whose pools are running
        preload = ["numpy", "joblib", "sklearn.ensemble"]
        assert supervised.deploy(LIVE_POOLS.format(version), preload=preload, init_timeout=60.0)["ok"]
        for _ in range(3):
            assert supervised.score(timeout=60).json() == [True, version]
        assert live(supervised)[0]["forked"]


TORCH = """
    import torch
    def init():
        global model
        torch.set_num_threads(2)
        model = torch.nn.Sequential(torch.nn.Linear(256, 256), torch.nn.ReLU(), torch.nn.Linear(256, 1))
        x = torch.randn(512, 256)
        loss = model(x).pow(2).mean()
        loss.backward()
    def run(data):
        with torch.no_grad():
            return [float((torch.ones(512, 256) @ torch.ones(256, 8)).sum()), list(model(torch.ones(4, 256)).shape), {}]
"""
TENSORFLOW = """
    import tensorflow as tf
    def init():
        global model
        model = tf.keras.Sequential([tf.keras.layers.Dense(64, activation="relu"), tf.keras.layers.Dense(1)])
        model.compile(loss="mse")
        model.fit(tf.ones((64, 16)), tf.ones((64, 1)), epochs=1, verbose=0)
    def run(data):
        return [float(tf.reduce_sum(tf.ones((512, 256)) @ tf.ones((256, 8)))), list(model(tf.ones((4, 16))).shape), {}]
"""


@pytest.mark.parametrize(("name", "source"), [("torch", TORCH), ("tensorflow", TENSORFLOW)])
def test_deep_learning_runs_in_workers_forked_or_not(supervised: Supervised, name: str, source: str) -> None:
    python = _python_with(name)
    for version in range(2):
        answer = supervised.deploy(source.format(version), python=python, preload=[name], init_timeout=120.0)
        assert answer["ok"], answer
        first, shape, found = supervised.score(timeout=60).json()
        assert (first, shape, found) == (512 * 256 * 8, [4, 1], version)
    facts = forking(supervised)
    assert live(supervised)[0]["forked"] == facts["forking"] and (facts["forking"] or facts["reason"])
    print(name, "forked:", live(supervised)[0]["forked"], facts)


def test_a_check_runs_in_a_fork_and_cannot_hurt_the_service(supervised: Supervised) -> None:
    about(supervised, 1)
    settings = supervised.settings("print('said')\ndef init(): pass\ndef run(data): return 1\n")
    lines: list[str] = []

    def on_event(event: dict) -> None:
        if event["event"] == "log":
            lines.append(event["text"])

    answer = supervised.ask("check", settings=settings, on_event=on_event)
    assert answer["ok"] and answer["result"]["ok"] and lines == ["said"], answer
    assert "said" not in supervised.log
    crash = supervised.ask("check", settings=supervised.settings("import os\nos.abort()\n"))
    assert (crash["result"], crash["signal"], crash["timed_out"]) == (None, signal.SIGABRT, False)
    hang = "import time\ndef init():\n    while True: time.sleep(1)\ndef run(data): pass\n"
    stuck = supervised.ask("check", settings={**supervised.settings(hang), "init_timeout": -2.0}, on_event=on_event)
    assert stuck["timed_out"] and any("Current thread" in line for line in lines)
    other = supervised.ask("check", settings={**settings, "env": {"OTHER": "1"}})
    assert other["failure"]["code"] == "no-fork"
    assert supervised.score().status_code == 200
    wait_until(lambda: len(supervised.family()) == 1)


def test_a_service_that_is_started_again_forks_at_once(supervised: Supervised) -> None:
    about(supervised, 1, "pandas")
    wait_until(lambda: (supervised.folder / "preload.json").exists())
    assert supervised.ask("stop") == {"ok": True}
    supervised.process.wait(60)
    supervised.start("--resume")
    wait_until(lambda: live(supervised))
    assert live(supervised)[0]["forked"] and supervised.score(headers=KEY).status_code == 200


def _environment_with(folder: Path, library: str) -> tuple[str, Path]:
    """An interpreter with our packages and one of its own, `ownlib`."""
    import venv

    place = folder / "env"
    venv.create(place, symlinks=True)
    (site,) = place.glob("lib/python*/site-packages")
    ours = next(path for path in sys.path if path.endswith("site-packages"))
    (site / "ours.pth").write_text(ours + "\n")
    (site / "ownlib.py").write_text(library)
    return str(place / "bin" / "python"), site / "ownlib.py"


def _python_with(package: str) -> str:
    """An interpreter that has a large package: this one, or that of MLDEPLOY_TEST_PYTHON."""
    other = os.environ.get("MLDEPLOY_TEST_PYTHON", "")
    if other and not subprocess.run([other, "-c", f"import {package}"], capture_output=True).returncode:
        return other
    if importlib.util.find_spec(package) is None:
        pytest.skip(f"{package} is not installed here, nor in the interpreter of MLDEPLOY_TEST_PYTHON")
    return sys.executable
