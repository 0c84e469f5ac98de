"""Commands and options of `az ml`, version 1, that do not exist here, and what to do instead."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

from mldeploy_jupyter.commands.errors import UsageError

_TRAINING = "training is not what this program does"
_REGISTER = "train in your own Python, then run: mldeploy model register -n NAME -p FILE"
_CLUSTERS = "services run on this machine, and there are no clusters"
_DEPLOY = "run: mldeploy model deploy NAME -m MODEL --entry-script score.py"
_DATA = "data stays in files, and is not registered"
_REPLACE = "change it with no failed request: mldeploy service update NAME -m MODEL"
_ENDPOINT = "an endpoint of several versions is not in this version; a service has one at a time"
_SHARE = "share its store: mldeploy workspace create --store postgresql+psycopg://HOST/NAME"

# First words of a command -> why it does not exist, what to do instead.
ADVICE: dict[tuple[str, ...], tuple[str, str]] = {
    ("folder",): (
        "a workspace is a folder, which commands find upwards from the current one: there is nothing to attach",
        "run: mldeploy workspace create, or mldeploy workspace show",
    ),
    ("workspace", "share"): ("there are no users here: who may read the folder may use the workspace", _SHARE),
    ("workspace", "list-keys"): ("a workspace has no keys", "a service has: mldeploy service get-keys NAME"),
    ("workspace", "sync-keys"): ("a workspace has no keys", "a service has: mldeploy service regen-key NAME"),
    ("workspace", "update-dependencies"): ("a workspace has no resources of Azure", "run: mldeploy workspace update"),
    ("workspace", "private-endpoint"): ("services listen on 127.0.0.1 only", "run: mldeploy workspace show"),
    ("workspace", "diagnose"): ("a workspace has no resources of Azure", "run: mldeploy workspace show"),
    ("model", "package"): (
        "packages are container images here",
        "run: mldeploy image build -m MODEL --ic inferenceconfig.json",
    ),
    ("image", "create"): ("images are built from an entry script", "run: mldeploy image build -m MODEL --ic FILE"),
    ("image", "show"): ("images are listed", "run: mldeploy image list"),
    ("image", "delete"): ("images that nothing uses are removed together", "run: mldeploy prune"),
    ("image", "download"): ("an image is written to one file", "run: mldeploy image export IMAGE"),
    ("service", "create"): ("a service is made by deploying models", _DEPLOY),
    ("endpoint", "realtime", "create-version"): (_ENDPOINT, _REPLACE),
    ("endpoint", "realtime", "update-version"): (_ENDPOINT, _REPLACE),
    ("endpoint", "realtime", "delete-version"): (_ENDPOINT, "go back with: mldeploy service rollback NAME"),
    **{
        ("endpoint", "realtime", word): (_ENDPOINT, f"run: mldeploy service {word}")
        for word in ("delete", "get-access-token", "get-keys", "get-logs", "list", "regen-key", "run", "show", "update")
    },
    ("endpoint",): (_ENDPOINT, _DEPLOY),
    ("computetarget",): (_CLUSTERS, f"{_DEPLOY}, with --to docker for a container"),
    ("run", "submit-pipeline"): (_TRAINING, _REGISTER),
    ("run",): (_TRAINING, _REGISTER),
    ("experiment",): (_TRAINING, _REGISTER),
    ("pipeline",): (_TRAINING, _REGISTER),
    ("environment",): (
        "environments are registered in Python: Environment.from_conda_specification(...).register(ws)",
        "name a file instead: mldeploy model deploy NAME --conda-file FILE, or --requirements FILE",
    ),
    ("dataset",): (_DATA, "read the file in the script, or register it: mldeploy model register -n NAME -p FILE"),
    ("datastore",): (_DATA, "read the file in the script, or register it: mldeploy model register -n NAME -p FILE"),
    ("login",): ("there is nothing to sign in to: a workspace is a folder", "run: mldeploy workspace show"),
    # Version 2 of az ml, which is often confused with version 1.
    ("job",): (_TRAINING, _REGISTER),
    ("compute",): (_CLUSTERS, f"{_DEPLOY}, with --to docker for a container"),
    ("data",): (_DATA, "read the file in the script, or register it: mldeploy model register -n NAME -p FILE"),
    ("online-endpoint",): (_ENDPOINT, _DEPLOY),
    ("online-deployment",): (_ENDPOINT, _DEPLOY),
    ("batch-endpoint",): ("services answer requests; batch scoring is not in this version", _DEPLOY),
    ("batch-deployment",): ("services answer requests; batch scoring is not in this version", _DEPLOY),
}

# An option -> why it does not exist, what to do instead.
OPTION_ADVICE = {
    "--profile-input": (
        "what a profile recommends is not a limit of a service here",
        "give the limits themselves: --memory-gb-limit N and, with --engine docker, --cpu-cores-limit N",
    ),
    "--input-dataset-id": (_DATA, "give a file instead: --payload FILE"),
    "--image-digest": (
        "services are found by name, model and tag",
        "run: mldeploy service list --query \"[?imageDigest=='DIGEST']\"",
    ),
    "--output-metadata-file": ("the result goes to standard output", "write it to a file: --json > FILE"),
}
_SHORT_OPTIONS = {"--pi": "--profile-input", "--idi": "--input-dataset-id"}


def explain_v1_option(option: str, command: str) -> UsageError | None:
    """The error for an option of `az ml` that the command does not have; None for any other word."""
    advice = OPTION_ADVICE.get(_SHORT_OPTIONS.get(option, option))
    if advice is None:
        return None
    return UsageError(f"{option} is not an option of mldeploy {command}", why=advice[0], hint=advice[1])


def explain_v1(words: Sequence[str]) -> UsageError | None:
    """The error for words that begin with a command of `az ml` which does not exist here, or with `az`; else None."""
    if words[0] in ("az", "ml"):
        rest = list(words[1:])
        if words[0] == "az" and rest[:1] == ["ml"]:
            rest = rest[1:]
        typed = "az ml" if words[0] == "az" else "ml"
        why = "mldeploy replaces az ml"
        error = UsageError(f"{typed!r} is not a command", why=why, hint=f"run: mldeploy {shlex.join(rest) or '--help'}")
        return (explain_v1(rest) if rest else None) or error
    for length in (3, 2, 1):
        if (path := tuple(words[:length])) in ADVICE:
            why, hint = ADVICE[path]
            return UsageError(f"{' '.join(_command_words(words))!r} is not a command", why=why, hint=hint)
    return None


def _command_words(words: Sequence[str]) -> list[str]:
    """The words before the first option, at most three."""
    end = next((index for index, word in enumerate(words) if word.startswith("-")), len(words))
    return list(words[: min(end, 3)])
