"""Runs the quickstart notebook and saves what its cells show, so that a reader sees it without running it.

    python docs/pictures/save_outputs.py

Cells whose output differs each time, such as measured latencies, are saved too; paths of the machine are replaced.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from pathlib import Path

import nbformat
from nbclient import NotebookClient

NOTEBOOK = Path(__file__).resolve().parents[2] / "notebooks" / "01-quickstart.ipynb"


def main() -> None:
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    with tempfile.TemporaryDirectory() as folder:
        shutil.copy(NOTEBOOK, folder)
        NotebookClient(notebook, timeout=300, resources={"metadata": {"path": folder}}).execute()
        real = str(Path(folder).resolve())
        for cell in notebook.cells:
            cell.metadata.pop("execution", None)
            if cell.cell_type == "code":
                text = json.dumps(cell.outputs).replace(real, "~/notebooks")
                cell.outputs = [nbformat.from_dict(output) for output in json.loads(text)]
    notebook.metadata.pop("widgets", None)
    nbformat.write(notebook, NOTEBOOK)
    print(f"saved {NOTEBOOK}")


if __name__ == "__main__":
    main()
