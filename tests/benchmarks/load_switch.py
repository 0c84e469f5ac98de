"""Constant load through ten updates, one key regenerated and one worker killed: which requests fail?

    python -m tests.benchmarks.load_switch [--seconds 60] [--rate 80] [--workers 2]

The load is open loop, half on kept and half on fresh connections. The key is changed as its owner would: the client
takes the secondary, the primary is regenerated, the client takes the new primary. The killed worker is stopped first,
so that it has requests in hand; its connections are read from the kernel, so it is known whose requests it had. The
exit code is 1 when any other request failed, when none of its own did, or when no worker took its place in a second.
"""

from __future__ import annotations

import argparse
import signal
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from tests.benchmarks.serving.open_load import Failure, Said
from tests.benchmarks.serving.site import Client, Site, site

UPDATES = 10
IN_HAND_SECONDS = 0.3  # how long the worker that will be killed stands still before, at least
REPLACED_SECONDS = 1.0
LONGEST = 5  # times the asked seconds: then the load ends in any case


@dataclass
class Killed:
    """A worker that was killed: the client's ports of its connections, and the seconds until another took its place."""

    pid: int = 0
    moment: float = 0.0
    ports: set[int] = field(default_factory=set)
    replaced: float | None = None


def client_ports(worker: psutil.Process) -> set[int]:
    """The other ends of its connections."""
    return {connection.raddr.port for connection in worker.net_connections("tcp") if connection.raddr}


def has_unread(ports: set[int], table: Path = Path("/proc/net/tcp")) -> bool:
    """Whether a request waits to be read on a connection whose other end is one of these ports."""
    lines = [line.split() for line in table.read_text().splitlines()[1:]]  # sl local remote st tx_queue:rx_queue ...
    return any(int(fields[2].split(":")[1], 16) in ports and int(fields[4].split(":")[1], 16) for fields in lines)


def kill_a_worker(place: Site) -> Killed:
    """Stops the busiest worker, notes whose connections it has, kills it and waits for another."""
    before = place.workers()
    victim = max((psutil.Process(pid) for pid in before), key=lambda process: len(client_ports(process)))
    victim.send_signal(signal.SIGSTOP)
    stopped = time.monotonic()
    time.sleep(IN_HAND_SECONDS)
    while not has_unread(client_ports(victim)) and time.monotonic() < stopped + 2:  # a busy client sends late
        time.sleep(0.01)
    ports = client_ports(victim)
    killed = Killed(victim.pid, time.monotonic(), ports)  # a client may notice before this thread runs again
    victim.send_signal(signal.SIGKILL)
    while time.monotonic() < killed.moment + 30:
        now = place.workers()
        if victim.pid not in now and len(now) == len(before):
            killed.replaced = time.monotonic() - killed.moment
            break
        time.sleep(0.005)
    return killed


def change_key(place: Site, client: Client) -> None:
    primary, secondary = place.service.get_keys()
    client.change_key(secondary)
    place.service.regen_key("Primary")
    renewed = place.service.get_keys()[0]
    if renewed == primary:
        raise RuntimeError("the primary key is the old one")
    client.change_key(renewed)


def own(failures: list[Failure], killed: Killed) -> tuple[list[Failure], list[Failure]]:
    """The failures of requests that the killed worker had, and all others."""
    its = [failure for failure in failures if failure.port in killed.ports and failure.failed >= killed.moment]
    return its, [failure for failure in failures if failure not in its]


def run(place: Site, seconds: float, rate: float) -> tuple[Said, Killed]:
    """The load with its twelve events, evenly spread: the key after the fifth, the worker after the seventh update.

    The load continues until the last event is over, however slow the events are.
    """
    client = Client(place.service.scoring_uri, place.service.get_keys()[0], rate, seconds * LONGEST)
    events = ["update"] * UPDATES
    events.insert(8, "kill")
    events.insert(5, "key")
    killed = Killed()
    try:
        begin = time.monotonic()
        for number, event in enumerate(events):
            pause = begin + (number + 0.5) * seconds / len(events) - time.monotonic()
            if pause > 0:
                time.sleep(pause)
            if event == "update":
                place.update(number)
            elif event == "key":
                change_key(place, client)
            else:
                killed = kill_a_worker(place)
            print(f"{time.monotonic() - begin:5.1f} s  {event}", file=sys.stderr, flush=True)
        time.sleep(max(0.0, begin + seconds - time.monotonic()))
        client.stop()
        return client.end(), killed
    finally:
        client.close()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--rate", type=float, default=80.0, help="requests a second")
    parser.add_argument("--workers", type=int, default=2)
    given = parser.parse_args()
    with (
        tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder,
        site(Path(folder), given.workers) as place,
    ):
        said, killed = run(place, given.seconds, given.rate)
        named = [failure for failure in said.failures if failure.id in place.log()]
    its, others = own(said.failures, killed)
    replaced = f"after {killed.replaced:.2f} s" if killed.replaced is not None else "never"
    middle, high, greatest = said.milliseconds
    print(f"{said.requests} requests in {said.seconds:.0f} s, {len(said.revisions)} revisions answered, "
          f"{said.late} sent late; median {middle:.1f} ms, p99 {high:.1f} ms, slowest {greatest:.0f} ms")  # fmt: skip
    print(f"updates {UPDATES}, key 1, worker 1: {len(others)} failed requests except for the killed worker's own; "
          f"its own {len(its)}, of which the service's log names {len(named)}; replaced {replaced}")  # fmt: skip
    for failure in others[:10]:
        print(f"  failed: {failure.why}")
    good = not others and its and killed.replaced is not None and killed.replaced <= REPLACED_SECONDS
    enough = said.requests >= 0.95 * given.rate * given.seconds and len(said.revisions) == UPDATES + 1
    print("met" if good and enough else "MISSED")
    return int(not (good and enough))


if __name__ == "__main__":
    sys.exit(main())
