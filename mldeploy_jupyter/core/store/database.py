"""Opens the store's database, SQLite or PostgreSQL, and explains its errors."""

from __future__ import annotations

import atexit
import os
import shlex
import time
import weakref
from collections.abc import Callable, Hashable
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from mldeploy_jupyter.core.errors import MldeployError, StorageError, StoreError
from mldeploy_jupyter.core.files import file_version, free_bytes
from mldeploy_jupyter.core.imports import without_collections
from mldeploy_jupyter.core.patience import Wait
from mldeploy_jupyter.core.store import tables
from mldeploy_jupyter.core.store.disk_reserve import make_reserve, release_reserve
from mldeploy_jupyter.core.store.snapshot import Snapshot
from mldeploy_jupyter.core.store.sqlite import back_up, create_exclusive_engine, create_sqlite_engine

if TYPE_CHECKING:
    from sqlalchemy import URL, Connection, Engine
    from sqlalchemy.exc import SQLAlchemyError

CONNECT_TIMEOUT = {"connect_timeout": 10}  # seconds; libpq would wait for minutes

POSTGRES_LOCK = 0x6D6C6465  # key of the advisory lock under which the schema is created or migrated

FRESH_NS = 50_000_000  # the clock of a file system may stand still for that long; usually it does for 4 ms

Result = TypeVar("Result")

_engines: weakref.WeakSet[Engine] = weakref.WeakSet()


class Database:
    """An open database whose schema has the current version; an older one is migrated first.

    `clock` returns seconds since 1970. PostgreSQL uses its own clock instead, because machines' clocks differ. Raises
    `StoreError` when the database cannot be opened or is newer than this program.
    """

    def __init__(self, url: str, clock: Callable[[], float]) -> None:
        self._clock = clock
        self.engine, self.label, self.path = _open_engine(url)
        self.is_postgres = self.engine.dialect.name == "postgresql"
        self._snapshot = Snapshot(self.path) if self.path is not None else None
        try:
            if self.run(self._read_version) != tables.VERSION:
                self.run(self._prepare, write=True)
            if self.path is not None:
                make_reserve(self.path)
        except BaseException:
            self.close()
            raise

    def run(
        self,
        step: Callable[[Connection], Result],
        *,
        write: bool = False,
        durable: bool = True,
        repeatable: bool = True,
    ) -> Result:
        """The result of `step` in a transaction, which commits when it returns and rolls back when it raises.

        A commit that is not `durable` is visible to every process at once, but on SQLite it does not wait for the disk:
        a loss of power undoes it, unless a durable commit came after it. A database that is unavailable is waited for
        (`patience`); one that can be read but not opened, on a full disk, is read from a copy.

        Where the database goes away in the middle of a transaction, `step` is run again. Where it goes away during the
        commit, nobody knows whether that was carried out: it is run again if it is `repeatable`, that is, if running it
        twice is the same as once.

        Raises:
            StoreError: the database cannot be used.
            StorageError: the disk is full or read-only.
            IntegrityError: SQLAlchemy's; a key exists already.
        """
        from sqlalchemy.exc import DBAPIError, IntegrityError, SQLAlchemyError

        if write and self.path is not None:
            release_reserve(self.path)
        wait, options = Wait(), {"mldeploy_write": write, "mldeploy_durable": durable}
        engine, full = self.engine, None  # the error of a full disk
        while True:
            commits = False
            try:
                with ExitStack() as stack:
                    result = step(self._begin(stack, engine, options))
                    commits = True
                wait.end()
                return result
            except IntegrityError:
                raise
            except DBAPIError as error:
                safe = repeatable or not commits
                if full is not None:  # another process has the file open
                    raise _explain(full, self.label, self.path) from error
                if safe and write and self._is_on_full_disk(error):
                    full = error
                    self.engine.dispose()  # also an idle connection of this process keeps the file open
                    engine = create_exclusive_engine(self.engine.url, Path(str(self.path)))
                    continue
                if not commits and self._remake_lost_tables(error):
                    continue
                if safe and is_away(error, self.is_postgres, wait.is_long) and wait.pause(_first_line(error)):
                    continue
                raise _explain(error, self.label, self.path, uncertain=not safe and self.is_postgres) from error
            except SQLAlchemyError as error:
                raise _explain(error, self.label, self.path) from error

    def _remake_lost_tables(self, error: SQLAlchemyError) -> bool:
        """Makes the tables where the file was removed or emptied while this process had it open."""
        if self.path is None or "no such table" not in _first_line(error) or self.run(self._read_version) is not None:
            return False
        self.run(self._prepare, write=True)
        return True

    def _is_on_full_disk(self, error: SQLAlchemyError) -> bool:
        return self.path is not None and is_unwritable(error) and _is_full(self.path.parent)

    def _begin(self, stack: ExitStack, engine: Engine, options: dict[str, bool]) -> Connection:
        """A transaction that `stack` ends."""
        from sqlalchemy.exc import DBAPIError

        try:
            return _enter(stack, engine, options)
        except DBAPIError as error:
            if self._snapshot is not None and not options["mldeploy_write"] and is_unwritable(error):
                with suppress(OSError):
                    return _enter(stack, self._snapshot.engine(), options)
            raise

    def now(self, connection: Connection) -> float:
        """Seconds since 1970, by the clock that all users of this store share."""
        if not self.is_postgres:
            return self._clock()
        return float(connection.exec_driver_sql("SELECT extract(epoch FROM clock_timestamp())").scalar_one())

    def change_mark(self) -> Hashable:
        """Another value than before when something may have been written since, by whatever process.

        Of SQLite the versions of its files, which take two system calls; a file that was written to a moment ago has a
        new mark each time, since a second write may not have changed its time. Of PostgreSQL what a snapshot of the
        whole server sees, which takes one query. Raises `StoreError` when the database cannot be asked.
        """
        if self.path is None:
            snapshot = "SELECT CAST(txid_current_snapshot() AS TEXT)"
            return self.run(lambda connection: str(connection.exec_driver_sql(snapshot).scalar_one()))
        marks: list[Hashable] = []
        for path in (self.path, self.path.with_name(f"{self.path.name}-wal")):
            try:
                status = path.stat()
            except OSError as error:
                marks.append(error.errno)
                continue
            fresh = abs(time.time_ns() - status.st_mtime_ns) < FRESH_NS
            marks.append((file_version(status), object() if fresh else None))
        return tuple(marks)

    def close(self) -> None:
        """Closes idle connections. The database can still be used."""
        self.engine.dispose()

    def _read_version(self, connection: Connection) -> int | None:
        try:
            return tables.read_version(connection)
        except ValueError as error:
            raise StoreError(
                f"the workspace's store is damaged: {self.label}",
                why=f"its schema version cannot be read: {error}",
                hint=_hint_for_damage(self.path),
            ) from None

    def _prepare(self, connection: Connection) -> None:
        """Creates the schema or migrates it, as the only process that does."""
        if self.is_postgres:
            connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({POSTGRES_LOCK})")
        found = self._read_version(connection)
        if found is None:
            tables.create(connection, self.now(connection))
        elif found > tables.VERSION:
            raise StoreError(
                f"the workspace's store is newer than this program: {self.label}",
                why=f"it has schema version {found}, this program knows versions up to {tables.VERSION}",
                hint="update this program: pip install -U mldeploy-jupyter",
            )
        elif found < tables.VERSION:
            if self.path is not None:
                back_up(self.path, found)
            tables.migrate(connection, found)


