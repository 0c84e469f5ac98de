"""Rules about the entry script: what it cannot say, import, find or do."""

from __future__ import annotations

import re
from pathlib import PurePath

from mldeploy_jupyter.core.diagnosis.cause import NOWHERE, Cause, Facts, attribute, brief, described
from mldeploy_jupyter.core.environment.distributions import distribution_of
from mldeploy_jupyter.core.errors import EntryScriptError
from mldeploy_jupyter.core.script import entry_script, lint

_SYNTAX = ("SyntaxError", "IndentationError", "TabError")


def syntax_error(facts: Facts) -> Cause | None:
    raised = facts.find(*_SYNTAX)
    if raised is None:
        return None
    said = raised["syntax"] if isinstance(raised.get("syntax"), dict) else {}
    frame = {"file": said.get("file"), "line": said.get("line"), "text": said.get("text") or ""}
    # eval() and exec() have no file of the user's: the line that called them is meant then.
    own = facts.is_script(frame) or facts.is_helper(frame)
    file = facts.script.name if facts.is_script(frame) else facts.shown(str(said.get("file") or ""))
    place = facts.place_of([frame]) if own else facts.place()
    what = f"{file} has a syntax error" if own else f"{facts.script.name} runs text that is not Python"
    line = brief(str(said.get("text") or "").strip())
    # The message carries the file and line of the script, which are not the cell's.
    message = re.sub(r" \([^()]*, line \d+\)$", "", brief(str(raised.get("message") or raised.get("type"))))
    hint = entry_script.syntax_error("", file, 1, 0, line).hint
    hint = hint if "magics" in hint else f"correct the line, {facts.again()}"
    return facts.cause("syntax-error", what, f"{message}: {line}" if line else message, hint, place)


def contract(facts: Facts) -> Cause | None:
    if facts.code != "contract":
        return None
    # The script is parsed once more, because that tells the line.
    try:
        entry_script.check(facts.script.text, facts.script.name)
    except EntryScriptError as error:
        place = facts.line_of_script(error.line)
        if "syntax error" not in error.what and facts.script.text:
            return facts.cause("contract", error.what, error.why, error.hint, place)
    hint = f"define init() and run(data) in {facts.script.name}, {facts.again()}"
    return facts.cause("contract", f"{facts.script.name} cannot serve", facts.message, hint)


def sklearn_externals(facts: Facts) -> Cause | None:
    # The way of 2019; scikit-learn took it out in 0.23.
    raised = facts.find("ImportError", "ModuleNotFoundError")
    if raised is None or "sklearn.externals" not in attribute(raised, "name") + str(raised.get("message")):
        return None
    what = "scikit-learn no longer brings joblib as sklearn.externals.joblib"
    hint = f"write import joblib in place of this line, {facts.again()}"
    return facts.cause("sklearn-externals", what, described(raised), hint, module="sklearn.externals")


def helper_missing(facts: Facts) -> Cause | None:
    module = _missing_module(facts)
    if not module or module.partition(".")[0] not in _helpers(facts):
        return None
    top = module.partition(".")[0]
    what = f"the helper module {top} is not in the service"
    why = f"it lies beside {facts.script.name}, but was not shipped with it"
    hint = (
        f'set source_directory="." in InferenceConfig(...) so that the whole folder goes along, then {facts.deploy()}'
    )
    return facts.cause("helper-missing", what, why, hint, module=module)


def module_missing(facts: Facts) -> Cause | None:
    module = _missing_module(facts)
    if not module:
        return None
    top, package = module.partition(".")[0], distribution_of(module)
    raised = facts.find("ModuleNotFoundError")
    why = described(raised) if raised else facts.message
    if "." in module and any(name.lower() == package.lower() for name in facts.versions):
        what = f"the service's {package} has no module {module}"
        why = f"it has version {_version(facts, package)}: {why}"
        hint = f"pin the version of {package} that has it in the environment, then {facts.deploy()}"
        return facts.cause("module-missing", what, why, hint, module=module, distribution=package)
    what = f"the module {top} is not installed in the service's environment"
    named = "" if package.lower() == top.lower() else f" (the package that brings {top})"
    hint = f"add {package}{named} to the conda file or the requirements; if the service uses this kernel's own "
    hint += f"packages, %pip install {package}; then {facts.deploy()}"
    return facts.cause("module-missing", what, why, hint, module=module, distribution=package)


