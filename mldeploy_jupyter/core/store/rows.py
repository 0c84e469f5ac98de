"""Reads and writes records as rows, each write in one transaction."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

from mldeploy_jupyter.core.errors import StoreError
from mldeploy_jupyter.core.json_record import JsonRecord
from mldeploy_jupyter.core.store.database import Database

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement, Connection, CursorResult, Row, Select, Table

Record = TypeVar("Record", bound=JsonRecord)

Result = TypeVar("Result")

Change = dict[str, Any] | Callable[[Record], dict[str, Any]]  # new values of fields, or a function that computes them

ATTEMPTS = 100  # transactions before giving up; each one lost means that another process has succeeded

HIGHEST = 2**31 - 1  # of a column of numbers; a higher one is damaged


class Rows:
    """Access to the rows of a database. Methods raise `StoreError` when it cannot be used.

    A write that is not `durable` is visible to every process at once, but a loss of power may undo it until the next
    durable write: see `Database.begin`.
    """

    def __init__(self, database: Database) -> None:
        self.database = database

    def read(self, step: Callable[[Connection], Result]) -> Result:
        """The result of `step` in a transaction that reads."""
        return self.database.run(step)

    def write(self, step: Callable[[Connection], Result], durable: bool = True, *, repeatable: bool = True) -> Result:
        """The result of `step` in a transaction that writes. For `repeatable` see `Database.run`."""
        return self.database.run(step, write=True, durable=durable, repeatable=repeatable)

    def write_retrying(
        self, step: Callable[[Connection], Result], durable: bool = True, *, repeatable: bool = True
    ) -> Result:
        """`write`, and again while other processes take the key that `step` chose.

        Raises `StoreError` after `ATTEMPTS`.
        """
        from sqlalchemy.exc import IntegrityError

        for _ in range(ATTEMPTS):
            try:
                return self.write(step, durable, repeatable=repeatable)
            except IntegrityError:
                continue
        raise StoreError(
            "the store could not give out a number",
            why=f"other processes were faster {ATTEMPTS} times in a row",
            hint="run the command again",
        )

    def get(self, table: Table, kind: type[Record], *where: ColumnElement[bool]) -> Record | None:
        """The first record that fulfils all conditions."""
        row = self.read(lambda connection: connection.execute(table.select().where(*where)).first())
        return from_row(kind, row) if row else None

    def find(self, kind: type[Record], query: Select[Any]) -> list[Record]:
        """The records that a query finds, in its order."""
        return self.read(lambda connection: from_rows(kind, connection.execute(query)))

    def update(
        self,
        table: Table,
        kind: type[Record],
        where: tuple[ColumnElement[bool], ...],
        change: Change[Record],
        durable: bool = True,
    ) -> Record | None:
        """Changes fields of a record and returns it; None when there is none."""
        return self.write(
            lambda connection: change_row(connection, table, kind, where, change),
            durable,
            repeatable=not callable(change),
        )


def change_row(
    connection: Connection,
    table: Table,
    kind: type[Record],
    where: tuple[ColumnElement[bool], ...],
    change: Change[Record],
) -> Record | None:
    """`Rows.update` inside the caller's transaction."""
    row = connection.execute(table.select().where(*where).with_for_update()).first()
    if row is None:
        return None
    record = from_row(kind, row)
    record = replace(record, **(change(record) if callable(change) else change))
    connection.execute(table.update().where(*where).values(**to_row(table, record)))
    return record


def delete_rows(table: Table, *where: ColumnElement[bool]) -> Callable[[Connection], int]:
    """A step for `Rows.write` that deletes rows and returns their number, also when it is run again."""
    most = 0

    def step(connection: Connection) -> int:
        nonlocal most
        most = max(most, connection.execute(table.delete().where(*where)).rowcount)
        return most

    return step


def is_there(connection: Connection, table: Table, row: dict[str, Any]) -> bool:
    """Whether this very row is in the table, and not another one that has got its key."""
    key = (column == row[column.name] for column in table.primary_key.columns)
    found = connection.execute(table.select().where(*key)).first()
    return found is not None and _identify(dict(found._mapping)) == _identify(row)


def _identify(row: dict[str, Any]) -> list[Any]:
    values = {**(row["data"] or {}), **row}
    return [values.get(name) for name in ("created_time", "deployment_id", "digest")]


def next_number(connection: Connection, column: ColumnElement[Any], where: ColumnElement[bool]) -> int:
    """One more than the highest number in `column`, 1 for the first."""
    import sqlalchemy as sa

    # SQLite keeps any value in a column of numbers, and takes what is not a number for the highest.
    number = sa.cast(column, sa.Integer)
    highest = connection.execute(sa.select(sa.func.max(number)).where(where, number < HIGHEST)).scalar()
    return max(int(highest or 0), 0) + 1


def to_row(table: Table, record: JsonRecord) -> dict[str, Any]:
    """The record as columns: those that the table has, and the rest in `data`."""
    data = dict(vars(record))  # not copied deeply: it is written at once
    row = {column.name: data.pop(column.name) for column in table.columns if column.name in data}
    return {**row, "data": data}


def from_row(kind: type[Record], row: Row[Any]) -> Record:
    """The record in a row that `to_row` made."""
    return from_columns(kind, dict(row._mapping))


def from_rows(kind: type[Record], result: CursorResult[Any]) -> list[Record]:
    """The records in the rows of a query; several times as fast as row by row."""
    names = tuple(result.keys())
    return [from_columns(kind, dict(zip(names, row, strict=True))) for row in result]


def from_columns(kind: type[Record], columns: dict[str, Any]) -> Record:
    """The record in the columns of a row, by name."""
    data = columns.pop("data")  # None where it is not JSON
    return kind.from_stored({**(data if isinstance(data, dict) else {}), **columns})
