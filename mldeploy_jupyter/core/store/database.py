"""Opens the store's database, SQLite or PostgreSQL, and turns its errors into ours."""

from __future__ import annotations

import atexit
import os
import time
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mldeploy_jupyter.core.errors import MldeployError, StorageError, StoreError
from mldeploy_jupyter.core.files import on_network_filesystem
from mldeploy_jupyter.core.store import tables

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine
    from sqlalchemy.exc import SQLAlchemyError


POOLED = 2  # connections to a SQLite file that stay open

BUSY_SECONDS = 10  # how long a writer waits for another one on SQLite

TIMEOUT = {"connect_timeout": 10}  # seconds for a PostgreSQL server to answer

POSTGRES_LOCK = 0x6D6C6465  # the advisory lock under which the schema is made or changed

_engines: weakref.WeakSet[Engine] = weakref.WeakSet()


class Database:
    """An open database whose schema is the present one.

    `clock` gives seconds since 1970; PostgreSQL uses its own instead, because machines' clocks differ.
    Raises `StoreError` when it cannot be opened or is newer than this program.
    """

    def __init__(self, url: str, clock: Callable[[], float]) -> None:
        self._clock = clock
        self.engine, self.label, self.path = _open_engine(url)
        self.is_postgres = self.engine.dialect.name == "postgresql"
        try:
            with self.begin() as connection:
                found = tables.read_version(connection)
            if found != tables.VERSION:
                with self.begin(write=True) as connection:
                    self._prepare(connection)
        except BaseException:
            self.close()
            raise

    @contextmanager
    def begin(self, *, write: bool = False, durable: bool = True) -> Iterator[Connection]:
        """One transaction: commits at the end, rolls back on an error. `IntegrityError` passes through.

        One that is not `durable` is there for every process at once, and after a loss of power only if a durable one
        came after it: that saves SQLite the wait for the disk.
        """
        from sqlalchemy.exc import IntegrityError, SQLAlchemyError

        try:
            options = {"mldeploy_write": write, "mldeploy_durable": durable}
            with self.engine.connect().execution_options(**options) as connection, connection.begin():
                yield connection
        except IntegrityError:
            raise
        except SQLAlchemyError as error:
            raise _explain(error, self.label, self.path) from error

    def now(self, connection: Connection) -> float:
        """Seconds since 1970 by the clock all users of this store share."""
        if not self.is_postgres:
            return self._clock()
        return float(connection.exec_driver_sql("SELECT extract(epoch FROM clock_timestamp())").scalar_one())

    def close(self) -> None:
        self.engine.dispose()

    def _prepare(self, connection: Connection) -> None:
        if self.is_postgres:
            connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({POSTGRES_LOCK})")
        found = tables.read_version(connection)
        if found is None:
            tables.create(connection)
        elif found > tables.VERSION:
            raise StoreError(
                f"the workspace's store is newer than this program: {self.label}",
                why=f"it has schema version {found}, this program knows versions up to {tables.VERSION}",
                hint="update this program: pip install -U mldeploy-jupyter",
            )
        elif found < tables.VERSION:
            if self.path is not None:
                _back_up(self.path, found)
            tables.migrate(connection, found)


def _open_engine(url: str) -> tuple[Engine, str, Path | None]:
    import sqlalchemy as sa
    from sqlalchemy.exc import ArgumentError, NoSuchModuleError

    try:
        if url.startswith("sqlite:///"):  # a path as it is, also with `?` and `%` in it
            parsed = sa.URL.create("sqlite", database=url.removeprefix("sqlite:///"))
        else:
            parsed = sa.make_url(url)
    except ArgumentError:
        raise _unusable_url("it is not a database URL") from None
    if parsed.get_backend_name() == "sqlite":
        if not parsed.database or parsed.database == ":memory:":
            raise _unusable_url("a SQLite URL must name a file")
        path = Path(parsed.database)
        journal = "DELETE" if on_network_filesystem(path.parent) else "WAL"
        # The last connection that is closed moves the whole log into the file, which takes longer than a transaction.
        pool: dict[str, Any] = {"poolclass": sa.NullPool}
        if journal == "WAL":
            pool = {"poolclass": sa.QueuePool, "pool_size": POOLED, "max_overflow": -1}
        arguments = {"timeout": BUSY_SECONDS, "check_same_thread": False}
        engine = sa.create_engine(parsed, connect_args=arguments, **pool)
        _engines.add(engine)
        _configure_sqlite(engine, journal, path)
        return engine, str(path), path
    if parsed.get_backend_name() == "postgresql":
        try:
            # libpq waits for minutes otherwise; `connect_timeout` in the URL wins.
            timeout = {} if "connect_timeout" in parsed.query or "psycopg" not in parsed.drivername else TIMEOUT
            engine = sa.create_engine(parsed, pool_pre_ping=True, pool_size=2, connect_args=timeout)
        except (ImportError, NoSuchModuleError) as error:
            raise StoreError(
                "the store is a PostgreSQL database and its driver is missing",
                why=str(error),
                hint="pip install 'mldeploy-jupyter[postgres]' and use a URL that begins with postgresql+psycopg://",
            ) from None
        _engines.add(engine)
        return engine, parsed.render_as_string(hide_password=True), None
    raise _unusable_url(f"{parsed.get_backend_name()} is not supported")


