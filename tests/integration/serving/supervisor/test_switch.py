"""Switching from one revision to the next under traffic: no request fails, none is answered by the old code after."""

from __future__ import annotations

import email
import json
import os
import signal
import socket
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

from tests.integration.serving.closed_loop import Load
from tests.integration.serving.supervised import WAIT, Supervised
from tests.polling import stop_process, wait_until

SLEEPY = """
    import json, time
    def init(): pass
    def run(data):
        seconds = json.loads(data)
        print(f"running {seconds}", flush=True)
        time.sleep(seconds)
        return seconds
"""
HEAD = (
    b"POST /score HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer first-key\r\ncontent-type: application/json\r\n"
)


def raw_connection(service: Supervised) -> socket.socket:
    return socket.create_connection(("127.0.0.1", service.facts["port"]), timeout=60)


def read_answer(connection: socket.socket) -> tuple[int, str, bytes]:
    """Status, revision and body of one answer; takes no byte of the next one, which may be there already."""
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        byte = connection.recv(1)
        assert byte, f"the connection ended after {head!r}"
        head += byte
    first, _, fields = head.decode("latin-1").partition("\r\n")
    headers = email.message_from_string(fields)
    body = connection.recv(int(headers["content-length"]), socket.MSG_WAITALL)
    return int(first.split()[1]), headers["x-mldeploy-revision"], body


def request_of(body: bytes) -> bytes:
    return HEAD + b"content-length: %d\r\n\r\n" % len(body) + body


def test_ten_updates_under_load_fail_no_request_and_never_go_back(supervised: Supervised) -> None:
    assert supervised.deploy(workers=2)["ok"]
    load = Load(supervised.url, sessions=4, fresh=4)
    try:
        load.await_two_more()
        for number in range(2, 12):
            seen = [len(answers) for answers in load.answers]
            assert supervised.deploy(workers=2)["ok"]
            # Requests that begin after the switch returned have the new revision, on old connections too.
            counts = [len(answers) for answers in load.answers]
            wait_until(lambda counts=counts: all(len(a) >= n + 2 for a, n in zip(load.answers, counts, strict=True)))
            for answers, before in zip(load.answers, counts, strict=True):
                assert answers[before + 1] == number
            assert counts != seen
    finally:
        load.end()
    assert load.failures == []
    for answers in load.answers:
        assert answers == sorted(answers)
        assert set(answers) == set(range(1, 12))


def test_an_old_worker_that_stood_still_during_the_switch_accepts_no_connection_after_it(
    supervised: Supervised,
) -> None:
    """It reads its orders late: a client that the new revision has answered must not get the old one again."""
    assert supervised.deploy(workers=2)["ok"]
    for revision in range(2, 7):
        late = supervised.pids()[0]
        stop_process(late)
        with ThreadPoolExecutor(12) as pool:
            deploying = pool.submit(supervised.deploy, workers=2)
            wait_until(lambda wanted=str(revision): revision_of(supervised) == wanted)
            answers = [pool.submit(revision_of, supervised) for _ in range(60)]
            with suppress(ProcessLookupError):  # the watchdog may have ended it
                os.kill(late, signal.SIGCONT)
            assert {answer.result() for answer in answers} == {str(revision)}
            assert deploying.result()["ok"]


def revision_of(service: Supervised) -> str:
    """The revision that answers a request on a connection of its own."""
    return service.score().headers["x-mldeploy-revision"]


def test_a_kept_connection_is_answered_by_the_new_revision_and_never_closed(supervised: Supervised) -> None:
    supervised.deploy()
    with raw_connection(supervised) as connection:
        for revision in range(1, 5):
            connection.sendall(request_of(b'{"n": %d}' % revision))
            assert read_answer(connection) == (200, str(revision), b'{"n":%d}' % revision)
            supervised.deploy()
        connection.sendall(request_of(b"1"))
        assert read_answer(connection)[1] == "5"


def test_a_connection_that_never_sent_anything_is_handed_over(supervised: Supervised) -> None:
    supervised.deploy()
    with raw_connection(supervised) as connection:
        supervised.score()  # the connection above is accepted by now: the queue is in order
        supervised.deploy()
        connection.sendall(request_of(b"1"))
        assert read_answer(connection) == (200, "2", b"1")


def test_a_request_in_flight_is_answered_by_the_old_revision_and_the_next_by_the_new(supervised: Supervised) -> None:
    gate = supervised.root / "gate"
    supervised.deploy(f"""
        import os, threading
        def init(): pass
        def run(data):
            print("running", flush=True)
            while not os.path.exists({str(gate)!r}): threading.Event().wait(0.01)
            return 1
    """)
    with raw_connection(supervised) as connection:
        connection.sendall(request_of(b"1"))
        wait_until(lambda: "running" in supervised.log)
        assert supervised.deploy(SLEEPY)["ok"]  # the switch does not wait for it
        connection.sendall(request_of(b"0"))  # arrives while the first still runs
        gate.touch()
        assert read_answer(connection) == (200, "1", b"1")
        assert read_answer(connection) == (200, "2", b"0")
    wait_until(lambda: len(supervised.ask("status")["workers"]) == 1, what="the old worker's end")


