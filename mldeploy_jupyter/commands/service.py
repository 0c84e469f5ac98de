"""`mldeploy service ...`: the commands for existing services, except `service update`."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mldeploy_jupyter.commands.errors import UsageError
from mldeploy_jupyter.commands.formatting import listing, revision_table, split_filters, table, target_word
from mldeploy_jupyter.commands.grammar import Args, Command, Context, Param, Result
from mldeploy_jupyter.commands.lookup import all_services, find_service, find_service_anywhere
from mldeploy_jupyter.commands.options import REPLAY, TARGETS
from mldeploy_jupyter.commands.python_code import call
from mldeploy_jupyter.commands.waiting import (
    TIMEOUT,
    WAIT,
    check_waiting,
    finish,
    follow,
    going_on,
    interrupted,
    service_result,
)
from mldeploy_jupyter.core.errors import WorkspaceError
from mldeploy_jupyter.core.text import clean, json_text

NAME = Param("name", ("--name", "-n"), "The service's name.", required=True, positional=True, completion="service")


def list_services(context: Context, args: Args) -> Result:
    from mldeploy_jupyter.api.webservices import Webservice
    from mldeploy_jupyter.api.webservices.overview import read_overviews
    from mldeploy_jupyter.core.workspace.folder import find_workspace

    everywhere = args.all
    try:
        workspace = None if everywhere else context.workspace(args.path)
    except WorkspaceError as error:
        # Without a workspace here, list the services of all workspaces. A broken workspace stays an error.
        if args.path is not None or type(error) is not WorkspaceError or find_workspace() is not None:
            raise
        workspace, everywhere = None, True
    services = all_services(context, args.path) if workspace is None else Webservice.list(workspace)
    overviews = [read for read in read_overviews(services) if _matches(read.data, args)]
    services = [read.service for read in overviews]
    workspaces = {id(service.workspace): service.workspace for service in services}
    places = {key: str(workspace.folder.root.parent) for key, workspace in workspaces.items()}
    rows = []
    for read in overviews:
        row = [read.service.name, read.shown_state, target_word(read.data), read.data["scoringUri"]]
        rows.append([*row, places[id(read.service.workspace)]] if everywhere else row)
    head = ("NAME", "STATE", "TARGET", "SCORING URI", *(("WORKSPACE",) if everywhere else ()))
    text = table(rows, head) if rows else "No services. Deploy one with: mldeploy model deploy"
    data = [_add_folder(read.data, places[id(read.service.workspace)]) for read in overviews]
    return Result(services, text, data, "Webservice.list(ws)")


def _add_folder(data: dict[str, Any], place: str) -> dict[str, Any]:
    """A service's data for `--json`, with the folder of its workspace: names of workspaces may repeat."""
    return {**data, "workspacePath": place}


def _matches(service: dict[str, Any], args: Args) -> bool:
    """Whether the service, as data, passes the filters of `service list`."""
    from mldeploy_jupyter.api.tag_filters import matches, parse_filter

    if args.compute_type and service["computeType"].lower() != args.compute_type.lower():
        return False
    models = service["models"]
    if args.model_id and args.model_id not in models:
        return False
    if args.model_name and not any(model.partition(":")[0] == args.model_name for model in models):
        return False
    tags, properties = split_filters(args.tag), split_filters(args.property)
    return matches(service["tags"] or {}, parse_filter("tags", tags)) and matches(
        service["properties"] or {}, parse_filter("properties", properties)
    )


def show(context: Context, args: Args) -> Result:
    service = find_service_anywhere(context, args)
    data, revisions = service.serialize(), service.revisions
    text = listing({**data, "state": service.shown_state})  # the state of `service list`; data has v1's
    text = f"{text}\n\n{revision_table(revisions)}" if revisions else text
    python = call("Webservice", "ws", repr(service.name))
    place = str(service.workspace.folder.root.parent)
    return Result(service, text, {**_add_folder(data, place), "revisions": revisions}, python)


def run(context: Context, args: Args) -> Result:
    data = _read_input(context, args)
    service = find_service_anywhere(context, args, beyond_workspace=False)
    context.python = call("service.run", repr(data))
    answer = service.run(data)
    text = answer if isinstance(answer, str) else json_text(answer)
    return Result(answer, text, answer, context.python, "data")


