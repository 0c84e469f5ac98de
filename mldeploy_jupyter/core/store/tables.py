"""The store's tables, and the migrations from each version of the schema to the next.

Keys and fields that are searched by are columns; the rest of a record is in one JSON column, `data`. Table names have a
prefix, so a team's PostgreSQL database may hold other tables, too.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from sqlalchemy import Connection, MetaData, Table


VERSION = 2

PREFIX = "mldeploy_"


class Tables(NamedTuple):
    """The tables, and the metadata that creates them."""

    metadata: MetaData
    meta: Table
    models: Table
    services: Table
    revisions: Table
    deployments: Table
    leases: Table
    environments: Table


@cache
def tables() -> Tables:
    """The tables of the current version, `VERSION`."""
    import sqlalchemy as sa

    metadata = sa.MetaData()

    def table(name: str, *columns: sa.Column[object] | sa.Index) -> sa.Table:
        return sa.Table(PREFIX + name, metadata, *columns)

    def key(name: str, kind: type[sa.String] | type[sa.Integer] = sa.String) -> sa.Column[object]:
        return sa.Column(name, kind, primary_key=True, autoincrement=False)

    def column(name: str, kind: Any = sa.String, default: str | None = None) -> sa.Column[object]:
        return sa.Column(name, kind, nullable=False, server_default=default)

    def optional(name: str) -> sa.Column[object]:
        return sa.Column(name, sa.String, nullable=True)

    data = ("data", sa.JSON)
    return Tables(
        metadata,
        meta=table("meta", key("key"), column("value")),
        models=table(
            "models", key("name"), key("version", sa.Integer), column("digest"), optional("run_id"),
            column("created_time"), column("deleted", sa.Integer, "0"), column(*data), column("details", sa.JSON, "{}"),
        ),
        services=table("services", key("name"), column("created_time"), column(*data)),
        revisions=table(
            "revisions", key("service"), key("number", sa.Integer), column("bundle_digest"), column("outcome"),
            column(*data),
        ),
        deployments=table(
            "deployments", key("id"), column("service"), column("state"), column("created_time"), column(*data),
            sa.Index(PREFIX + "deployments_of_service", "service", "created_time"),
        ),
        leases=table(
            "leases", key("service"), column("holder"), column("expires", sa.Double), column("runner", sa.JSON)
        ),
        environments=table(
            "environments", key("name"), key("version", sa.Integer), column("created_time"), column(*data)
        ),
    )  # fmt: skip


def _to_version_2(connection: Connection) -> None:
    """Adds leases and the details of models, which version 1 did not have."""
    import sqlalchemy as sa

    connection.execute(sa.text(f"ALTER TABLE {PREFIX}models ADD COLUMN details JSON DEFAULT '{{}}' NOT NULL"))
    tables().leases.create(connection)


# Version -> the migration from the version before it.
MIGRATIONS: dict[int, Callable[[Connection], None]] = {2: _to_version_2}


def read_version(connection: Connection) -> int | None:
    """The schema version of the store; None for a database without one. Raises `ValueError` when it is damaged."""
    import sqlalchemy as sa

    meta = tables().meta
    if not sa.inspect(connection).has_table(meta.name):
        return None
    value = connection.execute(sa.select(meta.c.value).where(meta.c.key == "schema_version")).scalar_one_or_none()
    if value is None:
        return None
    if not str(value).isdecimal() or not int(value):
        raise ValueError(f"it is {str(value)[:40]!r}")
    return int(value)


def read_creation(connection: Connection) -> float:
    """When the store was created, in seconds since 1970; 0 for one of a version that did not note it."""
    import sqlalchemy as sa

    meta = tables().meta
    value = connection.execute(sa.select(meta.c.value).where(meta.c.key == "created")).scalar()
    return float(value) if isinstance(value, str) and value.isdecimal() and len(value) < 12 else 0.0


def create(connection: Connection, now: float) -> None:
    """Creates the tables and notes their version and when, inside the caller's transaction. `now` is a Unix time."""
    tables().metadata.create_all(connection)
    notes = {"schema_version": str(VERSION), "created": str(int(now))}
    connection.execute(tables().meta.insert(), [{"key": key, "value": value} for key, value in notes.items()])


def migrate(connection: Connection, found: int) -> None:
    """Runs every migration from version `found` to `VERSION`, inside the caller's transaction."""
    for version in range(found + 1, VERSION + 1):
        MIGRATIONS[version](connection)
    meta = tables().meta
    connection.execute(meta.update().where(meta.c.key == "schema_version").values(value=str(VERSION)))
