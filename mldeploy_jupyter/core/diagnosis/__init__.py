"""Named causes: what a failure of a deployment means, in words, with the line of the cell.

The serving room reports failures as plain data (`serving/ipc/failure.py`); `explain` turns one into a `Cause`.
"""

from __future__ import annotations

from mldeploy_jupyter.core.diagnosis.cause import Cause, Facts, ScriptInfo
from mldeploy_jupyter.core.diagnosis.explain import explain

__all__ = ["Cause", "Facts", "ScriptInfo", "explain"]
