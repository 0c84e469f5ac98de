"""The list of rules. The first rule that recognises a failure names its cause."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import tzinfo
from typing import Any

from mldeploy_jupyter.core.diagnosis import (
    container_rules,
    image_rules,
    loading_rules,
    missing_model_rule,
    module_rules,
    process_rules,
    script_rules,
)
from mldeploy_jupyter.core.diagnosis.cause import Cause
from mldeploy_jupyter.core.diagnosis.facts import Facts, Rule
from mldeploy_jupyter.core.diagnosis.source_map import ScriptInfo

# Order matters. That a process was killed says more than the last exception it raised; that the script is broken, more
# than what it then could not find; that a model cannot be loaded, more than the bare exception.
RULES: tuple[Rule, ...] = (
    process_rules.already_worded,
    process_rules.cancelled,
    process_rules.busy,
    process_rules.port_in_use,
    container_rules.engine_unusable,
    container_rules.engine_lost,
    container_rules.engine_error,
    container_rules.no_space,
    container_rules.image_missing,
    container_rules.registry_refuses,
    container_rules.wrong_architecture,
    image_rules.base_unfit,
    image_rules.build_step_failed,
    process_rules.interpreter_variable,
    process_rules.interpreter_failed,
    process_rules.init_timeout,
    process_rules.memory_limit,
    process_rules.out_of_memory,
    container_rules.container_exited,
    process_rules.killed,
    process_rules.exited,
    script_rules.syntax_error,
    script_rules.contract,
    script_rules.sklearn_externals,
    loading_rules.damaged,
    loading_rules.defined_in_notebook,
    loading_rules.corrupt,
    loading_rules.wrong_version,
    script_rules.text_as_file,
    script_rules.text_as_data,
    missing_model_rule.model_file_missing,
    module_rules.relative_import,
    module_rules.helper_missing,
    module_rules.azureml_missing,
    module_rules.local_module,
    module_rules.pickled_module,
    module_rules.module_missing,
    script_rules.other_file_missing,
    script_rules.notebook_name,
    script_rules.replay_failed,
    script_rules.sample_failed,
    script_rules.script_raised,
    process_rules.worker_lost,
)


def explain(
    failure: Mapping[str, Any],
    *,
    script: ScriptInfo | None = None,
    settings: Mapping[str, Any] | None = None,
    models: Iterable[Any] = (),
    timezone: tzinfo | None = None,
) -> Cause:
    """The cause of a failure. Never raises, even for odd data; a failure that no rule knows keeps its own message.

    `failure` is the data that the server or a target reported. `script` is the revision's entry script, `settings` are
    its server's settings, with four additions: `versions` (distribution -> version in its environment, which may be
    in `failure` instead), `packages` (where these come from: `package_source`), `updating` (an older revision continues
    serving), `checking` (a cell only checked the script). `models` are `ModelRecord`s or their data. Times are shown
    in `timezone`, by default the local one.
    """
    facts = Facts(dict(failure), script or ScriptInfo(), dict(settings or {}), list(models), timezone)
    for rule in RULES:
        cause = rule(facts)
        if cause is not None:
            return cause
    return process_rules.unknown(facts)
