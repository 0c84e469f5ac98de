"""`docs/migrating.md`: every call in its tables exists here, with the parameters it states."""

from __future__ import annotations

import ast
import importlib
import inspect
import re
import textwrap
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from mldeploy_jupyter.azureml.v1_modules import MODULES
from mldeploy_jupyter.commands import COMMANDS
from mldeploy_jupyter.serving.azureml.v1_names import NAMES, NOT_OFFERED

PAGE = Path(__file__).parents[3] / "docs" / "migrating.md"

# What the page may name beside the package's own public names and those of `MODULES`.
ELSEWHERE = {
    "TargetNotAvailable": "mldeploy_jupyter.core.errors",
    "WorkspaceError": "mldeploy_jupyter.core.errors",
}

# Every public call of v1 for models, configurations, services, clusters and signing in. Each needs a row.
V1_CALLS = """
Workspace.create Workspace.get Workspace.from_config ws.models ws.webservices Run run.register_model Model
Model.register Model.list Model.get_model_path model.download model.delete model.update model.add_tags
model.remove_tags model.add_properties model.add_dataset_references model.serialize Model.deserialize
model.get_sas_urls Model.Framework Model.deploy Model.package Model.profile ModelPackage ModelProfile
ResourceConfiguration Webservice.deploy Webservice.deploy_from_model Webservice.deploy_from_image
Webservice.deploy_local_from_model InferenceConfig ContainerRegistry Environment
Environment.from_conda_specification Environment.from_pip_requirements Environment.from_existing_conda_environment
Environment.from_docker_image Environment.from_dockerfile Environment.from_docker_build_context env.register
Environment.get Environment.list env.clone env.build env.build_local env.save_to_directory
Environment.load_from_directory env.python env.docker env.environment_variables CondaDependencies
CondaDependencies.create LocalWebservice.deploy_configuration AciWebservice.deploy_configuration
AksWebservice.deploy_configuration AksEndpoint.deploy_configuration endpoint.create_version endpoint.update_version
endpoint.delete_version Webservice LocalWebservice AciWebservice AksWebservice AksEndpoint Webservice.list
LocalWebservice.list service.wait_for_deployment service.run service.get_logs service.get_keys service.regen_key
service.get_token service.get_access_token service.update service.reload service.delete service.serialize
Webservice.deserialize service.add_tags service.remove_tags service.add_properties service.deploy_to_cloud
service.state service.scoring_uri service.swagger_uri service.auth_enabled service.token_auth_enabled
service.description service.tags service.properties service.error ComputeTarget ComputeTarget.create
ComputeTarget.attach AksCompute AksCompute.provisioning_configuration AksCompute.attach_configuration
config.enable_ssl AksCompute.ClusterPurpose aks.wait_for_completion aks.get_status aks.delete aks.detach
aks.get_credentials aks.update aks.serialize ContainerImage.image_configuration InteractiveLoginAuthentication
ServicePrincipalAuthentication Workspace.list ws.update ws.delete ws.get_run ws.get_mlflow_tracking_uri
ws.compute_targets ws.datastores ws.get_default_datastore ws.get_default_keyvault ws.get_default_compute_target ws.tags
Run.get Run.get_context run.complete run.fail run.cancel run.get_status run.get_details run.tag run.tags run.log
run.log_list run.log_row run.log_table run.log_image run.get_metrics run.upload_file run.upload_files run.upload_folder
run.download_file run.download_files run.get_file_names model.update_tags_properties Model.print_configuration
inference_config.validate_configuration inference_config.build_create_payload Environment.label env.get_image_details
Environment.add_private_pip_wheel deps.get_python_version deps.set_pip_option deps.remove_pip_option
deps.set_pip_requirements CondaDependencies.merge_requirements AciWebservice.list AksWebservice.list
AciWebservice.update AksWebservice.update AksEndpoint.update service.image Experiment experiment.start_logging
experiment.get_runs experiment.submit Experiment.list ws.experiments ws.location run.experiment run.number run.parent
run.child_run run.get_children run.wait_for_completion run.get_portal_url run.get_output RunDetails
deps.add_tensorflow_pip_package
""".split()  # noqa: SIM905

V1_COMMANDS = """
model register|model deploy|model list|model show|model update|model delete|model download|model package|model profile
|service list|service show|service run|service get-logs|service get-keys|service regen-key|service get-access-token
|service update|service delete|endpoint realtime|computetarget|folder attach|workspace create|workspace show
|workspace list|workspace update|workspace delete|workspace share|run|experiment
""".replace("\n", "").split("|")


def tables() -> dict[str, list[list[str]]]:
    """Heading -> rows of the table below it, without its header."""
    found: dict[str, list[list[str]]] = {}
    heading = ""
    for line in PAGE.read_text().splitlines():
        if line.startswith("#"):
            heading = line.lstrip("# ")
        elif line.startswith("|"):
            found.setdefault(heading, []).append([cell.strip() for cell in line.strip("|").split(" | ")])
    return {heading: rows[2:] for heading, rows in found.items()}


TABLES = tables()
PYTHON = ["Workspace, run and sign-in", "Model", "InferenceConfig and Environment", "deploy_configuration"]
PYTHON += ["Webservice", "Compute and images", "Errors"]
ROWS = [(row[0], code) for heading in PYTHON for row in TABLES[heading] for code in re.findall("`(.+?)`", row[1])]
NEW_HERE = next(line for line in PAGE.read_text().splitlines() if line.startswith("New here:"))
ROWS += [("", code) for code in re.findall("`(.+?)`", NEW_HERE)]


