"""Unusual but legal behaviour of clients and scripts, which must not break the service."""

from __future__ import annotations

import http.client
import re
import socket
import threading

import requests

from tests.integration.serving.supervised import KEY, Supervised
from tests.polling import wait_until

AUTH = b"authorization: Bearer first-key\r\ncontent-type: application/json\r\n"
RAW = """
    import sys
    from azureml.contrib.services.aml_request import rawhttp
    from azureml.contrib.services.aml_response import AMLResponse

    def init(): pass

    @rawhttp
    def run(request):
        if "stderr" in request.args:
            if request.args["stderr"] == "none":
                sys.stderr = None
            else:
                sys.stderr = open("/dev/null", "w")
                sys.stderr.close()
        if "boom" in request.args:
            raise ValueError("boom")
        headers = {"x-told": request.args["header"]} if "header" in request.args else {}
        return AMLResponse({"a": 1}, int(request.args.get("status", "200")), headers)
"""


def connect(service: Supervised) -> socket.socket:
    return socket.create_connection(("127.0.0.1", service.facts["port"]), timeout=60)


def answer_of(connection: socket.socket) -> tuple[int, bytes]:
    response = http.client.HTTPResponse(connection)
    response.begin()
    return response.status, response.read()


def test_a_post_that_offers_http_2_is_answered_in_http_1(shared: Supervised) -> None:
    shared.deploy()
    offer = b"connection: Upgrade, HTTP2-Settings\r\nupgrade: h2c\r\nhttp2-settings: AAEAAEAA\r\n"
    head = b"POST /score HTTP/1.1\r\nhost: localhost\r\n" + AUTH + offer + b"content-length: 3\r\n\r\n"
    with connect(shared) as connection:
        connection.sendall(head + b"[1]")
        assert answer_of(connection) == (200, b"[1]")
        connection.sendall(head + b"[")  # the body comes in pieces, on a connection that stays
        connection.sendall(b"2]" + head + b"[3]")
        assert [answer_of(connection)[1]] == [b"[2]"]
    with connect(shared) as connection:
        connection.sendall(
            b"GET / HTTP/1.1\r\nhost: localhost\r\nconnection: upgrade, close\r\nupgrade: websocket\r\n\r\n"
        )
        assert answer_of(connection) == (200, b"Healthy") and connection.recv(1) == b""


def test_a_status_without_a_body_leaves_nothing_for_the_next_answer(shared: Supervised) -> None:
    shared.deploy(RAW)
    with requests.Session() as session:
        for status in (204, 205, 304, 200):
            response = session.get(f"{shared.url}/score?status={status}", headers=KEY, timeout=60)
            assert (response.status_code, response.content) == (status, b'{"a":1}' if status == 200 else b"")


def test_a_response_that_cannot_be_sent_is_an_error_of_the_script(shared: Supervised) -> None:
    shared.deploy(RAW)
    for query in ("status=99", "status=101", "status=700", "header=a%0d%0aset-cookie:%20b", "header=a%00"):
        response = requests.get(f"{shared.url}/score?{query}", headers=KEY, timeout=60)
        # werkzeug refuses a line break when it is set; the rest is found when the response is built.
        code = "script-failed" if "%0d%0a" in query else "output-not-json"
        assert (response.status_code, response.json()["error"]["code"]) == (500, code), query
        assert "set-cookie" not in response.headers


