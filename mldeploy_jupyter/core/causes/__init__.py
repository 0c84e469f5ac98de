"""Named causes: what a failure of a deployment means, in words, with the line of the cell.

The serving room reports failures as plain data (`serving/failure.py`); `explain` turns one into a `Cause`.
"""

from mldeploy_jupyter.core.causes.cause import Cause, Facts, ScriptInfo
from mldeploy_jupyter.core.causes.explain import explain

__all__ = ["Cause", "Facts", "ScriptInfo", "explain"]
