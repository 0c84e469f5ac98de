"""Facts about a service's models: the libraries they were saved with, and the files they consist of."""

from __future__ import annotations

from pathlib import PurePath
from typing import Any

from mldeploy_jupyter.core.diagnosis.facts import Facts
from mldeploy_jupyter.core.environment.distributions import distribution_of

SHOWN_FILES = 8  # at most, in a message


def model_field(model: Any, name: str, default: Any = None) -> Any:
    """A field of a `ModelRecord` or of its data."""
    return model.get(name, default) if isinstance(model, dict) else getattr(model, name, default)


def recorded_libraries(facts: Facts) -> dict[str, str]:
    """The versions of libraries that were installed where the service's models were registered, by distribution."""
    found: dict[str, str] = {}
    for model in facts.models:
        details = model_field(model, "details") or {}
        recorded = details.get("libraries") if isinstance(details, dict) else None
        if isinstance(recorded, dict):
            found |= {str(name): str(version) for name, version in recorded.items()}
        framework, version = model_field(model, "model_framework"), model_field(model, "model_framework_version")
        if framework and version:
            name = distribution_of({"ScikitLearn": "sklearn"}.get(framework, framework).lower())
            found.setdefault(name, str(version))
    return found


def changed_libraries(facts: Facts) -> list[tuple[str, str, str]]:
    """Libraries with another version in the service than at registration: name, version then, version now."""
    now = {_normalise(name): version for name, version in facts.versions.items()}
    pairs = [(name, old, now.get(_normalise(name))) for name, old in recorded_libraries(facts).items()]
    return [(name, old, new) for name, old, new in pairs if new and new != old]


def list_model_files(facts: Facts) -> list[str]:
    """The files below the model folder, as paths relative to `AZUREML_MODEL_DIR`, sorted."""
    tree = facts.texts("model_tree")
    if tree:
        # The tree begins at azureml-models; with one model, AZUREML_MODEL_DIR is that model's folder in it.
        parts = PurePath(str(facts.settings.get("model_dir") or "")).parts
        below = parts[parts.index("azureml-models") + 1 :] if "azureml-models" in parts else ()
        prefix = "".join(f"{part}/" for part in below)
        return sorted(path.removeprefix(prefix) for path in tree)
    found = []
    for model in facts.models:
        # One model: its version's folder. Several: a folder each.
        folder = "" if len(facts.models) == 1 else f"{model_field(model, 'name')}/{model_field(model, 'version')}/"
        found += [folder + str(path) for path in model_field(model, "files") or {}]
    return sorted(found)


def format_files(files: list[str]) -> str:
    if not files:
        return "no files"
    shown = ", ".join(files[:SHOWN_FILES])
    return shown if len(files) <= SHOWN_FILES else f"{shown} and {len(files) - SHOWN_FILES} more"


def _normalise(distribution: str) -> str:
    return distribution.lower().replace("_", "-").replace(".", "-")
