"""The decision list: the first rule that knows a failure names its cause."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import tzinfo
from typing import Any

from mldeploy_jupyter.core.diagnosis import loading, process, script
from mldeploy_jupyter.core.diagnosis.cause import Cause, Facts, Rule, ScriptInfo

# Order matters: a process that was killed tells more than what it last raised, a broken script more than
# what it then missed, a model that cannot be loaded more than the bare exception.
RULES: tuple[Rule, ...] = (
    process.worded_already,
    process.cancelled,
    process.busy,
    process.port_in_use,
    process.interpreter_failed,
    process.init_timeout,
    process.memory_limit,
    process.out_of_memory,
    process.killed,
    process.exited,
    script.syntax_error,
    script.contract,
    script.sklearn_externals,
    loading.damaged,
    loading.from_notebook,
    loading.corrupt,
    loading.wrong_version,
    loading.file_missing,
    script.helper_missing,
    script.module_missing,
    script.other_file_missing,
    script.notebook_name,
    script.sample_failed,
    script.raised,
    process.worker_lost,
)


def explain(
    failure: Mapping[str, Any],
    *,
    script: ScriptInfo | None = None,
    settings: Mapping[str, Any] | None = None,
    models: Iterable[Any] = (),
    timezone: tzinfo | None = None,
) -> Cause:
    """The cause of a failure.

    `failure` is the data that the serving room or a target reported. `script` is the entry script of the
    revision. `settings` are its server's settings; `settings["versions"]` or `failure["versions"]` may say which
    versions of libraries its environment has (distribution -> version), `settings["updating"]` that an older revision
    goes on serving, `settings["checking"]` that the cell only tried the script. `models` are its `ModelRecord`s, or
    their data. Times are shown in `timezone`, by default the local one. Never raises for odd data: what no rule
    knows keeps its own message.
    """
    facts = Facts(dict(failure), script or ScriptInfo(), dict(settings or {}), list(models), timezone)
    for rule in RULES:
        cause = rule(facts)
        if cause is not None:
            return cause
    return process.unknown(facts)
