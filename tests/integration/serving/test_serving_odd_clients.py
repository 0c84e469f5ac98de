"""Clients and scripts that do what is allowed, or at least done, and what may not break a service."""

from __future__ import annotations

import http.client
import re
import shutil
import socket
import threading
from collections.abc import Callable

import psutil
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
    return socket.create_connection(("127.0.0.1", service.facts["port"]), timeout=20)


def answer_of(connection: socket.socket) -> tuple[int, bytes]:
    response = http.client.HTTPResponse(connection)
    response.begin()
    return response.status, response.read()


def test_a_post_that_offers_http_2_is_answered_in_http_1(shared: Supervised) -> None:
    shared.deploy()
    offer = b"connection: Upgrade, HTTP2-Settings\r\nupgrade: h2c\r\nhttp2-settings: AAEAAEAA\r\n"
    head = b"POST /score HTTP/1.1\r\nhost: x\r\n" + AUTH + offer + b"content-length: 3\r\n\r\n"
    with connect(shared) as connection:
        connection.sendall(head + b"[1]")
        assert answer_of(connection) == (200, b"[1]")
        connection.sendall(head + b"[")  # the body comes in pieces, on a connection that stays
        connection.sendall(b"2]" + head + b"[3]")
        assert [answer_of(connection)[1]] == [b"[2]"]
    with connect(shared) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nhost: x\r\nconnection: upgrade, close\r\nupgrade: websocket\r\n\r\n")
        assert answer_of(connection) == (200, b"Healthy") and connection.recv(1) == b""


def test_a_status_without_a_body_leaves_nothing_for_the_next_answer(shared: Supervised) -> None:
    shared.deploy(RAW)
    with requests.Session() as session:
        for status in (204, 205, 304, 200):
            response = session.get(f"{shared.url}/score?status={status}", headers=KEY, timeout=20)
            assert (response.status_code, response.content) == (status, b'{"a":1}' if status == 200 else b"")


def test_a_response_that_cannot_be_sent_is_an_error_of_the_script(shared: Supervised) -> None:
    shared.deploy(RAW)
    for query in ("status=99", "status=101", "status=700", "header=a%0d%0aset-cookie:%20b", "header=a%00"):
        response = requests.get(f"{shared.url}/score?{query}", headers=KEY, timeout=20)
        assert (response.status_code, response.json()["error"]["code"]) == (500, "output-not-json"), query
        assert "set-cookie" not in response.headers


def test_a_script_that_takes_stderr_away_is_answered_as_before(supervised: Supervised) -> None:
    for how in ("none", "closed"):
        supervised.deploy(RAW)
        with requests.Session() as session:
            url = f"{supervised.url}/score"
            assert session.get(f"{url}?stderr={how}", headers=KEY, timeout=20).status_code == 200
            failed = session.get(f"{url}?boom=1", headers=KEY, timeout=20)
            assert (failed.status_code, failed.json()["error"]["code"]) == (500, "script-failed")
            assert session.get(url, headers=KEY, timeout=20).status_code == 200
            session.close()


def test_a_path_writes_no_line_of_its_own_into_the_log(supervised: Supervised) -> None:
    supervised.deploy()
    assert requests.get(f"{supervised.url}/%0aforged%1b[2J", timeout=20).status_code == 404
    wait_until(lambda: "forged" in supervised.log)
    assert re.search(r"GET '/\\nforged\\x1b\[2J' 404", supervised.log) and "\x1b" not in supervised.log