def _enter(stack: ExitStack, engine: Engine, options: dict[str, bool]) -> Connection:
    with ExitStack() as failing:
        connection = failing.enter_context(engine.connect().execution_options(**options))
        failing.enter_context(connection.begin())
        stack.push(failing.pop_all())
    return connection


def is_unwritable(error: SQLAlchemyError) -> bool:
    """Whether SQLite may have failed because the disk is full or read-only."""
    text = _first_line(error)
    return any(words in text for words in ("disk I/O", "full", "readonly", "unable to open"))


def is_away(error: SQLAlchemyError, is_postgres: bool, long: bool) -> bool:
    """Whether a database that gave this error may be back soon; with `long` also when it is not where it should be."""
    from sqlalchemy.exc import InterfaceError, OperationalError

    if not isinstance(error, OperationalError | InterfaceError):
        return False
    text = _first_line(error)
    if is_postgres:
        return not any(words in text for words in ("authentication failed", "does not exist", "resolve", "full"))
    return "locked" in text or (long and ("disk I/O" in text or "unable to open" in text))


def _first_line(error: SQLAlchemyError) -> str:
    return str(getattr(error, "orig", None) or error).strip().splitlines()[0]


def import_driver(url: str) -> None:
    """Imports the driver that `Store` needs for this URL, in the calling thread. An error is left to the store."""
    if not url.startswith("sqlite"):
        with suppress(StoreError):
            _open_engine(url)[0].dispose()


