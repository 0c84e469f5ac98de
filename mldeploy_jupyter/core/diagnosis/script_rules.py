"""Rules about the entry script: its syntax, its functions, what it imports, opens and raises."""

from __future__ import annotations

import re
import shlex
from pathlib import PurePath

from mldeploy_jupyter.core.diagnosis.cause import Cause
from mldeploy_jupyter.core.diagnosis.facts import Facts, describe_exception, exception_attribute, shorten
from mldeploy_jupyter.core.diagnosis.source_map import UNKNOWN_LOCATION
from mldeploy_jupyter.core.errors import EntryScriptError
from mldeploy_jupyter.core.script import body_keys, entry_script, lint, name_check

_SYNTAX = ("SyntaxError", "IndentationError", "TabError")

# Messages of the server (`serving/scoring/script.py`) that advise after a colon, and why.
_CONTRACTS = {
    "run() is a generator": "a service sends one whole answer",
    "run() is wrapped in a function that hides its parameters": "a request is passed by the names of the parameters",
}


def syntax_error(facts: Facts) -> Cause | None:
    raised = facts.find_exception(*_SYNTAX)
    if raised is None:
        return None
    syntax = raised["syntax"] if isinstance(raised.get("syntax"), dict) else {}
    frame = {"file": syntax.get("file"), "line": syntax.get("line"), "text": syntax.get("text") or ""}
    # Text passed to eval() or exec() is in no file; the line that called them is then the one at fault.
    own = facts.source.is_own(frame)
    file = facts.source.display_name(str(syntax.get("file") or ""))
    file = facts.script.name if facts.source.is_script(frame) else file
    location = facts.source.locate([frame]) if own else facts.location()
    what = f"{file} has a syntax error" if own else f"{facts.script.name} runs text that is not Python"
    line = shorten(str(syntax.get("text") or "").strip())
    # Python's message ends with the file and line of the script, which are not the cell's.
    message = re.sub(
        r" \((?:[^()]*, |detected at )line \d+\)| on line \d+",
        "",
        shorten(str(raised.get("message") or raised.get("type"))),
    )
    # A magic or shell command has a hint of its own.
    hint = entry_script.syntax_error("", file, 1, 0, line).hint
    hint = hint if "magics" in hint else f"correct the line, {facts.retry_hint()}"
    return facts.cause("syntax-error", what, f"{message}: {line}" if line else message, hint, location)


def contract(facts: Facts) -> Cause | None:
    if facts.code != "contract":
        return None
    # The server reports no line, so the script is checked again.
    try:
        entry_script.check(facts.script.text, facts.script.name)
    except EntryScriptError as error:
        location = facts.source.locate_line(error.line)
        if "syntax error" not in error.what and facts.script.text:
            return facts.cause("contract", error.what, error.why, error.hint, location)
    message = facts.message.removeprefix("ContractError: ")
    what, _, advice = message.partition(": ")
    if what in _CONTRACTS and advice:
        why = _CONTRACTS[what]
        return facts.cause(
            "contract", what, why, f"{advice}, {facts.retry_hint()}", facts.source.locate_function("run")
        )
    hint = f"define init() and run(data) in {facts.script.name}, {facts.retry_hint()}"
    return facts.cause("contract", f"{facts.script.name} cannot serve", message, hint)


def sklearn_externals(facts: Facts) -> Cause | None:
    # Common imports in scripts of 2019; scikit-learn removed them in 0.23. The server answers that of joblib itself.
    raised = facts.find_exception("ImportError", "ModuleNotFoundError")
    text = "" if raised is None else f"{exception_attribute(raised, 'name')} {raised.get('message')}"
    if raised is None or "sklearn.externals" not in text:
        return None
    named = re.search(r"sklearn\.externals\.(\w+)|cannot import name '(\w+)'", text)
    part = (named[1] or named[2]) if named else "joblib"
    what = f"scikit-learn no longer brings {part} as sklearn.externals.{part}"
    hint = f"write import {part} instead of this line, {facts.retry_hint()}"
    return facts.cause("sklearn-externals", what, describe_exception(raised), hint, module="sklearn.externals")


