"""Rules about a module that the service lacks. None of them advises to install a package that may be unrelated."""

from __future__ import annotations

import difflib
import re
from pathlib import Path, PurePath

from mldeploy_jupyter.core.diagnosis.cause import Cause
from mldeploy_jupyter.core.diagnosis.facts import Facts, describe_exception, exception_attribute
from mldeploy_jupyter.core.diagnosis.loading_rules import is_loading
from mldeploy_jupyter.core.diagnosis.package_source import describe_adding, short_path
from mldeploy_jupyter.core.environment.distributions import distribution_of, known_distribution
from mldeploy_jupyter.core.errors import EntryScriptError
from mldeploy_jupyter.core.script import entry_script
from mldeploy_jupyter.core.script.local_modules import find_local_module, list_submodules


def relative_import(facts: Facts) -> Cause | None:
    raised = facts.find_exception("ImportError")
    if raised is None or "attempted relative import" not in str(raised.get("message")):
        return None
    line = facts.location().text.strip()
    match = re.match(r"from \.+(\w*) import (.+)", line)
    right = f"from {match[1]} import {match[2]}" if match and match[1] else f"import {match[2]}" if match else ""
    what = f"{facts.script.name} has a relative import, and is not part of a package"
    why = f"a service runs the script by itself: {describe_exception(raised)}"
    hint = f"write {right or 'the import without the dot'}, {facts.retry_hint()}"
    return facts.cause("module-missing", what, why, hint)


def helper_missing(facts: Facts) -> Cause | None:
    module = _missing_module(facts)
    if not module or module.partition(".")[0] not in _unshipped_helpers(facts):
        return None
    top = module.partition(".")[0]
    what = f"the helper module {top} is not in the service"
    why = f"it lies beside {facts.script.name}, but was not shipped with it"
    hint = 'set source_directory="." in InferenceConfig(...) so that the whole folder goes along, '
    hint += f"then {facts.deploy_hint()}"
    return facts.cause("helper-missing", what, why, hint, module=module)


def azureml_missing(facts: Facts) -> Cause | None:
    module = _missing_module(facts)
    if module.partition(".")[0] != "azureml":
        return None
    what = f"the script imports {module}, which a service does not have"
    raised = facts.find_exception("ModuleNotFoundError") or {}
    _, told, reason = str(raised.get("message")).partition(f"there is no {module}: ")  # by the server's import hook
    why = "it has what scoring scripts of v1 use: azureml.core.model, azureml.contrib.services and the like"
    why = reason if told else why
    hint = f"remove the import of {module} from the script, {facts.retry_hint()}"
    return facts.cause("module-missing", what, why, hint, module=module)


def local_module(facts: Facts) -> Cause | None:
    module = _missing_module(facts)
    path = find_local_module(module, facts.script.original) if module and facts.script.original else None
    if path is None:
        return None
    top = module.partition(".")[0]
    script = Path(facts.script.original)
    root = path.parent
    what = f"the module {top} is not in the service"
    shown = short_path(path)
    in_model = _is_in_model(facts, top)
    why = f"it lies in {shown}, and only what is beside {script.name} is shipped with it"
    why = f"the model file refers to it, and it lies in {shown}" if in_model else why
    if in_model and root == script.parent:
        hint = f"import {top} in {script.name}, so that it is shipped, too"
    elif script.is_relative_to(root):  # the folder that has the module has the script, too, further down
        hint = f'deploy with source_directory="{short_path(root)}" and entry_script="{script.relative_to(root)}" in '
        hint += "InferenceConfig(...)"
        hint += f", or leave {top}. out of the import" if path == script.parent and not in_model else ""
    else:
        hint = f"copy {shown} into {short_path(script.parent)}, beside {script.name}"
        hint += f", and import {top} in {script.name}" if in_model else ""
    hint += f"; {facts.retry_hint()}"
    return facts.cause("module-missing", what, why, hint, module=module, path=str(path))


