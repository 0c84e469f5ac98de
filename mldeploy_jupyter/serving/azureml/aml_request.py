"""v1's `AMLRequest`, which is werkzeug's request with the few attributes that Flask adds.

Imported only for a script that handles HTTP itself: werkzeug takes about 0.1 s to import.
"""

from __future__ import annotations

import io
import sys
from typing import Any
from urllib.parse import unquote_to_bytes

from werkzeug.utils import cached_property
from werkzeug.wrappers import Request

from .rawhttp import rawhttp

__all__ = ["AMLRequest", "rawhttp", "wsgi_environ"]


class AMLRequest(Request):
    """An HTTP request, with the interface of a Flask request: `args`, `form`, `files`, `headers`, `get_json()`, ...

    A body that is not JSON raises werkzeug's `BadRequest` in `get_json()`, which is answered 400 unless the script
    catches it. Size is limited by the service's `max_request_body_mb` alone.
    """

    max_form_memory_size = None  # by default werkzeug refuses text fields of more than 500,000 bytes

    def _get_file_stream(self, *args: Any, **kwargs: Any) -> io.BytesIO:
        """Where werkzeug puts an uploaded file: the body is in memory already, so no temporary file is written."""
        return io.BytesIO()

    @cached_property
    def stream(self) -> Any:
        """The body, as a file. It is complete, so nothing has to guard its end, unless the script set a limit."""
        if self.shallow or self.max_content_length is not None:
            return super().stream
        return self.environ["wsgi.input"]

    # What Flask's request knows of the route. A service has one, and no blueprint.
    url_rule = None
    routing_exception = None
    endpoint = None
    view_args: dict[str, Any] | None = None
    blueprint = None
    blueprints: tuple[str, ...] = ()


def wsgi_environ(
    method: str, path: str, query: str, headers: dict[str, str], body: bytes, remote_addr: str | None = None
) -> dict[str, Any]:
    """The WSGI environment of a request whose header names are in lower case.

    Names with an underscore are left out, as v1's server did: they could pose as those with a hyphen.
    """
    host = headers.get("host") or "localhost"
    name, _, port = host.rpartition(":")
    if not port.isdigit():
        name, port = host, "80"
    target = f"{path}?{query}" if query else path
    is_plain = "%" not in path and path.isascii()
    environ = {
        **_CONSTANT,
        "REQUEST_METHOD": method,
        "PATH_INFO": path if is_plain else unquote_to_bytes(path).decode("latin-1"),
        "QUERY_STRING": query,
        "REQUEST_URI": target,
        "RAW_URI": target,
        "SERVER_NAME": name,
        "SERVER_PORT": port,
        "REMOTE_ADDR": remote_addr or "127.0.0.1",
        "CONTENT_LENGTH": str(len(body)),
        "wsgi.input": io.BytesIO(body),
        "wsgi.errors": sys.stderr,
    }
    for key, value in headers.items():
        if key == "content-type":
            environ["CONTENT_TYPE"] = value
        elif key not in _LEFT_OUT and "_" not in key:
            environ["HTTP_" + key.upper().replace("-", "_")] = value
    return environ


_CONSTANT = {
    "SCRIPT_NAME": "",
    "SERVER_PROTOCOL": "HTTP/1.1",
    "wsgi.version": (1, 0),
    "wsgi.url_scheme": "http",
    "wsgi.input_terminated": True,
    "wsgi.multithread": True,
    "wsgi.multiprocess": True,
    "wsgi.run_once": False,
}

# The body is complete when `run()` gets it, whatever it was sent in.
_LEFT_OUT = ("content-length", "transfer-encoding")
