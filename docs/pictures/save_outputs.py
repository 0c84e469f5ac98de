"""Runs the tutorials and saves what their cells show, so that a reader sees it without running them.

    python docs/pictures/save_outputs.py [NAME ...]

Cells whose output differs each time, such as measured latencies, are saved too; paths of the machine are replaced. A
tutorial in which a latency run is invalid is run again, and saved only when all of its runs are valid.
"""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
from pathlib import Path

import nbformat
from nbclient import NotebookClient

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from mldeploy_jupyter.commands.latency import INVALID  # noqa: E402

NOTEBOOKS = ROOT / "notebooks"

TRIES = 3


def main() -> None:
    for path in sorted(NOTEBOOKS.glob("*.ipynb")):
        if not sys.argv[1:] or any(name in path.name for name in sys.argv[1:]):
            save(path)


def save(path: Path) -> None:
    for _ in range(TRIES):
        notebook = run(path)
        invalid = sum(INVALID in json.dumps(cell.get("outputs", "")) for cell in notebook.cells)
        if not invalid:
            nbformat.write(notebook, path)
            print(f"saved {path}")
            return
        print(f"{path}: {invalid} of its latency runs are invalid", flush=True)
    raise SystemExit(f"{path} is not saved: the machine is too busy")


def run(path: Path) -> nbformat.NotebookNode:
    """The notebook with the outputs of a run in a folder of its own."""
    notebook = nbformat.read(path, as_version=4)
    with tempfile.TemporaryDirectory() as folder:
        shutil.copy(path, folder)
        NotebookClient(notebook, timeout=300, resources={"metadata": {"path": folder}}).execute()
        real = str(Path(folder).resolve())
        for cell in notebook.cells:
            cell.metadata.pop("execution", None)
            if cell.cell_type == "code":
                text = json.dumps(cell.outputs).replace(real, "~/notebooks")
                cell.outputs = [nbformat.from_dict(output) for output in json.loads(text)]
    notebook.metadata.pop("widgets", None)
    return notebook


if __name__ == "__main__":
    main()