def other_file_missing(facts: Facts) -> Cause | None:
    raised = facts.find("FileNotFoundError")
    if raised is None or facts.stage == "probe":
        return None
    path = attribute(raised, "filename")
    name = PurePath(path).name or "a file"
    why = described(raised)
    if PurePath(path).is_absolute():
        what = f"the file {path} is not there"
        hint = f"read models from AZUREML_MODEL_DIR and other files from beside the script, {facts.again()}"
    else:
        what = f"the file {path or name} is not in the service"
        hint = f"put {name} into source_directory, or register it as a model and read it from AZUREML_MODEL_DIR, "
        hint += f"then {facts.deploy()}"
    return facts.cause("file-missing", what, why, hint, path=path)


def notebook_name(facts: Facts) -> Cause | None:
    raised = facts.find("NameError")
    if raised is None:
        return None
    match = re.search(r"name '([^']+)'", str(raised.get("message") or ""))
    name = attribute(raised, "name") or (match[1] if match else "")
    local, free = _names(facts)
    if name in local:
        what = f"{name} is known only inside init()"
        why = f"init() assigns it without saying global {name}: {described(raised)}"
        return facts.cause("global-missing", what, why, f"add global {name} to init(), {facts.again()}", name=name)
    if name in free or not facts.script.text:
        what = f"the script uses {name}, which lives only in the notebook"
        why = f"a service runs the script alone: {described(raised)}"
        hint = f"define or import {name} in {facts.script.name}, {facts.again()}"
        return facts.cause("notebook-name", what, why, hint, name=name)
    what = f"{name} is not defined where it is used"
    return facts.cause(
        "name-error", what, described(raised), f"define {name} before this line, {facts.again()}", name=name
    )


def sample_failed(facts: Facts) -> Cause | None:
    if facts.code != "probe-failed" and facts.stage != "probe":
        return None
    raised = next(facts.exceptions(), None)
    if raised is not None:
        what = f"run() raised {raised.get('type')} for the sample"
        hint = f"correct run() or the sample in @input_schema, {facts.again()}"
        return facts.cause("sample-failed", what, described(raised), hint, exception=raised.get("type"))
    what = "the new version did not answer as it must"
    hint = f"correct run() or the sample in @input_schema, {facts.again()}"
    if "/score" in facts.message:
        what = "the sample was not scored"
    response = facts.failure.get("response")
    place = NOWHERE
    if facts.script.text:
        place = facts.line_of_script(_run_line(facts))
    return facts.cause("sample-failed", what, facts.message, hint, place, response=response)


def raised(facts: Facts) -> Cause | None:
    error, *before = [*facts.exceptions(), None]
    if error is None:
        return None
    kind, why = str(error.get("type")), described(error)
    first = before[0]
    why += f", after {described(first)}" if first else ""
    hint = f"correct the line, {facts.again()}"
    if facts.stage == "import" or facts.code == "import-raised":
        what = f"the script raised {kind} while it was imported"
        return facts.cause("import-raised", what, why, hint, exception=kind)
    if facts.stage == "init" or facts.code == "init-raised":
        return facts.cause("init-raised", f"init() raised {kind}", why, hint, exception=kind)
    return facts.cause(facts.code or "raised", f"the script raised {kind}", why, hint, exception=kind)


def _missing_module(facts: Facts) -> str:
    raised = facts.find("ModuleNotFoundError")
    if raised is None:
        return ""
    match = re.search(r"No module named '([^']+)'", str(raised.get("message") or ""))
    return attribute(raised, "name") or (match[1] if match else "")


def _helpers(facts: Facts) -> set[str]:
    return {PurePath(name).name.removesuffix(".py") for name in facts.script.beside}


def _version(facts: Facts, package: str) -> str:
    return next((version for name, version in facts.versions.items() if name.lower() == package.lower()), "")


def _names(facts: Facts) -> tuple[set[str], set[str]]:
    try:
        text = facts.script.text
        free = {name for name, _ in lint.free_names(text)}
        return lint.local_to_init(text) & free, free
    except EntryScriptError:
        return set(), set()


def _run_line(facts: Facts) -> int:
    try:
        return entry_script.check(facts.script.text).run_line
    except EntryScriptError:
        return 0
