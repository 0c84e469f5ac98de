"""v1's classes to sign in. A workspace is a folder that needs no signing in, so they are accepted and ignored.

Their arguments are not stored, because they may be passwords.
"""

from __future__ import annotations

from typing import Any, NoReturn

from mldeploy_jupyter.core.errors import UserErrorException

_noted: set[str] = set()  # classes whose note was printed: once a process


class _SignIn:
    """Drops v1's arguments and prints a note the first time."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        name = type(self).__name__
        if name not in _noted:
            _noted.add(name)
            print(f"{name} is accepted and ignored: a workspace is a folder, there is nothing to sign in to.")

    def get_authentication_header(self) -> NoReturn:
        """Raises `UserErrorException`: nothing was signed in to."""
        raise UserErrorException(
            f"{type(self).__name__} has no authentication header",
            why="nothing was signed in to",
            hint='for a service write {"Authorization": "Bearer " + service.get_keys()[0]}',
        )

    get_token = signed_session = get_authentication_header

    def __repr__(self) -> str:
        return f"{type(self).__name__}()"


class AbstractAuthentication(_SignIn):
    """v1's base class of those below."""


class InteractiveLoginAuthentication(AbstractAuthentication):
    """v1's sign-in through the browser."""


class ServicePrincipalAuthentication(AbstractAuthentication):
    """v1's sign-in with an application's password."""


class AzureCliAuthentication(AbstractAuthentication):
    """v1's sign-in through `az login`."""


class MsiAuthentication(AbstractAuthentication):
    """v1's sign-in with a managed identity."""


class TokenAuthentication(AbstractAuthentication):
    """v1's sign-in with a token."""


class ArmTokenAuthentication(AbstractAuthentication):
    """v1's sign-in with a token of Azure's resource manager."""


class AzureMLTokenAuthentication(AbstractAuthentication):
    """v1's sign-in of a submitted run."""
