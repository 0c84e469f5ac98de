"""Counts the queries that a test's own process sends to a workspace's store."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import sqlalchemy as sa

from mldeploy_jupyter.core.workspace.folder import WorkspaceFolder


@contextmanager
def count_queries(folder: WorkspaceFolder) -> Iterator[list[str]]:
    """The list gets each statement that is executed in the block."""
    queries: list[str] = []
    engine = folder.open_store()._database.engine

    def note(connection: object, cursor: object, statement: str, *rest: object) -> None:
        queries.append(statement)

    sa.event.listen(engine, "before_cursor_execute", note)
    try:
        yield queries
    finally:
        sa.event.remove(engine, "before_cursor_execute", note)
