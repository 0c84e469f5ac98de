"""Scripts with @rawhttp: the request and the response are werkzeug's, as they were Flask's."""

from __future__ import annotations

import base64

from .case import Ask, Case, case

IMPORTS = """
        import json
        from azureml.contrib.services.aml_request import AMLRequest, rawhttp
        from azureml.contrib.services.aml_response import AMLResponse

        def init():
            print("This is init()")
"""

HTML = {"content-type": "text/html; charset=utf-8"}
JSON = {"content-type": "application/json"}
FORM = {"content-type": "multipart/form-data; boundary=B"}
MULTIPART = (
    b'--B\r\nContent-Disposition: form-data; name="note"\r\n\r\nhello\r\n'
    b'--B\r\nContent-Disposition: form-data; name="image"; filename="a.png"\r\nContent-Type: image/png\r\n\r\n'
    b"12345\r\n--B--\r\n"
)
PIXEL = base64.b64encode(
    base64.b64decode("R0lGODlhAQABAIAAAP///wAAACwAAAAAAQABAAACAkQBADs=")  # a GIF of one pixel
).decode()


def raw(kind: str, script: str, *asks: tuple[object, object] | Ask, refused: str = "", imports: str = IMPORTS) -> Case:
    return case(kind, imports + script, *asks, refused=refused)