def text_as_file(facts: Facts) -> Cause | None:
    raised = facts.find_exception("FileNotFoundError", "OSError")
    if raised is None:
        return None
    text = re.sub(r"^\[Errno \d+\] ", "", str(raised.get("message")))
    name = exception_attribute(raised, "filename") or re.sub(r"^(File |[^{\[]*')", "", text)
    if facts.stage not in ("probe", "run") or not name.lstrip().startswith(("{", "[")):
        return None
    what = "the body of the request was used as the name of a file"
    hint = "pass it as a file: import io, and write io.StringIO(...) around the text, as in "
    hint += f"pandas.read_json(io.StringIO(data)); or parse it with json.loads; {facts.retry_hint()}"
    return facts.cause("text-as-file", what, describe_exception(raised), hint)


# What Python and libraries say when they get text where they expect data.
_TEXT_AS_DATA = re.compile(
    r"\bstr\b|string|DataFrame constructor not properly called|scalar array|0-d|0-dimensional|no matching loop"
)


def text_as_data(facts: Facts) -> Cause | None:
    raised = facts.find_exception("TypeError", "ValueError", "AttributeError", "IndexError")
    if raised is None or facts.stage not in ("probe", "run") or not _TEXT_AS_DATA.search(str(raised.get("message"))):
        return None
    name = body_keys.find_unparsed_text(facts.script.text)
    if not name:
        return None
    what = "run() takes the body for data, and gets it as text"
    hint = f"begin with {name} = json.loads({name}), or give it a type, as in def run({name}: pandas.DataFrame); "
    return facts.cause("text-as-data", what, describe_exception(raised), hint + facts.retry_hint(), name=name)


def other_file_missing(facts: Facts) -> Cause | None:
    raised = facts.find_exception("FileNotFoundError")
    if raised is None or facts.stage == "probe":
        return None
    path = exception_attribute(raised, "filename")
    why = describe_exception(raised)
    source = PurePath(facts.settings.get("app_root") or "/", facts.settings.get("source_directory") or "source")
    if PurePath(path).is_relative_to(source):  # the script looked beside itself
        beside = str(PurePath(path).relative_to(source))
        what = f"the file {beside} is not in the service"
        why = f"FileNotFoundError: it is not among the files that were shipped with {facts.script.name}"
        return facts.cause("file-missing", what, why, _hint_to_ship(facts, beside), path=path)
    if PurePath(path).is_absolute():
        what = f"the file {path} is not there"
        hint = f"read models from AZUREML_MODEL_DIR and other files from beside the script, {facts.retry_hint()}"
        return facts.cause("file-missing", what, why, hint, path=path)
    opened = f'open it by os.path.join(os.path.dirname(__file__), "{path}")'
    if path and path in facts.texts("source_tree"):
        what = f"the file {path} is not in the folder where a service runs"
        why = f"it was shipped beside {facts.script.name}, which runs in another folder: {why}"
        return facts.cause("file-missing", what, why, f"{opened}, {facts.retry_hint()}", path=path)
    what = f"the file {path or 'a file'} is not in the service"
    hint = f"{opened}, and {_hint_to_ship(facts, path)}"
    return facts.cause("file-missing", what, why, hint, path=path)


def _hint_to_ship(facts: Facts, path: str) -> str:
    """How a file that lies beside the script gets into the service."""
    name = facts.script.name
    folder = str(PurePath(name).parent)
    option = f"--source-directory {shlex.quote(folder)}"
    if facts.is_check and facts.script.cell is not None:
        hint = f"ship its folder, too: %%entry_script {shlex.quote(name)} {option}"
    elif facts.is_check:
        hint = f"ship its folder, too: add {option}"
    else:
        hint = f"ship its folder, too, with {option} (source_directory in InferenceConfig), then {facts.deploy_hint()}"
    return f"put {path} beside {name}, and {hint}" if facts.source_lacks(path) else hint


