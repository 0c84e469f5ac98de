"""v1's exceptions, as an entry script catches them."""

from __future__ import annotations

from .v1_names import UNUSED_EXCEPTIONS


class AzureMLException(Exception):
    """v1's base of all. `message` is its text."""

    def __init__(self, message: str = "") -> None:
        super().__init__(message)
        self.message = message


class WebserviceException(AzureMLException):
    """v1's base error of models and services."""


class ModelNotFoundException(WebserviceException):
    """v1's error for a model that this service does not have."""


class ModelPathNotFoundException(WebserviceException):
    """v1's error for a path that a model does not have. Nothing in a service raises it."""


class UserErrorException(AzureMLException):
    """v1's error for a wrong argument. Nothing in a service raises it, nor any of those below."""


class ComputeTargetException(AzureMLException):
    """v1's error of clusters."""


class ProjectSystemException(AzureMLException):
    """v1's error of workspaces and their files."""


class WorkspaceException(ProjectSystemException):
    """v1's error of workspaces."""


class RunEnvironmentException(AzureMLException):
    """v1's error of runs."""


for _name in UNUSED_EXCEPTIONS:
    globals()[_name] = type(_name, (AzureMLException,), {"__doc__": "An error of v1.", "__module__": __name__})
