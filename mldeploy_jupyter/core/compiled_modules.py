"""Compiles modules for a read-only image, where Python could not write their `.pyc` files at import."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
from pathlib import Path

PARTS = 4  # a fixed number of processes: what one writes depends on what it has compiled before

# Reads pairs of names: a module's file, and its name in the image. The result depends on the source alone, and Python
# does not look at the source's time.
SCRIPT = """
import importlib.util, py_compile, sys
names = sys.stdin.read().split("\\0")
for path, shown in zip(names[::2], names[1::2]):
    target = importlib.util.cache_from_source(path)
    try:
        py_compile.compile(path, target, shown, True, -1, py_compile.PycInvalidationMode.UNCHECKED_HASH)
    except (py_compile.PyCompileError, SyntaxError, ValueError, RecursionError):
        pass  # a template, or for another Python: the import of such a module says what is wrong
"""


def compile_modules(python: str, modules: Mapping[Path, str], cancel: Callable[[], None] = lambda: None) -> None:
    """Writes the `.pyc` of each module beside it, with the interpreter `python`; `modules` maps files to their names.

    Modules that cannot be compiled are left out. `cancel` is called ten times a second, and stops it by raising.
    """
    files = sorted(modules)
    environ = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    environ["PYTHONHASHSEED"] = "0"  # for modules with sets
    running: list[subprocess.Popen[str]] = []

    def run(part: list[Path]) -> None:
        names = "\0".join(text for path in part for text in (str(path), modules[path]))
        command = [python, "-s", "-S", "-P", "-c", SCRIPT]
        with subprocess.Popen(
            command, stdin=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environ, text=True
        ) as process:
            running.append(process)
            process.communicate(names)

    with ThreadPoolExecutor(max_workers=min(PARTS, os.cpu_count() or 1)) as pool:
        waiting: set[Future[None]] = {pool.submit(run, files[number::PARTS]) for number in range(PARTS)}
        try:
            while waiting:
                cancel()
                done, waiting = wait(waiting, timeout=0.1)
                for future in done:
                    future.result()
        except BaseException:
            for future in waiting:
                future.cancel()
            for process in running:
                process.kill()
            raise