def test_a_half_received_request_is_finished_by_the_worker_that_has_it(supervised: Supervised) -> None:
    supervised.deploy()
    for cut in (3, len(HEAD), len(request_of(b"[1, 2]")) - 2):
        revision = supervised.revision
        with raw_connection(supervised) as connection:
            request = request_of(b"[1, 2]")
            connection.sendall(request[:cut])
            supervised.score()
            supervised.deploy()
            connection.sendall(request[cut:])
            status, by, body = read_answer(connection)
            assert (status, body) == (200, b"[1,2]")
            assert by == str(revision)
            connection.sendall(request)
            assert read_answer(connection) == (200, str(revision + 1), b"[1,2]")


def test_pipelined_requests_are_all_answered_in_order_across_a_switch(supervised: Supervised) -> None:
    supervised.deploy(SLEEPY)
    with raw_connection(supervised) as connection:
        connection.sendall(b"".join(request_of(b"0.%d" % n) for n in (5, 1, 2, 3)))
        wait_until(lambda: "running 0.5" in supervised.log)
        supervised.deploy(SLEEPY)
        reader = connection.makefile("rb")
        bodies = []
        for _ in range(4):
            length = 0
            while (line := reader.readline().strip()) != b"":
                if line.startswith(b"content-length"):
                    length = int(line.split()[1])
            bodies.append(reader.read(length))
    assert bodies == [b"0.5", b"0.1", b"0.2", b"0.3"]


def test_many_idle_connections_are_handed_over(supervised: Supervised) -> None:
    supervised.deploy(workers=2)
    connections = [raw_connection(supervised) for _ in range(150)]
    try:
        for connection in connections:
            connection.sendall(request_of(b"1"))
        assert {read_answer(connection)[:2] for connection in connections} == {(200, "1")}
        supervised.deploy(workers=2)
        for connection in connections:
            connection.sendall(request_of(b"2"))
        assert {read_answer(connection) for connection in connections} == {(200, "2", b"2")}
    finally:
        for connection in connections:
            connection.close()


def test_a_failing_revision_leaves_the_old_one_serving_without_a_failed_request(supervised: Supervised) -> None:
    supervised.deploy()
    load = Load(supervised.url, sessions=2, fresh=1)
    try:
        answer = supervised.deploy("def init(): raise RuntimeError('no')\ndef run(data): return 1\n")
        assert answer["failure"]["code"] == "init-raised"
        wait_until(lambda: all(len(answers) > 5 for answers in load.answers))
    finally:
        load.end()
    assert load.failures == []
    assert {revision for answers in load.answers for revision in answers} == {1}
    status = supervised.ask("status")
    assert (status["state"], status["revision"]) == ("Live", 1)
    assert status["last_deploy"]["outcome"] == "failed"
    assert json.loads((supervised.folder / "live.json").read_text())["revision"] == 1


def test_a_restart_under_load_fails_no_request(supervised: Supervised) -> None:
    supervised.deploy(workers=2)
    load = Load(supervised.url, sessions=3, fresh=2)
    try:
        for _ in range(3):
            load.await_two_more()
            assert supervised.ask("restart")["ok"]
        load.await_two_more()
    finally:
        load.end()
    assert load.failures == []


def test_requests_go_on_while_a_slow_revision_loads(supervised: Supervised) -> None:
    supervised.deploy()
    slow = f"import os, time\ndef init(): print('loading', flush=True); {WAIT}\ndef run(data): return 1\n"
    with ThreadPoolExecutor(1) as pool:
        deploying = pool.submit(supervised.deploy, slow)
        wait_until(lambda: "loading" in supervised.log)
        assert {supervised.score().headers["x-mldeploy-revision"] for _ in range(20)} == {"1"}
        supervised.open_gate()
        while not deploying.done():
            assert supervised.score().status_code == 200
        assert deploying.result()["ok"]


def test_a_deployment_that_fails_leaves_no_file_of_the_next_revision(supervised: Supervised) -> None:
    assert supervised.deploy()["ok"]
    assert not supervised.deploy("def init(): raise ValueError('broken')\ndef run(data): return 1\n")["ok"]
    assert list(supervised.folder.glob(".live.json*")) == []


def test_a_revision_that_cannot_be_recorded_gets_no_traffic(supervised: Supervised) -> None:
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
