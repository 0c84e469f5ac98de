"""A script that uses Flask runs inside a Flask request."""

from __future__ import annotations

import asyncio
import sys
import types
from pathlib import Path
from typing import Any

import flask
import pytest

from mldeploy_jupyter.serving.azureml.rawhttp import rawhttp
from mldeploy_jupyter.serving.scoring.flask_scorer import FlaskScorer, make_scorer, uses_flask
from mldeploy_jupyter.serving.scoring.messages import Request, Response
from mldeploy_jupyter.serving.scoring.scorer import Scorer
from mldeploy_jupyter.serving.scoring.script import inspect_script


def score(run: Any, body: bytes = b"", **request: Any) -> Response:
    module = types.ModuleType("score")
    module.__dict__.update(init=lambda: None, run=run, __file__=__file__)
    scorer = make_scorer(inspect_script(module))
    assert isinstance(scorer, FlaskScorer)
    return scorer.score(Request(body=body, **request))


def header(response: Response, name: str) -> str:
    return dict(response.headers)[name.encode()].decode()


@rawhttp
def own_response(request: Any) -> Any:
    return flask.Response(request.get_data() + b"!", 202, mimetype="text/csv")


@rawhttp
def same_request(request: Any) -> Any:
    flask.g.seen = request.form["a"]
    return flask.jsonify(form=flask.request.form.to_dict(), name=flask.current_app.name, seen=flask.g.seen)


@rawhttp
def sent_file(request: Any) -> Any:
    return flask.send_file(request.files["f"].stream, mimetype="image/png", download_name="a.png")


@rawhttp
def streamed(request: Any) -> Any:
    return flask.Response(flask.stream_with_context(part + request.method for part in ("a", "b")))


@rawhttp
def redirected(request: Any) -> Any:
    response = flask.make_response(flask.redirect("/other"))
    response.set_cookie("id", "5")
    return response


def plain(data: str) -> Any:
    return flask.jsonify({"method": flask.request.method, "data": data})


async def awaited(data: str) -> Any:
    return flask.jsonify(flask.request.args.to_dict())


def test_responses_and_contexts_of_flask() -> None:
    answer = score(own_response, b"x")
    assert (answer.status, answer.body, header(answer, "content-type")) == (202, b"x!", "text/csv; charset=utf-8")
    form = {"headers": {"content-type": "application/x-www-form-urlencoded"}, "body": b"a=1"}
    assert b'"form":{"a":"1"},"name":"score","seen":"1"' in score(same_request, **form).body
    upload = b"--B\r\nContent-Disposition: form-data; name=f; filename=f\r\n\r\n\x89PNG\r\n--B--\r\n"
    answer = score(sent_file, upload, headers={"content-type": "multipart/form-data; boundary=B"})
    assert (answer.status, answer.body, header(answer, "content-type")) == (200, b"\x89PNG", "image/png")
    assert score(streamed).body == b"aPOSTbPOST"
    answer = score(redirected)
    assert (answer.status, header(answer, "location"), header(answer, "set-cookie")) == (302, "/other", "id=5; Path=/")


def test_a_plain_run_has_the_request_too() -> None:
    assert b'"data":"{}","method":"POST"' in score(plain, b"{}").body


def test_an_async_run_has_it() -> None:
    module = types.ModuleType("score")
    module.__dict__.update(init=lambda: None, run=awaited, __file__=__file__)
    answer = asyncio.run(make_scorer(inspect_script(module)).score_async(Request(query="a=1")))
    assert answer.body.strip() == b'{"a":"1"}'


def test_a_script_without_flask_pays_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def module(source: str, name: str = "score") -> types.ModuleType:
        found = types.ModuleType(name)
        path = tmp_path / f"{name}.py"
        path.write_text(source)
        found.__file__ = str(path)
        return found

    assert not uses_flask(module("import json\n# import flask\nx = 'flask'"))
    assert not uses_flask(module("import flask_of_mine"))
    assert uses_flask(module("def run(data):\n    from flask import jsonify\n    return jsonify(1)"))
    assert uses_flask(module("from flask import request"))
    script = module("import answers")
    script.__dict__.update(init=lambda: None, run=lambda data: data)
    assert type(make_scorer(inspect_script(script))) is Scorer
    monkeypatch.setitem(sys.modules, "answers", module("import flask", "answers"))
    assert uses_flask(script)


def test_modules_imported_before_the_script_are_not_looked_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Untouchable(types.ModuleType):
        def __getattribute__(self, name: str) -> object:
            raise AssertionError("in a forked worker, to look at it is to copy it")

    (tmp_path / "score.py").write_text("import json")
    script = types.ModuleType("score_of_this_test")
    script.__file__ = str(tmp_path / "score.py")
    monkeypatch.setitem(sys.modules, "before_the_script", Untouchable("before_the_script"))
    monkeypatch.setitem(sys.modules, script.__name__, script)
    assert not uses_flask(script)
