"""SQLite: how connections are set up, and the backup before a migration."""

from __future__ import annotations

import os
import time
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mldeploy_jupyter.core.errors import StoreError
from mldeploy_jupyter.core.files import file_identity, on_network_filesystem

if TYPE_CHECKING:
    from sqlalchemy import URL, Connection, Engine

POOL_SIZE = 2  # connections to a file that stay open

EXCLUSIVE_SECONDS = 1  # how long to wait until no other process has the file open

BUSY_SECONDS = 10  # how long a writer waits for another one


def create_sqlite_engine(url: URL, path: Path) -> Engine:
    """An engine for the SQLite file at `path`, which is the `url`'s database."""
    import sqlalchemy as sa

    # A write-ahead log needs memory shared between processes, which a network file system cannot give.
    journal = "DELETE" if on_network_filesystem(path.parent) else "WAL"
    pool: dict[str, Any] = {"poolclass": sa.NullPool}
    if journal == "WAL":
        # Closing the last connection moves the whole log into the file, which takes longer than a transaction.
        pool = {"poolclass": sa.QueuePool, "pool_size": POOL_SIZE, "max_overflow": -1}
    arguments = {"timeout": BUSY_SECONDS, "check_same_thread": False}
    engine = sa.create_engine(url, connect_args=arguments, json_deserializer=load_json, **pool)
    _listen(engine, journal, path)
    return engine


def create_exclusive_engine(url: URL, path: Path) -> Engine:
    """An engine for a full disk: without the 32 KiB that processes share, as long as no other one has the file open."""
    import sqlalchemy as sa

    arguments = {"timeout": EXCLUSIVE_SECONDS, "check_same_thread": False}
    engine = sa.create_engine(url, connect_args=arguments, json_deserializer=load_json, poolclass=sa.NullPool)
    sa.event.listen(engine, "connect", lambda connection, _: connection.execute("PRAGMA locking_mode=EXCLUSIVE"))
    _listen(engine, "WAL", path)
    return engine


def load_json(text: str) -> Any:
    """The value of a JSON column; None where it is damaged, so that one bad row does not hide the others."""
    import orjson

    try:
        return orjson.loads(text)
    except ValueError:
        return None


def read_damaged_text(connection: Any) -> None:
    """Makes a connection of sqlite3 replace what is no UTF-8 in a text, so that a bad row hides no other."""
    connection.text_factory = partial(str, encoding="utf-8", errors="replace")


def back_up(path: Path, version: int) -> None:
    """Copies the committed content of the file to `<name>.bak-v<version>`. Raises `StoreError`.

    The caller holds the write lock, so the content does not change meanwhile.
    """
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


def _listen(engine: Engine, journal: str, path: Path) -> None:
    from sqlalchemy import event
    from sqlalchemy.exc import DisconnectionError

    @event.listens_for(engine, "connect")
    def _on_connect(connection: Any, record: Any) -> None:
        read_damaged_text(connection)
        connection.isolation_level = None  # keeps the driver from beginning transactions itself
        with suppress(OSError):
            if not path.stat().st_size:
                path.chmod(0o600)
        set_journal_mode(connection, journal)
        connection.execute("PRAGMA synchronous=FULL")
        record.info["file"] = _identify(path)

    @event.listens_for(engine, "checkout")
    def _on_checkout(connection: Any, record: Any, _: Any) -> None:
        if record.info["file"] != _identify(path):  # the file was removed or replaced
            raise DisconnectionError

    @event.listens_for(engine, "begin")
    def _on_begin(connection: Connection) -> None:
        options = connection.get_execution_options()
        write, durable = options.get("mldeploy_write", False), options.get("mldeploy_durable", True)
        # Only with a write-ahead log: without one, a loss of power could damage the whole file.
        if write and journal == "WAL":
            connection.exec_driver_sql(f"PRAGMA synchronous={'FULL' if durable else 'NORMAL'}")
        # A writer locks at once, so what it reads cannot change before it writes.
        connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")
        if not write:
            connection.exec_driver_sql("PRAGMA schema_version")  # reads now: what fails, fails here


def _identify(path: Path) -> tuple[int, int] | None:
    try:
        return file_identity(path.stat())
    except OSError:
        return None


def set_journal_mode(connection: Any, journal: str) -> None:
    """Sets the journal mode, which the file keeps, unless it has that mode already.

    Of several processes that open a new file at once, one succeeds; SQLite tells the others "locked" without waiting,
    because each holds what another needs.
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