def _unusable_url(why: str) -> StoreError:
    # The URL itself is not shown: it may hold a password in a place the parser did not find.
    return StoreError(
        "the workspace's store URL cannot be used",
        why=why,
        hint='set "store" in .mldeploy/config.json to sqlite:///store.db or postgresql+psycopg://USER@HOST/DATABASE',
    )


def _configure_sqlite(engine: Engine, journal: str, path: Path) -> None:
    from sqlalchemy import event
    from sqlalchemy.exc import DisconnectionError

    @event.listens_for(engine, "connect")
    def _on_connect(connection: Any, record: Any) -> None:
        connection.isolation_level = None  # the driver must not begin transactions by itself
        if not path.stat().st_size:
            with suppress(OSError):
                path.chmod(0o600)
        _set_journal(connection, journal)
        connection.execute("PRAGMA synchronous=FULL")
        record.info["file"] = _identity(path)

    @event.listens_for(engine, "checkout")
    def _on_checkout(connection: Any, record: Any, _: Any) -> None:
        if record.info["file"] != _identity(path):  # removed, or another was put in its place
            raise DisconnectionError

    @event.listens_for(engine, "begin")
    def _on_begin(connection: Connection) -> None:
        # A writer takes the write lock first, so what it read cannot change before it writes.
        options = connection.get_execution_options()
        write, durable = options.get("mldeploy_write", False), options.get("mldeploy_durable", True)
        if write and journal == "WAL":  # without a log it would risk the file, not only the last changes
            connection.exec_driver_sql(f"PRAGMA synchronous={'FULL' if durable else 'NORMAL'}")
        connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _set_journal(connection: Any, journal: str) -> None:
    """The mode stays with the file, so only those who open a new one together change it, and one of them wins.

    SQLite does not make the others wait: each holds what another needs, so they are told "locked" at once.
    """
    import sqlite3

    end = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            if str(connection.execute("PRAGMA journal_mode").fetchone()[0]).upper() != journal:
                connection.execute(f"PRAGMA journal_mode={journal}")
            return
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > end:
                raise
            time.sleep(0.01)


def _back_up(path: Path, version: int) -> None:
    """Copies the SQLite file as it is committed. The caller holds the write lock, so nothing changes meanwhile."""
    import sqlite3
    from contextlib import closing

    backup = path.with_name(f"{path.name}.bak-v{version}")
    partial = backup.with_name(backup.name + ".partial")
    partial.unlink(missing_ok=True)
    fd = os.open(partial, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        with closing(sqlite3.connect(path)) as source, closing(sqlite3.connect(partial)) as target:
            source.backup(target)
        os.fsync(fd)
        os.replace(partial, backup)
    except (OSError, sqlite3.Error) as error:
        raise StoreError(
            f"the store could not be backed up before its update: {path}",
            why=str(error),
            hint="free some space on this disk and run the command again; nothing was changed",
        ) from error
    finally:
        os.close(fd)
        partial.unlink(missing_ok=True)


def _explain(error: SQLAlchemyError, label: str, path: Path | None) -> MldeployError:
    text = str(getattr(error, "orig", None) or error).strip().splitlines()[0]
    # On a full disk SQLite cannot make the file it shares between processes, and calls that a disk I/O error.
    full = "full" in text or ("disk I/O" in text and path is not None and _free(path.parent) < 1024 * 1024)
    if full and path is not None:
        return StorageError(
            f"the workspace's store could not be written: {label}", why=text, hint="free some space: mldeploy prune"
        )
    if "locked" in text:
        hint = "run the command again; another process has been writing for a long time"
    elif "not a database" in text or "malformed" in text:
        hint = f"put a backup back in its place; backups are named {path.name if path else 'store.db'}.bak-v1 and so on"
    elif path is not None:
        hint = f"check that {path.parent} exists and that you may write in it"
    else:
        hint = 'check that the server runs and that "store" in .mldeploy/config.json is right'
    return StoreError(f"the workspace's store cannot be used: {label}", why=text, hint=hint)


def _free(folder: Path) -> int:
    try:
        status = os.statvfs(folder)
    except OSError:
        return 1 << 60
    return status.f_bavail * status.f_frsize


def _forget_connections() -> None:
    # A forked child must not speak on its parent's connections.
    for engine in list(_engines):
        engine.dispose(close=False)


def _close_all() -> None:
    """The last connection that is closed leaves one whole file, without a log beside it."""
    for engine in list(_engines):
        engine.dispose()


os.register_at_fork(after_in_child=_forget_connections)

atexit.register(_close_all)