def pickled_module(facts: Facts) -> Cause | None:
    module = _missing_module(facts)
    top = module.partition(".")[0]
    if not module or not _is_in_model(facts, top):
        return None
    raised = facts.find_exception("ModuleNotFoundError")
    said = describe_exception(raised) if raised else facts.message
    if top in ("__builtin__", "dill"):
        what = "the model file was written by dill, and is read without it"
        hint = "write dill.load(file) instead of pickle.load(file), and import dill; "
        hint += f"dill belongs in the service's environment, too; {facts.retry_hint()}"
        return facts.cause("module-missing", what, said, hint, module=module)
    if known_distribution(module):
        return None
    what = f"the model needs the module {top}, which is not in the service"
    why = f"the name is in the model file, not in {facts.script.name}: {said}"
    hint = (
        f"copy the module {top} beside {facts.script.name} and import it there; if a package provides it, look up that "
    )
    hint += f"package's name and {describe_adding(facts.packages)}; {facts.retry_hint()}"
    return facts.cause("module-missing", what, why, hint, module=module)


def module_missing(facts: Facts) -> Cause | None:
    module = _missing_module(facts)
    if not module:
        return None
    top, package = module.partition(".")[0], distribution_of(module)
    raised = facts.find_exception("ModuleNotFoundError")
    why = describe_exception(raised) if raised else facts.message
    if "." in module and _is_part(facts, module, package):
        return _part_missing(facts, module, package, why)
    what = f"the module {module} is not installed in the service's environment"
    package = known_distribution(module)
    if not package:
        hint = (
            f"if {module} is a module of yours, put it beside {facts.script.name}; if a package provides it, look up "
        )
        hint += f"that package's name and {describe_adding(facts.packages)}; then {facts.deploy_hint()}"
        return facts.cause("module-missing", what, why, hint, module=module)
    named = "" if package.lower() == top.lower() else f" (the package that provides {top})"
    hint = f"{describe_adding(facts.packages, package, named)}; then {facts.deploy_hint()}"
    return facts.cause("module-missing", what, why, hint, module=module, distribution=package)


def _is_part(facts: Facts, module: str, package: str) -> bool:
    """Whether `package`, which is there, should have the module: Python names the first part that it does not find.

    Not so for a folder that several distributions share, such as `google` or `opentelemetry`.
    """
    if _version(facts, package):
        return True
    return bool(known_distribution(module)) and package == distribution_of(module.rpartition(".")[0])


def _part_missing(facts: Facts, module: str, package: str, why: str) -> Cause:
    """The cause for a package that is there and has no such module: misspelled, moved, or of another version."""
    parent, _, name = module.rpartition(".")
    version = _version(facts, package)
    what = f"the service's {package} has no module {module}" if version else f"{parent} has no module {name}"
    why = f"it has version {version}: {why}" if version else why
    near = difflib.get_close_matches(name, list_submodules(parent), n=1)
    if near:
        hint = f"did you mean {parent}.{near[0]}? Correct the line, {facts.retry_hint()}"
    elif known_distribution(module):
        hint = f"correct the name, or pin the version of {package} that has it in the environment, "
        hint += f"then {facts.deploy_hint()}"
    else:
        hint = f"correct the name, {facts.retry_hint()}"
    return facts.cause("module-missing", what, why, hint, module=module, distribution=known_distribution(module))


def _missing_module(facts: Facts) -> str:
    raised = facts.find_exception("ModuleNotFoundError")
    if raised is None:
        return ""
    match = re.search(r"No module named '([^']+)'", str(raised.get("message") or ""))
    return exception_attribute(raised, "name") or (match[1] if match else "")


def _is_in_model(facts: Facts, top: str) -> bool:
    """Whether the name comes out of a model file: it is loaded, and the script does not import the module."""
    try:
        return is_loading(facts) and top not in entry_script.check(facts.script.text, facts.script.name).imports
    except EntryScriptError:
        return False


def _unshipped_helpers(facts: Facts) -> set[str]:
    return {PurePath(name).name.removesuffix(".py") for name in facts.script.beside}


def _version(facts: Facts, package: str) -> str:
    return next((version for name, version in facts.versions.items() if name.lower() == package.lower()), "")
