"""Which zygote is kept, what it imports, and when nothing is forked."""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mldeploy_jupyter.serving.settings import Settings
from mldeploy_jupyter.serving.supervisor.zygote_pool import ATTEMPTS, ZygotePool, digest_server
from mldeploy_jupyter.serving.supervisor.zygote_process import ForkUnsafe, ZygoteProcess
from mldeploy_jupyter.serving.system import procfs
from mldeploy_jupyter.serving.system.child_process import SpawnedProcess
from tests.polling import wait_until
from tests.unit.serving.supervisor.fakes import FakeLog, pids

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="workers are forked on Linux only")

SETTINGS = Settings(python="python3", preload=["numpy", "pandas"])


class FakeZygote(ZygoteProcess):
    """A zygote that imports and forks nothing. A module in `unsafe` makes forking unsafe."""

    def __init__(
        self, key: Any, settings: Settings, on_death: Callable[[ZygoteProcess], None], unsafe: set[str]
    ) -> None:
        self.key, self.settings, self.on_death, self.unsafe = key, settings, on_death, unsafe
        self.requested_modules: set[str] = set()
        self.module_count = 0
        self.alive = True
        self.changed = ""
        self.importing = self.hangs = False
        self.pings = 0
        self.process = SpawnedProcess(next(pids), None, 0, lambda: 0, "ab" * 8)  # type: ignore[arg-type]
        self.forks: list[SpawnedProcess] = []
        self.may_finish = threading.Event()
        self.may_finish.set()

    def begin_imports(self, names: list[str]) -> None:
        self.requested_modules.update(names)

    def import_modules(self, names: list[str], give_up: Callable[[], bool]) -> bool:
        self.begin_imports(names)
        while not self.may_finish.wait(0.01):
            if give_up():
                return False
        for name in names:
            if name in self.unsafe:
                raise ForkUnsafe("a thread runs", "" if name == "no-module" else name)
        return True

    def fork(self) -> SpawnedProcess:
        ours, theirs = os.pipe()
        os.close(theirs)
        pid = os.posix_spawn("/bin/sleep", ["sleep", "60"], {}, setsid=True)

        def reap() -> int:
            return os.waitpid(pid, 0)[1]

        class Closed:
            def close(self) -> None:
                pass

        self.forks.append(SpawnedProcess(pid, Closed(), ours, reap, "cd" * 8, forked=True))  # type: ignore[arg-type]
        return self.forks[-1]

    def send(self, op: str, fds: tuple[int, ...] = (), **args: Any) -> int:
        return 1

    def await_event(self, event: str, number: int, wait: float, give_up: Any = None) -> dict[str, Any]:
        return {"changed": self.changed}

    @property
    def busy(self) -> bool:
        return self.importing

    def ping(self) -> None:
        self.pings += 1
        if self.hangs:
            self.kill()
            raise ForkUnsafe("it did not end within 3 s")

    def lived_long_enough(self) -> bool:
        return True

    def kill(self) -> None:
        self.alive = False

    def die(self) -> None:
        self.alive = False
        self.on_death(self)


class Site:
    """A pool and the zygotes that it has started."""

    def __init__(self, folder: Path, unsafe: set[str]) -> None:
        self.folder, self.log = folder, FakeLog()
        self.zygotes: list[FakeZygote] = []
        self.taken: list[SpawnedProcess] = []
        self.early: list[SpawnedProcess] = []
        self.ended: list[int] = []  # pids of those among the early ones
        self.changes = 0

        def create(
            key: Any, settings: Settings, log: Any, in_main: Any, on_death: Any, process: SpawnedProcess | None
        ) -> ZygoteProcess:
            self.zygotes.append(FakeZygote(key, settings, on_death, unsafe))
            self.zygotes[-1].process = process or self.zygotes[-1].process
            return self.zygotes[-1]

        def count_change() -> None:
            self.changes += 1

        self.pool = ZygotePool(folder, self.log, lambda task: task(), count_change, create)

    def begin_imports(self) -> SpawnedProcess:
        pid, (ours, theirs) = os.posix_spawn("/bin/sleep", ["sleep", "60"], {}, setsid=True), socket.socketpair()
        theirs.close()

        def reap() -> int:
            self.ended.append(os.waitpid(pid, 0)[0])
            return 0

        process = SpawnedProcess(pid, ours, os.dup(ours.fileno()), reap, "ef" * 8)
        self.early.append(process)
        self.pool.begin_imports(SETTINGS, process)
        return process

    def acquire(self, settings: Settings = SETTINGS, **options: Any) -> SpawnedProcess | None:
        process = self.pool.acquire(settings, **options)
        if process is not None:
            self.taken.append(process)
        return process


