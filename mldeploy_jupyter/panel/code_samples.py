"""Code that calls a service and runs as it stands, in four languages. It reads the key from `SCORING_KEY`."""

from __future__ import annotations

import json
import pprint
from typing import Any

from mldeploy_jupyter.panel.context import PanelContext
from mldeploy_jupyter.panel.scoring import read_body, read_example
from mldeploy_jupyter.panel.services.descriptions import find_service

KEY = "SCORING_KEY"  # the environment variable that holds the key or the token

FILE = "input.json"  # what a body that is too long for a sample is read from

MAX_LITERAL = 4000  # characters of a body that stands in the code itself

WIDTH = 88  # columns of the code

_MAX_EXACT = 2**53  # integers beyond it are rounded by JavaScript


def answer_code(context: PanelContext, parameters: dict[str, Any]) -> list[dict[str, str]]:
    """The answer to `service.code`: the same request in Python, curl, JavaScript and C#.

    Without a body it is the example of the service's own document. Raises `UserErrorException` for a body that is
    none.
    """
    service = find_service(context, parameters)
    body = parameters.get("body")
    if body is None:
        example = read_example(service)
        body = {"json": json.dumps({"data": []} if example is None else example, ensure_ascii=False)}
    read_body(body)
    auth = service.auth_enabled or service.token_auth_enabled
    return write_samples(service.scoring_uri, body, with_key=auth)


def write_samples(uri: str, body: dict[str, Any], *, with_key: bool) -> list[dict[str, str]]:
    """The samples for a request to `uri` with a body as the protocol has it."""
    media, note = "application/json", ""
    text, file = body.get("json"), ""
    if text is None:
        media, file = body["contentType"], str(body.get("fileName") or "input.bin")
        note = f"It sends the file {file}."
    elif len(text) > MAX_LITERAL:
        file, note = FILE, f"It sends the file {FILE}: save the JSON of the Test tab there."
    else:
        text = text.strip()
    write = {"python": _python, "curl": _curl, "javascript": _javascript, "csharp": _csharp}
    titles = {"python": "Python", "curl": "curl", "javascript": "JavaScript", "csharp": "C#"}
    return [
        {"language": language, "title": titles[language], "note": note,
         "text": make(uri, "" if file else text or "", file, media, with_key)}
        for language, make in write.items()
    ]  # fmt: skip


def _python(uri: str, text: str, file: str, media: str, with_key: bool) -> str:
    headers = [f'"Authorization": "Bearer " + os.environ["{KEY}"]'] if with_key else []
    value = _parse(text) if text else None
    if value is not None:
        literal = pprint.pformat(value, width=WIDTH - 9, sort_dicts=False, compact=True)
        argument = "json=" + literal.replace("\n", "\n         ")
    else:
        headers.append(f'"Content-Type": {json.dumps(media)}')
        argument = f"data=open({file!r}, 'rb')" if file else f"data={text!r}.encode()"
    lines = [
        *(["import os", ""] if with_key else []),
        "import requests",
        "",
        "response = requests.post(",
        f"    {json.dumps(uri)},",
        f"    {argument},",
        *([f"    headers={{{', '.join(headers)}}},"] if headers else []),
        "    timeout=30,",
        ")",
        "response.raise_for_status()",
        "print(response.json())",
    ]
    return "\n".join(lines)


def _curl(uri: str, text: str, file: str, media: str, with_key: bool) -> str:
    key = [f'-H "Authorization: Bearer ${KEY}"'] if with_key else []
    data = f"--data-binary {_shell(f'@{file}')}" if file else f"-d {_shell(text)}"
    return " \\\n  ".join([f"curl -sS {_shell(uri)}", *key, f"-H {_shell(f'Content-Type: {media}')}", data])


def _javascript(uri: str, text: str, file: str, media: str, with_key: bool) -> str:
    value = _parse(text) if text else None
    if file:
        body = f"await readFile({json.dumps(file)})"
    elif value is not None and _is_exact(value):
        body = f"JSON.stringify({_indent(_pretty(value), '  ')})"
    else:
        body = json.dumps(text, ensure_ascii=False)
    lines = [
        *(['import { readFile } from "node:fs/promises";', ""] if file else []),
        f"const response = await fetch({json.dumps(uri)}, {{",
        '  method: "POST",',
        "  headers: {",
        *([f"    Authorization: `Bearer ${{process.env.{KEY}}}`,"] if with_key else []),
        f'    "Content-Type": {json.dumps(media)},',
        "  },",
        f"  body: {body},",
        "});",
        "if (!response.ok) throw new Error(await response.text());",
        "console.log(await response.json());",
    ]
    return "\n".join(lines)


def _csharp(uri: str, text: str, file: str, media: str, with_key: bool) -> str:
    value = _parse(text) if text else None
    if file:
        content = [
            f"var content = new ByteArrayContent(await File.ReadAllBytesAsync({json.dumps(file)}));",
            f"content.Headers.ContentType = MediaTypeHeaderValue.Parse({json.dumps(media)});",
        ]
    else:
        body = _pretty(value) if value is not None else text
        content = [
            f'var body = """\n    {_indent(body, "    ")}\n    """;',
            f'var content = new StringContent(body, System.Text.Encoding.UTF8, "{media}");',
        ]
    lines = [
        "using System.Net.Http.Headers;",
        "",
        "using var client = new HttpClient();",
        *([f'var key = Environment.GetEnvironmentVariable("{KEY}");',
           'client.DefaultRequestHeaders.Authorization = new AuthenticationHeaderValue("Bearer", key);']
          if with_key else []),
        *content,
        f"var response = await client.PostAsync({json.dumps(uri)}, content);",
        "response.EnsureSuccessStatusCode();",
        "Console.WriteLine(await response.Content.ReadAsStringAsync());",
    ]  # fmt: skip
    return "\n".join(lines)


def _parse(text: str) -> Any:
    """The value of JSON text that Python writes and reads in the same form; None for any other text."""
    try:
        value = json.loads(text)
        json.dumps(value, allow_nan=False)
    except (ValueError, RecursionError):
        return None
    return value


def _pretty(value: Any, indent: str = "", width: int = WIDTH - 12) -> str:
    """JSON in which what is short stands on one line."""
    flat = json.dumps(value, ensure_ascii=False)
    if len(indent) + len(flat) <= width or not isinstance(value, (dict, list)) or not value:
        return flat
    inner = indent + "  "
    if isinstance(value, list):
        items = [_pretty(item, inner, width) for item in value]
    else:
        items = [f"{json.dumps(key, ensure_ascii=False)}: {_pretty(item, inner, width)}" for key, item in value.items()]
    opening, closing = "[]" if isinstance(value, list) else "{}"
    return f"{opening}\n" + ",\n".join(f"{inner}{item}" for item in items) + f"\n{indent}{closing}"


def _is_exact(value: Any) -> bool:
    if isinstance(value, dict):
        return all(_is_exact(item) for item in value.values())
    if isinstance(value, list):
        return all(_is_exact(item) for item in value)
    return isinstance(value, bool) or not isinstance(value, int) or abs(value) <= _MAX_EXACT


def _indent(text: str, by: str) -> str:
    return text.replace("\n", f"\n{by}")


def _shell(text: str) -> str:
    """The text as one word of a POSIX shell, unquoted where that is the same."""
    import shlex

    return shlex.quote(text)
