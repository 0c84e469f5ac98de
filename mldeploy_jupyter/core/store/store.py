"""The store: models, services, revisions, deployments, leases and environments of a workspace.

Every write is one transaction. The database assigns the numbers (versions of a model, revisions of a service), so two
processes on two machines never get the same one.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Hashable, Iterable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from mldeploy_jupyter.core.errors import ModelNotFoundException, WebserviceException, WebserviceNotFound
from mldeploy_jupyter.core.name_rules import is_plain_name
from mldeploy_jupyter.core.records import DeploymentRecord, ModelRecord, RevisionRecord, ServiceRecord, utc_now
from mldeploy_jupyter.core.store.database import Database
from mldeploy_jupyter.core.store.lease_rows import Leases
from mldeploy_jupyter.core.store.list_reader import ListReader
from mldeploy_jupyter.core.store.rows import (
    HIGHEST,
    Rows,
    change_row,
    delete_rows,
    from_row,
    is_there,
    next_number,
    to_row,
)
from mldeploy_jupyter.core.store.tables import read_creation, tables

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement, Connection, Select, Table

    from mldeploy_jupyter.core.json_record import JsonRecord


class Store:
    """The store at a database URL: `sqlite:////abs/store.db` or `postgresql+psycopg://...`.

    `clock` returns seconds since 1970 for leases on SQLite; PostgreSQL uses its own clock. `monotonic` returns the
    seconds of this machine's monotonic clock. Every method raises `StoreError` when the database cannot be used. For
    `durable` see `Database.begin`.
    """

    def __init__(
        self, url: str, *, clock: Callable[[], float] = time.time, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._database = Database(url, clock)
        self._rows = Rows(self._database)
        self._tables = tables()
        self.leases = Leases(self._rows, monotonic)

    def close(self) -> None:
        """Closes idle connections. The store can still be used."""
        self._database.close()

    @property
    def is_remote(self) -> bool:
        """Whether it is a server, which has to be asked for whatever one wants to know of it."""
        return self._database.path is None

    def change_mark(self) -> Hashable:
        """Another value than before when something may have been written since. Cheap: see `Database.change_mark`."""
        return self._database.change_mark()

    def list_reader(self) -> ListReader:
        """A reader of all services and models, for who reads them again and again."""
        return ListReader(self._rows)

    def remove_damaged_rows(self) -> int:
        """Removes the models, services and deployments that no list has, because name, version or id is damaged.

        Only SQLite keeps values of another type than a column's. Returns how many there were.
        """
        import sqlalchemy as sa

        if self._database.is_postgres:
            return 0
        tables, removed = self._tables, 0
        rowid: ColumnElement[int] = sa.literal_column("rowid", sa.Integer)
        for table, keys in (
            (tables.models, ("name", "version")),
            (tables.services, ("name",)),
            (tables.deployments, ("id",)),
        ):
            query = sa.select(rowid, *(table.c[key] for key in keys))
            damaged = self._rows.read(functools.partial(_find_damaged, query=query))
            if damaged:
                removed += self._rows.write(delete_rows(table, rowid.in_(damaged)))
        return removed

    def created(self) -> float:
        """When this store was created, in seconds since 1970; 0 where that is not known."""
        return self._rows.read(read_creation)

    def list_deleted_digests(self) -> set[str]:
        """The digests of the files of deleted models."""
        table = self._tables.models
        found = self._rows.find(ModelRecord, table.select().where(table.c.deleted != 0))
        entries = [entry for model in found for entry in model.files.values()]
        return {entry[0] for entry in entries if isinstance(entry, list) and entry and isinstance(entry[0], str)}

    # Models

    def add_model(self, record: ModelRecord) -> ModelRecord:
        """Adds the model as the next version of its name. Versions of deleted models are not assigned again."""
        table = self._tables.models

        added: ModelRecord | None = None

        def add(connection: Connection) -> ModelRecord:
            nonlocal added
            if added is not None and is_there(connection, table, to_row(table, added)):
                return added  # the commit before had been carried out
            version = next_number(connection, table.c.version, table.c.name == record.name)
            added = replace(record, version=version, created_time=record.created_time or utc_now())
            connection.execute(table.insert().values(**to_row(table, added)))
            return added

        return self._rows.write_retrying(add)

    def get_model(self, name: str, version: int | None = None) -> ModelRecord | None:
        """The model, by default the latest version that was not deleted."""
        table = self._tables.models
        query = table.select().where(table.c.name == name, table.c.deleted == 0, _is_version_in(table))
        if version is not None:
            query = query.where(table.c.version == version)
        query = query.order_by(table.c.version.desc()).limit(1)
        row = self._rows.read(lambda connection: connection.execute(query).first())
        return from_row(ModelRecord, row) if row else None

    def list_models(self, name: str | None = None, latest: bool = False) -> list[ModelRecord]:
        """The models that were not deleted, newest first; with `latest` only the highest version of each name."""
        import sqlalchemy as sa

        table = self._tables.models
        where = [table.c.deleted == 0, _is_version_in(table)]
        if name is not None:
            where.append(table.c.name == name)
        query = table.select().where(*where)
        if latest:
            highest = sa.select(table.c.name, sa.func.max(table.c.version).label("version"))
            newest = highest.where(*where).group_by(table.c.name).subquery()
            query = query.where(table.c.name == newest.c.name, table.c.version == newest.c.version)
        order = (table.c.created_time.desc(), table.c.name, table.c.version.desc())
        found = self._rows.find(ModelRecord, query.order_by(*order))
        return [record for record in found if is_plain_name(record.name)]

    def list_model_ids(self, start: str = "") -> list[tuple[str, int]]:
        """Name and version of every model whose name begins with `start`, by name; without their other columns."""
        import sqlalchemy as sa

        table = self._tables.models
        query = sa.select(table.c.name, table.c.version).where(table.c.deleted == 0)
        query = query.where(table.c.name.startswith(start, autoescape=True)) if start else query
        rows = self._rows.read(
            lambda connection: connection.execute(query.order_by(table.c.name, table.c.version)).all()
        )
        return [(row.name, row.version) for row in rows if is_plain_name(row.name) and isinstance(row.version, int)]

    def change_model(self, name: str, version: int, change: Callable[[ModelRecord], dict[str, Any]]) -> ModelRecord:
        """Gives fields the values that `change` computes from the current record; none when it raises.

        Of two processes at once, the second one's `change` gets what the first wrote. Raises `ModelNotFoundException`.
        """
        table = self._tables.models
        where = (table.c.name == name, table.c.version == version, table.c.deleted == 0)
        record = self._rows.update(table, ModelRecord, where, change)
        if record is None:
            raise ModelNotFoundException(
                f"there is no model {name}:{version}", why="it was deleted in the meantime", hint="mldeploy model list"
            )
        return record

    def delete_model(self, name: str, version: int) -> bool:
        """Marks the model as deleted, so its version stays used. False when there was none."""
        table = self._tables.models
        where = (table.c.name == name, table.c.version == version, table.c.deleted == 0)
        found = False

        def mark(connection: Connection) -> bool:
            nonlocal found  # run again after a commit that was carried out, it finds none
            found |= connection.execute(table.update().where(*where).values(deleted=1)).rowcount > 0
            return found

        return self._rows.write(mark)

    def services_using(self, model_id: str) -> list[str]:
        """The services with the model `name:version` in their live revision, a pending one or a running deployment."""
        using = set()
        serving = {service.name: service.revision for service in self.list_services()}
        for revision in self.list_revisions():
            in_use = revision.number == serving.get(revision.service) or revision.outcome == "pending"
            if in_use and revision.service in serving and model_id in revision.models:
                using.add(revision.service)
        for deployment in self.list_deployments(state="running"):
            if model_id in deployment.request.get("models", ()):
                using.add(deployment.service)
        return sorted(using)

    # Services

    def save_service(self, record: ServiceRecord) -> ServiceRecord:
        """Adds the service, or replaces the one of the same name."""
        table = self._tables.services
        stamped = replace(record, created_time=record.created_time or utc_now(), updated_time=utc_now())
        row = to_row(table, stamped)

        def save(connection: Connection) -> ServiceRecord:
            if not connection.execute(table.update().where(table.c.name == record.name).values(**row)).rowcount:
                connection.execute(table.insert().values(**row))
            return stamped

        return self._rows.write_retrying(save)

    def get_service(self, name: str) -> ServiceRecord | None:
        """The service of this name."""
        return self._rows.get(self._tables.services, ServiceRecord, self._tables.services.c.name == name)

    def list_services(self) -> list[ServiceRecord]:
        """Every service, by name. A damaged row whose name no service can have is left out."""
        table = self._tables.services
        found = self._rows.find(ServiceRecord, table.select().order_by(table.c.name))
        return [record for record in found if is_plain_name(record.name)]

    def list_service_names(self) -> list[str]:
        """The name of every service."""
        import sqlalchemy as sa

        table = self._tables.services
        query = sa.select(table.c.name).order_by(table.c.name)
        names = self._rows.read(lambda connection: list(connection.execute(query).scalars()))
        return [name for name in names if is_plain_name(name)]

    def update_service(self, name: str, *, durable: bool = True, **fields: Any) -> ServiceRecord:
        """Changes fields of a service. Raises `WebserviceNotFound`."""
        table = self._tables.services
        fields = {"updated_time": utc_now(), **fields}
        record = self._rows.update(table, ServiceRecord, (table.c.name == name,), fields, durable)
        if record is None:
            raise _no_service(name)
        return record

    def change_service(self, name: str, change: Callable[[ServiceRecord], dict[str, Any]]) -> ServiceRecord:
        """Gives fields the values that `change` computes from the current record; none when it raises.

        Raises `WebserviceNotFound`.
        """
        table = self._tables.services

        def stamp(record: ServiceRecord) -> dict[str, Any]:
            return {"updated_time": utc_now(), **change(record)}

        record = self._rows.update(table, ServiceRecord, (table.c.name == name,), stamp)
        if record is None:
            raise _no_service(name)
        return record

    def restore_service(
        self,
        service: ServiceRecord,
        revision: RevisionRecord | None,
        deployment: DeploymentRecord | None,
        models: list[ModelRecord],
    ) -> None:
        """Adds records that this store has lost: a service, its live revision under the number that it had, and so on.

        The service and the revision replace what is there; a deployment and models that are there, deleted or not, stay
        as they are.
        """
        tables = self._tables

        def put(connection: Connection, table: Table, record: JsonRecord, keys: tuple[str, ...], over: bool) -> None:
            row = to_row(table, record)
            where = [table.c[key] == row[key] for key in keys]
            if connection.execute(table.select().with_only_columns(table.c[keys[0]]).where(*where)).first() is None:
                connection.execute(table.insert().values(**row))
            elif over:
                connection.execute(table.update().where(*where).values(**row))

        def restore(connection: Connection) -> None:
            now = utc_now()
            put(connection, tables.services, replace(service, updated_time=now), ("name",), True)
            if revision is not None:
                others = (tables.revisions.c.service == service.name, tables.revisions.c.outcome == "live")
                connection.execute(tables.revisions.update().where(*others).values(outcome="kept"))
                put(connection, tables.revisions, revision, ("service", "number"), True)
            if deployment is not None:
                put(connection, tables.deployments, deployment, ("id",), False)
            for model in models:
                put(connection, tables.models, replace(model, created_time=now), ("name", "version"), False)

        self._rows.write_retrying(restore)

    def remove_service(self, name: str) -> bool:
        """Removes the service, its revisions and its lease. False when there was none.

        Its deployments stay; one that has no end, because its process was killed, is marked as interrupted.
        """
        deployments = self._tables.deployments
        found = False

        def remove(connection: Connection) -> bool:
            nonlocal found  # run again after a commit that was carried out, it finds none
            running = (deployments.c.service == name, deployments.c.state == "running")
            connection.execute(deployments.update().where(*running).values(state="interrupted"))
            for table in (self._tables.revisions, self._tables.leases):
                connection.execute(table.delete().where(table.c.service == name))
            services = self._tables.services
            found |= connection.execute(services.delete().where(services.c.name == name)).rowcount > 0
            return found

        return self._rows.write(remove)

    # Revisions

    def add_revision(self, record: RevisionRecord, *, durable: bool = True) -> RevisionRecord:
        """Adds the revision under the next number of its service, and notes the number in its deployment."""
        table, deployments = self._tables.revisions, self._tables.deployments

        added: RevisionRecord | None = None

        def add(connection: Connection) -> RevisionRecord:
            nonlocal added
            if added is not None and is_there(connection, table, to_row(table, added)):
                return added  # the commit before had been carried out
            number = next_number(connection, table.c.number, table.c.service == record.service)
            added = replace(record, number=number, created_time=record.created_time or utc_now())
            connection.execute(table.insert().values(**to_row(table, added)))
            if record.deployment_id:
                where = (deployments.c.id == record.deployment_id,)
                change_row(connection, deployments, DeploymentRecord, where, {"revision": number})
            return added

        return self._rows.write_retrying(add, durable)

    def get_revision(self, service: str, number: int) -> RevisionRecord | None:
        """The revision of a service with this number."""
        table = self._tables.revisions
        return self._rows.get(table, RevisionRecord, table.c.service == service, table.c.number == number)

    def list_revisions(self, service: str | None = None, *, outcome: str | None = None) -> list[RevisionRecord]:
        """The revisions of a service or of all, with one outcome or with any; newest first within a service."""
        table = self._tables.revisions
        query = table.select().order_by(table.c.service, table.c.number.desc())
        if service is not None:
            query = query.where(table.c.service == service)
        if outcome is not None:
            query = query.where(table.c.outcome == outcome)
        return self._rows.find(RevisionRecord, query)

    def update_revision(self, service: str, number: int, *, durable: bool = True, **fields: Any) -> RevisionRecord:
        """Changes fields of a revision. Raises `WebserviceException` when there is none."""
        table = self._tables.revisions
        where = (table.c.service == service, table.c.number == number)
        record = self._rows.update(table, RevisionRecord, where, fields, durable)
        if record is None:
            raise _no_revision(service, number)
        return record

    def promote_revision(self, service: str, number: int, **fields: Any) -> None:
        """Makes the revision the live one and keeps the one before; changes `fields` of the service with it.

        Not durable. Raises `WebserviceException` or `WebserviceNotFound` when there is no such revision or service.
        """
        table, services = self._tables.revisions, self._tables.services
        others = (table.c.service == service, table.c.outcome == "live", table.c.number != number)
        promoted = (table.c.service == service, table.c.number == number)
        fields = {"updated_time": utc_now(), **fields, "revision": number}

        def promote(connection: Connection) -> None:
            connection.execute(table.update().where(*others).values(outcome="kept"))
            if not connection.execute(table.update().where(*promoted).values(outcome="live")).rowcount:
                raise _no_revision(service, number)
            if change_row(connection, services, ServiceRecord, (services.c.name == service,), fields) is None:
                raise _no_service(service)

        self._rows.write(promote, durable=False)

    # Deployments

    def add_deployment(self, record: DeploymentRecord, *, durable: bool = True) -> DeploymentRecord:
        """Adds a deployment under the id that the caller gave it."""
        table = self._tables.deployments
        added = replace(record, created_time=record.created_time or utc_now())
        row, tried = to_row(table, added), False

        def add(connection: Connection) -> DeploymentRecord:
            nonlocal tried
            if not (tried and is_there(connection, table, row)):
                tried = True
                connection.execute(table.insert().values(**row))
            return added

        return self._rows.write(add, durable)

    def begin_deployment(
        self, record: DeploymentRecord, service: ServiceRecord, change: Callable[[ServiceRecord], dict[str, Any]]
    ) -> DeploymentRecord:
        """Adds a deployment and changes its service in one transaction: neither is ever there without the other.

        `service` is added when there is none of its name. Not durable. Raises what `change` raises.
        """
        table, services = self._tables.deployments, self._tables.services
        where, row, tried = (services.c.name == service.name,), to_row(table, record), False

        def begin(connection: Connection) -> DeploymentRecord:
            nonlocal tried
            if tried and is_there(connection, table, row):
                return record  # the commit before had been carried out
            tried = True
            if connection.execute(services.select().where(*where).with_for_update()).first() is None:
                connection.execute(services.insert().values(**to_row(services, service)))

            def stamp(current: ServiceRecord) -> dict[str, Any]:
                return {"updated_time": utc_now(), **change(current)}

            change_row(connection, services, ServiceRecord, where, stamp)
            connection.execute(table.insert().values(**row))
            return record

        return self._rows.write_retrying(begin, durable=False)

    def get_deployment(self, id: str) -> DeploymentRecord | None:
        """The deployment with this id."""
        return self._rows.get(self._tables.deployments, DeploymentRecord, self._tables.deployments.c.id == id)

    def get_deployments(self, ids: Iterable[str]) -> dict[str, DeploymentRecord]:
        """The deployments with these ids, by id; one that is not there is left out."""
        table = self._tables.deployments
        query = table.select().where(table.c.id.in_(list(ids)))
        return {record.id: record for record in self._rows.find(DeploymentRecord, query)}

    def list_deployments(
        self, service: str | None = None, limit: int | None = None, *, state: str | None = None
    ) -> list[DeploymentRecord]:
        """Deployments, newest first: of one service, in one state, at most `limit`."""
        table = self._tables.deployments
        query = table.select().order_by(table.c.created_time.desc(), table.c.id.desc())
        if service is not None:
            query = query.where(table.c.service == service)
        if state is not None:
            query = query.where(table.c.state == state)
        if limit is not None:
            query = query.limit(limit)
        return [record for record in self._rows.find(DeploymentRecord, query) if is_plain_name(record.id)]

    def update_deployment(self, id: str, *, durable: bool = True, **fields: Any) -> DeploymentRecord:
        """Changes fields of a deployment. Raises `WebserviceException` when there is none."""
        table = self._tables.deployments
        record = self._rows.update(table, DeploymentRecord, (table.c.id == id,), fields, durable)
        if record is None:
            raise WebserviceException(f"there is no deployment {id}", hint="mldeploy service list")
        return record

    def remove_deployments(self, ids: list[str]) -> int:
        """Removes the records of deployments. Returns how many there were."""
        table = self._tables.deployments
        return self._rows.write(delete_rows(table, table.c.id.in_(ids)))

    # Environments

    def add_environment(self, name: str, definition: dict[str, Any]) -> int:
        """Adds the definition as the next version of its name, and returns the version."""
        table = self._tables.environments

        row: dict[str, Any] = {}

        def add(connection: Connection) -> int:
            nonlocal row
            if not (row and is_there(connection, table, row)):  # else the commit before had been carried out
                version = next_number(connection, table.c.version, table.c.name == name)
                row = {"name": name, "version": version, "created_time": utc_now(), "data": definition}
                connection.execute(table.insert().values(**row))
            return int(row["version"])

        return self._rows.write_retrying(add)

    def get_environment(self, name: str, version: int | None = None) -> dict[str, Any] | None:
        """A definition with its `name` and `version`, by default of the latest version."""
        table = self._tables.environments
        query = table.select().where(table.c.name == name)
        if version is not None:
            query = query.where(table.c.version == version)
        query = query.order_by(table.c.version.desc()).limit(1)
        row = self._rows.read(lambda connection: connection.execute(query).first())
        return {**(row.data or {}), "name": row.name, "version": row.version} if row else None

    def list_environments(self, name: str | None = None) -> list[dict[str, Any]]:
        """The definitions with their `name` and `version`, by name, newest version first."""
        table = self._tables.environments
        query = table.select().order_by(table.c.name, table.c.version.desc())
        if name is not None:
            query = query.where(table.c.name == name)
        rows = self._rows.read(lambda connection: connection.execute(query).all())
        return [{**(row.data or {}), "name": row.name, "version": row.version} for row in rows]


def _find_damaged(connection: Connection, query: Select[Any]) -> list[int]:
    """The row ids, the first column, of rows whose name, the second, or version, the third, is damaged."""
    rows = connection.execute(query).all()
    return [row[0] for row in rows if not is_plain_name(row[1]) or not all(map(_is_version, row[2:]))]


def _is_version_in(table: Table) -> ColumnElement[bool]:
    """The condition that a row's version is one: SQLite keeps any value in a column of numbers."""
    import sqlalchemy as sa

    number = sa.cast(table.c.version, sa.Integer)
    return sa.and_(number == table.c.version, number > 0, number <= HIGHEST)


def _is_version(value: object) -> bool:
    return isinstance(value, int) and 0 < value <= HIGHEST


def _no_service(name: str) -> WebserviceNotFound:
    return WebserviceNotFound(
        f"there is no service {name}", why="it was deleted, or never deployed", hint="mldeploy service list"
    )


def _no_revision(service: str, number: int) -> WebserviceException:
    return WebserviceException(f"service {service} has no revision {number}", hint=f"mldeploy service show {service}")
