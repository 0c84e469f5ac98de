"""A request's body as the arguments of `run()`."""

from __future__ import annotations

from typing import Any

from ..azureml.rawhttp import AMLRequest, Headers, is_json_type
from ..schema.base import ValidationError, json_type
from .json_body import parse_json, refuse_deep
from .messages import Refused, Request, error_response
from .script import HEADERS, Script


def parse_arguments(script: Script, request: Request) -> dict[str, Any]:
    """The arguments of `run()` from a request. Raises `Refused` with the answer that says what is wrong."""
    mode = script.mode
    if mode == "object":
        arguments = _object(script, request)
    elif mode == "raw":
        arguments = {script.parameters[0].name: _raw(request)}
    else:
        arguments = {script.parameters[0].name: _text(request) if mode == "text" else _bytes(request)}
    if script.wants_headers:
        arguments[HEADERS] = _headers(request)
    return arguments


def _headers(request: Request) -> Headers:
    return request.headers if isinstance(request.headers, Headers) else Headers(request.headers)


def _content_type(request: Request) -> str:
    headers = request.headers
    if type(headers) is dict:  # the transport's, with names in lower case
        kind = headers.get("content-type")
        if kind is not None:
            return str(kind)
    return str(_headers(request).get("content-type", ""))


def _raw(request: Request) -> AMLRequest:
    return AMLRequest(request.method, request.path, request.query, _headers(request), request.body, request.remote_addr)


def _bytes(request: Request) -> bytes:
    kind = _content_type(request).partition(";")[0].strip().lower()
    if kind in ("application/x-www-form-urlencoded", "multipart/form-data"):
        hint = "Send the header Content-Type: application/json."
        raise Refused(
            error_response(415, "wrong-content-type", f"a form ({kind}) cannot be scored", "content-type", hint)
        )
    return request.body


def _text(request: Request) -> str:
    try:
        return _bytes(request).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        text = f"the body is not UTF-8: byte {error.start} cannot be decoded"
        raise Refused(error_response(400, "not-utf8", text, f"byte {error.start}")) from error


def _object(script: Script, request: Request) -> dict[str, Any]:
    kind = _content_type(request)
    if kind != "application/json" and not is_json_type(kind):
        said = f"the content type is {kind!r}" if kind else "the request has no content type"
        hint = "Send the header Content-Type: application/json."
        raise Refused(
            error_response(415, "wrong-content-type", f"{said}, expected application/json", "content-type", hint)
        )
    body = request.body
    if not body or body.isspace():
        raise Refused(error_response(400, "empty-body", "the body is empty", "", _expected(script)))
    data, numbers = parse_json(body)
    if type(data) is not dict:
        text = f"the body must be a JSON object, not {json_type(data)}"
        raise Refused(error_response(422, "not-an-object", text, "", _expected(script)))
    arguments: dict[str, Any] = {}
    for parameter in script.parameters:
        name, declared = parameter.name, parameter.declared
        if name not in data:
            if parameter.required:
                got = ", ".join(map(str, data)) or "nothing"
                hint = f"The body has: {got}."
                raise Refused(error_response(422, "missing-parameter", f"the body has no {name!r}", name, hint))
            continue
        value = data[name]
        if declared is None or not declared.convert:
            refuse_deep(value, name)
            arguments[name] = value
            continue
        result = declared.param_type.parse_bulk(value, numbers)
        if result is None:
            result = _carefully(declared.param_type, value, name)
        arguments[name] = result
    return arguments


def _carefully(kind: Any, value: Any, name: str) -> Any:
    try:
        return kind.parse(value, name)
    except ValidationError as misfit:
        response = error_response(422, "does-not-fit", str(misfit), misfit.where, misfit.hint)
        raise Refused(response) from misfit
    except RecursionError as error:
        refuse_deep(value, name)
        raise Refused(error_response(422, "does-not-fit", f"{name}: the value is nested too deeply", name)) from error


def _expected(script: Script) -> str:
    return f"Send a JSON object with: {', '.join(p.name for p in script.parameters)}."
