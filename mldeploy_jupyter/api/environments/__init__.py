"""`Environment` and its sections, and the files and images that one is made from.

Imports only `api.arguments` and the rooms below `api`.
"""

from mldeploy_jupyter.api.environments.conda_dependencies import CondaDependencies
from mldeploy_jupyter.api.environments.environment import Environment
from mldeploy_jupyter.api.environments.sections import (
    ContainerRegistry,
    DockerBuildContext,
    DockerSection,
    PythonSection,
    SparkSection,
)

__all__ = [
    "CondaDependencies",
    "ContainerRegistry",
    "DockerBuildContext",
    "DockerSection",
    "Environment",
    "PythonSection",
    "SparkSection",
]
