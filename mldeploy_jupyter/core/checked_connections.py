"""Connections that are checked before anything is sent: who listens at an address may not be whom it was meant for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection


class ConnectionRefused(Exception):
    """The check refused a new connection, and nothing was sent. The text says why."""


class CheckingAdapter(HTTPAdapter):
    """Calls `refuse` on each new connection, after it is made and before a byte is sent.

    `refuse` returns why the connection must not be used, or "". A connection that stays open is not checked again: its
    other end cannot change. The check comes after connecting, so that what it finds also held when connecting.
    """

    def __init__(self, refuse: Callable[[], str]) -> None:
        self._refuse = refuse
        super().__init__()

    def init_poolmanager(self, *args: Any, **options: Any) -> None:
        super().init_poolmanager(*args, **options)
        refuse = self._refuse

        def check(connection: HTTPConnection) -> None:
            reason = refuse()
            if reason:
                connection.close()
                raise ConnectionRefused(reason)

        class Connection(HTTPConnection):
            def connect(self) -> None:
                super().connect()
                check(self)

        class Pool(HTTPConnectionPool):
            ConnectionCls = Connection

        class TlsConnection(HTTPSConnection):
            def connect(self) -> None:
                super().connect()
                check(self)

        class TlsPool(HTTPSConnectionPool):
            ConnectionCls = TlsConnection

        self.poolmanager.pool_classes_by_scheme = {"http": Pool, "https": TlsPool}
