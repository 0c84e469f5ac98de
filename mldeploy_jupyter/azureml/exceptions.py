"""v1's exceptions that nothing here raises: a notebook imports them, and catches them in vain."""

from __future__ import annotations

from mldeploy_jupyter.core.errors import MldeployError
from mldeploy_jupyter.serving.azureml.v1_names import UNUSED_EXCEPTIONS

for _name in UNUSED_EXCEPTIONS:
    globals()[_name] = type(_name, (MldeployError,), {"__doc__": "An error of v1.", "__module__": __name__})
