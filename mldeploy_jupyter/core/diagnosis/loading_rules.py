"""Rules about a model that cannot be loaded: defined in the notebook, damaged, or saved by other versions."""

from __future__ import annotations

import ast
import re

from mldeploy_jupyter.core.diagnosis.cause import Cause
from mldeploy_jupyter.core.diagnosis.facts import (
    ExceptionData,
    Facts,
    describe_exception,
    exception_attribute,
    quoted_text,
    shorten,
)
from mldeploy_jupyter.core.diagnosis.model_facts import (
    SHOWN_FILES,
    changed_libraries,
    format_files,
    list_model_files,
    recorded_libraries,
)
from mldeploy_jupyter.core.environment.distributions import distribution_of, known_distribution
from mldeploy_jupyter.core.script.entry_script import iter_bindings

# Files and lines in a traceback that mean a model is being loaded.
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

# The server's __main__ may show its own name: a module started with `python -m` does.
_NOT_IN_MAIN = re.compile(r"get attribute '([^']+)' on <module '(?:__main__|(?:\w+\.)*(?:mldeploy_)?serving\.[\w.]+)'")


def defined_in_notebook(facts: Facts) -> Cause | None:
    # A pickle has only the name of a class. One defined in a cell is looked up in __main__, here the server's.
    raised = facts.find_exception("AttributeError")
    text = str(raised.get("message")) if raised else ""
    match = _NOT_IN_MAIN.search(text)
    if match is None:
        return None
    name, script = match[1], facts.script.name
    if _defines(facts, name):
        what = f"the model looks for {name} in the program that was started, which is the server"
        why = f"it was saved by a program of its own, or a notebook: the file names __main__.{name}"
        hint = f"write two lines into {script}, before the model is loaded: import __main__, and __main__.{name} = "
        return facts.cause("model-from-notebook", what, why, f"{hint}{name}; {facts.retry_hint()}", name=name)
    what = f"the model uses {name}, which is defined only in the notebook"
    why = f"the file names {name} but does not hold its code, so it cannot be loaded elsewhere"
    hint = (
        f"put {name} into a .py file beside {script}, import it from there in the notebook and in {script}, then save "
    )
    hint += "and register the model again"
    return facts.cause("model-from-notebook", what, why, hint, name=name)


def _defines(facts: Facts, name: str) -> bool:
    """Whether the script has the name at its top, defined or imported."""
    try:
        return name in dict(iter_bindings(ast.parse(facts.script.text).body))
    except (SyntaxError, ValueError, RecursionError):
        return False


def damaged(facts: Facts) -> Cause | None:
    # The deployment compared the bundle's files with the digests that they had when they were registered.
    files = [shorten(name) for name in facts.texts("damaged")]
    if not files:
        return None
    raised = next(facts.exceptions(), None)
    what = f"{files[0]} is not as it was registered" if len(files) == 1 else f"{len(files)} files are not as registered"
    why = f"the bytes of {format_files(files)} changed on the disk" + (
        f": {describe_exception(raised)}" if raised else ""
    )
    hint = f"register the model again, then {facts.deploy_hint()}; check the disk if it happens twice"
    return facts.cause("bundle-damaged", what, why, hint, files=files[:SHOWN_FILES])


def corrupt(facts: Facts) -> Cause | None:
    raised = next((e for e in facts.exceptions() if _is_broken(e)), None)
    if raised is None or not is_loading(facts):
        return None
    text = str(raised.get("message") or "")
    what, why = "the model file cannot be read", f"it is damaged or of another format: {describe_exception(raised)}"
    hint = "save the model again with the library that loads it, register it, then deploy the new version"
    if "ran out of input" in text.lower() or "truncated" in text.lower() or raised.get("type") == "EOFError":
        what, why = "the model file is not complete", f"it ends too early: {describe_exception(raised)}"
        hint = "save the model again, close the file before registering it, then deploy the new version"
    elif "invalid load key, 'v'" in text:
        why = "it starts like a Git LFS pointer, a text that only names the file"
        hint = "run git lfs pull, register the model again, then deploy the new version"
    return facts.cause("model-corrupt", what, why, hint, files=list_model_files(facts)[:SHOWN_FILES])


def wrong_version(facts: Facts) -> Cause | None:
    raised = next((e for e in facts.exceptions() if _is_version(e, facts)), None)
    warned = any("InconsistentVersionWarning" in line for line in facts.log_tail)
    if raised is None and not (warned and is_loading(facts)):
        return None
    raised = raised or next(facts.exceptions(), None)
    changed = changed_libraries(facts)
    said = describe_exception(raised) if raised else "the library warned of it"
    what = "the model was saved by other versions of its libraries"
    if changed:
        listed = ", ".join(f"{name} {old} (the service has {new})" for name, old, new in changed)
        why = f"it was registered with {listed}: {said}"
        pins = " ".join(f"{name}=={old}" for name, old, _ in changed)
        hint = f"pin {pins} in the environment, or train and register the model again, then {facts.deploy_hint()}"
    elif "unsupported pickle protocol" in said:
        why = f"it was saved by a newer Python than the service's: {said}"
        hint = "save it with protocol=4, or give the service the Python that trained it, then register and deploy again"
    else:
        why = f"the libraries in the service cannot read it: {said}"
        # Versions that the service is known to have are those that have just failed.
        served = {name.lower() for name in facts.versions}
        recorded = {name: v for name, v in recorded_libraries(facts).items() if name.lower() not in served}
        pins = " ".join(f"{name}=={version}" for name, version in recorded.items())
        pin = f"pin {pins} in the environment, or " if pins else ""
        hint = f"{pin}train and register the model again with the libraries of the service, then {facts.deploy_hint()}"
    return facts.cause("model-version", what, why, hint, differences=[list(item) for item in changed])


def is_loading(facts: Facts) -> bool:
    """The user's innermost line calls something that loads, or what it called is a known loader."""
    frames = facts.frames()
    own = [index for index, frame in enumerate(frames) if facts.source.is_own(frame)]
    inner = frames[own[-1] :] if own else frames
    if any(_LOADERS.search(str(frame.get("file"))) for frame in inner[1:] if own):
        return True
    return bool(inner) and _LOADING_LINE.search(str(inner[0].get("text"))) is not None


def _is_broken(exception: ExceptionData) -> bool:
    text = str(exception.get("message") or "").lower()
    kind = str(exception.get("type"))
    if kind == "EOFError":
        return "reading a line" not in text  # input()
    if kind == "error" and exception.get("module") != "zlib":
        return False
    if kind == "UnpicklingError":
        return True
    return kind in _BROKEN_TYPES or any(part in text for part in _BROKEN_TEXTS)


def _is_version(exception: ExceptionData, facts: Facts) -> bool:
    kind, text = str(exception.get("type")), str(exception.get("message") or "")
    if any(part in text for part in _VERSION_TEXTS) or kind == "InconsistentVersionWarning":
        return True
    if not is_loading(facts):
        return False
    if kind in ("ModuleNotFoundError", "ImportError"):
        # A module inside a package that is there (numpy._core, sklearn.ensemble.forest) has moved.
        module = exception_attribute(exception, "name") or quoted_text(text)
        top = distribution_of(module)
        known = {name.lower() for name in facts.versions}
        return "." in module and (top.lower() in known if known else bool(known_distribution(module)))
    if kind == "AttributeError":
        return "get attribute" in text or "has no attribute" in text or "module" in text
    return kind == "TypeError" and ("code expected" in text or "takes" in text or "code()" in text)
