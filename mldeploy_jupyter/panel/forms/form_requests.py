"""`form.describe`, `form.check` and `form.submit`."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mldeploy_jupyter.commands import Args, Command, Context, Result, parse, run_command
from mldeploy_jupyter.commands.deploy import deploy_call, keep_keys, read_changes, read_models, update_call
from mldeploy_jupyter.commands.options import compute_type_of, make_inference_config
from mldeploy_jupyter.commands.options.settings import make_deploy_config
from mldeploy_jupyter.commands.python_code import Code, call, command_program
from mldeploy_jupyter.core.configs import DeployConfig, Spelling, describe, find_spec, make_config
from mldeploy_jupyter.core.errors import MldeployError, UserErrorException
from mldeploy_jupyter.core.name_rules import check_model_name, check_service_name
from mldeploy_jupyter.core.text import capital
from mldeploy_jupyter.panel.context import PanelContext
from mldeploy_jupyter.panel.failures import bad_request
from mldeploy_jupyter.panel.forms import deploy_form, register_form
from mldeploy_jupyter.panel.forms.form_words import magic_line, make_words, shell_line
from mldeploy_jupyter.panel.services.descriptions import find_service

if TYPE_CHECKING:
    from mldeploy_jupyter.api.webservices import Webservice

FORMS = ("deploy", "update", "register")

Problem = dict[str, str]
Values = dict[str, Any]


def answer_describe(context: PanelContext, parameters: Values) -> dict[str, Any]:
    """The answer to `form.describe`."""
    if parameters["form"] == "update":
        return deploy_form.describe_update(context, _with_service(parameters))
    describe_form = deploy_form.describe_deploy if parameters["form"] == "deploy" else register_form.describe_register
    return describe_form(context, parameters)


def answer_check(context: PanelContext, parameters: Values) -> dict[str, Any]:
    """The answer to `form.check`: what is wrong, the calls that the form equals, and what it will do.

    The checks are those of the command itself: the same settings, the same rules, the same words.
    """
    form = _Form(context, parameters)
    problems = list(form.problems())
    previews = [] if any(problem["level"] == "error" for problem in problems) else form.previews()
    return {"problems": problems, "previews": previews, "note": "" if problems and not previews else form.note()}


def answer_submit(context: PanelContext, parameters: Values) -> dict[str, str]:
    """The answer to `form.submit`: runs the command, without waiting. Raises what the command raises."""
    form = _Form(context, parameters)
    wrong = next((problem for problem in form.problems() if problem["level"] == "error"), None)
    if wrong is not None:
        raise UserErrorException(
            "the form has a value that cannot be used", why=wrong["text"], hint="correct the field"
        )
    value = run_command(form.command, form.words, form.make_context()).value
    if parameters["form"] == "register":
        return {"deployment": "", "service": "", "model": value.id}
    return {"deployment": value.deployment_id, "service": value.name, "model": ""}


def _with_service(parameters: Values) -> Values:
    if not parameters.get("service"):
        raise bad_request("the form cannot be shown", "an update needs the name of a service")
    return parameters


class _Form:
    """A filled-in form: the command that it stands for, and the command's words."""

    def __init__(self, context: PanelContext, parameters: Values) -> None:
        self.context, self.values = context, dict(parameters["values"])
        self.kind, self.workspace = parameters["form"], parameters.get("workspace", "")
        self.service: Webservice | None = None
        self.command: Command
        if self.kind == "deploy":
            folder = self._folder()
            has_models = folder is not None and bool(folder.open_store().list_model_ids())
            self.command = deploy_form.deploy_command()
            arguments = deploy_form.deploy_arguments(self.values, has_models)
        elif self.kind == "register":
            self.command, arguments = register_form.register_command(), register_form.register_arguments(self.values)
        else:
            self.service = find_service(context, _with_service(parameters))
            self.command = deploy_form.update_command()
            arguments = deploy_form.update_arguments(self.service, self.values)
        self.arguments = {name: value for name, value in arguments.items() if value not in (None, "", {})}
        self.words = make_words(self.command, self.arguments)

    def problems(self) -> Iterator[Problem]:
        """What is wrong with single fields, in the order of the form; else what the command itself refuses."""
        found = [*self._name_problems(), *self._file_problems(), *self._setting_problems()]
        yield from found
        if not any(problem["level"] == "error" for problem in found):
            try:
                self._args()
            except MldeployError as error:
                yield _problem("", error.why or error.what)

    def _name_problems(self) -> Iterator[Problem]:
        if self.kind == "update":
            return
        name = self.values.get("name")
        if not name:
            yield _problem("name", "The name is missing")
            return
        try:
            (check_service_name if self.kind == "deploy" else check_model_name)(name)
        except MldeployError as error:
            yield _problem("name", f"{error.why}; {error.hint}")
            return
        if self.kind == "deploy" and deploy_form.is_live(self._folder(), name):
            yield _problem("name", f"{name} is live. Update it from its panel, or choose another name")

    def _file_problems(self) -> Iterator[Problem]:
        if self.kind == "register":
            path = self.values.get("model_path")
            if not path:
                yield _problem("model_path", "The file is missing")
            elif not str(path).startswith(("runs:/", "models:/")) and not Path(path).expanduser().exists():
                yield _problem("model_path", f"There is no {path}")
            return
        folder_name = self.arguments.get("source_directory")
        if folder_name and not Path(folder_name).expanduser().is_dir():
            yield _problem("source_directory", f"There is no folder {folder_name}")
            return
        script = deploy_form.find_script_file(self.values)
        if script is None and self.kind == "deploy":
            yield _problem("entry_script", "The script is missing")
        elif script is not None:
            yield from self._script_problems(script)
            if folder_name and not script.absolute().is_relative_to(Path(folder_name).expanduser().absolute()):
                yield _problem("source_directory", f"The script {script} is not in it")
        for key in ("conda_file", "requirements_file"):
            if key in self.arguments and not Path(self.arguments[key]).is_file():
                yield _problem(key, f"There is no file {self.arguments[key]}")
        folder = self._folder()
        ids = folder.open_store().list_model_ids() if folder is not None else []
        known = {f"{name}:{version}" for name, version in ids}
        for model in self.arguments.get("model", ()):
            if ":" in model and model not in known and not Path(model).exists():
                yield _problem("models", f"There is no model {model}")

    def _script_problems(self, path: Path) -> Iterator[Problem]:
        from mldeploy_jupyter.core.script.entry_script import check

        if not path.is_file():
            yield _problem("entry_script", f"There is no file {path}")
            return
        try:
            check(path.read_text("utf-8"), path.name)
        except (OSError, ValueError):
            yield _problem("entry_script", f"{path} cannot be read as text")
        except MldeployError as error:
            yield _problem("entry_script", error.message)
        else:
            if warning := self.context.scripts.warning(path.absolute()):
                yield _problem("entry_script", warning, level="warning")

    def _setting_problems(self) -> Iterator[Problem]:
        if self.kind == "register":
            return
        target = str(self.values.get("target") or "local")
        compute_type = self.service.record.compute_type if self.service else compute_type_of(target)
        spec = find_spec(compute_type)
        passed = {
            name: value for name, value in self.values.items() if name in spec.by_name and value not in ("", None)
        }
        labels = Spelling({field.name: field.label for field in spec.fields}, " ")
        for violation in make_config(compute_type, passed).violations():
            yield _problem(violation.field, describe(violation, labels))

    def _args(self) -> Args:
        """The parsed words, with everything built that the command builds before it acts. Raises as the command."""
        args = parse(self.command, self.words)
        if self.kind == "deploy":
            make_deploy_config(args)
            make_inference_config(self.make_context(), args)
        return args

    def previews(self) -> list[dict[str, str]]:
        magic = {"deploy": "deploy", "update": "update", "register": "register"}[self.kind]
        return [
            {"kind": "python", "title": "Python", "text": self._python()},
            {"kind": "magic", "title": "Magic", "text": f"%{magic} {magic_line(self.words)}"},
            {"kind": "cli", "title": "CLI", "text": shell_line(["mldeploy", *self.command.path, *self.words])},
        ]

    def _python(self) -> str:
        args, context = self._args(), self.make_context()
        if self.kind == "deploy":
            python = deploy_call(args.name, read_models(args), _code(keep_keys(make_deploy_config(args))))
        elif self.service is not None:
            changes = read_changes(context, args, self.service)
            config = changes.get("deployment_config")
            if config is not None:
                changes["deployment_config"] = _code(config.config)
            python = update_call(changes) if changes else "service.reload()"
        else:
            given = {"tags": self.values.get("tag") or None, "description": args.description,
                     "model_framework": args.model_framework}  # fmt: skip
            python = call("Model.register", "ws", repr(args.model_path), repr(args.name), **given)
        return command_program(Result(python=python, data={}), context, args)

    def note(self) -> str:
        """One line: what the button will do."""
        if self.kind == "register":
            return ""
        if self.service is None:
            return "The script is checked, loaded and probed before the service is live."
        changes = deploy_form.describe_changes(self.service, self.arguments)
        if not changes:
            return "Nothing is changed yet; the entry script would be read again."
        count = f"{len(changes)} change{'s' if len(changes) > 1 else ''}"
        return f"{count}: {', '.join(changes)}. Revision {self.service.record.revision} serves until then."

    def make_context(self) -> Context:
        """Where the command runs: in the panel's workspace, without waiting, and with nothing printed."""

        def open_workspace(path: str | None = None, *, write: bool = False, announce: Any = None) -> Any:
            own = self.context.own
            if self.workspace or own is None or not write:
                return self.context.workspace(self.workspace)
            own.make_folder(announce=lambda line: None)
            return own

        return Context(
            open_workspace,
            out=io.StringIO(),
            err=io.StringIO(),
            stdin=io.StringIO(),
            wait_by_default=False,
            show_deployment=lambda service, wait, timeout: None,
            namespace={},
        )

    def _folder(self) -> Any:
        own = self.context.workspace(self.workspace) if self.workspace else self.context.own
        return own.find_folder() if own is not None else None


def _code(config: DeployConfig | None) -> Code | None:
    """The configuration as a call with every value that was typed; only secrets are hidden."""
    if config is None:
        return None
    secrets = dict.fromkeys(config.secrets(), "***")
    return Code(call(config.spec.call, **{**config.passed, **secrets}))


def _problem(field: str, text: str, level: str = "error") -> Problem:
    text = text.strip()
    return {"field": field, "level": level, "text": f"{capital(text)}{'' if text.endswith('.') else '.'}"}
