"""Runs the tests of v1's two packages against ours, from a clone of their repositories that the caller has made.

    python -m tests.compat.run inference-schema FOLDER [pytest options]
    python -m tests.compat.run inference-server FOLDER [pytest options]

The tests are copied into a temporary folder, where `inference_schema` and `azureml_inference_server_http` are ours. A
GET of `/score`, which ours refuses with 405, is sent as the POST that v1 made of it, so that what a test says beyond
that is seen. Tests that are known to fail are listed with their reasons in `differences.py`; any other failure, and
any of these that passes, makes the run fail.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

CONFTEST = "from tests_of_ours.compat.server_app import *  # noqa: F403\n"


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("suite", choices=["inference-schema", "inference-server"])
    parser.add_argument("folder", type=Path, help="a clone of its repository")
    given, options = parser.parse_known_args(argv)
    with tempfile.TemporaryDirectory(prefix="mldeploy-compat-") as place:
        root = Path(place)
        shutil.copytree(given.folder / "tests", root / "tests")
        # Theirs is called `tests`, too.
        (root / "tests_of_ours").symlink_to(Path(__file__).parents[1], target_is_directory=True)
        where = root / "tests"
        if given.suite == "inference-server":
            where = root / "tests" / "server"
            (where / "conftest.py").write_text(CONFTEST)
            (where / "common.py").write_text(CONFTEST)
        environment = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join([str(root), str(Path(__file__).parents[2])]),
            "MLDEPLOY_COMPAT_DATA": str(where / "data"),
        }
        command = [sys.executable, "-m", "pytest", "-p", "tests_of_ours.compat.v1_names", "-p", "no:cacheprovider"]
        command += ["-c", os.devnull, "--rootdir", str(root), "-o", "pythonpath=", *options, str(where)]
        return subprocess.run(command, env=environment, cwd=root).returncode


if __name__ == "__main__":
    sys.exit(main())
