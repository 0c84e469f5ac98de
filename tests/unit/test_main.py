"""The start of the program."""

from __future__ import annotations

import subprocess
import sys

INTERRUPTED_IMPORT = """
import sys
from importlib.abc import MetaPathFinder


class Interrupt(MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name == "mldeploy_jupyter.commands":
            raise KeyboardInterrupt


from mldeploy_jupyter.__main__ import main

sys.meta_path.insert(0, Interrupt())
sys.exit(main())
"""


def test_an_interrupt_while_the_program_is_imported_has_no_traceback() -> None:
    done = subprocess.run([sys.executable, "-c", INTERRUPTED_IMPORT], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "Interrupted.\n")


def test_the_package_is_the_program() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "mldeploy_jupyter", "--version"], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "") and done.stdout.startswith("mldeploy ")
