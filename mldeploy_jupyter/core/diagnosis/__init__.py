"""Named causes: what a deployment's failure means, in words, with the line of the cell.

The server reports failures as plain data (`serving/ipc/failure.py`); `explain` turns one into a `Cause`. Imports only
`core`.
"""

from __future__ import annotations

from mldeploy_jupyter.core.diagnosis.cause import Cause
from mldeploy_jupyter.core.diagnosis.rules import explain
from mldeploy_jupyter.core.diagnosis.source_map import ScriptInfo, SourceMap

__all__ = ["Cause", "ScriptInfo", "SourceMap", "explain"]
