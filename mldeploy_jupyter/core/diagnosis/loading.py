"""Rules about the model: a file that is missing, broken, or made by other versions."""

from __future__ import annotations

import difflib
import re
from pathlib import PurePath
from typing import Any

from mldeploy_jupyter.core.diagnosis.cause import Cause, Facts, attribute, brief, described
from mldeploy_jupyter.core.diagnosis.packages import differences, libraries, model_files
from mldeploy_jupyter.core.environment.distributions import distribution_of

# Files and lines of a traceback that show a model being loaded.
_LOADERS = re.compile(r"pickle|joblib|numpy_pickle|npyio|serialization\.py|persistence|/zipfile|skops|saving_lib")

_LOADING_LINE = re.compile(r"\b(\w*load\w*|read_pickle|Unpickler|restore\w*|from_pretrained|InferenceSession)\s*\(")

_BROKEN_TYPES = ("UnpicklingError", "BadZipFile", "BadGzipFile", "LZMAError", "PytorchStreamReader", "error")

_BROKEN_TEXTS = (
    "ran out of input",
    "truncated",
    "end-of-stream",
    "unexpected end",
    "not a zip",
    "bad magic",
    "invalid load key",
)

_VERSION_TEXTS = (
    "incompatible dtype",
    "unsupported pickle protocol",
    "bit_generator module",
    "__setstate__",
    "unknown opcode",
)

# A module that was started with `python -m` shows itself by its own name, not as __main__.
_NOT_IN_MAIN = re.compile(r"get attribute '([^']+)' on <module '(?:__main__|(?:\w+\.)*(?:mldeploy_)?serving\.[\w.]+)'")

SHOWN_FILES = 8


def from_notebook(facts: Facts) -> Cause | None:
    # A pickle keeps only the name of a class; one defined in a cell is looked for in the server's own __main__.
    raised = facts.find("AttributeError")
    text = str(raised.get("message")) if raised else ""
    match = _NOT_IN_MAIN.search(text)
    if match is None:
        return None
    name = match[1]
    what = f"the model uses {name}, which is defined only in the notebook"
    why = f"the file names {name} but does not hold its code, so it cannot be loaded elsewhere"
    hint = f"put {name} into a .py file in source_directory, import it from there, save and register the model again"
    return facts.cause("model-from-notebook", what, why, hint, name=name)


def damaged(facts: Facts) -> Cause | None:
    # Whoever keeps the bundle compared its files with the digests they had when they were registered.
    files = [brief(name) for name in facts.texts("damaged")]
    if not files:
        return None
    raised = next(facts.exceptions(), None)
    what = f"{files[0]} is not as it was registered" if len(files) == 1 else f"{len(files)} files are not as registered"
    why = f"the bytes of {_listed(files)} changed on the disk" + (f": {described(raised)}" if raised else "")
    hint = f"register the model again, then {facts.deploy()}; check the disk if it happens twice"
    return facts.cause("bundle-damaged", what, why, hint, files=files[:SHOWN_FILES])


def corrupt(facts: Facts) -> Cause | None:
    raised = next((e for e in facts.exceptions() if _is_broken(e)), None)
    if raised is None or not _is_loading(facts):
        return None
    text = str(raised.get("message") or "")
    what, why = "the model file cannot be read", f"it is damaged or of another format: {described(raised)}"
    hint = "save the model again with the library that loads it, register it, then deploy the new version"
    if "ran out of input" in text.lower() or "truncated" in text.lower() or raised.get("type") == "EOFError":
        what, why = "the model file is not complete", f"it ends too early: {described(raised)}"
        hint = "save the model again, close the file before registering it, then deploy the new version"
    elif "invalid load key, 'v'" in text:
        why = "it starts like a Git LFS pointer, a text that only names the file"
        hint = "run git lfs pull, register the model again, then deploy the new version"
    return facts.cause("model-corrupt", what, why, hint, files=model_files(facts)[:SHOWN_FILES])