CASES: tuple[Case, ...] = (
    raw(
        "GET and POST told apart",
        """
        @rawhttp
        def run(request):
            print("Request: [{0}]".format(request))
            if request.method == "GET":
                respBody = str.encode(request.full_path)
                return AMLResponse(respBody, 200)
            elif request.method == "POST":
                reqBody = request.get_data(False)
                return AMLResponse(reqBody, 200)
            else:
                return AMLResponse("bad request", 500)
        """,
        Ask(b"", b"/score?a=1", method="GET", query="a=1"),
        Ask(b"body", b"body"),
        Ask(b"", b"bad request", 500, method="OPTIONS"),
    ),
    raw(
        "a file that a form brings",
        """
        @rawhttp
        def run(request):
            if request.method == "POST":
                file_bytes = request.files["image"].read()
                return AMLResponse({"name": request.files["image"].filename, "size": len(file_bytes),
                                    "note": request.form.get("note")}, 200, json_str=True)
            return AMLResponse("bad request, use POST", 400)
        """,
        Ask(MULTIPART, {"name": "a.png", "size": 5, "note": "hello"}, headers=FORM, answer_headers=JSON),
        Ask(b"", b"bad request, use POST", 400, method="GET", answer_headers=HTML),
    ),
    raw(
        "an image in base64, opened by Pillow",
        """
        import base64, io
        from PIL import Image

        @rawhttp
        def run(request):
            image = Image.open(io.BytesIO(base64.b64decode(request.get_json()["image"])))
            return AMLResponse(json.dumps({"size": image.size}), 200)
        """,
        Ask({"image": PIXEL}, {"size": [1, 1]}, headers=JSON),
    ),
    raw(
        "the bytes of an array",
        """
        import numpy as np

        @rawhttp
        def run(request):
            return AMLResponse(np.frombuffer(request.data, dtype=np.uint8).sum().item(), 200, json_str=True)
        """,
        (bytes([1, 2, 3]), 6),
    ),
    raw(
        "values of the query with their types",
        """
        @rawhttp
        def run(request):
            n = request.args.get("n", default=1, type=int)
            names = request.args.getlist("name")
            return {"n": n, "names": names, "all": request.args.to_dict(), "sent": request.values.get("n")}
        """,
        Ask(
            b"",
            {"n": 7, "names": ["a", "b"], "all": {"n": "7", "name": "a"}, "sent": "7"},
            method="GET",
            query="n=7&name=a&name=b",
        ),
        Ask(b"", {"n": 1, "names": [], "all": {"n": "x"}, "sent": "x"}, query="n=x"),
    ),
    raw(
        "headers and cookies, one by one",
        """
        @rawhttp
        def run(request):
            found = {k: v for k, v in request.headers if k.startswith("X-")}
            return [found, request.cookies.get("session"), request.headers.get("x-a"), request.content_type,
                    "x-a" in request.headers, request.mimetype]
        """,
        Ask(
            b"x",
            [{"X-A": "1"}, "s", "1", "text/plain; charset=utf-8", True, "text/plain"],
            headers={"x-a": "1", "cookie": "session=s; more=1", "content-type": "text/plain; charset=utf-8"},
        ),
    ),
    raw(
        "cross-origin requests, as Azure's page answers them",
        """
        @rawhttp
        def run(request):
            if request.method == "OPTIONS":
                resp = AMLResponse("", 200)
                resp.headers["Allow"] = "OPTIONS, GET, POST"
                resp.headers["Access-Control-Allow-Methods"] = "OPTIONS, GET, POST"
                resp.headers["Access-Control-Allow-Origin"] = "http://www.example.com"
                resp.headers["Access-Control-Allow-Headers"] = "*"
                return resp
            resp = AMLResponse(request.get_data(), 200)
            resp.headers["Access-Control-Allow-Origin"] = "http://www.example.com"
            return resp
        """,
        Ask(
            b"",
            b"",
            method="OPTIONS",
            answer_headers={
                "access-control-allow-origin": "http://www.example.com",
                "access-control-allow-headers": "*",
            },
        ),
        Ask(b"x", b"x", answer_headers={"access-control-allow-origin": "http://www.example.com"}),
    ),
    raw(
        "a request that the script refuses",
        """
        @rawhttp
        def run(request):
            try:
                data = json.loads(request.get_data(as_text=True))
                return AMLResponse(data["x"] * 2, 200, json_str=True)
            except (ValueError, KeyError) as e:
                return AMLResponse(json.dumps({"error": type(e).__name__}), 400, {"Content-Type": "application/json"})
        """,
        ({"x": 2}, 4),
        Ask(b"{", {"error": "JSONDecodeError"}, 400, answer_headers=JSON),
        Ask({"y": 2}, {"error": "KeyError"}, 400),
    ),
    raw(
        "an answer in parts",
        """
        def generate(items):
            for item in items:
                yield "item: " + str(item) + "\\n\\n"

        @rawhttp
        def run(request: AMLRequest):
            return AMLResponse(generate(json.loads(request.data)["items"]), 200)
        """,
        ({"items": ["a", "b"]}, b"item: a\n\nitem: b\n\n"),
    ),
    raw(
        "an image as the answer",
        """
        import io

        @rawhttp
        def run(request):
            buffer = io.BytesIO()
            buffer.write(b"GIF89a")
            return AMLResponse(buffer.getvalue(), 200, {"Content-Type": "image/gif", "Content-Disposition": "inline"})
        """,
        Ask(b"", b"GIF89a", answer_headers={"content-type": "image/gif", "content-disposition": "inline"}),
    ),
    raw(
        "a response that is changed after it was made",
        """
        @rawhttp
        def run(request):
            response = AMLResponse("x", 200)
            response.status_code = 404
            response.data = "gone"
            response.mimetype = "text/csv"
            response.set_cookie("seen", "1")
            return response
        """,
        Ask(
            b"",
            b"gone",
            404,
            answer_headers={"content-type": "text/csv; charset=utf-8", "set-cookie": "seen=1; Path=/"},
        ),
    ),
    raw(
        "a result that is no response",
        """
        import numpy as np

        @rawhttp
        def run(request):
            return {"n": np.int64(len(request.get_data()))}
        """,
        (b"abc", {"n": 3}),
    ),
    raw(
        "the names of the server's own package",
        """
        @rawhttp
        def run(request):
            return AMLResponse({"path": request.path, "remote": request.remote_addr}, 200, json_str=True)
        """,
        (b"", {"path": "/score", "remote": "127.0.0.1"}),
        imports="""
        from azureml_inference_server_http.api.aml_request import AMLRequest, rawhttp
        from azureml_inference_server_http.api.aml_response import AMLResponse

        def init():
            pass
        """,
    ),
    raw(
        "Flask's response, and its request",
        """
        import flask
        from flask import Response, jsonify

        @rawhttp
        def run(request):
            kind = flask.request.args.get("kind")
            if kind == "json":
                return jsonify(ok=True, same=isinstance(request, flask.Request))
            return Response("a,b", 202, mimetype="text/csv", headers={"X-Own": "1"})
        """,
        Ask(b"", {"ok": True, "same": True}, query="kind=json"),
        Ask(b"", b"a,b", 202, answer_headers={"content-type": "text/csv; charset=utf-8", "x-own": "1"}),
    ),
    raw(
        "a request that werkzeug's exception refuses",
        """
        from werkzeug.exceptions import NotFound

        @rawhttp
        def run(request):
            raise NotFound("no such row")
        """,
        Ask(b"", None, 404),
    ),
    raw(
        "rawhttp below a decorator of the script's own",
        """
        def safe(f):
            def inner(request):
                try:
                    return f(request)
                except ZeroDivisionError:
                    return AMLResponse("caught", 500)
            return inner

        @safe
        @rawhttp
        def run(request):
            return AMLResponse(str(1 / int(request.data)), 200)
        """,
        (b"2", 0.5),
        Ask(b"0", b"caught", 500),
    ),
    raw(
        "a failure that the response reports",
        """
        @rawhttp
        def run(request):
            return AMLResponse(None, 333, run_function_failed=True)
        """,
        Ask(b"", {}, 333),
    ),
    raw(
        "a coroutine that awaits",
        """
        import asyncio

        @rawhttp
        async def run(request):
            await asyncio.sleep(0)
            return AMLResponse(request.get_data(as_text=True).upper(), 200)
        """,
        (b"abc", b"ABC"),
    ),
    raw(
        "rawhttp together with a sample",
        """
        from inference_schema.schema_decorators import input_schema
        from inference_schema.parameter_types.standard_py_parameter_type import StandardPythonParameterType

        @rawhttp
        @input_schema("data", StandardPythonParameterType([1]))
        def run(data):
            return data
        """,
        refused="run() cannot have both @rawhttp and @input_schema",
    ),
)
