"""Names the cause of a failed deployment, from the failure and what the workspace knows about the revision."""

from __future__ import annotations

import re
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mldeploy_jupyter.core.errors import MldeployError

if TYPE_CHECKING:
    from mldeploy_jupyter.core.bundle.builder import Bundle
    from mldeploy_jupyter.core.diagnosis import Cause, ScriptInfo
    from mldeploy_jupyter.core.records import ModelRecord
    from mldeploy_jupyter.core.workspace.folder import WorkspaceFolder


def diagnose_failure(
    folder: WorkspaceFolder,
    failure: dict[str, Any],
    *,
    bundle_path: Path | None,
    inference: dict[str, Any],
    settings: dict[str, Any],
    models: list[ModelRecord],
    lock: str = "",
) -> Cause:
    """The cause of a target's failure, with the line of the cell if the script came from one.

    What is not known yet is None or empty: a failed check has no bundle, settings or lock.
    """
    from mldeploy_jupyter.core.bundle import builder
    from mldeploy_jupyter.core.diagnosis import explain
    from mldeploy_jupyter.core.diagnosis.package_source import package_source
    from mldeploy_jupyter.images.context import APP

    failure = dict(failure)
    script = bundle = None
    if bundle_path is not None:
        with suppress(OSError, ValueError):  # damaged: the cause is named without a line
            bundle = builder.load(bundle_path)
    if bundle is not None:
        script = _bundled_script(folder, bundle, inference)
        failure.setdefault("model_tree", sorted(bundle.files_below(f"app/{builder.MODELS}/"))[:50])
        failure.setdefault("source_tree", source_namesakes(bundle, failure))
        app = str(settings.get("app_root") or "")  # a container has none here
        if app and failure.get("stage") in ("import", "init", "probe") and failure.get("exception"):
            failure.setdefault("damaged", builder.find_damaged_files(bundle, Path(app)))
        if not app:
            settings = {**settings, "model_dir": f"{APP}/{bundle.model_folder}"}
    failure.setdefault("versions", _locked_versions(lock))
    failure.setdefault("other_models", find_other_models(folder, failure, {model.name for model in models}))
    service = folder.open_store().get_service(str(settings.get("service") or ""))
    own_python = str(settings.get("python") or "") if settings.get("app_root") else ""  # in a container, not this one
    settings = {
        **settings,
        "updating": service is not None and service.revision > 0,
        "packages": package_source(inference, own_python),
    }
    return explain(failure, script=script, settings=settings, models=models)


def source_namesakes(bundle: Bundle, failure: dict[str, Any]) -> list[str]:
    """The shipped files, relative to the script's folder, that have the name of the one that was missed."""
    exception = failure.get("exception")
    attributes = exception.get("attributes") if isinstance(exception, dict) else None
    missed = str(attributes.get("filename") or "") if isinstance(attributes, dict) else ""
    prefix = f"app/{bundle.manifest['source_directory']}/"
    files = [file.removeprefix(prefix) for file in bundle.files_below(prefix)] if missed else []
    return [file for file in files if Path(file).name == Path(missed).name]


def find_other_models(folder: WorkspaceFolder, failure: dict[str, Any], named: set[str]) -> dict[str, list[str]]:
    """The files of registered models that are not among the `named`, when the script missed a file or model."""
    exception = failure.get("exception")
    missed = isinstance(exception, dict) and exception.get("type") in ("FileNotFoundError", "ModelNotFoundException")
    if not missed:
        return {}
    newest = folder.open_store().list_models(latest=True)
    return {model.name: list(model.files) for model in newest if model.name not in named}


def diagnose_error(
    folder: WorkspaceFolder, error: MldeployError, inference: dict[str, Any], script_copy: Path | None = None
) -> Cause:
    """An error of this package as a cause. If it names a line of the script, the cause shows that line of the cell.

    `script_copy` is the script that was read, where it is a copy.
    """
    from mldeploy_jupyter.core.diagnosis import Cause, ScriptInfo, SourceMap

    where: str = error.where
    excerpt: list[dict[str, Any]] = []
    line = getattr(error, "line", 0)
    path = Path(inference.get("source_directory") or "", inference.get("entry_script") or "")
    if not inference.get("source_directory"):
        path = Path(inference.get("entry_path") or "")
    script_copy = script_copy or path
    if line and script_copy.is_file():
        script = ScriptInfo.from_content(script_copy.read_bytes(), folder.cells, name=path.name)
        location = SourceMap(script, {}).locate_line(line)
        where = location.where if script.cell else where
        excerpt = location.excerpt
    return Cause(error.code, error.what, error.why, error.hint, where, excerpt)


def diagnose_defect(error: Exception) -> Cause:
    """An unexpected exception as a cause; its traceback is in the journal."""
    from mldeploy_jupyter.core.diagnosis import Cause

    return Cause(
        "InternalError",
        "a defect of mldeploy stopped the deployment",
        f"{type(error).__name__}: {error}",
        "report it with the journal of the deployment, which has the traceback",
    )


def _bundled_script(folder: WorkspaceFolder, bundle: Bundle, inference: dict[str, Any]) -> ScriptInfo:
    from mldeploy_jupyter.core.diagnosis import ScriptInfo

    path = bundle.app / bundle.entry_script
    name = Path(bundle.entry_script).relative_to(bundle.manifest["source_directory"])
    original = Path(inference.get("entry_path") or "").parent
    shipped = {entry.name for entry in path.parent.iterdir()}
    beside = []
    if inference.get("entry_path") and original.is_dir():
        for entry in sorted(original.iterdir()):
            if entry.name not in shipped and (entry.suffix == ".py" or (entry / "__init__.py").is_file()):
                beside.append(entry.name)
    return ScriptInfo.from_content(
        path.read_bytes(),
        folder.cells,
        name=str(name),
        path=bundle.entry_script,
        beside=tuple(beside),
        original=str(inference.get("entry_path") or ""),
    )


def _locked_versions(lock: str) -> dict[str, str]:
    return dict(re.findall(r"^([A-Za-z0-9._-]+)==([^\s;\\]+)", lock, re.MULTILINE))