def notebook_name(facts: Facts) -> Cause | None:
    raised = facts.find_exception("NameError")
    if raised is None:
        return None
    match = re.search(r"name '([^']+)'", str(raised.get("message") or ""))
    name = exception_attribute(raised, "name") or (match[1] if match else "")
    owner, free, suggested = _undefined_name(facts, name)
    if owner:
        what = f"{name} is known only inside {owner}()"
        why = f"{owner}() assigns it without the statement global {name}: {describe_exception(raised)}"
        hint = f"write global {name} as the first line of {owner}(), {facts.retry_hint()}"
        return facts.cause("global-missing", what, why, hint, name=name)
    if free or not facts.script.text:
        hint = suggested or f"define or import {name} in {facts.script.name}"
        known = facts.script.notebook_names
        if known is not None and name in known:
            what = f"the script uses {name}, which exists only in the notebook"
            why = f"a service runs the script alone: {describe_exception(raised)}"
            hint = f"define or import {name} in {facts.script.name}, {facts.retry_hint()}"
            return facts.cause("notebook-name", what, why, hint, name=name)
        what = f"{name} is not defined in the script"
        why = f"a service runs the script alone, without a notebook's variables: {describe_exception(raised)}"
        return facts.cause("name-error", what, why, f"{hint}, {facts.retry_hint()}", name=name)
    what = f"{name} is not defined where it is used"
    return facts.cause(
        "name-error",
        what,
        describe_exception(raised),
        f"define {name} before this line, {facts.retry_hint()}",
        name=name,
    )


def replay_failed(facts: Facts) -> Cause | None:
    if facts.code != "replay-failed":
        return None
    raised = next(facts.exceptions(), None)
    what = f"run() raised {raised.get('type')} for the last request" if raised else "the last request was not answered"
    why = describe_exception(raised) if raised else facts.message
    hint = f"correct run(), {facts.retry_hint()}; or leave --replay out"
    return facts.cause("replay-failed", what, why, hint)


def sample_failed(facts: Facts) -> Cause | None:
    if facts.code != "probe-failed" and facts.stage != "probe":
        return None
    raised = next(facts.exceptions(), None)
    if raised is not None:
        what = f"run() raised {raised.get('type')} for the sample"
        hint = f"correct run() or the sample in @input_schema, {facts.retry_hint()}"
        return facts.cause("sample-failed", what, describe_exception(raised), hint, exception=raised.get("type"))
    what = "the new version did not answer as required"
    hint = f"correct run() or the sample in @input_schema, {facts.retry_hint()}"
    if facts.failure.get("refused"):
        what = "run() refused the sample"
        options = (
            "give the headers that it needs with --sample-header NAME=VALUE, or leave the sample out with --no-probe"
        )
        hint = f"{options}, {facts.retry_hint()}"
    elif "/score" in facts.message:
        what = "the sample was not scored"
    response = facts.failure.get("response")
    location = UNKNOWN_LOCATION
    if facts.script.text:
        location = facts.source.locate_line(_run_line(facts))
    return facts.cause("sample-failed", what, facts.message, hint, location, response=response)


def script_raised(facts: Facts) -> Cause | None:
    error, *before = [*facts.exceptions(), None]
    if error is None:
        return None
    kind, why = str(error.get("type")), describe_exception(error)
    first = before[0]
    why += f", after {describe_exception(first)}" if first else ""
    hint = f"correct the line, {facts.retry_hint()}"
    if facts.stage == "import" or facts.code == "import-raised":
        what = f"the script raised {kind} while it was imported"
        return facts.cause("import-raised", what, why, hint, exception=kind)
    if facts.stage == "init" or facts.code == "init-raised":
        return facts.cause("init-raised", f"init() raised {kind}", why, hint, exception=kind)
    return facts.cause(facts.code or "raised", f"the script raised {kind}", why, hint, exception=kind)


def _undefined_name(facts: Facts, name: str) -> tuple[str, bool, str]:
    """Of a name: the function that has it as a local variable, whether the script defines it nowhere, how to get it."""
    try:
        free = any(name == undefined for undefined, _ in lint.find_undefined_names(facts.script.text))
        if not free:
            return "", False, ""
        tree, code = entry_script.parse_and_compile(facts.script.text, facts.script.name)
    except EntryScriptError:
        return "", False, ""
    return name_check.find_local_owners(tree, code).get(name, ""), True, name_check.suggest_definition(name, tree)


def _run_line(facts: Facts) -> int:
    try:
        return entry_script.check(facts.script.text).run_line
    except EntryScriptError:
        return 0
