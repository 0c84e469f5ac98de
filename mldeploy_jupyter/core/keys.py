"""The keys of a service and the secret of its tokens: made here, in a file for its owner only, masked elsewhere."""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path

from mldeploy_jupyter.core.errors import UserErrorException
from mldeploy_jupyter.core.files import locked, make_private_dir, read_json, write_json

KEY_PATTERN = r"[!-~]+"
KEY_RULE = "must be printable ASCII without spaces, because it travels in the Authorization header"
# Names as in v1's regen_key, and "Token" for the secret, which v1 could not replace; case does not matter.
KEY_NAMES = {"primary": "primary", "secondary": "secondary", "token": "token_secret"}


@dataclass(frozen=True)
class ServiceKeys:
    """A primary and a secondary key; either opens the service. `token_secret` signs tokens. `repr` shows none."""

    primary: str
    secondary: str
    token_secret: str = ""

    def __repr__(self) -> str:
        return "ServiceKeys(primary=********, secondary=********)"


def new_key(token: Callable[[int], str] = secrets.token_urlsafe) -> str:
    return token(32)


def read_keys(path: Path) -> ServiceKeys | None:
    """The keys in the file; None when there is no file. Raises `ValueError` when it is damaged."""
    try:
        data = read_json(path)
    except FileNotFoundError:
        return None
    return ServiceKeys(data["primaryKey"], data["secondaryKey"], data.get("tokenSecret", ""))


def write_keys(path: Path, keys: ServiceKeys) -> None:
    """Writes the file whole or not at all; only its owner may read it."""
    make_private_dir(path.parent)
    data = {"primaryKey": keys.primary, "secondaryKey": keys.secondary, "tokenSecret": keys.token_secret}
    write_json(path, data, mode=0o600)


def ensure_keys(path: Path, primary: str | None = None, secondary: str | None = None) -> ServiceKeys:
    """The service's keys: what is given wins, else what is there, else new ones."""
    with _alone(path):
        return _ensure(path, primary, secondary)


def replace_key(path: Path, name: str, value: str | None = None) -> ServiceKeys:
    """Sets one key to `value`, or to a new one. `name` is "Primary", "Secondary" or "Token".

    "Token" is the secret of the tokens, always a new one: every token made before stops working.

    Raises:
        UserErrorException: another name, or a key that breaks `KEY_RULE` or is there already.
    """
    which = KEY_NAMES.get(name.lower()) if isinstance(name, str) else None
    if which is None:
        raise UserErrorException(
            f"there is no key named {name!r}",
            why="a service has a Primary and a Secondary key, and the secret of its tokens: Token",
            hint='call regen_key("Primary") or regen_key("Secondary")',
        )
    if which == "token_secret" and value is not None:
        raise _unusable("the secret of the tokens is always a new one")
    if value is not None and not (isinstance(value, str) and re.fullmatch(KEY_PATTERN, value)):
        raise _unusable(f"it {KEY_RULE}")
    with _alone(path):
        there = _ensure(path)
        if value in (there.primary, there.secondary):
            raise _unusable("the service has it already, and the key that is replaced must stop being valid")
        keys = replace(there, **{which: value or new_key()})
        write_keys(path, keys)
    return keys


def _unusable(why: str) -> UserErrorException:
    return UserErrorException("the key cannot be used", why=why, hint="leave it out to have one made")


def _ensure(path: Path, primary: str | None = None, secondary: str | None = None) -> ServiceKeys:
    there = read_keys(path)
    keys = ServiceKeys(
        primary or (there.primary if there else new_key()),
        secondary or (there.secondary if there else new_key()),
        (there.token_secret if there else "") or new_key(),
    )
    if keys.primary == keys.secondary:  # one must stay valid while the other is replaced
        keys = replace(keys, **{"primary" if secondary and not primary else "secondary": new_key()})
    if keys != there:
        write_keys(path, keys)
    return keys


def _alone(path: Path) -> AbstractContextManager[None]:
    """Two who change the keys at once do not undo each other's change."""
    make_private_dir(path.parent)
    return locked(path.with_name(f".{path.name}.lock"))
