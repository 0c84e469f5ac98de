"""The libraries a model was saved with, and the files it consists of."""

from __future__ import annotations

from pathlib import PurePath
from typing import Any

from mldeploy_jupyter.core.diagnosis.cause import Facts
from mldeploy_jupyter.core.environment.distributions import distribution_of


def get(model: Any, name: str, default: Any = None) -> Any:
    """A field of a `ModelRecord` or of its data."""
    return model.get(name, default) if isinstance(model, dict) else getattr(model, name, default)


def libraries(facts: Facts) -> dict[str, str]:
    """The versions of libraries that were installed where the service's models were registered."""
    found: dict[str, str] = {}
    for model in facts.models:
        details = get(model, "details") or {}
        recorded = details.get("libraries") if isinstance(details, dict) else None
        if isinstance(recorded, dict):
            found |= {str(name): str(version) for name, version in recorded.items()}
        framework, version = get(model, "model_framework"), get(model, "model_framework_version")
        if framework and version:
            name = distribution_of({"ScikitLearn": "sklearn"}.get(framework, framework).lower())
            found.setdefault(name, str(version))
    return found


def differences(facts: Facts) -> list[tuple[str, str, str]]:
    """Libraries with another version in the service than at registration: name, then, now."""
    now = {_key(name): version for name, version in facts.versions.items()}
    pairs = [(name, old, now.get(_key(name))) for name, old in libraries(facts).items()]
    return [(name, old, new) for name, old, new in pairs if new and new != old]


def model_files(facts: Facts) -> list[str]:
    """The files below the model folder, as paths relative to `AZUREML_MODEL_DIR`, sorted."""
    tree = facts.texts("model_tree")
    if tree:
        # The tree is that of azureml-models; one model's AZUREML_MODEL_DIR is its own folder in it.
        parts = PurePath(str(facts.settings.get("model_dir") or "")).parts
        below = parts[parts.index("azureml-models") + 1 :] if "azureml-models" in parts else ()
        prefix = "".join(f"{part}/" for part in below)
        return sorted(path.removeprefix(prefix) for path in tree)
    found = []
    for model in facts.models:
        # One model: its own version's folder. Several: a folder each.
        folder = "" if len(facts.models) == 1 else f"{get(model, 'name')}/{get(model, 'version')}/"
        found += [folder + str(path) for path in get(model, "files") or {}]
    return sorted(found)


def _key(name: str) -> str:
    return name.lower().replace("_", "-").replace(".", "-")