@pytest.fixture
def make_site(tmp_path: Path) -> Any:
    sites: list[Site] = []

    def make(*unsafe: str) -> Site:
        sites.append(Site(tmp_path, set(unsafe)))
        return sites[-1]

    yield make
    for site in sites:
        site.pool.close()
        for process in [*site.taken, *(early for early in site.early if early.pid not in site.ended)]:
            process.discard()


def test_a_fork_comes_from_a_zygote_that_has_imported_what_the_settings_name(make_site: Any) -> None:
    site = make_site()
    assert site.acquire() is site.zygotes[0].forks[0]
    assert site.zygotes[0].requested_modules == {"numpy", "pandas"}
    assert site.acquire() is not None and len(site.zygotes) == 1
    assert site.pool.fits(SETTINGS) and site.pool.describe()["forking"]
    assert site.pool.list_processes() == [(site.zygotes[0].process.pid, "ab" * 8)] and site.changes > 0


def test_another_environment_gets_another_zygote(make_site: Any) -> None:
    site = make_site()
    site.acquire()
    other = Settings(python="python3", env={"A": "b"})
    assert not site.pool.fits(other) and site.acquire(other) is not None
    assert [zygote.alive for zygote in site.zygotes] == [False, True]


def test_a_module_that_makes_forking_unsafe_is_left_out_from_then_on(make_site: Any) -> None:
    site = make_site("pandas")
    assert site.acquire() is not None
    assert [zygote.requested_modules for zygote in site.zygotes] == [{"numpy", "pandas"}, {"numpy"}]
    assert site.pool.describe()["excluded"] == {"pandas": "a thread runs"}
    assert site.log.texts == ["pandas is not imported in advance: a thread runs"]
    site.pool.learn(SETTINGS, ["pandas.core", "pandas_other"])
    site.acquire()
    assert site.zygotes[-1].requested_modules == {"numpy", "pandas_other"}


def test_a_module_that_was_left_out_is_left_out_after_a_restart(make_site: Any) -> None:
    site = make_site("pandas")
    site.acquire()
    site.pool.learn(SETTINGS, ["scipy"])
    site.zygotes[-1].unsafe.add("scipy")
    site.pool.prepare_spare(SETTINGS)
    again = make_site("pandas", "scipy")
    assert again.acquire() is not None and len(again.zygotes) == 1 and again.log.texts == []


def test_a_pool_that_is_closed_while_it_prepares_a_spare_says_nothing(make_site: Any) -> None:
    site = make_site()
    site.acquire()

    def close_and_fail(names: list[str], give_up: Callable[[], bool]) -> bool:
        threading.Thread(target=site.pool.close).start()
        wait_until(lambda: not site.zygotes[0].alive)
        raise ForkUnsafe("its process died")

    site.zygotes[0].import_modules = close_and_fail
    site.pool.prepare_spare(SETTINGS)
    assert site.log.texts == []


def test_after_several_unsafe_modules_nothing_is_forked(make_site: Any) -> None:
    names = [f"module{number}" for number in range(ATTEMPTS)]
    site = make_site(*names)
    settings = Settings(python="python3", preload=names)
    assert site.acquire(settings) is None and len(site.zygotes) == ATTEMPTS
    assert site.acquire(settings) is None and len(site.zygotes) == ATTEMPTS
    assert "several modules in a row" in site.pool.describe()["reason"]


def test_a_zygote_that_is_unsafe_by_itself_is_logged_once(make_site: Any) -> None:
    site = make_site("no-module")
    settings = Settings(python="python3", preload=["no-module"])
    assert site.acquire(settings) is None is site.acquire(settings)
    assert site.log.texts == ["workers are not forked: a thread runs"]


def test_waiting_for_imports_ends_when_the_caller_gives_up(make_site: Any) -> None:
    site = make_site()
    site.begin_imports()
    site.zygotes[0].may_finish.clear()
    assert site.acquire(give_up=lambda: True) is None and site.zygotes[0].alive


def test_imports_that_were_begun_ahead_are_used(make_site: Any) -> None:
    site = make_site()
    process = site.begin_imports()
    assert site.zygotes[0].process is process and site.zygotes[0].requested_modules == {"numpy", "pandas"}
    assert site.acquire() is not None and len(site.zygotes) == 1


def test_a_zygote_that_came_too_late_is_ended(make_site: Any) -> None:
    site = make_site()
    assert site.acquire() is not None
    process = site.begin_imports()
    assert len(site.zygotes) == 1 and site.ended == [process.pid]


