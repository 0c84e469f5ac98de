"""The tests of panels in a notebook with other releases of ipykernel: python -m tests.browser.matrix [RELEASE ...]

Makes a virtual environment for each in build/matrix/, installs this checkout there, and runs the tests of the panel
with its JupyterLab and its kernel. Needs the package index and Chromium; takes some minutes, so it is no part of the
normal run.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
RELEASES = ("6.29.5", "7.2.0", "")  # "" is the newest
TESTS = ("tests/browser/test_panel.py", "tests/integration/notebook/test_panels.py")


def main(words: list[str]) -> int:
    """Returns how many releases failed."""
    failed = []
    for release in words or RELEASES:
        folder = ROOT / "build" / "matrix" / (release or "newest")
        python = folder / "bin" / "python"
        uv = [str(Path(sys.executable).with_name("uv"))]
        if not python.exists():
            subprocess.run([*uv, "venv", "-q", "--python", sys.executable, str(folder)], check=True)
        wanted = f"ipykernel=={release}" if release else "ipykernel"
        install = [*uv, "pip", "install", "-q", "--upgrade-package", "ipykernel", "--python", str(python)]
        subprocess.run([*install, "-e", f"{ROOT}[test]", wanted], check=True)
        version = subprocess.run([str(python), "-c", "import ipykernel; print(ipykernel.__version__)"],
                                 check=True, capture_output=True, text=True).stdout.strip()  # fmt: skip
        print(f"ipykernel {version}", flush=True)
        ran = subprocess.run([str(python), "-m", "pytest", "-q", *TESTS], cwd=ROOT)
        if ran.returncode:
            failed.append(version)
    print("failed: " + ", ".join(failed) if failed else "all passed")
    return len(failed)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
