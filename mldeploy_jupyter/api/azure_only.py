"""What v1 has for Azure's own resources: parameters that are ignored with a note, and methods that raise."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from difflib import get_close_matches
from typing import Any, NoReturn

from mldeploy_jupyter.core.errors import UserErrorException


class AzureOnly(UserErrorException):
    """A call of v1 whose result would be a resource of Azure."""

    code = "AzureOnly"


def ignore(call: str, given: Mapping[str, Any], known: Iterable[str], *, show: bool = True) -> None:
    """Prints one line that names what is given of v1's Azure parameters; None counts as not given.
    `show` False leaves the line out.

    Raises `UserErrorException` for a parameter that v1 does not have either.
    """
    names = [*known]
    for name in given:
        if name not in names:
            near = get_close_matches(name, names, n=1)
            raise UserErrorException(
                f"{call} has no parameter {name!r}",
                why="neither v1 nor this package has it",
                hint=f"did you mean {near[0]!r}?" if near else f"help({call}) lists the parameters",
            )
    ignored = [name for name, value in given.items() if value is not None]
    if ignored and show:
        verb = "is" if len(ignored) == 1 else "are"
        print(f"{call}: {', '.join(ignored)} {verb} ignored; there are no Azure resources here")


def azure_method(call: str, why: str, hint: str) -> Callable[..., NoReturn]:
    """A method of v1 that makes no sense without Azure: it raises. `hint` names what to call in its place."""

    def method(self: Any, *args: Any, **kwargs: Any) -> NoReturn:
        raise AzureOnly(f"{call} needs Azure", why=why, hint=hint)

    method.__name__ = method.__qualname__ = call
    method.__doc__ = f"Raises `AzureOnly`: {why}."
    return method
