from __future__ import annotations

import importlib.util
import marshal
import subprocess
import sys
from pathlib import Path

import pytest

from mldeploy_jupyter.core.compiled_modules import compile_modules


def test_modules_are_compiled_without_times_and_with_their_names(tmp_path: Path) -> None:
    compiled = []
    for number in range(2):
        module = tmp_path / str(number) / "churn.py"
        module.parent.mkdir()
        module.write_text("names = {'a', 'b', 'c'}\n")
        broken = module.with_name("template.py")
        broken.write_text("{{ no Python }}")
        compile_modules(sys.executable, {module: "/opt/churn.py", broken: "/opt/template.py"})
        compiled.append(Path(importlib.util.cache_from_source(str(module))).read_bytes())
        assert not Path(importlib.util.cache_from_source(str(broken))).exists()
        module.touch()  # the time of the source does not count
    assert compiled[0] == compiled[1]
    assert marshal.loads(compiled[0][16:]).co_filename == "/opt/churn.py"
    command = [sys.executable, "-v", "-c", "import churn; print(churn.names)"]
    done = subprocess.run(command, cwd=tmp_path / "0", capture_output=True, text=True, check=True, timeout=60)
    assert "code object from" in done.stderr and "churn.cpython" in done.stderr


def test_compiling_can_be_cancelled(tmp_path: Path) -> None:
    class Cancelled(Exception):
        pass

    def cancel() -> None:
        raise Cancelled

    (tmp_path / "a.py").write_text("")
    with pytest.raises(Cancelled):
        compile_modules(sys.executable, {tmp_path / "a.py": "/a.py"}, cancel)
