"""The keys of a service and the secret that signs its tokens, in a file that only its owner may read."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from mldeploy_jupyter.core.errors import StorageError, UserErrorException
from mldeploy_jupyter.core.files import file_lock, make_private_dir, read_json, write_json
from mldeploy_jupyter.core.storage_errors import explain_unusable, explain_write_errors

KEY_PATTERN = r"[!-~]+"
KEY_RULE = "must be printable ASCII without spaces, because it travels in the Authorization header"
# Names that `replace_key` takes, in lower case. As in v1's regen_key, and "token" for the secret of the tokens.
KEY_NAMES = {"primary": "primary", "secondary": "secondary", "token": "token_secret"}


@dataclass(frozen=True)
class ServiceKeys:
    """A primary and a secondary key, either of which opens the service. `repr` shows none of the secrets."""

    primary: str
    secondary: str
    token_secret: str = ""  # signs the service's tokens

    def __repr__(self) -> str:
        return "ServiceKeys(primary=********, secondary=********)"


def make_key() -> str:
    """A random key of 256 bits, as 43 characters of URL-safe Base64."""
    import secrets

    return secrets.token_urlsafe(32)


def read_keys(path: Path) -> ServiceKeys | None:
    """The keys in the file; None when there is no file. Raises `StorageError` when it is damaged."""
    try:
        data = read_json(path)
        found = [data["primaryKey"], data["secondaryKey"], data.get("tokenSecret", "")]
        if not all(isinstance(key, str) for key in found) or not (found[0] and found[1]):
            raise ValueError("a key is empty or no text")
    except FileNotFoundError:
        return None
    except OSError as error:
        raise explain_unusable(error) or error from None
    except (ValueError, KeyError) as error:
        raise StorageError(
            f"the keys of the service cannot be read: {path}",
            why=f"it has no {error}" if isinstance(error, KeyError) else str(error),
            hint=f"make new ones: rm {path}, then mldeploy service regen-key {path.parent.name} -k primary",
        ) from None
    return ServiceKeys(*found)


def write_keys(path: Path, keys: ServiceKeys) -> None:
    """Writes the file whole or not at all; only its owner may read it.

    Until `confirm_keys` is called, `are_confirmed` says that a running service may still have the keys before these.
    The service's folder must exist: a service that is deleted meanwhile must not get another one.
    """
    data = {"primaryKey": keys.primary, "secondaryKey": keys.secondary, "tokenSecret": keys.token_secret}
    with explain_write_errors(path.parent, unchanged="the keys are as they were"):
        unconfirmed = _unconfirmed(path)
        unconfirmed.touch(mode=0o600)
        try:
            write_json(path, data, mode=0o600)
        except OSError:
            unconfirmed.unlink(missing_ok=True)
            raise


def are_confirmed(path: Path) -> bool:
    """Whether the running service has the keys in the file, as far as the process that wrote them came."""
    return not os.path.exists(_unconfirmed(path))


def confirm_keys(path: Path) -> None:
    """Notes that the running service has the keys in the file, or that none runs. Raises `OSError`."""
    _unconfirmed(path).unlink(missing_ok=True)


def ensure_keys(
    path: Path, primary: str | None = None, secondary: str | None = None, *, make_folder: bool = False
) -> ServiceKeys:
    """The service's keys, written to the file if they changed: those given, else those in the file, else new ones.

    `make_folder` makes the service's folder, where a deployment begins with its keys.
    """
    if not (primary or secondary):
        current = read_keys(path)
        if current is not None and current.token_secret:
            return current  # nothing is written, not even a lock: the disk may be read-only
    if make_folder:
        with explain_write_errors(path.parent, unchanged="the keys are as they were"):
            make_private_dir(path.parent)
    with _lock(path):
        return _ensure(path, primary, secondary)


def replace_key(path: Path, name: str, value: str | None = None) -> ServiceKeys:
    """Sets one key to `value`, by default a new one, and returns all. `name` is "Primary", "Secondary" or "Token".

    "Token" replaces the secret of the tokens, always by a new one: every earlier token stops working.

    Raises:
        UserErrorException: for another name, and for a key that breaks `KEY_RULE` or is in use already.
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
    with _lock(path):
        current = _ensure(path)
        if value in (current.primary, current.secondary):
            raise _unusable("the service has it already, and the key that is replaced must stop being valid")
        keys = replace(current, **{which: value or make_key()})
        write_keys(path, keys)
    return keys


def replace_all_keys(path: Path) -> None:
    """Replaces both keys and the secret of the tokens; to be called while no service runs with them."""
    with _lock(path):
        write_keys(path, ServiceKeys(make_key(), make_key(), make_key()))
        confirm_keys(path)


def _unusable(why: str) -> UserErrorException:
    return UserErrorException("the key cannot be used", why=why, hint="leave it out to have one made")


def _ensure(path: Path, primary: str | None = None, secondary: str | None = None) -> ServiceKeys:
    current = read_keys(path)
    keys = ServiceKeys(
        primary or (current.primary if current else make_key()),
        secondary or (current.secondary if current else make_key()),
        (current.token_secret if current else "") or make_key(),
    )
    if keys.primary == keys.secondary:  # they must differ: one stays valid while the other is replaced
        keys = replace(keys, **{"primary" if secondary and not primary else "secondary": make_key()})
    if keys != current:
        write_keys(path, keys)
    return keys


def _unconfirmed(path: Path) -> Path:
    return path.with_name(f"{path.name}.unconfirmed")


@contextmanager
def _lock(path: Path) -> Iterator[None]:
    """Serializes changes of the file: read, change and write are one step."""
    with ExitStack() as stack:
        with explain_write_errors(path.parent, unchanged="the keys are as they were"):
            stack.enter_context(file_lock(path.with_name(f".{path.name}.lock")))
        yield
