"""The store: models, services, revisions, deployments, leases and environments of a workspace.

Every write is one transaction. Numbers (versions of a model, revisions of a service) are given out by the database,
so two processes on two machines never get the same one.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

from mldeploy_jupyter.core.errors import (
    DeploymentInProgress,
    ModelNotFoundException,
    StoreError,
    WebserviceException,
    WebserviceNotFound,
)
from mldeploy_jupyter.core.records import (
    DeploymentRecord,
    JsonRecord,
    LeaseRecord,
    ModelRecord,
    RevisionRecord,
    ServiceRecord,
    utc_now,
)
from mldeploy_jupyter.core.store.database import Database
from mldeploy_jupyter.core.store.tables import tables

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement, Connection, Row, Table


Record = TypeVar("Record", bound=JsonRecord)

Result = TypeVar("Result")

ATTEMPTS = 100  # each lost race means that another registration succeeded


class Store:
    """The store at a database URL: `sqlite:////abs/store.db` or `postgresql+psycopg://...`.

    `clock` gives seconds since 1970 for leases on SQLite; PostgreSQL uses its own clock. Every method raises
    `StoreError` when the database cannot be used.
    """

    def __init__(self, url: str, *, clock: Callable[[], float] = time.time) -> None:
        self._database = Database(url, clock)
        self._t = tables()

    def close(self) -> None:
        """Closes idle connections. The store may still be used after it."""
        self._database.close()

    # Models

    def add_model(self, record: ModelRecord) -> ModelRecord:
        """Keeps the model under the next version of its name. Versions of deleted models are not given out again."""
        table = self._t.models

        def add(connection: Connection) -> ModelRecord:
            version = _next(connection, table, table.c.version, table.c.name == record.name)
            added = replace(record, version=version, created_time=record.created_time or utc_now())
            connection.execute(table.insert().values(**_to_row(table, added)))
            return added

        return self._write_retrying(add)

    def get_model(self, name: str, version: int | None = None) -> ModelRecord | None:
        """The model, or the latest live one of that name when no version is given."""
        table = self._t.models
        query = table.select().where(table.c.name == name, table.c.deleted == 0)
        if version is not None:
            query = query.where(table.c.version == version)
        with self._read() as connection:
            row = connection.execute(query.order_by(table.c.version.desc()).limit(1)).first()
        return _from_row(ModelRecord, row) if row else None

    def list_models(self, name: str | None = None, latest: bool = False) -> list[ModelRecord]:
        """The live models, newest first; with `latest` only the highest version of each name."""
        table = self._t.models
        query = table.select().where(table.c.deleted == 0)
        if name is not None:
            query = query.where(table.c.name == name)
        order = (table.c.created_time.desc(), table.c.name, table.c.version.desc())
        with self._read() as connection:
            records = [_from_row(ModelRecord, row) for row in connection.execute(query.order_by(*order))]
        if not latest:
            return records
        highest: dict[str, int] = {}
        for record in records:
            highest[record.name] = max(record.version, highest.get(record.name, 0))
        return [record for record in records if record.version == highest[record.name]]

    def change_model(self, name: str, version: int, change: Callable[[ModelRecord], dict[str, Any]]) -> ModelRecord:
        """Changes the fields that `change` makes of the present record; nothing when it raises.

        Of two processes at once the second sees what the first wrote. Raises `ModelNotFoundException`.
        """
        table = self._t.models
        where = (table.c.name == name, table.c.version == version, table.c.deleted == 0)
        record = self._update(table, ModelRecord, where, change)
        if record is None:
            raise ModelNotFoundException(
                f"there is no model {name}:{version}", why="it was deleted in the meantime", hint="mldeploy model list"
            )
        return record

    def delete_model(self, name: str, version: int) -> bool:
        """Takes the model out of sight for good; its number stays used. False when there was none."""
        table = self._t.models
        where = (table.c.name == name, table.c.version == version, table.c.deleted == 0)
        with self._write() as connection:
            return connection.execute(table.update().where(*where).values(deleted=1)).rowcount > 0

    def services_using(self, model_id: str) -> list[str]:
        """The services whose serving or pending revision, or running deployment, holds the model `name:version`."""
        using = set()
        for service in self.list_services():
            for revision in self.list_revisions(service.name):
                in_use = revision.number == service.revision or revision.outcome == "pending"
                if in_use and model_id in revision.models:
                    using.add(service.name)
        for deployment in self.list_deployments(state="running"):
            if model_id in deployment.request.get("models", ()):
                using.add(deployment.service)
        return sorted(using)

    # Services and revisions

    def save_service(self, record: ServiceRecord) -> ServiceRecord:
        """Keeps the service, in place of one of the same name."""
        from sqlalchemy.exc import IntegrityError

        table = self._t.services
        stamped = replace(record, created_time=record.created_time or utc_now(), updated_time=utc_now())
        row = _to_row(table, stamped)
        for _ in range(ATTEMPTS):
            try:
                with self._write() as connection:
                    changed = connection.execute(table.update().where(table.c.name == record.name).values(**row))
                    if not changed.rowcount:
                        connection.execute(table.insert().values(**row))
                return stamped
            except IntegrityError:
                continue
        raise _lost_every_race()

    def get_service(self, name: str) -> ServiceRecord | None:
        return self._get(self._t.services, ServiceRecord, self._t.services.c.name == name)

    def list_services(self) -> list[ServiceRecord]:
        """Every service, by name."""
        table = self._t.services
        with self._read() as connection:
            rows = connection.execute(table.select().order_by(table.c.name)).all()
        return [_from_row(ServiceRecord, row) for row in rows]

    def update_service(self, name: str, *, durable: bool = True, **fields: Any) -> ServiceRecord:
        """Changes fields of a service. For `durable` see `Database.begin`. Raises `WebserviceNotFound`."""
        return self.change_service(name, lambda present: fields, durable=durable)

    def change_service(
        self, name: str, change: Callable[[ServiceRecord], dict[str, Any]], *, durable: bool = True
    ) -> ServiceRecord:
        """Changes the fields that `change` makes of the present record; nothing when it raises.

        Raises `WebserviceNotFound`.
        """
        table = self._t.services
        where = (table.c.name == name,)
        stamped = lambda old: {"updated_time": utc_now(), **change(old)}  # noqa: E731
        record = self._update(table, ServiceRecord, where, stamped, durable)
        if record is None:
            raise _no_service(name)
        return record

    def remove_service(self, name: str) -> bool:
        """Removes the service with its revisions and lease. Its deployments stay, for their journals."""
        with self._write() as connection:
            for table in (self._t.revisions, self._t.leases):
                connection.execute(table.delete().where(table.c.service == name))
            services = self._t.services
            return connection.execute(services.delete().where(services.c.name == name)).rowcount > 0

    def add_revision(self, record: RevisionRecord, *, durable: bool = True) -> RevisionRecord:
        """Keeps the revision under the next number of its service, which its deployment is told, too.

        For `durable` see `Database.begin`.
        """
        table, deployments = self._t.revisions, self._t.deployments

        def add(connection: Connection) -> RevisionRecord:
            number = _next(connection, table, table.c.number, table.c.service == record.service)
            added = replace(record, number=number, created_time=record.created_time or utc_now())
            connection.execute(table.insert().values(**_to_row(table, added)))
            if record.deployment_id:
                where = (deployments.c.id == record.deployment_id,)
                _change(connection, deployments, DeploymentRecord, where, {"revision": number})
            return added

        return self._write_retrying(add, durable)

    def get_revision(self, service: str, number: int) -> RevisionRecord | None:
        table = self._t.revisions
        return self._get(table, RevisionRecord, table.c.service == service, table.c.number == number)

    def list_revisions(self, service: str) -> list[RevisionRecord]:
        """The revisions of a service, newest first."""
        table = self._t.revisions
        query = table.select().where(table.c.service == service).order_by(table.c.number.desc())
        with self._read() as connection:
            return [_from_row(RevisionRecord, row) for row in connection.execute(query)]

    def update_revision(self, service: str, number: int, *, durable: bool = True, **fields: Any) -> RevisionRecord:
        """Changes fields of a revision. Raises `WebserviceException` when there is no such revision."""
        table = self._t.revisions
        where = (table.c.service == service, table.c.number == number)
        record = self._update(table, RevisionRecord, where, fields, durable)
        if record is None:
            raise _no_revision(service, number)
        return record

    def promote_revision(self, name: str, number: int, **fields: Any) -> None:
        """The revision serves now, and the one that did is kept; `fields` of the service change with it.

        Not durable by itself: see `Database.begin`. Raises what `update_revision` and `update_service` raise.
        """
        table, services = self._t.revisions, self._t.services
        live = (table.c.service == name, table.c.outcome == "live", table.c.number != number)
        this = (table.c.service == name, table.c.number == number)
        with self._write(durable=False) as connection:
            connection.execute(table.update().where(*live).values(outcome="kept"))
            if not connection.execute(table.update().where(*this).values(outcome="live")).rowcount:
                raise _no_revision(name, number)
            fields = {"updated_time": utc_now(), **fields, "revision": number}
            if _change(connection, services, ServiceRecord, (services.c.name == name,), fields) is None:
                raise _no_service(name)

    # Deployments

    def add_deployment(self, record: DeploymentRecord, *, durable: bool = True) -> DeploymentRecord:
        """Keeps a new deployment under its id, which the caller made."""
        table = self._t.deployments
        added = replace(record, created_time=record.created_time or utc_now())
        with self._write(durable) as connection:
            connection.execute(table.insert().values(**_to_row(table, added)))
        return added

    def get_deployment(self, id: str) -> DeploymentRecord | None:
        return self._get(self._t.deployments, DeploymentRecord, self._t.deployments.c.id == id)

    def list_deployments(
        self, service: str | None = None, limit: int | None = None, *, state: str | None = None
    ) -> list[DeploymentRecord]:
        """Deployments, newest first: of one service, in one state, at most `limit`."""
        table = self._t.deployments
        query = table.select().order_by(table.c.created_time.desc(), table.c.id.desc())
        if service is not None:
            query = query.where(table.c.service == service)
        if state is not None:
            query = query.where(table.c.state == state)
        if limit is not None:
            query = query.limit(limit)
        with self._read() as connection:
            return [_from_row(DeploymentRecord, row) for row in connection.execute(query)]

    def update_deployment(self, id: str, *, durable: bool = True, **fields: Any) -> DeploymentRecord:
        """Changes fields of a deployment. Raises `WebserviceException` when there is no such deployment."""
        table = self._t.deployments
        record = self._update(table, DeploymentRecord, (table.c.id == id,), fields, durable)
        if record is None:
            raise WebserviceException(f"there is no deployment {id}", hint="mldeploy service list")
        return record

    def remove_deployments(self, ids: list[str]) -> int:
        """Forgets deployments (for prune). Gives back how many there were."""
        table = self._t.deployments
        with self._write() as connection:
            return connection.execute(table.delete().where(table.c.id.in_(ids))).rowcount

    # Leases

    def acquire_lease(self, service: str, holder: str, ttl_seconds: float, runner: dict[str, Any]) -> LeaseRecord:
        """The right to change `service`, for `ttl_seconds`. `holder` is the deployment's id.

        An expired lease is taken over, and a holder may acquire again. Raises `DeploymentInProgress` with the
        other holder's id while its lease lasts.
        """
        table = self._t.leases

        def acquire(connection: Connection) -> LeaseRecord:
            now = self._database.now(connection)
            held = connection.execute(table.select().where(table.c.service == service).with_for_update()).first()
            lease = LeaseRecord(service, holder, now + ttl_seconds, runner)
            if held is None:
                connection.execute(table.insert().values(**lease.to_dict()))
            elif held.holder == holder or held.expires <= now:
                connection.execute(table.update().where(table.c.service == service).values(**lease.to_dict()))
            else:
                raise DeploymentInProgress(
                    f"service {service} is being changed by deployment {held.holder}",
                    deployment_id=held.holder,
                    why="one operation at a time can change a service",
                    hint=f"wait for it: mldeploy service wait {service}, or stop it: mldeploy service cancel {service}",
                )
            return lease

        return self._write_retrying(acquire, durable=False)  # after a loss of power its holder is dead

    def renew_lease(self, service: str, holder: str, ttl_seconds: float) -> bool:
        """Extends the lease to `ttl_seconds` from now. False when `holder` does not have it any more."""
        table = self._t.leases
        where = (table.c.service == service, table.c.holder == holder)
        with self._write(durable=False) as connection:
            expires = self._database.now(connection) + ttl_seconds
            return connection.execute(table.update().where(*where).values(expires=expires)).rowcount > 0

    def release_lease(self, service: str, holder: str) -> bool:
        """Gives the lease back. False when `holder` did not have it; another holder's lease is left alone."""
        table = self._t.leases
        where = (table.c.service == service, table.c.holder == holder)
        with self._write(durable=False) as connection:
            return connection.execute(table.delete().where(*where)).rowcount > 0

    def get_lease(self, service: str) -> LeaseRecord | None:
        """The lease of a service, also one that has expired and was not taken over yet."""
        table = self._t.leases
        with self._read() as connection:
            row = connection.execute(table.select().where(table.c.service == service)).first()
        return LeaseRecord(**row._mapping) if row else None

    def now(self) -> float:
        """Seconds since 1970 by the clock leases are measured with."""
        with self._read() as connection:
            return self._database.now(connection)

    # Environments

    def add_environment(self, name: str, definition: dict[str, Any]) -> int:
        """Keeps the definition under the next version of its name and gives that back."""
        table = self._t.environments

        def put(connection: Connection) -> int:
            version = _next(connection, table, table.c.version, table.c.name == name)
            row = {"name": name, "version": version, "created_time": utc_now(), "data": definition}
            connection.execute(table.insert().values(**row))
            return version

        return self._write_retrying(put)

    def get_environment(self, name: str, version: int | None = None) -> dict[str, Any] | None:
        """The definition with its `name` and `version` in it; the latest when no version is given."""
        table = self._t.environments
        query = table.select().where(table.c.name == name)
        if version is not None:
            query = query.where(table.c.version == version)
        with self._read() as connection:
            row = connection.execute(query.order_by(table.c.version.desc()).limit(1)).first()
        return {**row.data, "name": row.name, "version": row.version} if row else None

    def list_environments(self, name: str | None = None) -> list[dict[str, Any]]:
        """Every definition with its `name` and `version`: by name, newest version first."""
        table = self._t.environments
        query = table.select().order_by(table.c.name, table.c.version.desc())
        if name is not None:
            query = query.where(table.c.name == name)
        with self._read() as connection:
            rows = connection.execute(query).all()
        return [{**row.data, "name": row.name, "version": row.version} for row in rows]

    # Helpers

    def _read(self) -> AbstractContextManager[Connection]:
        return self._database.begin()

    def _write(self, durable: bool = True) -> AbstractContextManager[Connection]:
        return self._database.begin(write=True, durable=durable)

    def _write_retrying(self, step: Callable[[Connection], Result], durable: bool = True) -> Result:
        """Runs `step` in a transaction, again when another process took the same key first."""
        from sqlalchemy.exc import IntegrityError

        for _ in range(ATTEMPTS):
            try:
                with self._write(durable) as connection:
                    return step(connection)
            except IntegrityError:
                continue
        raise _lost_every_race()

    def _get(self, table: Table, kind: type[Record], *where: ColumnElement[bool]) -> Record | None:
        with self._read() as connection:
            row = connection.execute(table.select().where(*where)).first()
        return _from_row(kind, row) if row else None

    def _update(
        self,
        table: Table,
        kind: type[Record],
        where: tuple[ColumnElement[bool], ...],
        change: dict[str, Any] | Callable[[Record], dict[str, Any]],
        durable: bool = True,
    ) -> Record | None:
        with self._write(durable) as connection:
            return _change(connection, table, kind, where, change)


