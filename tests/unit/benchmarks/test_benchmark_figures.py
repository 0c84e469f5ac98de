"""The arithmetic of the benchmarks: a wrong median or verdict would tell us that we are fast."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from tests.benchmarks import load_switch, soak
from tests.benchmarks.serving import profile, report, work, wrk
from tests.benchmarks.serving.figures import FLOORS, Rounds, Verdict, verdicts
from tests.benchmarks.serving.open_load import Failure, Said
from tests.benchmarks.serving.processes import Weight
from tests.benchmarks.serving.servers import PEERS, SERVERS
from tests.benchmarks.serving.turn import Measured


def one(server: str, rate: float, *, kind: str = "small", connections: int = 8, p99: float = 1.0) -> Measured:
    return Measured(server, kind, connections, rate, p99 / 2, p99, 1e6 / rate)


def rounds(*turns: list[Measured]) -> Rounds:
    made = Rounds()
    for number, measured in enumerate(turns):
        made.add(number, measured)
    return made


def test_a_median_is_over_the_rounds_and_a_ratio_within_them() -> None:
    # The machine is half as fast in the second and third round: the ratio of the medians would be 4.
    found = rounds(
        [one("ours", 4000), one("azureml", 1000)],
        [one("ours", 1500), one("azureml", 500)],
        [one("ours", 2000), one("azureml", 500)],
    )
    assert found.median(("ours", "small", 8), "rate") == 2000
    assert found.ratio(("ours", "small", 8), ("azureml", "small", 8), "rate") == 4
    assert found.ratio(("azureml", "small", 8), ("ours", "small", 8), "rate") == 0.25


def test_a_ratio_is_of_the_rounds_that_both_have() -> None:
    found = rounds([one("ours", 900)], [one("ours", 300), one("azureml", 100)])
    assert found.ratio(("ours", "small", 8), ("azureml", "small", 8), "rate") == 3
    assert found.ratio(("ours", "small", 8), ("mlflow", "small", 8), "rate") is None
    assert found.median(("ours", "small", 64), "rate") is None


@pytest.mark.parametrize(
    ("got", "at_least", "met"),
    [(4.5, True, True), (4.49, True, False), (5.0, False, True), (5.1, False, False), (None, True, None)],
)
def test_a_verdict(got: float | None, at_least: bool, met: bool | None) -> None:
    verdict = Verdict("it", 4.5 if at_least else 5.0, got, at_least)
    assert verdict.met is met
    assert str(verdict).endswith({True: "met", False: "MISSED", None: "not measured"}[met])


def test_the_floors_are_those_of_the_issue() -> None:
    """All are missed by a server that is as fast as azureml's, all met by one that is far ahead of everything."""

    def turn(ours: float, p99: float) -> list[Measured]:
        found = []
        for connections in (1, 8, 64):
            found.append(one("ours", ours, connections=connections, p99=p99))
            found.append(one("ours", ours * 5, kind="batch", connections=connections, p99=p99))
            found.append(one("ours", ours, kind="large", connections=connections, p99=p99))
            for peer in ("azureml", "fastapi async"):
                found.append(one(peer, 100, connections=connections, p99=10))
                found.append(one(peer, 100, kind="large", connections=connections, p99=10))
            for peer in ("own loop", "own loop with duties"):
                found.append(one(peer, 600, connections=connections))
                found.append(one(peer, 3000, kind="batch", connections=connections))
            found.append(one("uvicorn", 600, connections=connections, p99=10))
        limits = [one(peer, 600, kind="raw") for peer in ("own loop", "own loop with duties")]
        return [*found, *limits, one("ours", ours, kind="raw"), one("azureml", 100, kind="raw")]

    good = verdicts(rounds(turn(600, 4.0)))
    assert [verdict.about for verdict in good if verdict.met is not True] == []
    bad = verdicts(rounds(turn(100, 11.0)))
    met = [verdict.about for verdict in bad if verdict.met is not False]
    assert met == ["batch, 1 connection: requests/s, with / without batching"]
    assert len(good) == len(FLOORS) == 29
    assert report.judged(bad)[-1] == "1 floors met, 28 missed, 0 not measured"


def test_nothing_measured_is_nothing_met() -> None:
    assert {verdict.met for verdict in verdicts(Rounds())} == {None}


def test_a_table_has_a_line_a_server_and_load() -> None:
    lines = report.table(rounds([one("azureml", 1000), one("ours", 4000)]))
    assert lines[0].split()[:3] == ["small,", "8", "connections"]
    assert lines[1].split() == ["ours", "4,000", "0.50", "1.00", "250", "4.00", "-", "-", "-"]
    assert lines[2].split() == ["azureml", "1,000", "0.50", "1.00", "1000", "1.00", "-", "-", "-"]


def test_a_batch_is_compared_with_the_peers_batch_or_its_small_requests() -> None:
    lines = report.table(
        rounds([one("ours", 4000, kind="batch"), one("azureml", 1000), one("own loop", 8000, kind="batch")])
    )
    assert [line.split()[-4:] for line in lines if line.startswith("  ours")] == [["4.00", "-", "0.50", "-"]]