def wrong_version(facts: Facts) -> Cause | None:
    raised = next((e for e in facts.exceptions() if _is_version(e, facts)), None)
    warned = any("InconsistentVersionWarning" in line for line in facts.log_tail)
    if raised is None and not (warned and _is_loading(facts)):
        return None
    raised = raised or next(facts.exceptions(), None)
    changed = differences(facts)
    said = described(raised) if raised else "the library warned of it"
    what = "the model was saved by other versions of its libraries"
    if changed:
        listed = ", ".join(f"{name} {old} (the service has {new})" for name, old, new in changed)
        why = f"it was registered with {listed}: {said}"
        pins = " ".join(f"{name}=={old}" for name, old, _ in changed)
        hint = f"pin {pins} in the environment, or train and register the model again, then {facts.deploy()}"
    elif "unsupported pickle protocol" in said:
        why = f"it was saved by a newer Python than the service's: {said}"
        hint = "save it with protocol=4, or give the service the Python that trained it, then register and deploy again"
    else:
        why = f"the libraries in the service cannot read it: {said}"
        recorded = libraries(facts)
        pins = " ".join(f"{name}=={version}" for name, version in recorded.items())
        pin = f"pin {pins}" if pins else "pin the versions that trained it"
        hint = f"{pin} in the environment, or train and register the model again, then {facts.deploy()}"
    return facts.cause("model-version", what, why, hint, differences=[list(item) for item in changed])


def file_missing(facts: Facts) -> Cause | None:
    raised = facts.find("FileNotFoundError", "NotADirectoryError", "IsADirectoryError", "ModelNotFoundException")
    if raised is None:
        return None
    path = attribute(raised, "filename") or _quoted(str(raised.get("message") or ""))
    by_name = raised.get("type") == "ModelNotFoundException"
    inside = _below_models(path, facts)
    if not by_name and inside is None:
        return None
    files = model_files(facts)
    there = _listed(files)
    if by_name:
        what = f"the script asks for a model that the service does not have{f': {path}' if path else ''}"
        if _without_model(facts):
            why = "no model was named, so the service has none"
            return facts.cause("model-file-missing", what, why, _name_it(facts), path=path)
        names = ", ".join(sorted({str(_name(model)) for model in facts.models}))
        why = f"the service was deployed with {names}" if names else described(raised)
        hint = f"ask for one of these, or add the model to models=[...], then {facts.deploy()}"
        return facts.cause("model-file-missing", what, why, hint, path=path, files=files[:SHOWN_FILES])
    shown = inside or path
    if _without_model(facts):
        what = f"the model file {shown} is not there" if shown != "." else "AZUREML_MODEL_DIR is a folder, not a file"
        why = "no model was named, so AZUREML_MODEL_DIR holds nothing"
        return facts.cause("model-file-missing", what, why, _name_it(facts), path=path)
    what = f"the model file {shown} is not there"
    why = f"the model folder holds {there}"
    best = _nearest(shown, files)
    hint = f"register the model with this file in it, then {facts.deploy()}"
    if raised.get("type") == "IsADirectoryError":
        what = f"{'AZUREML_MODEL_DIR' if shown == '.' else shown} is a folder, not a file"
        inside_it = files if shown == "." else [file for file in files if file.startswith(f"{shown}/")]
        best = inside_it[0] if len(inside_it) == 1 else ""
        hint = f"add the name of a file to the path, {facts.again()}"
    if best:
        hint = f"use {_path_to(best, facts)}, {facts.again()}"
        if facts.checking and len(facts.models) == 1:
            hint = f"use {_path_to(best, facts)}, or name the model it needs with -m, {facts.again()}"
    return facts.cause("model-file-missing", what, why, hint, path=path, files=files[:SHOWN_FILES])


def _path_to(file: str, facts: Facts) -> str:
    """The Python for a file below the model folder. Of several models without the version, which the next one has."""
    parts = PurePath(file).parts
    if len(facts.models) < 2 or len(parts) < 3:
        quoted = ", ".join(f'"{part}"' for part in parts)
        return f'os.path.join(os.environ["AZUREML_MODEL_DIR"], {quoted})'
    name, version, *rest = parts
    found = f'Model.get_model_path("{name}")'  # of a version with one entry it is that entry
    entries = {other.split("/")[2] for other in model_files(facts) if other.startswith(f"{name}/{version}/")}
    below = ", ".join(f'"{part}"' for part in (rest[1:] if len(entries) == 1 else rest))
    if below:
        found = f"os.path.join({found}, {below})"
    return f"from azureml.core.model import Model and {found}"