def _change(
    connection: Connection,
    table: Table,
    kind: type[Record],
    where: tuple[ColumnElement[bool], ...],
    change: dict[str, Any] | Callable[[Record], dict[str, Any]],
) -> Record | None:
    row = connection.execute(table.select().where(*where).with_for_update()).first()
    if row is None:
        return None
    record = _from_row(kind, row)
    record = replace(record, **(change(record) if callable(change) else change))
    connection.execute(table.update().where(*where).values(**_to_row(table, record)))
    return record


def _next(connection: Connection, table: Table, column: ColumnElement[Any], where: ColumnElement[bool]) -> int:
    import sqlalchemy as sa

    highest = connection.execute(sa.select(sa.func.max(column)).select_from(table).where(where)).scalar()
    return int(highest or 0) + 1


def _to_row(table: Table, record: JsonRecord) -> dict[str, Any]:
    data = dict(vars(record))  # it is written at once, so nothing in it need be copied
    row = {column.name: data.pop(column.name) for column in table.columns if column.name in data}
    return {**row, "data": data}


def _from_row(kind: type[Record], row: Row[Any]) -> Record:
    columns = dict(row._mapping)
    return kind.from_dict({**columns.pop("data"), **columns})


def _no_service(name: str) -> WebserviceNotFound:
    return WebserviceNotFound(
        f"there is no service {name}", why="it was deleted, or never deployed", hint="mldeploy service list"
    )


def _no_revision(service: str, number: int) -> WebserviceException:
    return WebserviceException(f"service {service} has no revision {number}", hint=f"mldeploy service show {service}")


def _lost_every_race() -> StoreError:
    return StoreError(
        "the store could not give out a number",
        why=f"other processes were faster {ATTEMPTS} times in a row",
        hint="run the command again",
    )