def test_the_spare_is_used_first_unless_it_has_died(make_site: Any) -> None:
    site = make_site()
    site.acquire()
    site.pool.prepare_spare(SETTINGS)
    spare = site.zygotes[0].forks[1]
    assert site.pool.describe()["spare"] == spare.pid and site.acquire() is spare
    site.pool.prepare_spare(SETTINGS)
    dead = site.zygotes[0].forks[2]
    os.kill(dead.pid, signal.SIGKILL)
    os.waitid(os.P_PID, dead.pid, os.WEXITED | os.WNOWAIT)
    assert site.acquire() is site.zygotes[0].forks[3]


def test_a_spare_is_discarded_when_there_is_more_to_import(make_site: Any) -> None:
    site = make_site()
    site.acquire()
    site.pool.prepare_spare(SETTINGS)
    site.pool.learn(SETTINGS, ["scipy"])
    assert site.acquire() is site.zygotes[0].forks[2]
    assert "scipy" in site.zygotes[0].requested_modules


def test_a_changed_file_is_reported_and_the_zygote_dropped(make_site: Any) -> None:
    site = make_site()
    process = site.acquire()
    site.zygotes[0].changed = "lib.py"
    assert process.find_changed_file() == "lib.py" and not site.zygotes[0].alive
    assert site.log.texts == ["lib.py has changed; importing it again"]


def test_a_dead_zygote_is_replaced_and_nothing_waits_for_it(make_site: Any) -> None:
    site = make_site()
    site.acquire()
    site.zygotes[0].die()
    wait_until(lambda: site.pool.describe()["spare"])
    assert len(site.zygotes) == 2 and site.acquire(wait=False) is site.zygotes[1].forks[0]


def test_what_was_learned_is_kept_for_the_same_interpreter(make_site: Any) -> None:
    site = make_site()
    site.pool.learn(SETTINGS, ["scipy", "joblib"])
    assert json.loads((site.folder / "preload.json").read_text())["modules"] == ["scipy", "joblib"]
    again = make_site()
    again.acquire()
    assert again.zygotes[0].requested_modules == {"numpy", "pandas", "scipy", "joblib"}
    again.acquire(Settings(python="python4"))
    assert again.zygotes[1].requested_modules == set()


def test_when_only_a_new_interpreter_works_nothing_is_forked(make_site: Any) -> None:
    site = make_site()
    site.acquire()
    site.pool.stop_forking("it dies")
    assert site.acquire() is None and not site.zygotes[0].alive
    assert site.pool.describe()["reason"] == "it dies"
    assert site.log.texts == ["workers are no longer forked: it dies"]


def test_a_closed_pool_forks_nothing(make_site: Any) -> None:
    site = make_site()
    site.acquire()
    site.pool.close()
    assert site.acquire() is None and not site.zygotes[0].alive and site.pool.list_processes() == []


def test_a_server_is_known_by_its_source_and_not_by_its_folder(tmp_path: Path) -> None:
    for name, source in (("one", "a = 1"), ("two", "a = 1"), ("three", "a = 2")):
        (tmp_path / name / "mldeploy_serving" / "sub").mkdir(parents=True)
        (tmp_path / name / "mldeploy_serving" / "sub" / "module.py").write_text(source)
    one, two, three = (digest_server(str(tmp_path / name)) for name in ("one", "two", "three"))
    assert one == two != three and digest_server("") == ""


def test_an_idle_zygote_that_answers_nothing_is_replaced(make_site: Any) -> None:
    site = make_site()
    site.pool.check()  # there is none yet
    site.acquire()
    (zygote,) = site.zygotes
    site.pool.check()
    assert zygote.pings == 1 and zygote.alive
    zygote.hangs = zygote.importing = True
    site.pool.check()
    assert zygote.alive, "one that imports has its own time limit"
    zygote.importing = False
    site.pool.check()
    assert not zygote.alive and "does not answer" in site.log.texts[-1]
    wait_until(lambda: len(site.zygotes) == 2 and site.pool.fits(SETTINGS))


def test_a_spare_fork_that_a_signal_stopped_is_not_used(make_site: Any) -> None:
    site = make_site()
    site.acquire()
    site.pool.prepare_spare(SETTINGS)
    spare = site.zygotes[0].forks[-1]
    os.kill(spare.pid, signal.SIGSTOP)
    wait_until(lambda: procfs.is_stopped(spare.pid))
    assert (site.acquire() or spare).pid != spare.pid
