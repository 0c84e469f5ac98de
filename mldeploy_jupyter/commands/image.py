"""`mldeploy image ...`: container images of models and a script, and those that services run from."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from mldeploy_jupyter.commands.deploy import (
    MODEL_PARAMS,
    default_models,
    names_models,
    read_inference_config,
    read_models,
)
from mldeploy_jupyter.commands.errors import UsageError
from mldeploy_jupyter.commands.formatting import listing, table
from mldeploy_jupyter.commands.grammar import Args, Command, Context, Param, Result
from mldeploy_jupyter.commands.options import INFERENCE_PARAMS
from mldeploy_jupyter.commands.python_code import call
from mldeploy_jupyter.core.text import format_size

if TYPE_CHECKING:
    from mldeploy_jupyter.api.models.package import ModelPackage
    from mldeploy_jupyter.deployment.images.registries import ListedImage, Pushed

DOING = "Building an image with"

SHORT = 12  # characters of an image's id that are shown, as by docker


def build(context: Context, args: Args) -> Result:
    from mldeploy_jupyter.api.models import Model

    models = read_models(args) if names_models(args) else default_models(context, args, DOING, "the image")
    if not models and not names_models(args) and context.default_models is None:
        context.note(f"{DOING} no model (name one with -m)")  # nothing runs init(), which would miss it
    inference = read_inference_config(context, args, models, "the image's server")
    workspace = context.workspace(args.path, write=True)
    if args.into is not None and not args.dockerfile:
        raise UsageError(
            "--folder goes with --dockerfile only",
            why="an image is kept by the engine or a registry",
            hint="write it into a file with mldeploy image export",
        )
    given = {
        "generate_dockerfile": args.dockerfile or None,
        "image_name": args.name,
        "image_label": args.label,
        "builder": args.builder,
    }
    lines = [f"package = {call('Model.package', 'ws', repr(models), 'inference_config', **given)}"]
    lines.append("package.wait_for_creation(show_output=True)")
    lines += [call("package.save", repr(args.into))] if args.into is not None else []
    context.python = "\n".join(lines)
    package = Model.package(
        workspace,
        models,
        inference,
        generate_dockerfile=args.dockerfile,
        image_name=args.name,
        image_label=args.label,
        builder=args.builder or "auto",
    )
    _follow(context, package)
    if args.into is not None:
        package.save(args.into)
    return Result(package, describe_package(package, args.into), package.serialize(), context.python)


def describe_package(package: ModelPackage, saved_in: str | None = None) -> str:
    """A package as lines: its image or folder, or why there is none. `saved_in` is a copy of the folder."""
    data = package.serialize()
    values = {
        "package": data["id"],
        "state": None if data["state"] == "Succeeded" else data["state"].lower(),
        "folder" if package.generate_dockerfile else "image": saved_in or data["location"],
        "image id": data["imageId"],
        "digest": data["imageDigest"],
        "error": (data["error"] or {}).get("what"),
    }
    return listing(values)


def _follow(context: Context, package: Any) -> None:
    """Shows how the package is made, as a deployment is shown. Raises its error."""
    from mldeploy_jupyter.core.journal.terminal import Screen, follow_deployment
    from mldeploy_jupyter.deployment.packages import package_journal

    if not context.json or context.isatty:
        journal = package_journal(package.workspace.folder, package.operation_id)
        stop = lambda: package.state != "Running"  # noqa: E731
        follow_deployment(journal, Screen(context.err), stop=stop, errors=False)
    package.wait_for_creation()


def list_(context: Context, args: Args) -> Result:
    from mldeploy_jupyter.api.images import list_images

    found = list_images(context.workspace(args.path))
    rows = [
        {
            "id": one.id,
            "image": one.reference,
            "digest": one.digest or None,
            "created": one.created,
            "usedBy": one.used_by,
            "serves": one.serves,
            "bytes": one.size,
        }
        for one in found
    ]
    text = table([list_row(one) for one in found], LIST_HEAD) if found else "No image was made in this workspace."
    return Result(found, text, rows, "from mldeploy_jupyter.api.images import list_images\nlist_images(ws)")


LIST_HEAD = ("IMAGE", "ID", "MADE", "SIZE", "USED BY")


def list_row(image: ListedImage) -> tuple[str, ...]:
    """The cells of an image in the columns of `LIST_HEAD`."""
    return (
        image.reference,
        image.id.removeprefix("sha256:")[:SHORT],
        image.created[:16].replace("T", " ") + " UTC",
        format_size(image.size) if image.size is not None else "-",
        ", ".join(image.used_by) + (" (serves)" if image.serves else ""),
    )


def push(context: Context, args: Args) -> Result:
    from mldeploy_jupyter.api.images import push_image

    context.python = (
        f"from mldeploy_jupyter.api.images import push_image\n{_call('push_image', args.image, to=args.to)}"
    )
    last = ""

    def tell(text: str, fraction: float | None) -> None:
        nonlocal last
        if fraction is None:
            context.note(text)
        elif context.isatty and text != last and not context.json:
            context.err.write(f"\r\x1b[2K{round(100 * fraction):>3} %  {text}")
            context.err.flush()
        last = text

    pushed = push_image(context.workspace(args.path), args.image, args.to, tell)
    if context.isatty and not context.json:
        context.err.write("\r\x1b[2K")
    data = {"image": pushed.reference, "digest": pushed.digest, "detail": pushed.detail}
    return Result(pushed, describe_pushed(pushed), data, context.python)


def describe_pushed(pushed: Pushed) -> str:
    """An image in a registry: its name, what was sent, its digest."""
    return f"Pushed {pushed.reference}: {pushed.detail}\n{pushed.digest}".rstrip()


def export(context: Context, args: Args) -> Result:
    from mldeploy_jupyter.api.images import export_image

    path = args.into or f"{args.image.replace('/', '-').replace(':', '-')}.tar"
    python = _call("export_image", args.image, path)
    context.python = f"from mldeploy_jupyter.api.images import export_image\n{python}"
    size = export_image(context.workspace(args.path), args.image, path)
    data = {"file": str(Path(path).absolute()), "bytes": size}
    text = f"Wrote {path} ({format_size(size)}). Load it elsewhere with: docker load -i {path}"
    return Result(path, text, data, context.python)


def _call(function: str, *values: str, **given: Any) -> str:
    return call(function, "ws", *map(repr, values), **given)


_IMAGE = Param(
    "image",
    (),
    "A service, the id of a package, or the name of an image.",
    required=True,
    completion="service",
    metavar="IMAGE",
)

COMMANDS: tuple[Command, ...] = (
    Command(
        ("image", "build"),
        "Build a container image of models and an entry script, without a service.\n\n"
        "It is built with the Docker engine, or without one where none answers, and pushed to the workspace's\n"
        "registry if it has one. It runs anywhere: docker run -p 5001:5001 IMAGE.",
        (
            Param("name", ("--name", "-n"), "The image's name. One of the workspace when left out."),
            Param("label", ("--label", "--tag"), "The image's tag. The time when left out."),
            *MODEL_PARAMS,
            Param(
                "builder",
                ("--builder",),
                "What builds it: docker, oci (needs no engine), or auto.",
                choices=("auto", "docker", "oci"),
            ),
            Param("dockerfile", ("--dockerfile",), "Make a folder with a Dockerfile instead of an image.", "switch"),
            Param("into", ("--folder",), "Where the folder goes.", completion="file", metavar="FOLDER"),
            *INFERENCE_PARAMS,
        ),
        build,
        "image build -m churn:3 --entry-script score.py",
    ),
    Command(("image", "list"), "List the images that this workspace made.", (), list_, "image list"),
    Command(
        ("image", "push"),
        "Push an image to a registry.\n\nCredentials are those of docker login.",
        (
            _IMAGE,
            Param("to", ("--to",), "Its name there, with the registry. By default in the workspace's registry."),
        ),
        push,
        "image push churn --to registry.example:5000/team/churn:3",
    ),
    Command(
        ("image", "export"),
        "Write an image into a file that docker load reads.",
        (
            _IMAGE,
            Param("into", ("--file", "-f"), "The file. IMAGE.tar when left out.", completion="file", metavar="FILE"),
        ),
        export,
        "image export churn -f churn.tar",
    ),
)
