"""Two processes that each replace one of the keys."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from mldeploy_jupyter.core import keys

REPLACE = """
import sys
from pathlib import Path
from mldeploy_jupyter.core import keys
for number in range(150):
    keys.replace_key(Path(sys.argv[1]), sys.argv[2], f"{sys.argv[2]}-{number:05d}")
"""


def test_a_replaced_key_is_not_undone_by_another_process_that_replaces_the_other_one(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    keys.ensure_keys(path)
    both = [subprocess.Popen([sys.executable, "-c", REPLACE, str(path), name]) for name in ("Primary", "Secondary")]
    assert [process.wait(60) for process in both] == [0, 0]
    left = keys.read_keys(path)
    assert left is not None and (left.primary, left.secondary) == ("Primary-00149", "Secondary-00149")
