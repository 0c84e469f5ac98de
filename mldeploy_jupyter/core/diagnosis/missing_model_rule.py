"""The rule about a model that the script asks for and the service does not have."""

from __future__ import annotations

import difflib
import shlex
from dataclasses import replace
from pathlib import PurePath

from mldeploy_jupyter.core.diagnosis.cause import Cause
from mldeploy_jupyter.core.diagnosis.facts import (
    ExceptionData,
    Facts,
    describe_exception,
    exception_attribute,
    quoted_text,
)
from mldeploy_jupyter.core.diagnosis.model_facts import SHOWN_FILES, format_files, list_model_files, model_field

_CODE = "model-file-missing"


def model_file_missing(facts: Facts) -> Cause | None:
    raised = facts.find_exception(
        "FileNotFoundError", "NotADirectoryError", "IsADirectoryError", "ModelNotFoundException"
    )
    if raised is None:
        return None
    path = exception_attribute(raised, "filename") or quoted_text(str(raised.get("message") or ""))
    if raised.get("type") == "ModelNotFoundException":
        return _unknown_name(facts, raised, path)
    below = _below_model_folder(path, facts)
    if below is None:
        return _outside_model_folder(facts, raised, path)
    other = _other_model_with(below, facts)
    if other:
        return _in_another_model(facts, path, below, *other)
    if _has_no_model(facts):
        what = f"the model file {below} is not there" if below != "." else "AZUREML_MODEL_DIR is a folder, not a file"
        why = "no model was named, so AZUREML_MODEL_DIR holds nothing"
        return facts.cause(_CODE, what, why, _hint_to_name_model(facts), path=path)
    return _wrong_path(facts, path, below, is_folder=raised.get("type") == "IsADirectoryError")


def _outside_model_folder(facts: Facts, raised: ExceptionData, path: str) -> Cause | None:
    """A model's file was looked for elsewhere, such as in the notebook's folder, which is not the service's."""
    name = PurePath(path).name
    if not name or raised.get("type") != "FileNotFoundError" or path in facts.texts("source_tree"):
        return None
    what = f"the model file {name} is not there"
    files = list_model_files(facts)
    same_name = [file for file in files if PurePath(file).name == name]
    if same_name:
        why = f"a service has its models in AZUREML_MODEL_DIR, and the script looked for {path}"
        hint = f"use {_code_for(same_name[0], facts)}, {facts.retry_hint()}"
        return facts.cause(_CODE, what, why, hint, path=path, files=files[:SHOWN_FILES])
    other = _other_model_with(name, facts)
    if other is None:
        return None
    cause = _in_another_model(facts, path, name, *other)
    if not facts.models:  # it will be the only one
        cause = replace(cause, hint=f"use {_code_for(other[1], facts)}, and {cause.hint}")
    return cause


def _unknown_name(facts: Facts, raised: ExceptionData, name: str) -> Cause:
    """`Model.get_model_path` was called with a name that is not among the service's models."""
    what = f"the script asks for a model that the service does not have{f': {name}' if name else ''}"
    if name and name in facts.other_models():
        why = f"{name} is registered, but was not named"
        return facts.cause(_CODE, what, why, _hint_to_name(name, facts), path=name)
    if _has_no_model(facts):
        why = "no model was named, so the service has none"
        return facts.cause(_CODE, what, why, _hint_to_name_model(facts), path=name)
    names = ", ".join(sorted({str(model_field(model, "name", "")) for model in facts.models}))
    why = f"the service was deployed with {names}" if names else describe_exception(raised)
    hint = f"ask for one of these, or add the model to models=[...], then {facts.deploy_hint()}"
    return facts.cause(_CODE, what, why, hint, path=name, files=list_model_files(facts)[:SHOWN_FILES])


def _other_model_with(below: str, facts: Facts) -> tuple[str, str] | None:
    """Another registered model, the last one first, that has the file `below` or one of its name; and that file."""
    if PurePath(below).name in {PurePath(file).name for file in list_model_files(facts)}:
        return None  # the service's own model has it, elsewhere
    found = [(name, file) for name, files in facts.other_models().items() for file in files]
    same = [pair for pair in found if pair[1] == below]
    return next(iter(same or [pair for pair in found if PurePath(pair[1]).name == PurePath(below).name]), None)


def _in_another_model(facts: Facts, path: str, below: str, name: str, file: str) -> Cause:
    files = list_model_files(facts)
    holds = f"the model folder holds {format_files(files)}" if files else "no model was named"
    why = f"{holds}; the registered model {name} has {file}"
    what = f"the model file {below} is not there"
    return facts.cause(_CODE, what, why, _hint_to_name(name, facts), path=path, files=files[:SHOWN_FILES])


