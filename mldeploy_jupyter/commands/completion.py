"""Tab completion, derived from the commands: options, values, and names from the workspace."""

from __future__ import annotations

import glob
import os
from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

from mldeploy_jupyter.commands.grammar import COMMON, Command, Completion, Context, Param
from mldeploy_jupyter.commands.options import OTHER_TARGETS, TARGET_NAMES, compute_type_of
from mldeploy_jupyter.core.errors import MldeployError

if TYPE_CHECKING:
    from mldeploy_jupyter.core.store.store import Store


def complete(command: Command, words: Sequence[str], context: Context) -> list[str]:
    """Completions of the last of `words`: the words after the command, "" for a new word. Never raises."""
    words = list(words) or [""]
    last, before = words[-1], words[:-1]
    option = _open_option(command, before)
    path = _named_workspace(before)
    if option is not None and option.completion == "revision":
        return _kept_revisions(command, before, last, context, path)
    if option is not None:
        found = values_of(option, last, context, path)
        if found or option.kind != "list":
            return found
    if last.startswith("-"):
        return sorted({flag for param in command.all_params for flag in _matching_flags(param, last, before)})
    slots = [param for param in command.positionals if not any(flag in before for flag in param.flags)]
    given = _count_positionals(command, before)
    slot = slots[given] if given < len(slots) else slots[-1] if slots and slots[-1].kind == "list" else None
    if slot is None:
        return []
    named = set(before) if slot.kind == "list" else set()
    return [value for value in values_of(slot, last, context, path) if value not in named]


def _kept_revisions(
    command: Command, before: Sequence[str], start: str, context: Context, path: str | None
) -> list[str]:
    """The revisions that the service on the line can go back to, newest first."""
    name = next((after for word, after in pairwise(before) if word in _NAME_FLAGS), "")
    words = [word for count, word in enumerate(before, 1) if _count_positionals(command, before[:count]) == 1]
    try:
        revisions = context.workspace(path).folder.open_store().list_revisions(name or (words[0] if words else ""))
    except MldeployError:
        return []
    kept = sorted((revision.number for revision in revisions if revision.outcome == "kept"), reverse=True)
    return [str(number) for number in kept if str(number).startswith(start)]


_NAME_FLAGS = ("--name", "-n")


def values_of(param: Param, start: str, context: Context, path: str | None = None) -> list[str]:
    """The values of a parameter that begin with `start`; names are those of the workspace at `path`."""
    if param.choices:
        found = list(param.offered_choices)
    elif param.kind == "toggle":
        found = ["true", "false"]
    else:
        found = _names(param.completion, start, context, path)
    return sorted({value for value in found if value.startswith(start)})


def _matching_flags(param: Param, start: str, before: Sequence[str]) -> list[str]:
    """The flags of an option that complete `start`: its usual name, or else another long one.

    v1's two-letter flags complete only when typed in full. A setting that the target lacks is not offered; without
    `--to` the target is local.
    """
    found = [flag for flag in param.flags if flag == start or (len(flag) > 4 and flag.startswith(start))]
    if param.group.startswith(OTHER_TARGETS):
        targets = [after for word, after in pairwise(before) if word in _TARGET_FLAGS]
        compute_type = compute_type_of(targets[-1]) if targets else "Local"
        from mldeploy_jupyter.core.configs import find_spec

        if param.name.removeprefix("config_") not in find_spec(compute_type).by_name:
            return []
    return [param.display_name] if param.display_name in found else found


_TARGET_FLAGS = ("--target", "--to", "--compute-type", "--cp")


_PATH_FLAGS = next(param.flags for param in COMMON if param.name == "path")


def _named_workspace(before: Sequence[str]) -> str | None:
    """What `-w` names among the words; None without it."""
    for word, after in pairwise([*before, ""]):
        flag, sign, value = word.partition("=")
        if flag in _PATH_FLAGS and (value if sign else after):
            return value if sign else after
    return None


def _open_option(command: Command, before: Sequence[str]) -> Param | None:
    """The option that the last word is a value of: the word just before it, or a list that has not ended."""
    for steps, word in enumerate(reversed(before)):
        if word.startswith("-") and len(word) > 1:
            param = next((param for param in command.all_params if word in param.flags), None)
            if param is None or param.kind == "switch" or (steps > 0 and param.kind != "list"):
                return None
            return param
    return None


def _count_positionals(command: Command, before: Sequence[str]) -> int:
    """How many of the words are positionals: neither options nor their values."""
    count, is_value = 0, False
    for word in before:
        if word.startswith("-") and len(word) > 1:
            param = next((param for param in command.all_params if word in param.flags), None)
            is_value = param is not None and param.kind != "switch"
        else:
            count += 0 if is_value else 1
            is_value = False
    return count


def _names(completion: Completion, start: str, context: Context, path: str | None) -> list[str]:
    if completion == "target":
        return list(TARGET_NAMES)
    if completion in ("file", "script", "workspace"):
        paths = glob.glob(glob.escape(os.path.expanduser(start)) + "*")
        found = [path + "/" if os.path.isdir(path) else path for path in paths]
        if completion == "workspace":
            from mldeploy_jupyter.core.workspace.folder import list_workspaces

            return [path for path in found if path.endswith("/")] + [known.config.name for known in list_workspaces()]
        return [path for path in found if completion == "file" or path.endswith(("/", ".py"))]
    if not completion:
        return []
    try:
        store: Store = context.workspace(path).folder.open_store()
        if completion == "service":
            return store.list_service_names()
        if completion == "latency run":
            from mldeploy_jupyter.latency.saved import list_runs

            return [run.id for run in list_runs(context.workspace(path).folder)]
        models = store.list_model_ids(start.partition(":")[0])
    except MldeployError:
        return []  # without a workspace there are no names to complete
    names = [name for name, _ in models]
    return names if completion == "model" else names + [f"{name}:{version}" for name, version in models]
