"""How processes of a service are started: their command, their environment, and the thread that forks them."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from mldeploy_jupyter.serving.settings import Settings
from mldeploy_jupyter.serving.supervisor.spawn import MainThread, process_environment, spawn_process
from mldeploy_jupyter.serving.system import server_package


@pytest.mark.parametrize("module", ["supervisor", "worker", "zygote", "check"])
@pytest.mark.parametrize("form", ["-m", "-c"])
def test_supervisors_of_older_versions_find_the_modules_that_they_start(module: str, form: str) -> None:
    name = f"mldeploy_jupyter.serving.{module}"
    program = name if form == "-m" else f"from {name} import main; main()"
    done = subprocess.run([sys.executable, "-P", form, program, "--help"], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0 and done.stdout.startswith(f"usage: {module} "), done


def command_of(settings: dict[str, str], tmp_path: Path) -> list[str]:
    """The arguments with which a process is started, without channel and parent."""
    script = tmp_path / "python"
    script.write_text('#!/bin/sh\nfor argument in "$@"; do echo "$argument"; done\n')
    script.chmod(0o700)
    process = spawn_process("worker", Settings(python=str(script), **settings), "mark", lambda task: task())
    with os.fdopen(process.output) as output:
        lines = output.read().splitlines()
    process.channel.close()
    assert process.reap() == 0 and [line.partition("=")[0] for line in lines[-2:]] == ["--channel", "--parent"]
    return lines[:-2]


def test_a_worker_runs_from_the_bundle_s_own_copy_of_the_server(tmp_path: Path) -> None:
    assert command_of({}, tmp_path) == ["-P", "-m", "mldeploy_jupyter.serving.worker"]
    assert command_of({"server_path": "/bundle"}, tmp_path) == ["-P", "-m", "mldeploy_serving.worker"]


def test_a_folder_that_pythonpath_cannot_name_comes_as_an_argument(tmp_path: Path) -> None:
    *flags, program, path = command_of({"server_path": "/with:colon"}, tmp_path)
    assert flags == ["-P", "-c"] and path == "/with:colon" and "from mldeploy_serving.worker import main" in program


def test_the_environment_is_the_supervisor_s_the_user_s_and_the_server_s(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONHOME", "/elsewhere")
    monkeypatch.setenv("INHERITED", "yes")
    settings = Settings(env={"INHERITED": "no", "AML_APP_ROOT": "/mine"}, app_root="/app", server_path="/bundle")
    environment = process_environment(settings, "the-mark")
    assert "PYTHONHOME" not in environment and environment["INHERITED"] == "no"
    assert environment["AML_APP_ROOT"] == "/app" and environment["PYTHONPATH"] == "/bundle"
    assert environment["MLDEPLOY_WORKER"] == "the-mark"


def test_the_server_s_own_package_can_be_imported_from_its_root() -> None:
    root = server_package.import_root()
    assert (root / server_package.NAME.replace(".", "/") / "settings.py").is_file()
    assert process_environment(Settings(), "")["PYTHONPATH"] == str(root)


def test_a_task_runs_in_the_main_thread_and_its_result_comes_back() -> None:
    main_thread, found = MainThread(), []

    def work() -> None:
        found.append(main_thread.run(threading.current_thread))
        with pytest.raises(ZeroDivisionError):
            main_thread.run(lambda: 1 / 0)
        main_thread.stop()

    worker = threading.Thread(target=work)
    worker.start()
    main_thread.serve()
    worker.join()
    assert found == [threading.main_thread()] and main_thread.run(lambda: "at once") == "at once"


def test_nothing_is_imported_before_the_first_zygote_that_it_does_not_need() -> None:
    source = (
        "import sys, mldeploy_jupyter.serving.supervisor.__main__\n"
        "found = [n for n in sys.modules if n.startswith('mldeploy_jupyter.') or n in ('dataclasses', 'argparse')]\n"
        "print(*found)"
    )
    done = subprocess.run([sys.executable, "-c", source], capture_output=True, text=True, timeout=60, check=True)
    assert {name.removeprefix("mldeploy_jupyter.") for name in done.stdout.split()} == {
        "serving",
        "serving.supervisor",
        "serving.supervisor.__main__",
        "serving.system",
        "serving.system.child_process",
    }


def test_the_supervisor_imports_little() -> None:
    source = (
        "import sys, mldeploy_jupyter.serving.supervisor.service_process\n"
        "heavy = ('asyncio', 'ssl', 'httptools', 'orjson', 'numpy', 'http', 'email', 'logging')\n"
        "print([name for name in heavy if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", source], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "[]"
