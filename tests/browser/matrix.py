"""The browser's tests with other releases of what is around us: python -m tests.browser.matrix [REQUIREMENT ...]

The panel in a notebook with releases of ipykernel, the extension with releases of JupyterLab. Each gets a virtual
environment in build/matrix/ with this checkout, and its own JupyterLab and kernel are used. Needs the package index and
Chromium; takes some minutes, so it is not part of the normal run.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
PANEL = ("tests/browser/test_panel.py", "tests/integration/notebook/test_panels.py")
LAB = tuple(f"tests/browser/test_{name}.py" for name in ("lab", "lab_notices", "lab_settings", "lab_themes"))
RELEASES = {  # without a release it is the newest
    "ipykernel==6.29.5": PANEL,
    "ipykernel==7.2.0": PANEL,
    "ipykernel": PANEL,
    "jupyterlab==4.4.*": LAB,
    "jupyterlab": LAB,
}


def main(words: list[str]) -> int:
    """Returns how many releases failed."""
    failed = []
    for wanted in words or RELEASES:
        package = re.split("[=<>~!]", wanted)[0]
        tests = RELEASES.get(wanted, LAB if package == "jupyterlab" else PANEL)
        folder = ROOT / "build" / "matrix" / re.sub("[^a-z0-9.]+", "-", wanted).strip("-.")
        python = folder / "bin" / "python"
        uv = [str(Path(sys.executable).with_name("uv"))]
        if not python.exists():
            subprocess.run([*uv, "venv", "-q", "--python", sys.executable, str(folder)], check=True)
        install = [*uv, "pip", "install", "-q", "--upgrade-package", package, "--python", str(python)]
        subprocess.run([*install, "-e", f"{ROOT}[test]", wanted], check=True)
        script = f"from importlib.metadata import version; print(version({package!r}))"
        version = subprocess.run([str(python), "-c", script], check=True, capture_output=True, text=True).stdout.strip()
        print(f"{package} {version}", flush=True)
        ran = subprocess.run([str(python), "-m", "pytest", "-q", *tests], cwd=ROOT)
        if ran.returncode:
            failed.append(f"{package} {version}")
    print("failed: " + ", ".join(failed) if failed else "all passed")
    return len(failed)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
