"""Whether a process may be forked."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

from mldeploy_jupyter.serving.zygote.fork_safety import why_unsafe

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="forking is used on Linux only")


def reason_after(source: str, proc: Path = Path("/proc")) -> str:
    """What a new interpreter says after it has run `source`."""
    program = (
        f"{source}\n"
        "from pathlib import Path\n"
        "from mldeploy_jupyter.serving.zygote.fork_safety import why_unsafe\n"
        f"print(why_unsafe(Path({str(proc)!r})))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    return done.stdout.strip()


def test_a_process_with_one_thread_may_be_forked() -> None:
    assert reason_after("import json") == ""


def test_the_threads_of_openblas_survive_a_fork() -> None:
    assert reason_after("import numpy; numpy.ones((300, 300)) @ numpy.ones((300, 300))") == ""


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        (
            "import threading; threading.Thread(target=threading.Event().wait, daemon=True, name='w').start()",
            "Python threads run (w)",
        ),
        (
            "import _thread\nlock = _thread.allocate_lock()\nlock.acquire()\n"
            "_thread.start_new_thread(lock.acquire, ())",
            "1 native threads run",
        ),
    ],
)
def test_other_threads_make_forking_unsafe(source: str, reason: str) -> None:
    assert reason_after(source) == reason


NAMED_THREAD = """
import _thread, ctypes
named, lock = _thread.allocate_lock(), _thread.allocate_lock()
named.acquire(), lock.acquire()
def wait():
    ctypes.CDLL(None).prctl(15, {!r}, 0, 0, 0)
    named.release()
    lock.acquire()
_thread.start_new_thread(wait, ())
named.acquire()
"""


def test_the_thread_of_jemalloc_is_known_by_its_name() -> None:
    assert reason_after(NAMED_THREAD.format(b"jemalloc_bg_thd")) == ""
    assert reason_after(NAMED_THREAD.format(b"jemalloc_other")) == "1 native threads run"


@pytest.mark.skipif(importlib.util.find_spec("pyarrow") is None, reason="pip install pyarrow")
def test_a_process_that_has_imported_pyarrow_may_be_forked() -> None:
    assert reason_after("import pyarrow.compute") == ""


def process(proc: Path, open_file: str) -> Path:
    """A folder like `/proc` with a process of one thread."""
    (proc / "self" / "task" / "1").mkdir(parents=True)
    (proc / "self" / "fd").mkdir()
    (proc / "self" / "fd" / "0").symlink_to(open_file)
    return proc


@pytest.mark.parametrize("device", ["/dev/nvidia0", "/dev/kfd", "/dev/dxg"])
def test_an_open_gpu_makes_forking_unsafe(tmp_path: Path, device: str) -> None:
    assert reason_after("", process(tmp_path, open_file=device)) == f"a GPU is in use ({device})"


def test_without_proc_nothing_is_forked(tmp_path: Path) -> None:
    assert why_unsafe(tmp_path) == "forking is used on Linux only"
