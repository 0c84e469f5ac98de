from __future__ import annotations

import os
from pathlib import Path

import pytest

from mldeploy_jupyter.serving.supervisor.service_process import EXIT_FOLDER_ABSENT, claim_folder, run


def test_a_folder_has_one_supervisor(tmp_path: Path) -> None:
    lock = claim_folder(tmp_path)
    assert lock is not None and claim_folder(tmp_path) is None
    os.close(lock)


def test_nothing_is_put_in_the_place_of_a_workspace_that_is_away(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / ".mldeploy" / "services" / "svc"
    assert run(["--folder", str(folder), "--port", "0"]) == EXIT_FOLDER_ABSENT
    assert "there is nothing to serve from" in capsys.readouterr().err
    assert os.listdir(tmp_path) == []
