"""Reads what lists show of a whole store, again and again: only what has changed since the last time is parsed."""

from __future__ import annotations

import functools
from collections.abc import Hashable, Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from mldeploy_jupyter.core.json_record import JsonRecord
from mldeploy_jupyter.core.name_rules import is_plain_name
from mldeploy_jupyter.core.records import DeploymentRecord, ModelRecord, RevisionRecord, ServiceRecord
from mldeploy_jupyter.core.store.rows import Rows, from_columns
from mldeploy_jupyter.core.store.sqlite import load_json
from mldeploy_jupyter.core.store.tables import tables

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement, Connection, Table

Record = TypeVar("Record", bound=JsonRecord)

LIVE_OUTCOMES = ("live", "kept")


@dataclass(frozen=True)
class Lists:
    """The services and models of a store at one moment, and what their rows in a list need.

    `live` has the revision that each service serves, by the service's name; `kept` the number and the bundle's digest
    of those that it can go back to; `deployments` those that a service or a live revision names, by id. Models are
    without those that were deleted.
    """

    services: list[ServiceRecord] = field(default_factory=list)
    live: dict[str, RevisionRecord] = field(default_factory=dict)
    kept: dict[str, list[tuple[int, str]]] = field(default_factory=dict)
    deployments: dict[str, DeploymentRecord] = field(default_factory=dict)
    models: list[ModelRecord] = field(default_factory=list)


class ListReader:
    """Reads `Lists` in one transaction of at most six queries, whatever the number of rows. For one thread at a time.

    Rows are compared as the database has them, before their JSON is parsed. Of revisions and deployments that have
    ended only new ones are read: they do not change.
    """

    def __init__(self, rows: Rows) -> None:
        self._rows = rows
        self._services, self._models = _RowCache(ServiceRecord), _RowCache(ModelRecord)
        self._revisions: dict[tuple[str, int], RevisionRecord] = {}
        self._deployments: dict[str, DeploymentRecord] = {}

    def read(self) -> Lists:
        """Everything as it is now. Raises `StoreError` when the store cannot be used."""
        return self._rows.read(self._read)

    def _read(self, connection: Connection) -> Lists:
        models, services = tables().models, tables().services
        found_services = self._services.read(connection, services)
        found_models = self._models.read(connection, models, models.c.deleted == 0)
        live, kept = self._read_revisions(connection)
        named = {service.deployment_id for service in found_services}
        named |= {revision.deployment_id for revision in live.values()}
        return Lists(
            [record for record in found_services if is_plain_name(record.name)],
            live,
            kept,
            self._read_deployments(connection, named - {""}),
            [record for record in found_models if is_plain_name(record.name) and record.version > 0],
        )

    def _read_revisions(
        self, connection: Connection
    ) -> tuple[dict[str, RevisionRecord], dict[str, list[tuple[int, str]]]]:
        import sqlalchemy as sa

        table = tables().revisions
        query = sa.select(table.c.service, table.c.number, table.c.outcome, table.c.bundle_digest)
        live: list[tuple[str, int]] = []
        kept: dict[str, list[tuple[int, str]]] = {}
        for service, number, outcome, digest in connection.execute(query.where(table.c.outcome.in_(LIVE_OUTCOMES))):
            if outcome == "live":
                live.append((service, number))
            else:
                kept.setdefault(service, []).append((number, str(digest)))
        unread = [key for key in live if key not in self._revisions]
        if unread:
            columns = sa.tuple_(table.c.service, table.c.number)
            where = columns.in_(unread) if len(unread) < MAX_KEYS // 2 else table.c.outcome == "live"
            for record in _read_rows(connection, table, RevisionRecord, where):
                self._revisions[record.service, record.number] = record
        self._revisions = {key: self._revisions[key] for key in live if key in self._revisions}
        return {service: record for (service, _), record in self._revisions.items()}, kept

    def _read_deployments(self, connection: Connection, ids: set[str]) -> dict[str, DeploymentRecord]:
        table = tables().deployments
        known = {id: record for id in ids if (record := self._deployments.get(id)) and record.state != "running"}
        unread = sorted(ids - set(known))
        for start in range(0, len(unread), MAX_KEYS):
            where = table.c.id.in_(unread[start : start + MAX_KEYS])
            known |= {record.id: record for record in _read_rows(connection, table, DeploymentRecord, where)}
        self._deployments = known
        return known


MAX_KEYS = 10_000  # parameters of one query; SQLite takes 32,766, PostgreSQL 65,535


class _RowCache:
    """The records of a table. Those whose row is as it was are not parsed again."""

    def __init__(self, kind: type[Any]) -> None:
        self._kind = kind
        self._seen: dict[Hashable, Any] = {}

    def read(self, connection: Connection, table: Table, *where: ColumnElement[bool]) -> list[Any]:
        seen, self._seen = self._seen, {}
        for row in _read_raw(connection, table, *where):
            self._seen[row] = seen.get(row) or _parse(self._kind, table, row)
        return list(self._seen.values())


def _read_rows(
    connection: Connection, table: Table, kind: type[Record], *where: ColumnElement[bool]
) -> Iterable[Record]:
    return [_parse(kind, table, row) for row in _read_raw(connection, table, *where)]


def _read_raw(connection: Connection, table: Table, *where: ColumnElement[bool]) -> list[tuple[Any, ...]]:
    """The rows with their JSON as text."""
    import sqlalchemy as sa

    columns = [sa.cast(column, sa.Text) if column.name in _json_columns(table) else column for column in table.columns]
    query = sa.select(*columns).where(*where).order_by(*table.primary_key.columns)
    return [tuple(row) for row in connection.execute(query)]


def _parse(kind: type[Record], table: Table, row: tuple[Any, ...]) -> Record:
    columns = dict(zip((column.name for column in table.columns), row, strict=True))
    for name in _json_columns(table):
        columns[name] = load_json(columns[name]) if isinstance(columns[name], str) else None
    return from_columns(kind, columns)


@functools.cache
def _json_columns(table: Table) -> frozenset[str]:
    import sqlalchemy as sa

    return frozenset(column.name for column in table.columns if isinstance(column.type, sa.JSON))