def test_a_request_refused_before_it_had_come_whole_does_not_hold_its_connection_up(supervised: Supervised) -> None:
    supervised.deploy()
    with connect(supervised) as connection:
        connection.sendall(b"POST /score HTTP/1.1\r\nhost: x\r\ncontent-length: 10\r\n\r\n[1,")
        assert answer_of(connection)[0] == 401
        assert supervised.deploy()["ok"]
        connection.sendall(b"2,3,4,]")
        connection.sendall(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
        connection.settimeout(10)  # the old worker would keep it for half a minute
        assert answer_of(connection) == (200, b"Healthy")


def test_a_request_in_c_code_is_answered_by_the_worker_that_is_replaced(supervised: Supervised) -> None:
    held = "import ctypes\ndef init(): pass\ndef run(data):\n    ctypes.PyDLL(None).usleep(12_000_000)\n    return 1\n"
    supervised.deploy(held)
    statuses: list[int] = []
    client = threading.Thread(target=lambda: statuses.append(supervised.score(timeout=40).status_code))
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


def test_a_revision_that_cannot_be_written_down_does_not_get_the_traffic(supervised: Supervised) -> None:
    assert supervised.deploy()["ok"]
    blocked = supervised.folder / ".live.json.next"
    blocked.mkdir()
    failure = supervised.deploy()["failure"]
    assert (failure["code"], failure["stage"]) == ("spawn-failed", "switch")
    assert supervised.score().headers["x-mldeploy-revision"] == "1"
    assert [w["revision"] for w in supervised.ask("status")["workers"]] == [1]
    blocked.rmdir()
    assert supervised.deploy()["ok"]
    assert supervised.score().headers["x-mldeploy-revision"] == "3"


def test_a_log_folder_that_is_removed_comes_back_with_the_next_file(supervised: Supervised) -> None:
    supervised.deploy("def init(): pass\ndef run(data):\n    for _ in range(200): print('x' * 60_000)\n    return 1\n")
    shutil.rmtree(supervised.folder / "logs")
    assert supervised.score().status_code == 200
    wait_until(lambda: (supervised.folder / "logs" / "service.log").exists())
    assert supervised.score().status_code == 200
    wait_until(lambda: " 200 " in supervised.log)


def test_a_daemon_that_a_script_started_ends_with_its_worker_and_holds_no_port(supervised: Supervised) -> None:
    supervised.deploy(
        """
        import os, time
        def init():
            if os.fork() == 0:
                os.setsid()
                if os.fork() == 0:
                    with open("daemon", "w") as file:
                        file.write(str(os.getpid()) + "\\n")
                    time.sleep(600)
                os._exit(0)
        def run(data): return 1
        """
    )
    wrote = supervised.root / "app1" / "daemon"
    wait_until(lambda: wrote.exists() and wrote.read_text().endswith("\n"))
    daemon = int(wrote.read_text())
    assert psutil.pid_exists(daemon)
    port = supervised.facts["port"]
    supervised.ask("stop")
    gone = (psutil.NoSuchProcess, psutil.ZombieProcess)
    wait_until(lambda: not psutil.pid_exists(daemon) or _raises(gone, psutil.Process(daemon).environ), what="its end")
    with socket.socket() as again:
        again.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        again.bind(("127.0.0.1", port))


def _raises(kinds: tuple[type[Exception], ...], call: Callable[[], object]) -> bool:
    try:
        call()
    except kinds:
        return True
    return False


def test_many_offers_of_another_protocol_in_one_piece_are_all_declined(shared: Supervised) -> None:
    shared.deploy()
    offer = b"GET / HTTP/1.1\r\nhost: a\r\nupgrade: h2c\r\nconnection: upgrade\r\n\r\n"
    with connect(shared) as connection:
        connection.sendall(offer * 1000 + b"GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n")
        told = b"".join(iter(lambda: connection.recv(1 << 20), b""))
    assert told.count(b"HTTP/1.1 200 OK") == 1001


def test_an_offer_of_another_protocol_excuses_no_second_host(shared: Supervised) -> None:
    shared.deploy()
    with connect(shared) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nhost: a\r\nhost: b\r\nupgrade: h2c\r\nconnection: upgrade\r\n\r\n")
        status, body = answer_of(connection)
    assert status == 400 and b"twice" in body