def test_a_script_with_flask_takes_a_form_and_answers_with_its_response(shared: Supervised) -> None:
    shared.deploy("""
    from azureml.contrib.services.aml_request import rawhttp
    from flask import abort, jsonify, request as current

    def init(): pass

    def safe(run):
        def inner(*args): return run(*args)
        return inner

    @safe
    @rawhttp
    def run(request):
        if "image" not in request.files: abort(400, "an image is required")
        size = len(request.files["image"].read())
        response = jsonify(size=size, note=current.form["note"], n=request.args.get("n", type=int))
        response.headers["Access-Control-Allow-Origin"] = "http://a"
        return response
    """)
    files = {"image": ("a.png", b"x" * 700_000, "image/png")}
    url = f"{shared.url}/score?n=7"
    response = requests.post(url, files=files, data={"note": "hello"}, headers=KEY, timeout=60)
    assert (response.status_code, response.json()) == (200, {"n": 7, "note": "hello", "size": 700_000})
    assert response.headers["access-control-allow-origin"] == "http://a"
    response = requests.post(url, data="x", headers=KEY, timeout=60)
    assert (response.status_code, response.json()["message"]) == (400, "an image is required")
    assert response.json()["error"]["code"] == "script-refused"


def test_a_script_that_closes_stderr_is_served_as_before(supervised: Supervised) -> None:
    for how in ("none", "closed"):
        supervised.deploy(RAW)
        with requests.Session() as session:
            url = f"{supervised.url}/score"
            assert session.get(f"{url}?stderr={how}", headers=KEY, timeout=60).status_code == 200
            failed = session.get(f"{url}?boom=1", headers=KEY, timeout=60)
            assert (failed.status_code, failed.json()["error"]["code"]) == (500, "script-failed")
            assert session.get(url, headers=KEY, timeout=60).status_code == 200
            session.close()


def test_a_path_cannot_forge_a_line_of_the_log(supervised: Supervised) -> None:
    supervised.deploy()
    assert requests.get(f"{supervised.url}/%0aforged%1b[2J", timeout=60).status_code == 404
    wait_until(lambda: "forged" in supervised.log)
    assert re.search(r"GET '/\\nforged\\x1b\[2J' 404", supervised.log) and "\x1b" not in supervised.log


def test_an_early_refusal_does_not_block_its_connection(supervised: Supervised) -> None:
    supervised.deploy(drain_timeout=600)
    with connect(supervised) as connection:
        connection.sendall(b"POST /score HTTP/1.1\r\nhost: localhost\r\ncontent-length: 10\r\n\r\n[1,")
        assert answer_of(connection)[0] == 401
        assert supervised.deploy()["ok"]
        connection.sendall(b"2,3,4,]")
        connection.sendall(b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n")
        # The old worker would keep it for ten minutes.
        assert answer_of(connection) == (200, b"Healthy")


def test_a_request_in_c_code_is_answered_by_the_worker_that_is_replaced(supervised: Supervised) -> None:
    held = "import ctypes\ndef init(): pass\ndef run(data):\n    ctypes.PyDLL(None).usleep(12_000_000)\n    return 1\n"
    supervised.deploy(held)
    statuses: list[int] = []
    client = threading.Thread(target=lambda: statuses.append(supervised.score(timeout=60).status_code))
    client.start()
    wait_until(lambda: not _answers(supervised), what="nobody else to run in the worker")
    assert supervised.deploy()["ok"] and supervised.score().headers["x-mldeploy-revision"] == "2"
    client.join()
    assert statuses == [200]


def _answers(service: Supervised) -> bool:
    try:
        return requests.get(service.url, timeout=0.5).ok
    except requests.Timeout:
        return False


def test_many_upgrade_offers_in_one_piece_are_all_declined(shared: Supervised) -> None:
    shared.deploy()
    offer = b"GET / HTTP/1.1\r\nhost: localhost\r\nupgrade: h2c\r\nconnection: upgrade\r\n\r\n"
    with connect(shared) as connection:
        connection.sendall(offer * 1000 + b"GET / HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")
        told = b"".join(iter(lambda: connection.recv(1 << 20), b""))
    assert told.count(b"HTTP/1.1 200 OK") == 1001


def test_an_upgrade_offer_does_not_excuse_a_second_host(shared: Supervised) -> None:
    shared.deploy()
    with connect(shared) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nhost: a\r\nhost: b\r\nupgrade: h2c\r\nconnection: upgrade\r\n\r\n")
        status, body = answer_of(connection)
    assert status == 400 and b"twice" in body
