"""The form of `model register`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mldeploy_jupyter.commands import Command, command
from mldeploy_jupyter.panel.context import PanelContext
from mldeploy_jupyter.panel.forms.form_fields import find_param, from_param, make_choice


def register_command() -> Command:
    return command("model", "register")


def describe_register(context: PanelContext, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """The form of a model's next version."""
    from mldeploy_jupyter.api.models import Model

    params = register_command().params
    names = [value for key, value in vars(Model.Framework).items() if key.isupper()]
    frameworks = [make_choice(name) for name in sorted(names)]
    fields = [
        from_param(find_param(params, "model_path"), "File or folder", required=True, placeholder="model.pkl"),
        from_param(find_param(params, "name"), "Model name", required=True),
        from_param(find_param(params, "model_framework"), "Framework", kind="combo", choices=frameworks),
        from_param(find_param(params, "description"), "Description", kind="long-text"),
        from_param(find_param(params, "tag"), "Tags", advanced=True),
    ]
    values = {field["key"]: field["default"] for field in fields}
    return {"form": "register", "title": "Register a model", "submit": "Register", "fields": fields, "values": values}


def register_arguments(values: Mapping[str, Any]) -> dict[str, Any]:
    """The values by the parameters of `model register`."""
    names = ("name", "model_path", "model_framework", "description", "tag")
    return {name: values.get(name) for name in names}
