"""A request's body as the arguments of `run()`."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import orjson

from ..azureml.request_headers import Headers, is_json_type
from ..schema.base import AbstractParameterType, BuiltinParameterType, ValidationError, json_type, short_repr
from .json_body import parse_json, refuse_deep_nesting
from .messages import Refused, Request, error_response
from .script import HEADERS, Parameter, Script

_SMALL_BODY = 8192  # bytes; in larger ones the work for each value outweighs that for each request

_SEND_JSON = "Send the header Content-Type: application/json."


def parse_arguments(script: Script, request: Request) -> dict[str, Any]:
    """The arguments of `run()` by name. Raises `Refused`, with status 400, 415 or 422, when the body does not fit."""
    mode = script.mode
    if mode == "object":
        arguments = _arguments_from_json(script, request)
    elif mode == "raw":
        arguments = {script.parameters[0].name: _raw_request(request)}
    else:
        arguments = {script.parameters[0].name: _body_text(request) if mode == "text" else _body_bytes(request)}
    if script.wants_headers:
        arguments[HEADERS] = _headers(request)
    return arguments


def usual_parser(script: Script) -> Callable[[Request], dict[str, Any] | None] | None:
    """A function that parses the usual small body of a script with one array of doubles, `{"data": [[1.5, ...]]}`.

    It returns the arguments that `parse_arguments` would, and None for any other body, valid or not. None if `script`
    has no such body.
    """
    if script.mode != "object" or script.wants_headers or len(script.parameters) != 1:
        return None
    name, declared = script.parameters[0].name, script.parameters[0].declared
    if declared is None or not declared.convert or not isinstance(declared.param_type, BuiltinParameterType):
        return None
    convert = declared.param_type.float_rows()
    if convert is None:
        return None

    def parse(request: Request) -> dict[str, Any] | None:
        headers, body = request.headers, request.body
        if type(headers) is not dict or headers.get("content-type") != "application/json":
            return None
        if "content-encoding" in headers or len(body) > _SMALL_BODY or body.count(b'"') != 2:
            return None  # with two quotes there is one key and no string
        try:
            data = orjson.loads(body)
        except ValueError:
            return None
        if type(data) is not dict or name not in data:
            return None
        value = convert(data[name], body.count(b"."))
        return None if value is None else {name: value}

    return parse


def _headers(request: Request) -> Headers:
    return request.headers if isinstance(request.headers, Headers) else Headers(request.headers)


def _content_type(request: Request) -> str:
    headers = request.headers
    if type(headers) is dict:  # the server's, with names in lower case
        content_type = headers.get("content-type")
        if content_type is not None:
            return str(content_type)
    return str(_headers(request).get("content-type", ""))


def raw_environ(request: Request) -> dict[str, Any]:
    """The WSGI environment of the request that a script with `@rawhttp` gets."""
    given = request.headers
    headers = given if type(given) is dict else {name.lower(): value for name, value in _headers(request).items()}
    environ: dict[str, Any] = _aml_request().wsgi_environ(
        request.method, request.path, request.query, headers, request.body, request.remote_addr
    )
    return environ


def _raw_request(request: Request) -> Any:
    return _aml_request().AMLRequest(raw_environ(request), populate_request=False)


@cache
def _aml_request() -> Any:
    from ..azureml import aml_request  # the script has imported it, so werkzeug is there

    return aml_request


def _body_bytes(request: Request) -> bytes:
    media = _content_type(request).partition(";")[0].strip().lower()
    if media in ("application/x-www-form-urlencoded", "multipart/form-data"):
        text = f"a form ({media}) cannot be scored"
        raise Refused(error_response(415, "wrong-content-type", text, "content-type", _SEND_JSON))
    return request.body


def _body_text(request: Request) -> str:
    try:
        return _body_bytes(request).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        text = f"the body is not UTF-8: byte {error.start} cannot be decoded"
        raise Refused(error_response(400, "not-utf8", text, f"byte {error.start}")) from error


def _arguments_from_json(script: Script, request: Request) -> dict[str, Any]:
    content_type = _content_type(request)
    if content_type != "application/json" and not is_json_type(content_type):
        found = f"the content type is {content_type!r}" if content_type else "the request has no content type"
        text = f"{found}, expected application/json"
        raise Refused(error_response(415, "wrong-content-type", text, "content-type", _SEND_JSON))
    body = request.body
    if not body or body.isspace():
        raise Refused(error_response(400, "empty-body", "the body is empty", "", _expected(script)))
    data, only_numbers = parse_json(body)
    if type(data) is not dict:
        text = f"the body must be a JSON object, not {json_type(data)}"
        raise Refused(error_response(422, "not-an-object", text, "", _expected(script)))
    arguments: dict[str, Any] = {}
    for parameter in script.parameters:
        name, declared = parameter.name, parameter.declared
        if name not in data:
            if parameter.required:
                raise Refused(_missing_parameter(parameter, data))
            if not parameter.has_default:
                arguments[name] = None
            continue
        value = data[name]
        if declared is None or not declared.convert:
            refuse_deep_nesting(value, name)
            arguments[name] = value
            continue
        if value is None and declared.optional:
            arguments[name] = None
            continue
        result = declared.param_type.parse_bulk(value, only_numbers)
        if result is None:
            result = _parse_value(declared.param_type, value, name)
        arguments[name] = result
    if len(arguments) < len(data) and not script.ignores_unknown_keys:
        raise Refused(_unknown_key(script, data))
    return arguments


def _parse_value(param_type: AbstractParameterType, value: Any, name: str) -> Any:
    try:
        return param_type.parse(value, name)
    except ValidationError as error:
        response = error_response(422, "does-not-fit", str(error), error.where, error.hint)
        raise Refused(response) from error
    except RecursionError as error:
        refuse_deep_nesting(value, name)
        text = f"{name}: the value is nested too deeply"
        raise Refused(error_response(422, "does-not-fit", text, name)) from error


def _missing_parameter(parameter: Parameter, data: dict[str, Any]) -> Any:
    hint = f"The body has: {', '.join(map(str, data)) or 'nothing'}."
    return error_response(422, "missing-parameter", f"the body has no {parameter.name!r}", parameter.name, hint)


def _unknown_key(script: Script, data: dict[str, Any]) -> Any:
    from difflib import get_close_matches

    names = [parameter.name for parameter in script.parameters]
    key = next(key for key in data if key not in names)
    near = get_close_matches(key, names, n=1)
    hint = f"Did you mean {near[0]!r}?" if near else f"The parameters are: {', '.join(names)}."
    return error_response(422, "unknown-parameter", f"run() has no parameter {short_repr(key)}", key[:80], hint)


def _expected(script: Script) -> str:
    return f"Send a JSON object with: {', '.join(p.name for p in script.parameters)}."
