"""The rules for names of services, versions of an endpoint, namespaces and models."""

from __future__ import annotations

import re
import unicodedata

from mldeploy_jupyter.core.errors import ConfigError

SERVICE_NAME = r"[a-z]([-a-z0-9]{1,30}[a-z0-9])"
SERVICE_NAME_RULE = (
    "must have 3 to 32 characters, only a-z, 0-9 and '-', start with a letter and end with a letter or a digit"
)
NAMESPACE = r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?"
NAMESPACE_RULE = "must have 1 to 63 characters, only a-z, 0-9 and '-', and start and end with a letter or a digit"
MODEL_NAME = r"[A-Za-z0-9][A-Za-z0-9._-]{0,254}"
MODEL_NAME_RULE = (
    "must have 1 to 255 characters, only A-Z, a-z, 0-9, '-', '.' and '_', and start with a letter or a digit"
)


def is_plain_name(name: object) -> bool:
    """Whether `name` can be a name or an id of this package, and thus the name of a folder; if not, it is damaged."""
    return isinstance(name, str) and re.fullmatch(MODEL_NAME, name) is not None  # the widest rule


def check_service_name(name: str) -> None:
    """Raises `ConfigError` when `name` cannot be the name of a service."""
    if not isinstance(name, str) or not re.fullmatch(SERVICE_NAME, name):
        raise ConfigError(
            f"{name!r} cannot be the name of a service",
            why=f"a service's name {SERVICE_NAME_RULE}",
            hint=f"use the name {make_service_name(name)!r}" if isinstance(name, str) else "such as 'my-service'",
            code="InvalidName",
        )


def check_model_name(name: str) -> None:
    """Raises `ConfigError` when `name` cannot be the name of a model."""
    if not isinstance(name, str) or not re.fullmatch(MODEL_NAME, name):
        shown = name if not isinstance(name, str) or len(name) <= 40 else f"{name[:40]}..."
        raise ConfigError(
            f"{shown!r} cannot be the name of a model",
            why=f"a model's name {MODEL_NAME_RULE}",
            hint=f"use the name {make_model_name(name)[:64]!r}" if isinstance(name, str) else "such as 'my-model'",
            code="InvalidName",
        )


def make_service_name(model_name: str) -> str:
    """A valid service name like that of the model: in lower case, with '-' for other characters."""
    name = re.sub(r"[^a-z0-9]+", "-", _in_ascii(model_name).lower()).strip("-")
    if not name:
        return "service"
    if not name[0].isalpha():
        name = f"model-{name}"
    name = name[:32].rstrip("-")
    return name if len(name) >= 3 else f"{name}-service"


def make_model_name(text: str) -> str:
    """A valid model name like the text, with '_' for other characters."""
    name = re.sub(r"[^A-Za-z0-9._-]+", "_", _in_ascii(text)).lstrip("._-")[:255]
    return name or "model"


# Letters that are written otherwise without their marks, or that no normal form takes apart.
_LETTERS: dict[str, str] = {
    "ä": "ae",
    "ö": "oe",
    "ü": "ue",
    "ß": "ss",
    "æ": "ae",
    "œ": "oe",
    "ø": "o",
    "đ": "d",
    "ł": "l",
    "þ": "th",
}
_LETTERS |= {letter.upper(): text.capitalize() for letter, text in _LETTERS.items() if len(letter.upper()) == 1}


def _in_ascii(text: str) -> str:
    """The text with Latin letters instead of those with marks, as people spell them: `größe` as `groesse`."""
    written = unicodedata.normalize("NFC", text).translate({ord(letter): plain for letter, plain in _LETTERS.items()})
    plain = unicodedata.normalize("NFKD", written)
    return "".join(char for char in plain if not unicodedata.combining(char))
