"""The service keeps what its description promises: schemathesis generates valid and invalid requests from it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.fuzz.scripts import SCRIPTS
from tests.integration.serving.supervised import Supervised

CHECKS = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance"
SCHEMATHESIS = Path(sys.executable).with_name("schemathesis")


@pytest.mark.slow
@pytest.mark.parametrize("name", ["frame", "point"])
def test_generated_requests_get_only_answers_that_the_description_declares(shared: Supervised, name: str) -> None:
    assert shared.deploy(SCRIPTS[name])["ok"]
    command = [SCHEMATHESIS, "run", f"{shared.url}/swagger.json", "--header", "Authorization: Bearer first-key",
               "--checks", CHECKS, "--max-examples", "25", "--seed", "1", "--phases", "examples,coverage,fuzzing",
               "--generation-database", "none"]  # fmt: skip
    environment = {**os.environ, "NO_COLOR": "1"}
    ran = subprocess.run(command, cwd=shared.root, env=environment, capture_output=True, text=True, timeout=120)
    print(ran.stdout[-1500:])
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "/score" in ran.stdout or "passed" in ran.stdout