def test_what_wrk_says_is_read() -> None:
    said = (
        'x\nJSON{"requests": 3000, "microseconds": 1500000, "bytes": 60000, "p50": 400, "p99": 2500, "failed": [%s]}\n'
    )
    load = wrk.read(said % "0,0,0,0,0", 20)
    assert (load.rate, load.p50, load.p99) == (2000, 0.4, 2.5)
    with pytest.raises(wrk.LoadFailed, match="1 had a status"):
        wrk.read(said % "1,0,0,0,0")
    with pytest.raises(wrk.LoadFailed, match="at least 21"):
        wrk.read(said % "0,0,0,0,0", 21)


def test_what_wrk_is_told(tmp_path: Path) -> None:
    lua = wrk.script(tmp_path, b"[1]", {"X-Key": 'a"b'}).read_text()
    assert 'wrk.headers["X-Key"] = "a\\"b"' in lua
    assert (tmp_path / "body").read_bytes() == b"[1]"


@pytest.mark.parametrize("kind", work.WORKS.values(), ids=lambda kind: kind.name)
def test_a_right_answer_is_right_and_another_is_not(kind: work.Work) -> None:
    wanted = work.expected(kind)
    assert work.is_right(wanted, wanted)
    assert not work.is_right(None, wanted)
    if isinstance(wanted, list):
        assert len(wanted) == kind.rows
        assert not work.is_right([*wanted[:-1], wanted[-1] + 1], wanted)
        assert not work.is_right(wanted[:-1], wanted)
    else:
        assert len(work.body(kind, "data")) == wanted
        assert not work.is_right(wanted + 1, wanted)


@pytest.mark.parametrize("path", sorted(PEERS.glob("*.py")), ids=lambda path: path.stem)
def test_a_peers_program_compiles(path: Path) -> None:
    tree = ast.parse(path.read_text(), str(path))
    compile(tree, str(path), "exec")
    assert path.name.startswith("__init__") or ast.get_docstring(tree)


def test_every_server_does_known_work() -> None:
    for server in SERVERS:
        assert server.works and set(server.works) <= set(work.WORKS)
    done = [(server.name, name) for server in SERVERS for name in server.works]
    assert len(done) == len(set(done)), "one work of a server is measured once"


def sample(seconds: float, megabytes: float, descriptors: int = 20) -> soak.Sample:
    weight = Weight(1, "worker", int(megabytes * 1e6), int(megabytes * 1e6), int(megabytes * 1e6), descriptors, 5)
    return soak.Sample(seconds, [weight])


def test_a_soak_is_flat_when_the_second_half_is() -> None:
    flat = [sample(number * 10, 100 + min(number, 10)) for number in range(30)]
    assert all(trend.flat for trend in soak.trends(flat))
    growing = [sample(number * 10, 100 + number) for number in range(30)]
    trends = {trend.quantity: trend for trend in soak.trends(growing)}
    assert trends["memory, MB"].gained == pytest.approx(14)
    assert [name for name, trend in trends.items() if not trend.flat] == ["memory, MB", "RSS, MB"]
    crowded = [sample(number * 10, 200 if number in (20, 29) else 100) for number in range(30)]
    assert all(trend.flat for trend in soak.trends(crowded))


def test_a_soak_with_a_failed_request_or_an_open_descriptor_is_not_good() -> None:
    samples = [sample(number * 10, 100) for number in range(30)]

    def soaked(said: Said, after: int = 20) -> soak.Soaked:
        return soak.Soaked(100, said, samples, samples[0], sample(300, 100, after))

    assert soaked(Said(requests=10)).good
    assert soaked(Said(requests=10), after=20 + soak.LEFT).good
    assert not soaked(Said(requests=10), after=21 + soak.LEFT).good
    refused = Failure("a", 1, 0, 1, "429", 429)
    assert soaked(Said(requests=100, failures=[refused])).good
    assert not soaked(Said(requests=100, failures=[refused] * 2)).good
    assert not soaked(Said(requests=10, failures=[Failure("a", 1, 0, 1, "no")])).good
    with pytest.raises(ValueError, match="2 samples"):
        soak.gained([(0, 1), (1, 2)])


def test_the_killed_workers_own_requests_are_told_from_others() -> None:
    killed = load_switch.Killed(pid=1, moment=10.0, ports={5, 6})
    lost = Failure("a", 5, 9.9, 10.01, "reset")
    elsewhere = Failure("b", 7, 9.9, 10.01, "reset")
    before = Failure("c", 6, 8.0, 9.0, "reset")
    assert load_switch.own([lost, elsewhere, before], killed) == ([lost], [elsewhere, before])


def test_a_profile_adds_the_stacks_up() -> None:
    folded = "main;parse (a.py:3) 30\nmain;run (b.py:1);parse (a.py:3) 10\nmain;run (b.py:1) 60\n"
    shares = {share.name: share for share in profile.shares(folded)}
    assert (shares["run (b.py:1)"].itself, shares["run (b.py:1)"].total) == (60, 70)
    assert (shares["parse (a.py:3)"].itself, shares["parse (a.py:3)"].total) == (40, 40)
    assert (shares["main"].itself, shares["main"].total) == (0, 100)


def test_a_stack_that_waits_is_no_work() -> None:
    folded = (
        "main;epoll_pwait (libc.so.6) 30\nmain;take;pthread_cond_timedwait (libc.so.6);0x7f (libc.so.6) 20\nmain 50"
    )
    assert profile.split(folded) == ("main 50", {"the next request": 30, "a lock, mostly the interpreter's": 20})