def _hint_to_name(model: str, facts: Facts) -> str:
    model = shlex.quote(model)
    if facts.is_check and facts.script.cell is not None:
        return f"name that model: %%entry_script {facts.script.name} -m {model}"
    if facts.is_check:
        return f"name that model with -m {model}"
    return f"name that model with -m {model} (in Python models=[...]), then {facts.deploy_hint()}"


def _wrong_path(facts: Facts, path: str, below: str, *, is_folder: bool) -> Cause:
    """A path below the model folder was opened that is not there, or is a folder."""
    files = list_model_files(facts)
    if is_folder:
        what = f"{'AZUREML_MODEL_DIR' if below == '.' else below} is a folder, not a file"
        inside = files if below == "." else [file for file in files if file.startswith(f"{below}/")]
        meant = inside[0] if len(inside) == 1 else ""
        hint = f"add the name of a file to the path, {facts.retry_hint()}"
    else:
        what = f"the model file {below} is not there"
        meant = _nearest(below, files)
        hint = f"register the model with this file in it, then {facts.deploy_hint()}"
    if meant and facts.is_check and len(facts.models) == 1:
        hint = f"use {_code_for(meant, facts)}, or name the model it needs with -m, {facts.retry_hint()}"
    elif meant:
        hint = f"use {_code_for(meant, facts)}, {facts.retry_hint()}"
    why = f"the model folder holds {format_files(files)}"
    return facts.cause(_CODE, what, why, hint, path=path, files=files[:SHOWN_FILES])


def _has_no_model(facts: Facts) -> bool:
    # With one model, AZUREML_MODEL_DIR is its folder; with several, there are files below azureml-models.
    folder = PurePath(str(facts.settings.get("model_dir") or "")).name
    return folder == "azureml-models" and not facts.models and not list_model_files(facts)


def _hint_to_name_model(facts: Facts) -> str:
    if facts.script.cell is not None:
        line = f"%deploy {facts.service}".rstrip()
        return f"register it with %register, or name it: -m MODEL after %%entry_script {facts.script.name} and {line}"
    return f"name it with -m MODEL (in Python models=[...]), then {facts.deploy_hint()}"


def _below_model_folder(path: str, facts: Facts) -> str | None:
    """The path relative to the model folder; None when it is not below it."""
    if not path:
        return None
    pure, root = PurePath(path), str(facts.settings.get("model_dir") or "")
    if root and pure.is_relative_to(root):
        return str(pure.relative_to(root))
    if "azureml-models" in pure.parts:  # in a container the folder is elsewhere, with the same folders in it
        rest, own = _below_models(pure), _below_models(PurePath(root))
        if own and rest[: len(own)] == own:
            return str(PurePath(*rest[len(own) :]))
        return str(PurePath(*rest)) if rest else path
    return None


def _below_models(path: PurePath) -> tuple[str, ...]:
    """The parts of a path behind `azureml-models`."""
    parts = path.parts
    return parts[parts.index("azureml-models") + 1 :] if "azureml-models" in parts else ()


def _nearest(path: str, files: list[str]) -> str:
    """The file that was probably meant, or ""."""
    name = PurePath(path).name
    same_name = [file for file in files if PurePath(file).name == name]
    if len(same_name) == 1:
        return same_name[0]
    similar = difflib.get_close_matches(path, files, 1, 0.6)
    if similar:
        return similar[0]
    return files[0] if len(files) == 1 else ""


def _code_for(file: str, facts: Facts) -> str:
    """Python code for the path of a file below the model folder.

    With several models the path has the model's version, which the next one changes: the code then looks it up.
    """
    parts = PurePath(file).parts
    if len(facts.models) < 2 or len(parts) < 3:
        quoted = ", ".join(f'"{part}"' for part in parts)
        return f'os.path.join(os.environ["AZUREML_MODEL_DIR"], {quoted})'
    name, version, *rest = parts
    code = f'Model.get_model_path("{name}")'  # the version's only entry, or its folder when it has several
    entries = {other.split("/")[2] for other in list_model_files(facts) if other.startswith(f"{name}/{version}/")}
    below = ", ".join(f'"{part}"' for part in (rest[1:] if len(entries) == 1 else rest))
    if below:
        code = f"os.path.join({code}, {below})"
    return f"from azureml.core.model import Model and {code}"
