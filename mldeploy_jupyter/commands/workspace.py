"""`mldeploy workspace ...` and `mldeploy prune`."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mldeploy_jupyter.commands.errors import UsageError
from mldeploy_jupyter.commands.formatting import listing, pairs, table
from mldeploy_jupyter.commands.grammar import Args, Command, Context, Param, Result
from mldeploy_jupyter.commands.python_code import call
from mldeploy_jupyter.core.errors import WorkspaceError
from mldeploy_jupyter.core.text import printable_line


def open_workspace(path: str | None, *, write: bool = False, announce: Callable[[str], None]) -> Any:
    """The workspace at `path` (a folder, or the name of a known one), or the one found upwards from here.

    With `write` a missing workspace is created, and `announce` gets a line that says so. Raises `WorkspaceError` when
    there is none to read.
    """
    from mldeploy_jupyter.api.workspace import Workspace

    if path is not None and "/" not in path and _is_name(path, write):
        return Workspace.get(name=path)
    try:
        workspace = Workspace.from_config(path)
    except WorkspaceError:
        if not write:
            raise
        workspace = Workspace(path=path)
    if write:
        workspace.make_folder(announce=announce)
    elif workspace.find_folder() is None:  # only v1's config.json exists
        raise WorkspaceError(
            f"the workspace {workspace.name} has nothing in it yet",
            why="its config.json was found, and no model was registered here",
            hint="run: mldeploy model register -n NAME -p FILE",
        )
    return workspace


def _is_name(word: str, write: bool) -> bool:
    """Whether `--path` means a known workspace of that name: no folder is called so, or one that is not a workspace.

    Such a folder would mean the workspace around it, which is not the one named.
    """
    from mldeploy_jupyter.core.workspace.folder import FOLDER, list_workspaces

    folder = Path(word)
    if not folder.exists():
        return True
    if write or folder.name in (".", "..", FOLDER) or (folder / FOLDER / "config.json").is_file():
        return False
    return any(known.config.name == word for known in list_workspaces())


def _details(workspace: Any) -> dict[str, Any]:
    return dict(workspace.get_details())


def create(context: Context, args: Args) -> Result:
    from mldeploy_jupyter.api.workspace import Workspace

    folder = args.folder or args.path or "."
    given = {
        "location": args.location,
        "store": args.store,
        "artifacts": args.artifacts,
        "friendly_name": args.friendly_name,
        "tags": pairs(args.tags, "--tags"),
    }
    if args.azure is not None:
        context.note("note: --sku and the options of Azure's resources are not used here; the workspace is a folder.")
    kwargs = {name: value for name, value in given.items() if value is not None}
    workspace = Workspace.create(args.name, path=folder, exist_ok=args.exist_ok, **kwargs)
    python = call("Workspace.create", repr(args.name), path=folder, **kwargs)
    return Result(
        workspace,
        f"Created the workspace {printable_line(workspace.name)}.\n{listing(_details(workspace))}",
        _details(workspace),
        python,
    )


def show(context: Context, args: Args) -> Result:
    workspace = context.workspace(args.folder or args.path)
    return Result(workspace, listing(_details(workspace)), _details(workspace), "Workspace.from_config().get_details()")


def update(context: Context, args: Args) -> Result:
    given = {
        "base_image": args.base_image,
        "image_registry": args.image_registry,
        "friendly_name": args.friendly_name,
        "description": args.description,
        "tags": pairs(args.tags, "--tags"),
    }
    changes = {name: value for name, value in given.items() if value is not None}
    if not changes:
        raise UsageError(
            "there is nothing to change",
            why="no option names a change",
            hint=f"for example: {context.command_line('workspace update --base-image python:{python}-slim')}",
        )
    workspace = context.workspace(args.folder or args.path)
    context.python = call("Workspace.from_config().update", **changes)
    details = dict(workspace.update(**changes))
    return Result(workspace, f"Updated {printable_line(workspace.name)}.\n{listing(details)}", details, context.python)


def list_(context: Context, args: Args) -> Result:
    from mldeploy_jupyter.core.workspace.folder import list_workspaces

    rows = [{"name": folder.config.name, "path": str(folder.root.parent)} for folder in list_workspaces()]
    text = (
        table([(row["name"], row["path"]) for row in rows], ("NAME", "FOLDER"))
        if rows
        else "No workspace is known yet."
    )
    return Result(
        rows, text, rows, "from mldeploy_jupyter.core.workspace.folder import list_workspaces; list_workspaces()"
    )


def delete(context: Context, args: Args) -> Result:
    workspace = context.workspace(args.folder or args.path)
    folder = workspace.find_folder().root
    context.python = "Workspace.from_config().delete()"
    if not args.yes:
        line = f"workspace delete {shlex.quote(args.folder)} --yes" if args.folder else "workspace delete --yes"
        count = len(workspace.models)
        raise UsageError(
            f"the workspace {printable_line(workspace.name)} is not deleted",
            why=f"deleting it removes {folder} with {count:,} model{'' if count == 1 else 's'}, and cannot be undone",
            hint=f"to confirm: {context.command_line(line)}",
        )
    name = workspace.name
    workspace.delete()
    text = f"Deleted the workspace {printable_line(name)}: {folder}"
    return Result(None, text, {"name": name, "path": str(folder)}, context.python)


def prune(context: Context, args: Args) -> Result:
    from mldeploy_jupyter.api.prune import prune as run_prune
    from mldeploy_jupyter.api.workspace import Workspace
    from mldeploy_jupyter.core.workspace.folder import find_workspace

    keep = 20 if args.keep_deployments is None else args.keep_deployments
    if keep < 0:
        raise UsageError(
            f"--keep-deployments cannot be {keep}",
            why="it must be a whole number of at least 0",
            hint="leave it out to keep 20",
        )
    try:
        workspace = context.workspace(args.path)
    except WorkspaceError as error:
        if not args.lost_services or args.path is not None or type(error) is not WorkspaceError or find_workspace():
            raise
        workspace = Workspace()  # lost services belong to no workspace
    options = {"keep_deployments": keep, "dry_run": args.dry_run, "unknown_files": args.unknown_files}
    options["lost_services"] = args.lost_services
    report = run_prune(workspace, **options)
    python = call(
        "prune",
        "ws",
        **{name: value for name, value in options.items() if value or name in ("keep_deployments", "dry_run")},
    )
    data = report.to_dict() if hasattr(report, "to_dict") else dict(vars(report))
    return Result(report, str(report), data, python)


_FOLDER = Param(
    "folder", (), "The workspace's folder. Found upwards from here when left out.", completion="file", metavar="FOLDER"
)
COMMANDS: tuple[Command, ...] = (
    Command(
        ("workspace", "create"),
        "Create a workspace in a folder (the current one when left out).\n\n"
        "It holds models and services. The first model register creates one if there is none.",
        (
            Param("folder", (), "The folder. The current one when left out.", completion="file", metavar="FOLDER"),
            Param("name", ("--name", "-n"), "The workspace's name. The folder's name when left out."),
            Param(
                "store", ("--store",), "The store's URL, such as postgresql+psycopg://host/name. SQLite when left out."
            ),
            Param(
                "artifacts", ("--artifacts",), "The artifacts' URL, such as abfs://container. A folder when left out."
            ),
            Param("exist_ok", ("--exist-ok",), "Accept an existing workspace.", "switch"),
            Param("friendly_name", ("--friendly-name", "-f"), "A name for people.", advanced=True),
            Param("tags", ("--tags", "-t", "--tag"), "Labels.", "list", metavar="KEY=VALUE", advanced=True),
            Param("location", ("--location", "-l"), "The Azure region, kept as in v1, but not used.", advanced=True),
            Param(
                "azure",
                (
                    *("--sku", "--storage-account", "--keyvault", "--application-insights", "--container-registry"),
                    *("--adb-workspace", "--cmk-keyvault", "--resource-cmk-uri", "--image-build-compute"),
                    "--primary-user-assigned-identity",
                ),
                "Accepted as in v1, but not used.",
                advanced=True,
            ),
            Param(
                "unused",
                ("--yes", "-y", "--no-wait", "--hbi-workspace"),
                "Accepted as in v1, but not used.",
                "switch",
                advanced=True,
            ),
        ),
        create,
        "workspace create . --name demo",
    ),
    Command(("workspace", "show"), "Show the workspace that commands here use.", (_FOLDER,), show, "workspace show"),
    Command(
        ("workspace", "update"),
        "Change settings of the workspace.",
        (
            _FOLDER,
            Param(
                "base_image",
                ("--base-image",),
                "The base image of services that name none; {python} stands for the version. '' restores the default.",
                metavar="IMAGE",
            ),
            Param(
                "image_registry",
                ("--image-registry",),
                "Where images are pushed, such as registry.example:5000/team. '' for nowhere.",
                metavar="REGISTRY",
            ),
            Param("friendly_name", ("--friendly-name", "-f"), "A name for people."),
            Param("description", ("--description", "-d"), "What the workspace is for."),
            Param("tags", ("--tags", "-t", "--tag"), "Replace all of its labels.", "list", metavar="KEY=VALUE"),
        ),
        update,
        "workspace update --base-image registry.example/python:{python}-slim",
    ),
    Command(("workspace", "list"), "List your workspaces.", (), list_, "workspace list"),
    Command(
        ("workspace", "delete"),
        "Delete a workspace: its folder .mldeploy, with its models.\n\n"
        "Refused while it has services. A store or artifacts elsewhere stay.",
        (
            _FOLDER,
            Param("yes", ("--yes", "-y"), "Delete it. Without it, nothing is deleted.", "switch"),
            Param(
                "unused", ("--all-resources", "--no-wait"), "Accepted as in v1, but not used.", "switch", advanced=True
            ),
        ),
        delete,
        "workspace delete --yes",
    ),
    Command(
        ("prune",),
        "Remove old deployments, and files and environments that nothing uses.",
        (
            Param(
                "keep_deployments",
                ("--keep-deployments",),
                "How many deployments of each service to keep, besides the live one. Default 20.",
                "integer",
                metavar="N",
            ),
            Param("dry_run", ("--dry-run",), "Only report what would be removed.", "switch"),
            Param(
                "unknown_files",
                ("--unknown-files",),
                "Also remove files of the last week that are unknown to this store but may be known to a backup of it.",
                "switch",
            ),
            Param(
                "lost_services",
                ("--lost-services",),
                "Also end services in containers whose workspace's folder was deleted.",
                "switch",
            ),
        ),
        prune,
        "prune --dry-run",
    ),
)