def _open_engine(url: str) -> tuple[Engine, str, Path | None]:
    """The engine, the database's name in messages, and the path of a SQLite file."""
    with without_collections():
        import sqlalchemy as sa
    from sqlalchemy.exc import ArgumentError

    try:
        if url.startswith("sqlite:///"):  # the path may contain `?` and `%`
            parsed = sa.URL.create("sqlite", database=url.removeprefix("sqlite:///"))
        else:
            parsed = sa.make_url(url)
    except ArgumentError:
        raise _unusable_url("it is not a database URL") from None
    backend = parsed.get_backend_name()
    path = None
    if backend == "sqlite":
        if not parsed.database or parsed.database == ":memory:":
            raise _unusable_url("a SQLite URL must name a file")
        path = Path(parsed.database)
        engine, label = create_sqlite_engine(parsed, path), str(path)
    elif backend == "postgresql":
        engine, label = _create_postgres_engine(parsed), parsed.render_as_string(hide_password=True)
    else:
        raise _unusable_url(f"{backend} is not supported")
    _engines.add(engine)
    return engine, label, path


def _create_postgres_engine(url: URL) -> Engine:
    import sqlalchemy as sa
    from sqlalchemy.exc import NoSuchModuleError

    timeout = {} if "connect_timeout" in url.query or "psycopg" not in url.drivername else CONNECT_TIMEOUT
    try:
        return sa.create_engine(url, pool_pre_ping=True, pool_size=2, connect_args=timeout)
    except (ImportError, NoSuchModuleError) as error:
        raise StoreError(
            "the store is a PostgreSQL database and its driver is missing",
            why=str(error),
            hint="pip install 'mldeploy-jupyter[postgres]' and use a URL that begins with postgresql+psycopg://",
        ) from None


def _unusable_url(why: str) -> StoreError:
    # The URL is not shown: it may hold a password where the parser did not find it.
    return StoreError(
        "the workspace's store URL cannot be used",
        why=why,
        hint='set "store" in .mldeploy/config.json to sqlite:///store.db or postgresql+psycopg://USER@HOST/DATABASE',
    )


def _explain(error: SQLAlchemyError, label: str, path: Path | None, *, uncertain: bool = False) -> MldeployError:
    text = _first_line(error)
    if uncertain:
        return StoreError(
            f"the connection to the workspace's store was lost during a write: {label}",
            why=f"{text}; whether the change was made is not known",
            hint="look whether it is there before you run the command again",
        )
    # Without the files it shares between processes, SQLite cannot open the store of a read-only disk.
    if path is not None and ("readonly" in text or ("unable to open" in text and _is_read_only(path.parent))):
        return StorageError(
            f"the workspace's store could not be written: {label}",
            why="the file, its folder or its file system is read-only",
            hint=f"check that you may write there: ls -ld {path.parent}",
        )
    # On a full disk SQLite cannot create the file it shares between processes, and reports a disk I/O error.
    full = "full" in text or ("disk I/O" in text and path is not None and _is_full(path.parent))
    if full and path is not None:
        return StorageError(
            f"the workspace's store could not be written: {label}",
            why=text,
            hint=f"free some space: mldeploy prune, or remove other files; see df {path.parent}",
        )
    if "locked" in text:
        hint = "run the command again; another process has been writing for a long time"
    elif path is not None and not is_unwritable(error):
        hint = _hint_for_damage(path)
    elif path is not None:
        hint = f"check that {path.parent} exists and that you may write in it"
    else:
        hint = 'check that the server runs and that "store" in .mldeploy/config.json is right'
    return StoreError(f"the workspace's store cannot be used: {label}", why=text, hint=hint)


def _is_read_only(folder: Path) -> bool:
    try:
        return bool(os.statvfs(folder).f_flag & os.ST_RDONLY)
    except OSError:
        return False


def _hint_for_damage(path: Path | None) -> str:
    """What to do about a store that cannot be read."""
    if path is None:
        return "restore the database from a backup"
    backups = sorted(path.parent.glob(f"{path.name}.bak-*"))
    first = f"put a backup back in its place, such as {backups[-1]}" if backups else "put a backup back in its place"
    # Its write-ahead log belongs to it, and would be applied to another file.
    away = f"cd {shlex.quote(str(path.parent))} && mkdir old-store && mv {path.name}* old-store"
    return f"{first}, or move it elsewhere; what runs is found without it: {away}"


def _is_full(folder: Path) -> bool:
    try:
        return free_bytes(folder) < 1024 * 1024
    except OSError:
        return False


def _forget_connections() -> None:
    """In a forked child: drops the connections without closing them, because they are its parent's."""
    for engine in list(_engines):
        engine.dispose(close=False)


def _close_all() -> None:
    """At the end of the process: closing the last connection merges SQLite's log into the one file."""
    for engine in list(_engines):
        engine.dispose()


os.register_at_fork(after_in_child=_forget_connections)

atexit.register(_close_all)