@cache
def ours(name: str) -> Any:
    import mldeploy_jupyter

    if name in mldeploy_jupyter.__all__:
        return getattr(mldeploy_jupyter, name)
    if name in ELSEWHERE:
        return getattr(importlib.import_module(ELSEWHERE[name]), name)
    home, _, attribute = next(names[name] for names in MODULES.values() if name in names).partition(":")
    return getattr(importlib.import_module(home), attribute)


def attributes_of(cls: type) -> set[str]:
    """Methods, properties, annotations, and what `__init__` of the class or its bases assigns to `self`."""
    names = set(dir(cls))
    for base in cls.__mro__[:-1]:
        names |= set(vars(base).get("__annotations__", {}))
        if "__init__" in vars(base) and "__dataclass_fields__" not in vars(base):  # generated: it has no source
            tree = ast.parse(textwrap.dedent(inspect.getsource(base.__init__)))
            names |= {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute) and _is_store(node)}
    return names


def _is_store(node: ast.Attribute) -> bool:
    return isinstance(node.ctx, ast.Store) and isinstance(node.value, ast.Name) and node.value.id == "self"


def stated(call: ast.Call) -> list[tuple[str, Any]]:
    """The parameters a cell states, in order, each with its default (or `inspect.Parameter.empty`)."""
    empty = inspect.Parameter.empty
    names: list[tuple[str, Any]] = [(node.id, empty) for node in call.args if isinstance(node, ast.Name)]
    return names + [(word.arg or "", ast.literal_eval(word.value)) for word in call.keywords]


@pytest.mark.parametrize(("v1", "code"), ROWS, ids=[code[:50] for _, code in ROWS])
def test_every_call_on_the_page_exists_with_its_parameters(v1: str, code: str) -> None:
    code = code.replace(", ...)", ")").replace("(...)", "")
    node = ast.parse(code, mode="eval").body
    target = node.func if isinstance(node, ast.Call) else node
    if isinstance(target, ast.Attribute):
        assert isinstance(target.value, ast.Name)
        owner = ours(target.value.id)
        assert target.attr in attributes_of(owner), f"{code}: no such attribute"
        value = getattr(owner, target.attr, None)
    else:
        assert isinstance(target, ast.Name)
        value = ours(target.id)
    if isinstance(node, ast.Call):
        check_parameters(code, inspect.signature(value), stated(node))


def check_parameters(code: str, signature: inspect.Signature, wanted: list[tuple[str, Any]]) -> None:
    parameters = {name: parameter for name, parameter in signature.parameters.items() if name != "self"}
    names = [name for name, _ in wanted]
    assert not set(names) - set(parameters), f"{code}: our parameters are {list(parameters)}"
    assert names == [name for name in parameters if name in names], f"{code}: our order is {list(parameters)}"
    for name, default in wanted:
        # A parameter stated without a default must be passed; ours may say so with an error of its own.
        is_stated = default is not inspect.Parameter.empty
        assert not is_stated or parameters[name].default == default, (
            f"{code}: the default of {name} is {parameters[name].default!r}"
        )
    left = [name for name, parameter in parameters.items() if name not in names and _is_required(parameter)]
    assert not left, f"{code}: the page leaves out {left}"


def _is_required(parameter: inspect.Parameter) -> bool:
    variadic = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    return parameter.default is inspect.Parameter.empty and parameter.kind not in variadic


@pytest.mark.parametrize("call", V1_CALLS)
def test_every_v1_call_has_a_row(call: str) -> None:
    named = {code for heading in PYTHON for row in TABLES[heading] for code in re.findall("`(.+?)`", row[0])}
    assert call in named


def test_the_page_has_the_packages_that_are_not_offered_with_their_reasons() -> None:
    rows = {row[0].strip("`"): [row[1].rstrip("."), row[2]] for row in TABLES["Packages that are not offered"]}
    assert rows.keys() == NOT_OFFERED.keys()
    for package, (why, hint) in rows.items():
        assert [why.lower(), hint.lower()] == [part.lower() for part in NOT_OFFERED[package]]


def test_the_import_table_lists_the_modules_of_the_finder() -> None:
    assert {row[0].strip("`"): set(re.findall("`(.+?)`", row[1])) for row in TABLES["Imports"]} == {
        module: {name for name in names if name[0] != "_"} for module, names in NAMES.items()
    }


# The command line

COMMAND_ROWS = [(row[0], code) for row in TABLES["Command line"] for code in re.findall("`(.+?)`", row[1])]


@pytest.mark.parametrize(("v1", "code"), COMMAND_ROWS, ids=[code for _, code in COMMAND_ROWS])
def test_every_command_on_the_page_exists(v1: str, code: str) -> None:
    program, *words = code.split()
    assert program == "mldeploy"
    command = next(command for command in COMMANDS if list(command.path) == words[: len(command.path)])
    flags = {flag for param in command.params for flag in param.flags}
    assert not {word for word in words if word[0] == "-"} - flags


@pytest.mark.parametrize("command", V1_COMMANDS)
def test_every_v1_command_has_a_row(command: str) -> None:
    assert f"`az ml {command}`" in [row[0] for row in TABLES["Command line"]]


def test_every_row_has_all_its_cells() -> None:
    assert TABLES
    for heading, rows in TABLES.items():
        assert len({len(row) for row in rows}) == 1, heading
        assert all(cell for row in rows for cell in row), heading
