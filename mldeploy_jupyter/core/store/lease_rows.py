"""Leases: one operation at a time may change a service, on whatever machine it runs."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from mldeploy_jupyter.core import process_identity
from mldeploy_jupyter.core.errors import DeploymentInProgress
from mldeploy_jupyter.core.records import LeaseRecord
from mldeploy_jupyter.core.store.rows import Rows, delete_rows
from mldeploy_jupyter.core.store.tables import tables

if TYPE_CHECKING:
    from sqlalchemy import Connection, Row


MAX_SECONDS = 3600.0  # a lease that would last longer is damaged, or the clock was put back: it counts as expired


class Leases:
    """The leases in a store, one a service. `holder` is the id of the deployment or operation that holds one.

    Processes of one machine measure them with its monotonic clock, so none is lost when the time is set. Others use
    the clock of the database where it has one, so machines need not agree on the time. No write is durable: after a
    loss of power every holder is dead.
    """

    def __init__(self, rows: Rows, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._rows = rows
        self._monotonic = monotonic
        self._table = tables().leases

    def acquire(self, service: str, holder: str, ttl_seconds: float, runner: dict[str, Any]) -> LeaseRecord:
        """Takes the lease of `service` for `ttl_seconds`; `runner` identifies the holder's process.

        An expired lease is taken over, and a holder may acquire its own again. Raises `DeploymentInProgress` with the
        id of another holder while its lease lasts.
        """
        table = self._table

        def step(connection: Connection) -> LeaseRecord:
            now = self._rows.database.now(connection)
            held = connection.execute(table.select().where(table.c.service == service).with_for_update()).first()
            lease = LeaseRecord(service, holder, now + ttl_seconds, self._limit(runner, ttl_seconds))
            if held is None:
                connection.execute(table.insert().values(**lease.to_dict()))
            elif held.holder == holder or self._remaining(_read(held, now), now) <= 0:
                connection.execute(table.update().where(table.c.service == service).values(**lease.to_dict()))
            else:
                raise DeploymentInProgress(
                    f"service {service} is being changed by deployment {held.holder}",
                    deployment_id=held.holder,
                    why="one operation at a time can change a service",
                    hint=f"wait for it: mldeploy service wait {service}, or stop it: mldeploy service cancel {service}",
                )
            return lease

        return self._rows.write_retrying(step, durable=False)

    def renew(self, service: str, holder: str, ttl_seconds: float) -> bool:
        """Extends the lease to `ttl_seconds` from now. False when `holder` no longer has it."""
        table = self._table
        where = (table.c.service == service, table.c.holder == holder)

        def step(connection: Connection) -> bool:
            now = self._rows.database.now(connection)
            held = connection.execute(table.select().where(*where).with_for_update()).first()
            if held is None:
                return False
            values = {"expires": now + ttl_seconds, "runner": self._limit(_read(held, now).runner, ttl_seconds)}
            return connection.execute(table.update().where(*where).values(**values)).rowcount > 0

        return self._rows.write(step, durable=False)

    def release(self, service: str, holder: str) -> bool:
        """Removes the lease of `holder`, which may be this process or one known to be dead.

        False when `holder` does not have it; another holder's lease stays.
        """
        table = self._table
        where = (table.c.service == service, table.c.holder == holder)
        return self._rows.write(delete_rows(table, *where), durable=False) > 0

    def get(self, service: str) -> LeaseRecord | None:
        """The lease of a service. It may have expired."""
        query = self._table.select().where(self._table.c.service == service)

        def step(connection: Connection) -> LeaseRecord | None:
            row = connection.execute(query).first()
            return _read(row, self._rows.database.now(connection)) if row else None

        return self._rows.read(step)

    def remaining(self, lease: LeaseRecord) -> float:
        """Seconds until the lease expires; negative when it has."""
        return self._remaining(lease, self._rows.read(self._rows.database.now))

    def _remaining(self, lease: LeaseRecord, now: float) -> float:
        until = lease.runner.get("until")
        if isinstance(until, (int, float)) and lease.runner.get("host") == process_identity.host_and_boot():
            return until - self._monotonic()
        return lease.expires - now

    def _limit(self, runner: dict[str, Any], ttl_seconds: float) -> dict[str, Any]:
        """The identity of a process, and until when its lease lasts by this machine's monotonic clock."""
        if runner.get("host") != process_identity.host_and_boot():
            return runner
        return {**runner, "until": self._monotonic() + ttl_seconds}


def _read(row: Row[Any], now: float) -> LeaseRecord:
    """The lease in a row, which may be damaged; `now` is the database's time."""
    lease = LeaseRecord.from_stored(dict(row._mapping))
    return lease if lease.expires <= now + MAX_SECONDS else replace(lease, expires=0.0)