def _read_input(context: Context, args: Args) -> Any:
    """The body to score: from the command line, a file or standard input. Bytes when it is not UTF-8."""
    given = [value for value in (args.input_data, args.data) if value is not None]
    if len(given) != 1:
        why = "no input is given" if not given else "--input-data and --data are both given"
        hint = f"for example: mldeploy service run {args.name} -d '{{\"data\": [[1.0, 2.0]]}}'"
        raise UsageError("mldeploy service run needs one input", why=why, hint=hint)
    if args.data is None and not args.input_data.startswith("@"):
        _refuse_file_name(args.input_data)
        return context.stdin.read() if args.input_data == "-" else args.input_data
    name = args.data if args.data is not None else args.input_data[1:]
    if name == "-":
        return context.stdin.read()
    try:
        raw = Path(name).read_bytes()
    except OSError as error:
        raise UsageError(
            f"{name} cannot be read",
            why=(error.strerror or str(error)).lower(),
            hint="check the path and run the command again",
        ) from None
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return raw


_DATA_FILES = {
    "json",
    "jsonl",
    "ndjson",
    "csv",
    "tsv",
    "txt",
    "parquet",
    "npy",
    "png",
    "jpg",
    "jpeg",
    "wav",
    "pdf",
    "bin",
}


def _refuse_file_name(text: str) -> None:
    """Raises `UsageError` for what can only be the name of a file where the input itself is expected.

    A number such as 1.5 is input.
    """
    if not re.fullmatch(r"[^\s{\[\"]+\.[A-Za-z0-9]{1,8}", text):
        return
    if os.path.isfile(text):
        raise UsageError(
            f"-d takes the input itself, and {text} is a file",
            why="a file is marked with @",
            hint=f"did you mean -d @{text}? To send these words as they are, pipe them in with -d -",
        )
    if text.rpartition(".")[2].lower() in _DATA_FILES:
        from difflib import get_close_matches

        near = get_close_matches(text, os.listdir(), n=1)
        raise UsageError(
            f"-d takes the input itself, and {text} looks like the name of a file",
            why="a file is marked with @, and there is none of this name here",
            hint=f"did you mean -d @{near[0]}?"
            if near
            else f"write -d @FILE; to send {text} itself, pipe it in with -d -",
        )


def get_logs(context: Context, args: Args) -> Result:
    if args.follow and context.json:
        raise UsageError(
            "--follow and --json exclude each other",
            why="a log that is followed is not a single document",
            hint="leave one of them out",
        )
    lines = 5000 if args.num_lines is None else args.num_lines
    if lines < 0:
        raise UsageError(f"--num-lines cannot be {lines}", why="it must be at least 0", hint="leave it out for 5000")
    if args.init:
        context.note("note: --init is accepted as in v1; init() writes to the same log.")
    service = find_service_anywhere(context, args)
    if args.follow:
        try:
            given = {} if args.num_lines is None else {"num_lines": lines}
            for line in service.follow_logs(**given, timestamps=args.timestamps):
                line = line.rstrip("\n")
                context.out.write((clean(line) if context.out.isatty() else line) + "\n")
                context.out.flush()
        except KeyboardInterrupt:
            context.note("Stopped following; the service continues.")
        return Result(service, "", None, call("service.follow_logs", num_lines=args.num_lines))
    text = service.get_logs(num_lines=lines, timestamps=args.timestamps or context.json)
    data = {"name": service.name, "workspacePath": str(service.workspace.folder.root.parent), "logs": text}
    if context.json:
        data["entries"] = service.log_entries(lines)
    return Result(text, text.rstrip("\n"), data, call("service.get_logs", num_lines=lines), "log")


def get_keys(context: Context, args: Args) -> Result:
    service = find_service(context, args)
    primary, secondary = service.get_keys()
    data = {"primaryKey": primary, "secondaryKey": secondary}
    return Result((primary, secondary), f"primary:   {primary}\nsecondary: {secondary}", data, "service.get_keys()")


