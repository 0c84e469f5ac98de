"""A request's body as the arguments of `run()`."""

from __future__ import annotations

from typing import Any

import orjson

from .messages import Refused, Request, problem
from .rawhttp import AMLRequest, Headers, is_json
from .schema.base import Misfit, kind_of
from .script import HEADERS, Script


def arguments_of(script: Script, request: Request) -> dict[str, Any]:
    """The arguments of `run()` from a request. Raises `Refused` with the answer that says what is wrong."""
    headers = request.headers if isinstance(request.headers, Headers) else Headers(request.headers)
    arguments: dict[str, Any] = {HEADERS: headers} if script.wants_headers else {}
    first = script.parameters[0].name
    if script.mode == "raw":
        arguments[first] = AMLRequest(
            request.method, request.path, request.query, headers, request.body, request.remote_addr
        )
    elif script.mode == "text":
        arguments[first] = _text(request, headers)
    else:
        arguments.update(_object(script, request, headers))
    return arguments


def _text(request: Request, headers: Headers) -> str:
    kind = headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind in ("application/x-www-form-urlencoded", "multipart/form-data"):
        hint = "Send the header Content-Type: application/json."
        raise Refused(problem(415, "wrong-content-type", f"a form ({kind}) cannot be scored", "content-type", hint))
    try:
        return request.body.decode("utf-8")
    except UnicodeDecodeError as error:
        text = f"the body is not UTF-8: byte {error.start} cannot be decoded"
        raise Refused(problem(400, "not-utf8", text, f"byte {error.start}")) from error


def _object(script: Script, request: Request, headers: Headers) -> dict[str, Any]:
    kind = headers.get("content-type", "")
    names = ", ".join(p.name for p in script.parameters)
    if not is_json(kind):
        said = f"the content type is {kind!r}" if kind else "the request has no content type"
        hint = "Send the header Content-Type: application/json."
        raise Refused(problem(415, "wrong-content-type", f"{said}, expected application/json", "content-type", hint))
    if not request.body.strip():
        hint = f"Send a JSON object with: {names}."
        raise Refused(problem(400, "empty-body", "the body is empty", "", hint))
    try:
        data = orjson.loads(request.body)
    except ValueError as error:
        text = str(error)
        where = text[text.rfind("line ") :] if "line " in text else ""
        hint = ""
        if b"NaN" in request.body or b"Infinity" in request.body:
            hint = "JSON has no NaN and no infinity: send null for a value that is missing."
        raise Refused(problem(400, "bad-json", f"the body is not JSON: {text}", where, hint)) from error
    if not isinstance(data, dict):
        hint = f"Send a JSON object with: {names}."
        text = f"the body must be a JSON object, not {kind_of(data)}"
        raise Refused(problem(422, "not-an-object", text, "", hint))
    arguments: dict[str, Any] = {}
    for parameter in script.parameters:
        name, declared = parameter.name, parameter.declared
        if name not in data:
            if parameter.required:
                got = ", ".join(map(str, data)) or "nothing"
                hint = f"The body has: {got}."
                raise Refused(problem(422, "missing-parameter", f"the body has no {name!r}", name, hint))
            continue
        if declared is None or not declared.convert:
            arguments[name] = data[name]
            continue
        try:
            arguments[name] = declared.kind.parse(data[name], name)
        except Misfit as misfit:
            response = problem(422, "does-not-fit", str(misfit), misfit.where, misfit.hint)
            raise Refused(response) from misfit
    return arguments
