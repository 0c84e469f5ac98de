"""Options for targets, scripts and environments."""

from __future__ import annotations

from typing import Any

from mldeploy_jupyter.commands.errors import UsageError
from mldeploy_jupyter.commands.grammar import Args, Context, Param

# Name of a target in options -> v1's compute type.
TARGETS = {"local": "Local", "aci": "ACI", "aks": "AKS", "aksendpoint": "AKSENDPOINT"}

TARGET_NAMES = ("local", "docker", "aci", "aks", "aksendpoint")

SETTINGS = "Settings of the target"

# Short forms: a target that is an engine of local services.
ENGINE_TARGETS = {"docker": "docker"}

AVAILABLE_TARGETS = ("local", "docker")  # the others are known, and come with a later version

OTHER_TARGETS = "Not in this version: settings of "  # begins the headings of the settings that local services lack

REPLAY = Param(
    "replay",
    ("--replay",),
    "Score the last request that the live revision answered, before the switch; a 5xx refuses the new one.",
    "switch",
)

TARGET_PARAMS: tuple[Param, ...] = (
    Param(
        "target",
        ("--target", "--to", "--compute-type", "--cp"),
        "Where the service runs: local, the default, a process of this machine; docker, a container of it.",
        choices=TARGET_NAMES,
        completion="target",
        hidden_choices=tuple(name for name in TARGET_NAMES if name not in AVAILABLE_TARGETS),
    ),
    Param(
        "deploy_config",
        ("--deploy-config-file", "--dc", "-dc", "--deployment-config-file"),
        "The deploymentconfig.json (or YAML). Options override it.",
        completion="file",
        metavar="FILE",
        advanced=True,
    ),
)

_SCRIPT = "Script and environment"

INFERENCE_PARAMS: tuple[Param, ...] = (
    Param(
        "inference_config",
        ("--inference-config-file", "--ic", "-ic"),
        "The inferenceconfig.json (or YAML). Options override it.",
        completion="file",
        metavar="FILE",
        group=_SCRIPT,
        advanced=True,
    ),
    Param(
        "entry_script",
        ("--entry-script", "--es", "--script"),
        "The script with init() and run().",
        completion="script",
        metavar="FILE",
        group=_SCRIPT,
    ),
    Param(
        "source_directory",
        ("--source-directory", "--sd"),
        "The folder with the script; all its files are shipped with it.",
        completion="file",
        metavar="FOLDER",
        group=_SCRIPT,
    ),
    Param(
        "conda_file",
        ("--conda-file", "--cf"),
        "The conda file with the dependencies. Without any environment: this Python as it is.",
        completion="file",
        metavar="FILE",
        group=_SCRIPT,
    ),
    Param(
        "requirements_file",
        ("--requirements", "--requirements-file"),
        "The requirements.txt with the dependencies.",
        completion="file",
        metavar="FILE",
        group=_SCRIPT,
    ),
    Param(
        "environment_name",
        ("--environment-name", "-e"),
        "The name of an environment that is registered in the workspace.",
        group=_SCRIPT,
        advanced=True,
    ),
    Param(
        "environment_version",
        ("--environment-version", "--ev"),
        "Its version. The latest when left out.",
        group=_SCRIPT,
        advanced=True,
    ),
    Param(
        "environment_directory",
        ("--environment-directory", "--ed"),
        "A folder an environment was saved to.",
        completion="file",
        metavar="FOLDER",
        group=_SCRIPT,
        advanced=True,
    ),
    Param("runtime", ("--runtime", "--rt"), "v1's runtime: python or spark-py.", group=_SCRIPT, advanced=True),
    Param(
        "extra_docker_file_steps",
        ("--extra-docker-file-steps", "--ds"),
        "A file with further Dockerfile lines.",
        completion="file",
        metavar="FILE",
        group=_SCRIPT,
        advanced=True,
    ),
    Param("base_image", ("--base-image", "--bi"), "The image to build on.", group=_SCRIPT, advanced=True),
    Param(
        "base_image_registry",
        ("--base-image-registry", "--ir"),
        "The registry of the base image.",
        group=_SCRIPT,
        advanced=True,
    ),
    Param("cuda_version", ("--cuda-version", "--cv"), "The CUDA version.", group=_SCRIPT, advanced=True),
    Param(
        "enable_gpu", ("--enable-gpu", "--eg"), "Whether the image has CUDA.", "toggle", group=_SCRIPT, advanced=True
    ),
)

# Options that are parameters of `InferenceConfig` under the same names.
INFERENCE_SETTINGS = tuple(
    param.name
    for param in INFERENCE_PARAMS
    if param.name not in ("inference_config", "environment_name", "environment_version", "environment_directory")
)


def compute_type_of(target: str) -> str:
    """v1's compute type for the name of a target in options."""
    return TARGETS["local"] if target in ENGINE_TARGETS else TARGETS.get(target, target)


def make_inference_config(context: Context, args: Args) -> Any:
    """The `InferenceConfig` of file, options and the notebook's defaults; None without any of them.

    Raises `UsageError` when no entry script is named.
    """
    kwargs: dict[str, Any] = {
        name: getattr(args, name) for name in INFERENCE_SETTINGS if getattr(args, name) is not None
    }
    environment = _environment(context, args)
    if environment is not None:
        kwargs["environment"] = environment
    if args.inference_config is None and not kwargs.get("entry_script") and context.defaults.get("entry_script"):
        kwargs["entry_script"] = context.defaults["entry_script"]
    if not kwargs and args.inference_config is None:
        return None
    from mldeploy_jupyter.api.environments import ContainerRegistry
    from mldeploy_jupyter.api.webservices import InferenceConfig

    if kwargs.get("base_image_registry") is not None:
        kwargs["base_image_registry"] = ContainerRegistry(kwargs["base_image_registry"])
    if args.inference_config is not None:
        return InferenceConfig.from_file(args.inference_config, note=context.note, **kwargs)
    if not kwargs.get("entry_script"):
        raise UsageError(
            "the entry script is missing",
            why="neither --entry-script nor entryScript in the inference configuration names it",
            hint="add --entry-script score.py",
        )
    return InferenceConfig(**kwargs)


def _environment(context: Context, args: Args) -> Any:
    if args.environment_version is not None and args.environment_name is None:
        raise UsageError(
            "--environment-version needs --environment-name",
            why="it is the version of an environment of the workspace",
            hint="add --environment-name NAME",
        )
    if args.environment_name is None and args.environment_directory is None:
        return None
    from mldeploy_jupyter.api.environments import Environment

    if args.environment_directory is not None:
        return Environment.load_from_directory(args.environment_directory)
    return Environment.get(context.workspace(args.path), args.environment_name, args.environment_version)