def get_access_token(context: Context, args: Args) -> Result:
    token = find_service(context, args).get_access_token()
    data = token.serialize()
    text = (
        f"token:         {token.access_token}\nrefresh after: {data['refreshAfter']}\nexpires:       {data['expiryOn']}"
    )
    return Result(token, text, data, "service.get_access_token()")


def regen_key(context: Context, args: Args) -> Result:
    word = args.key.capitalize()
    if word not in ("Primary", "Secondary", "Token"):
        raise UsageError(
            f"--key cannot be {args.key!r}", why="it must be primary, secondary or token", hint="write --key primary"
        )
    service = find_service(context, args)
    if args.set_key is None:
        service.regen_key(word)
    else:
        service.regen_key(word, set_key=args.set_key)
    # Only get-keys and get-access-token print secrets.
    show_with = context.command_line(f"service get-keys {service.name}")
    text = f"Made a new {word.lower()} key for {service.name}. See it with: {show_with}"
    if word == "Token":
        show_with = context.command_line(f"service get-access-token {service.name}")
        text = f"The tokens that {service.name} gave before no longer work. Get a new one with: {show_with}"
    return Result(service, text, {"name": service.name, "key": word}, call("service.regen_key", repr(word)))


def wait(context: Context, args: Args) -> Result:
    try:
        service = find_service_anywhere(context, args)
    except KeyboardInterrupt:
        raise interrupted(context, args.name) from None
    follow(context, service, args.timeout_sec)
    python = call("service.wait_for_deployment", show_output=True, timeout_sec=args.timeout_sec)
    return service_result(service, python)


def rollback(context: Context, args: Args) -> Result:
    check_waiting(args)
    service = find_service(context, args)
    python = call("service.rollback", **({"revision": args.revision} if args.revision else {}))
    with going_on(context, service.name):
        service.rollback(args.revision, detached=context.detached)  # says where it goes back to
        return finish(context, args, service, python)


def reload(context: Context, args: Args) -> Result:
    check_waiting(args)
    service = find_service(context, args)
    with going_on(context, service.name):
        service.reload(replay=args.replay, detached=context.detached)
        return finish(context, args, service, call("service.reload", replay=args.replay or None))


def cancel(context: Context, args: Args) -> Result:
    service = find_service(context, args)
    id = service.record.deployment_id
    cancelled = service.cancel()
    ended = service.workspace.folder.open_store().get_deployment(id)
    state = ended.state if cancelled and ended is not None else ""
    text = f"Cancelled the deployment of {service.name}"
    if not cancelled:
        text = f"{service.name} has no deployment under way"
    elif state == "running":
        wait = context.command_line(f"service wait {service.name}")
        text = f"The deployment of {service.name} was told to stop and has not ended yet. Follow it with: {wait}"
    elif state != "cancelled":
        text = f"The deployment of {service.name} had ended before it was cancelled: it is {state}"
    data = {"name": service.name, "cancelled": bool(cancelled), **({"state": state} if state else {})}
    return Result(cancelled, text, data, "service.cancel()")


def delete(context: Context, args: Args) -> Result:
    service = find_service(context, args)
    name = service.name
    service.delete()
    return Result(None, f"Deleted {name}", {"name": name, "deleted": True}, "service.delete()")


def _make_action(method: str, doing: str, done: str) -> Callable[[Context, Args], Result]:
    """A command that calls a method of the service.

    `done` begins its text, such as `Stopped`. `doing` begins the line shown meanwhile: a start may take as long as
    `init()`, and a stop as long as the requests under way.
    """

    def act(context: Context, args: Args) -> Result:
        service = find_service(context, args)
        if context.isatty and not context.json:
            context.note(f"{doing} {service.name} ...")
        getattr(service, method)()
        return Result(service, f"{done} {service.name}", service.serialize(), f"service.{method}()")

    return act


