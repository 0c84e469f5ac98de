"""The fields of forms, as the protocol has them, made from settings and options."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mldeploy_jupyter.commands.grammar import Param
from mldeploy_jupyter.core.configs import Field

FormField = dict[str, Any]

# Settings that most people need; the others are behind "More settings".
BASIC = ("port", "worker_count", "auth_enabled", "cpu_cores", "memory_gb")

_KINDS = {"boolean": "boolean", "integer": "integer", "number": "number", "mapping": "pairs", "strings": "list"}
_PARAM_KINDS = {"integer": "integer", "number": "number", "toggle": "boolean", "switch": "boolean"}


def make_field(key: str, label: str, kind: str = "text", **given: Any) -> FormField:
    """A field with its defaults; `given` overrides them by their names in the protocol."""
    return {
        "key": key,
        "label": label,
        "help": "",
        "kind": kind,
        "required": False,
        "default": None,
        "placeholder": "",
        "unit": "",
        "choices": [],
        "minimum": None,
        "maximum": None,
        "section": "",
        "advanced": False,
        "visibleWhen": {},
        **given,
    }


def make_choice(value: str, label: str = "", detail: str = "") -> dict[str, str]:
    return {"value": value, "label": label or value, "detail": detail}


def from_setting(field: Field, **given: Any) -> FormField:
    """The field of one setting of a target."""
    kind = "secret" if field.secret else _KINDS.get(field.kind, "text")
    label = (
        f"Ask for a {'token' if 'token' in field.name else 'key'}"
        if field.name.endswith("auth_enabled")
        else field.label
    )
    shown = "" if field.default in (None, "", [], {}) or field.secret else _default_text(field)
    return make_field(
        field.name,
        label,
        kind,
        help=field.doc,
        default=None if field.secret or (field.name == "port" and not field.default) else field.default,
        placeholder="any free" if field.name == "port" else shown,
        unit=field.unit,
        minimum=field.minimum if field.above is None else field.above,
        maximum=field.maximum,
        advanced=field.name not in BASIC,
        **given,
    )


def _default_text(field: Field) -> str:
    return str(field.default) if field.kind in ("integer", "number", "string", "path") else ""


def from_param(param: Param, label: str, **given: Any) -> FormField:
    """The field of one option of a command."""
    kind = (
        "pairs"
        if param.metavar == "KEY=VALUE"
        else "list"
        if param.kind == "list"
        else _PARAM_KINDS.get(param.kind, "text")
    )
    return make_field(param.name, label, **{"kind": kind, "help": param.doc, "advanced": param.advanced, **given})


def find_param(params: Sequence[Param], name: str) -> Param:
    """The option of a command that has this name."""
    return next(param for param in params if param.name == name)
