"""Writes the reference pages that are generated from the code: `python -m tests.unit.docs.generate`.

A test fails when one of them is stale.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from mldeploy_jupyter.commands import COMMANDS, COMMON, Command, Param, usage
from mldeploy_jupyter.commands import command as command_of
from mldeploy_jupyter.commands.options.settings import CONFIG_PARAMS
from mldeploy_jupyter.core import errors
from mldeploy_jupyter.core.configs import SPECS, ConfigSpec, DeployConfig, Field, describe
from mldeploy_jupyter.core.configs.signature import bounds_of
from mldeploy_jupyter.notebook.magics import magics
from mldeploy_jupyter.notebook.session import Session

ROOT = Path(__file__).parents[3]
REFERENCE = ROOT / "docs" / "reference"
PACKAGE = ROOT / "mldeploy_jupyter"
MADE = "<!-- Made by `python -m tests.unit.docs.generate`. Change the code, not this page. -->"
SETTINGS = {param.name for param in CONFIG_PARAMS}


def table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> list[str]:
    def line(cells: Iterable[str]) -> str:
        return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"

    head = list(head)
    return [line(head), "|" + "---|" * len(head), *(line(row) for row in rows)]


# The command line and the magics ---------------------------------------------------------------------------------


def option_rows(params: Iterable[Param]) -> list[list[str]]:
    rows = []
    for param in params:
        shown = ", ".join(f"`{flag}`" for flag in param.flags) or f"`{param.placeholder}`"
        kind = ", ".join(f"`{choice}`" for choice in param.choices) or {
            "switch": "",
            "toggle": "`true` or `false`",
            "list": "several",
        }.get(param.kind, param.kind)
        rows.append([shown, kind, param.doc + (" Required." if param.required else "")])
    return rows


def command_lines(item: Command, heading: str, text: str, params: list[Param], prefix: str) -> list[str]:
    lines = ["", f"## {heading}", "", *text.splitlines(), "", "```text", usage(item, prefix), "```"]
    if item.example:
        lines[-1:] = [f"example: {prefix}{item.example}", "```"]
    if params:
        lines += ["", *table(("option", "value", "meaning"), option_rows(params))]
    return lines


def cli() -> str:
    lines = ["# The command line", "", MADE, ""]
    lines += [
        "Every command of `mldeploy`. In a notebook, `%mldeploy` runs them, too; [magics](magics.md) are shorter.",
        "",
    ]
    lines += table(("command", "what it does"), ([f"`{item.name}`", item.summary] for item in COMMANDS))
    lines += [
        "",
        "Exit codes: 0 ok, 1 an error, 2 wrong usage, 3 an inconclusive latency run, 130 interrupted. "
        "`mldeploy --version` prints the version.",
    ]
    lines += ["", "## Options of every command", "", *table(("option", "value", "meaning"), option_rows(COMMON))]
    for item in COMMANDS:
        params = [param for param in item.params if param.name not in SETTINGS]
        lines += command_lines(item, f"mldeploy {item.name}", item.doc, params, "mldeploy ")
        if len(params) < len(item.params):
            lines += ["", "And every [setting of the target](deploy-configuration.md), by its flag."]
    return "\n".join(lines) + "\n"


def magics_page() -> str:
    lines = ["# Magics", "", MADE, "", "Load them with `%load_ext mldeploy_jupyter`. `%NAME?` shows the help.", ""]
    lines += ["Common options, such as `--show-python` and `--json`, are those of [the command line](cli.md).", ""]
    table_of = magics(Session(None))
    rows = []
    for magic in table_of:
        names = [f"`%{magic.name}`"] if magic.kind != "cell" else []
        names += [f"`%%{magic.name}`"] if magic.kind != "line" else []
        text = (magic.command.doc if magic.command else "Run any command of the command line.").replace("\n", " ")
        summary = text.split(". ")[0].rstrip(".") + "."
        rows.append([", ".join(names), f"`mldeploy {magic.covers}`" if magic.covers else "", summary])
    lines += table(("magic", "the same command in a shell", "what it does"), rows)
    for magic in table_of:
        if magic.command is None:
            lines += ["", f"## %{magic.name}", "", "```text", *magic.doc.splitlines(), "```"]
            continue
        base = {param.name: param for param in command_of(*magic.covers.split()).params} if magic.covers else {}
        params = [param for param in magic.command.params if base.get(param.name) != param]
        sign = "%%" if magic.kind == "cell" else "%"
        lines += command_lines(magic.command, sign + magic.name, magic.command.doc, params, sign)
        if len(params) < len(magic.command.params):
            same = [param for param in magic.command.params if base.get(param.name) == param]
            names = [f"`{param.display_name}`" for param in same if param.name not in SETTINGS]
            names += ["every setting of the target"] if any(param.name in SETTINGS for param in same) else []
            lines += ["", f"As in [`mldeploy {magic.covers}`](cli.md): {', '.join(names)}."]
    return "\n".join(lines) + "\n"


# The settings of the targets ----------------------------------------------------------------------------------------

# Settings that break each rule across several settings; the page shows the message they give.
BROKEN: dict[str, list[dict[str, Any]]] = {
    "Local": [
        {"secondary_key": "second-key"},
        {"environment_variables": {"N": 1}},
        {"environment_variables": {"A=B": "1"}},
        {"allowed_hosts": ["https://app.example.com"]},
        {"sample_headers": {"X Tenant": "a"}},
        {"sample_headers": {"Host": "a"}},
        {"sample_headers": {"X-Tenant": "a\nb"}},
        {"auth_enabled": True, "token_auth_enabled": True},
        {"engine": "process", "cpu_cores_limit": 2},
    ],
    "ACI": [
        {"ssl_enabled": True},
        {"ssl_enabled": True, "ssl_cert_pem_file": "no.pem", "ssl_key_pem_file": "no.key", "ssl_cname": "a.example"},
        {"secondary_key": "second-key"},
        {"cmk_vault_base_url": "https://vault.example"},
        {"vnet_name": "net"},
    ],
    "AKS": [
        {"autoscale_enabled": True, "num_replicas": 2},
        {"autoscale_enabled": False},
        {"autoscale_min_replicas": 2},
        {"autoscale_enabled": True, "autoscale_min_replicas": 4, "autoscale_max_replicas": 2},
        {"cpu_cores": 2, "cpu_cores_limit": 1},
        {"memory_gb": 2, "memory_gb_limit": 1},
        {"auth_enabled": True, "token_auth_enabled": True},
        {"secondary_key": "second-key"},
    ],
}
BROKEN["AKSENDPOINT"] = BROKEN["AKS"]
PROSE = {
    "Local": "This machine, as a process or in a container. The only target that this version deploys to.",
    "ACI": "Azure Container Instances. The settings are checked; deploying there is not in this version.",
    "AKS": "Kubernetes. The settings are checked; deploying there is not in this version.",
    "AKSENDPOINT": "One version of an endpoint on Kubernetes: every setting of AksWebservice, and these. "
    "Deploying there is not in this version.",
}


def check_of(field: Field) -> str:
    return bounds_of(field) or (field.rule[:1].upper() + field.rule[1:] + "." if field.rule else "")


def default_of(field: Field) -> str:
    if field.default is None:
        return "none"
    return f"`{field.default!r}`" + (" (depends on others)" if field.derive else "")


def target_lines(spec: ConfigSpec) -> list[str]:
    lines = ["", f"## {spec.service_class}", "", PROSE[spec.compute_type]]
    lines += [f"In a file: `computeType: {spec.compute_type}`."]
    known = {field.name for field in SPECS["AKS"].fields} if spec.compute_type == "AKSENDPOINT" else set()
    rows = [
        [
            f"`{f.name}`",
            f.kind,
            default_of(f),
            f"{f.doc} {check_of(f)}".strip(),
            f"`{f.file}`" if f.file else "",
            f"`{max(f.flags, key=len)}`",
        ]
        for f in spec.fields
        if f.name not in known
    ]
    lines += ["", *table(("parameter", "type", "default", "meaning and check", "in the file", "flag"), rows)]
    if spec.compute_type == "AKSENDPOINT":
        return lines
    lines += ["", "Checks across settings, by example:", ""]
    shown = []
    for passed in BROKEN[spec.compute_type]:
        words = ", ".join(f"{name}={value!r}" for name, value in passed.items())
        shown += [[f"`{words}`", "; ".join(describe(v) for v in DeployConfig(spec.compute_type, passed).violations())]]
    return [*lines, *table(("passed", "refused with"), shown)]


def deploy_configuration() -> str:
    lines = ["# Deploy configurations", "", MADE, ""]
    lines += [
        "A target's settings: parameters of `deploy_configuration(...)`, keys of `deploymentconfig.json` (or YAML),",
        "and options of `mldeploy model deploy`. An option overrides the file. A setting that you leave out gets the",
        "default at the target; only what you pass is checked. One `ConfigError` names everything that is wrong.",
        "",
        "Every target requires a key by default, including the local one. Keys are never shown or kept in a record.",
    ]
    for spec in SPECS.values():
        lines += target_lines(spec)
    return "\n".join(lines) + "\n"


# Causes and errors --------------------------------------------------------------------------------------------------

MEANING = {
    "base-musl": "the base image has musl as its C library (Alpine), and packages are built for glibc",
    "base-no-apt": "system packages are asked for, and the base image has no apt-get",
    "base-no-libc": "the base image has no C library that was recognised",
    "base-no-shell": "the base image has no `/bin/sh`, which the steps of a build need",
    "base-not-linux": "the base image is for another system than Linux",
    "base-old-libc": "the base image's C library is older than packages are built for",
    "base-silent": "the check of the base image did not finish in time",
    "build-step-failed": "a step of the image's build failed: a package, a certificate, a tool or your own line",
    "bundle-damaged": "the bytes of a registered file changed on the disk",
    "busy": "another deployment is changing the service",
    "cancelled": "the deployment was cancelled",
    "container-exited": "the service's container ended before the service was ready",
    "contract": "the script cannot serve: no `init()` or `run()`, parameters that cannot be passed, or a `yield`",
    "engine-absent": "no container engine answers on this machine, or at DOCKER_HOST",
    "engine-context": "the chosen Docker context is not there, or its engine does not answer",
    "engine-error": "the container engine refused; its own words say why",
    "engine-lost": "the container engine was stopped or restarted in the middle",
    "engine-not-linux": "the container engine runs Windows containers",
    "engine-permission": "this user may not use the container engine's socket",
    "engine-remote": "the container engine is on another machine",
    "engine-silent": "the container engine takes connections and does not answer",
    "engine-tls": "the certificates for the container engine are missing or damaged",
    "engine-too-old": "the container engine is too old",
    "exited": "the script ended the process, as `sys.exit()` does",
    "file-missing": "a file that the script opens was not shipped",
    "global-missing": "`init()` assigns a name without `global`",
    "helper-missing": "a module beside the script was not shipped",
    "import-raised": "the script raised while it was imported",
    "init-raised": "`init()` raised, and no other rule knows why",
    "init-timeout": "`init()` took longer than `init_timeout`",
    "interpreter-failed": "the service's Python did not start",
    "environment-variable": "an environment variable of the service, such as PYTHONHOME, keeps Python from starting",
    "killed": "a signal ended the worker",
    "memory-limit": "a worker used more private memory than `memory_gb_limit` allows",
    "model-corrupt": "the model file is damaged, truncated, or of another format",
    "model-file-missing": "the script opens a model file, or asks for a model, that is not there",
    "model-from-notebook": "the pickle needs a class that exists only in the notebook",
    "model-version": "the model was saved by other versions of its libraries",
    "module-missing": "an import is not installed in the service's environment",
    "name-error": "the script uses a name that it defines nowhere, or not yet",
    "no-image": "an image is not there, or its registry does not say so to strangers",
    "no-space": "the disk of the container engine is full",
    "notebook-name": "the script uses a name that exists only in the notebook",
    "out-of-memory": "memory ran out; the system says so",
    "out-of-memory-probably": "the worker was killed and the system does not say why; usually memory ran out",
    "port-in-use": "another process listens on the port",
    "registry-away": "a registry cannot be reached",
    "registry-busy": "a registry limits requests and asks to wait",
    "registry-certificate": "the engine does not trust a registry's certificate",
    "registry-refused": "a registry wants a login, or refuses the one it got",
    "replay-failed": "the new version failed on the last request of the old one, with `--replay`",
    "sample-failed": "the sample was not scored, or the new version did not answer",
    "sklearn-externals": "`from sklearn.externals import six` and the like, which no longer exist",
    "syntax-error": "the script is not Python",
    "text-as-data": "the script takes the body of a request for data, and does not parse it",
    "text-as-file": "the script opens the body of a request as if it were the name of a file",
    "wrong-architecture": "an image is not for the engine's architecture",
    "worker-lost": "a worker ended before it got traffic",
}
SNAPSHOT = ROOT / "tests" / "unit" / "core" / "diagnosis" / "__snapshots__" / "test_rules.ambr"


def cause_examples() -> dict[str, tuple[str, str]]:
    """The first example of each code that the tests pin: its name and its lines."""
    found: dict[str, tuple[str, str]] = {}
    for match in re.finditer(r"^# name: \w+\[(.+?)\]\n  '''\n(.*?)^  '''$", SNAPSHOT.read_text(), re.M | re.S):
        code, _, text = "\n".join(line[2:] for line in match[2].splitlines()).partition("\n")
        found.setdefault(code.strip("[]"), (match[1], text.strip("\n").rstrip()))
    return found


def causes() -> str:
    lines = ["# Causes", "", MADE, ""]
    lines += [
        'The codes of [causes](../concepts/causes.md), for `service.error["code"]` and the journal.',
        "A failure that no rule recognises keeps its own code and message.",
        "",
        *table(("code", "what it is"), ([f"[`{code}`](#{code})", text] for code, text in MEANING.items())),
        "",
        "An example of each follows. `>` marks the line at fault, in the cell as it was run.",
    ]
    examples = cause_examples()
    for code in MEANING:
        lines += ["", f"## {code}", ""]
        if code in examples:
            name, text = examples[code]
            lines += [f"Example: {name}.", "", "```text", text, "```"]
        else:
            lines += [f"{MEANING[code][:1].upper()}{MEANING[code][1:]}."]
    return "\n".join(lines) + "\n"


TREE = re.compile(r"^\s+((?:\|\s+)*(?:\+-- )?)(\w+)\s+(.+)$")


def error_rows() -> list[list[str]]:
    rows = []
    for line in (errors.__doc__ or "").splitlines():
        match = TREE.match(line)
        kind = getattr(errors, match[2], None) if match else None
        if match and kind is not None:
            depth = line.index("+--") // 4 if "+--" in line else 0
            rows.append([("&nbsp;&nbsp;" * depth) + f"`{match[2]}`", f"`{kind.code}`", match[3]])
    return rows


def other_codes() -> list[str]:
    classes = {kind.code for kind in vars(errors).values() if isinstance(kind, type) and hasattr(kind, "code")}
    found = set()
    for path in PACKAGE.rglob("*.py"):
        found |= set(re.findall(r'\bcode(?:: str)? ?= ?"([A-Z][A-Za-z]+)"', path.read_text()))
    return sorted(found - classes)


def errors_page() -> str:
    lines = ["# Errors", "", MADE, ""]
    lines += [
        "Every error raised on purpose is a `MldeployError`, from `mldeploy_jupyter.core.errors`. It prints as three",
        "lines: `error:`, `cause:`, `hint:`. The hint names the next command or call. A traceback is a defect:",
        "please report it.",
        "",
        "Attributes: `what`, `why`, `hint`, `where`, `code` (stable, for machines), `message` (one line, as in v1),",
        "and `as_dict()`. Indented classes are subclasses of the one above them.",
        "",
        *table(("class", "code", "when"), error_rows()),
        "",
        "Some errors carry a code of their own: " + ", ".join(f"`{code}`" for code in other_codes()) + ".",
        "",
        "More attributes: `DeploymentInProgress.deployment_id`; `DeploymentFailed.cause`, whose code is one of",
        "[the causes](causes.md), and `.deployment_id`; `ScoringError.status_code`, `.body` and `.request_id`;",
        "`EntryScriptError.line`, `.column` and `.text`; `ConfigViolations.violations`.",
        "",
        "The scoring server answers errors over HTTP in [a form of its own](http.md).",
    ]
    return "\n".join(lines) + "\n"


PAGES: dict[str, Callable[[], str]] = {
    "cli.md": cli,
    "magics.md": magics_page,
    "deploy-configuration.md": deploy_configuration,
    "causes.md": causes,
    "errors.md": errors_page,
}


def main() -> None:
    for name, make in PAGES.items():
        (REFERENCE / name).write_text(make())
        print(f"wrote docs/reference/{name}")


if __name__ == "__main__":
    main()