def _without_model(facts: Facts) -> bool:
    # With a model, AZUREML_MODEL_DIR is its folder, or there are files below the folder of all.
    folder = PurePath(str(facts.settings.get("model_dir") or "")).name
    return folder == "azureml-models" and not facts.models and not model_files(facts)


def _name_it(facts: Facts) -> str:
    if facts.script.cell is not None:
        line = f"%deploy {facts.service}".rstrip()
        return f"register it with %register, or name it: -m MODEL after %%entry_script {facts.script.name} and {line}"
    return f"name it with -m MODEL (in Python models=[...]), then {facts.deploy()}"


def _is_loading(facts: Facts) -> bool:
    """The user's innermost line calls something that loads, or what it called is a known loader."""
    frames = facts.frames()
    own = [index for index, frame in enumerate(frames) if facts.is_script(frame) or facts.is_helper(frame)]
    inner = frames[own[-1] :] if own else frames
    if any(_LOADERS.search(str(frame.get("file"))) for frame in inner[1:] if own):
        return True
    return bool(inner) and _LOADING_LINE.search(str(inner[0].get("text"))) is not None


def _is_broken(exception: dict[str, Any]) -> bool:
    text = str(exception.get("message") or "").lower()
    kind = str(exception.get("type"))
    if kind == "EOFError":
        return "reading a line" not in text  # input()
    if kind == "error" and exception.get("module") != "zlib":
        return False
    if kind == "UnpicklingError":
        return True
    return kind in _BROKEN_TYPES or any(part in text for part in _BROKEN_TEXTS)


def _is_version(exception: dict[str, Any], facts: Facts) -> bool:
    kind, text = str(exception.get("type")), str(exception.get("message") or "")
    if any(part in text for part in _VERSION_TEXTS) or kind == "InconsistentVersionWarning":
        return True
    if not _is_loading(facts):
        return False
    if kind in ("ModuleNotFoundError", "ImportError"):
        # A module inside a package that is there (numpy._core, sklearn.ensemble.forest) has moved.
        module = attribute(exception, "name") or _quoted(text)
        top = distribution_of(module)
        known = {name.lower() for name in facts.versions}
        return "." in module and (not known or top.lower() in known)
    if kind == "AttributeError":
        return "get attribute" in text or "has no attribute" in text or "module" in text
    return kind == "TypeError" and ("code expected" in text or "takes" in text or "code()" in text)


def _below_models(path: str, facts: Facts) -> str | None:
    """The path below the model folder, or None when it lies elsewhere."""
    if not path:
        return None
    pure, root = PurePath(path), str(facts.settings.get("model_dir") or "")
    if root and pure.is_relative_to(root):
        return str(pure.relative_to(root))
    if "azureml-models" in pure.parts:
        rest = pure.parts[pure.parts.index("azureml-models") + 1 :]
        return str(PurePath(*rest)) if rest else path
    return None


def _nearest(path: str, files: list[str]) -> str:
    name = PurePath(path).name
    same = [file for file in files if PurePath(file).name == name]
    if len(same) == 1:
        return same[0]
    near = difflib.get_close_matches(path, files, 1, 0.6)
    if near:
        return near[0]
    return files[0] if len(files) == 1 else ""


def _listed(files: list[str]) -> str:
    if not files:
        return "no files"
    shown = ", ".join(files[:SHOWN_FILES])
    return shown if len(files) <= SHOWN_FILES else f"{shown} and {len(files) - SHOWN_FILES} more"


def _quoted(text: str) -> str:
    match = re.search(r"['\"]([^'\"]+)['\"]", text)
    return match[1] if match else ""


def _name(model: Any) -> Any:
    return model.get("name") if isinstance(model, dict) else getattr(model, "name", "")
