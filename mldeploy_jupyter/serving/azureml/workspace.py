"""v1's workspace and sign-in, as an entry script has them: it may look up the workspace, and cannot use it.

Scripts do so to pass it to `Model.get_model_path(name, _workspace=ws)`, which needs none in a service.
"""

from __future__ import annotations

from typing import Any, NoReturn

from .model import NotInService


class _SignIn:
    """Accepts v1's arguments and drops them: there is nothing to sign in to."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        pass

    def __getattr__(self, name: str) -> NoReturn:
        _refuse(type(self).__name__, name)


class Workspace(_SignIn):
    """v1's workspace, which a service does not have. Reading an attribute raises `NotInService`."""

    @classmethod
    def get(cls, *args: Any, **kwargs: Any) -> Workspace:
        """As the constructor."""
        return cls()

    from_config = get

    @classmethod
    def create(cls, *args: Any, **kwargs: Any) -> NoReturn:
        """Raises `NotInService`."""
        _refuse(cls.__name__, "create")


def _refuse(owner: str, name: str) -> NoReturn:
    if name.startswith("_"):  # displays, inspect and pickle look for such names
        raise AttributeError(f"{owner!r} object has no attribute {name!r}")
    raise NotInService(
        f"{owner}.{name} needs a workspace, and a service has none; models are found with Model.get_model_path(name)"
    )


class AbstractAuthentication(_SignIn): ...


class ArmTokenAuthentication(AbstractAuthentication): ...


class AzureCliAuthentication(AbstractAuthentication): ...


class AzureMLTokenAuthentication(AbstractAuthentication): ...


class InteractiveLoginAuthentication(AbstractAuthentication): ...


class MsiAuthentication(AbstractAuthentication): ...


class ServicePrincipalAuthentication(AbstractAuthentication): ...


class TokenAuthentication(AbstractAuthentication): ...
