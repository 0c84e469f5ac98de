"""What `%%entry_script` warns of, with the lines of the cell."""

from __future__ import annotations

import ast
import re
from typing import Any

from mldeploy_jupyter.core.script import lint


def of_source(text: str, offset: int, namespace: dict[str, Any]) -> list[str]:
    """What will go wrong in a service although the script can be imported. Lines are those of the cell."""
    found = []
    for name, line in lint.free_names(text):
        if name in namespace:
            found.append(f"line {line + offset}: {name} lives only in this notebook; define or import it in the script")
        else:
            found.append(f"line {line + offset}: {name} is not defined in the script")
    caught = lint.swallows_exceptions(text)
    if caught is not None:
        found.append(
            f"line {caught + offset}: run() answers with the text of an exception, so a failure looks like a good "
            "answer (HTTP 200); let it raise"
        )
    for line in _sklearn_externals(text):
        found.append(
            f"line {line + offset}: sklearn.externals has no joblib since scikit-learn 0.23; write import joblib"
        )
    return found


def of_run(found: list[str], text: str, offset: int) -> list[str]:
    """What the run warned of, with the cell's lines, and without what `of_source` says already."""
    said = lint.swallows_exceptions(text) is not None
    rest = []
    for warning in found:
        line = re.search(r" \(line (\d+)\)", warning)
        if said and warning.startswith("run() catches every exception"):
            continue
        rest.append(f"line {int(line[1]) + offset}: {warning.replace(line[0], '')}" if line else warning)
    return rest


def _sklearn_externals(text: str) -> list[int]:
    lines = []
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.ImportFrom) and node.module == "sklearn.externals":
            lines += [node.lineno for alias in node.names if alias.name == "joblib"]
        elif isinstance(node, ast.Import):
            lines += [node.lineno for alias in node.names if alias.name.startswith("sklearn.externals")]
    return lines