COMMANDS: tuple[Command, ...] = (
    Command(
        ("service", "list"),
        "List services. From a folder without a workspace: those of all your workspaces.",
        (
            Param("all", ("--all", "--all-workspaces", "-a"), "The services of all your workspaces.", "switch"),
            Param("compute_type", ("--compute-type", "-c"), "Only services of this target.", choices=tuple(TARGETS)),
            Param("model_id", ("--model-id",), "Only services with this model, name:version.", completion="model id"),
            Param("model_name", ("--model-name",), "Only services with a version of this model.", completion="model"),
            Param("tag", ("--tag",), "Only services with these tags.", "list", metavar="KEY=VALUE"),
            Param("property", ("--property",), "Only services with these properties.", "list", metavar="KEY=VALUE"),
        ),
        list_services,
        "service list --all",
    ),
    Command(("service", "show"), "Show a service and its revisions.", (NAME,), show, "service show churn"),
    Command(
        ("service", "run"),
        "Score data with a service.\n\nIt waits for a deployment under way, and sends a key of the service.",
        (
            NAME,
            Param(
                "input_data",
                ("--input-data", "-d"),
                "The request's body. @FILE reads it from a file, - from standard input.",
            ),
            Param(
                "data",
                ("--data",),
                "The file with the request's body; - is standard input.",
                completion="file",
                metavar="FILE",
            ),
        ),
        run,
        "service run churn -d '{\"data\": [[1.0, 2.0]]}'",
    ),
    Command(
        ("service", "get-logs"),
        "Print a service's log.",
        (
            NAME,
            Param(
                "num_lines",
                ("--num-lines", "--num_lines", "-l"),
                "How many lines from the end. Default 5000, with --follow 20.",
                "integer",
                metavar="N",
            ),
            Param("follow", ("--follow", "-f"), "Follow the log until Ctrl-C.", "switch"),
            Param(
                "timestamps",
                ("--timestamps",),
                "The whole time, process id and request id before every line. --json has the entries as data.",
                "switch",
            ),
            Param(
                "init", ("--init", "-i"), "Accepted as in v1; init() writes to the same log.", "switch", advanced=True
            ),
        ),
        get_logs,
        "service get-logs churn -f",
    ),
    Command(("service", "get-keys"), "Print a service's keys.", (NAME,), get_keys, "service get-keys churn"),
    Command(
        ("service", "get-access-token"),
        "Print a new token of a service.\n\nFor a service with --token-auth-enabled. It is valid for an hour.",
        (NAME,),
        get_access_token,
        "service get-access-token churn",
    ),
    Command(
        ("service", "regen-key"),
        "Make a new key; the old one stops working.\n\nThe other key stays valid, and nothing is restarted. With token "
        "every token issued so far stops working.",
        (
            NAME,
            Param("key", ("--key", "-k"), "Which one to replace.", required=True, metavar="primary|secondary|token"),
            Param("set_key", ("--set-key", "-s"), "The new key. Generated when left out."),
        ),
        regen_key,
        "service regen-key churn -k primary",
    ),
    Command(
        ("service", "start"),
        "Start a stopped service with the revision it had.",
        (NAME,),
        _make_action("start", "Starting", "Started"),
        "service start churn",
    ),
    Command(
        ("service", "stop"),
        "Stop a service; it can be started again.\n\nIt keeps its revisions, keys and port.",
        (NAME,),
        _make_action("stop", "Stopping", "Stopped"),
        "service stop churn",
    ),
    Command(
        ("service", "reload"),
        "Read the entry script and its files again.\n\nThe old version serves until the new one answers.",
        (NAME, REPLAY, *WAIT),
        reload,
        "service reload churn",
    ),
    Command(
        ("service", "rollback"),
        "Go back to an older revision.\n\nservice show lists the revisions; you can go back to those that are kept.",
        (
            NAME,
            Param(
                "revision",
                ("--revision",),
                "The revision's number. The last one that was live when left out.",
                "integer",
                completion="revision",
                metavar="N",
            ),
            *WAIT,
        ),
        rollback,
        "service rollback churn",
    ),
    Command(
        ("service", "cancel"),
        "Cancel the deployment under way; the old version keeps serving.\n\nIt waits up to 5 seconds for its end.",
        (NAME,),
        cancel,
        "service cancel churn",
    ),
    Command(
        ("service", "delete"),
        "Delete a service: its processes, keys and revisions. The models stay.",
        (NAME,),
        delete,
        "service delete churn",
    ),
    Command(
        ("service", "wait"),
        "Follow the deployment under way until it ends.\n\nWithout one it reports how the last one ended.",
        (NAME, TIMEOUT),
        wait,
        "service wait churn",
    ),
)
