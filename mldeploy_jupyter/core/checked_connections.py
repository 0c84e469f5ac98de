"""Checks connections before anything is sent: another program may listen at the service's address."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any

from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection

Refuse = Callable[[], str]


class ConnectionRefused(Exception):
    """The check refused a new connection, and nothing was sent. The text says why."""


class CheckingAdapter(HTTPAdapter):
    """Calls `refuse` on each new connection, after it is made and before a byte is sent.

    `refuse` returns why the connection must not be used, or "". A connection that stays open is not checked again: its
    other end cannot change. The check comes after connecting, so that what it finds also held when connecting.
    """

    def __init__(self, refuse: Refuse) -> None:
        self._refuse = refuse
        super().__init__()

    def init_poolmanager(self, *args: Any, **options: Any) -> None:
        super().init_poolmanager(*args, **options)
        refuse = self._refuse

        def make_pool(*args: Any, **options: Any) -> _Pool:
            pool = _Pool(*args, **options)
            pool.refuse = refuse
            return pool

        def make_tls_pool(*args: Any, **options: Any) -> _TlsPool:
            pool = _TlsPool(*args, **options)
            pool.refuse = refuse
            return pool

        self.poolmanager.pool_classes_by_scheme = {"http": make_pool, "https": make_tls_pool}


class _Connection(HTTPConnection):
    # Weak: an idle connection is kept until its pool is freed, which it would be never if the connection knew `refuse`,
    # and with it who made the adapter.
    pool: weakref.ref[_Pool]

    def connect(self) -> None:
        super().connect()
        _check(self, self.pool())


class _TlsConnection(HTTPSConnection):
    pool: weakref.ref[_TlsPool]

    def connect(self) -> None:
        super().connect()
        _check(self, self.pool())


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Connection
    refuse: Refuse

    def _new_conn(self) -> Any:
        connection: Any = super()._new_conn()
        connection.pool = weakref.ref(self)
        return connection


class _TlsPool(HTTPSConnectionPool):
    ConnectionCls = _TlsConnection
    refuse: Refuse

    def _new_conn(self) -> Any:
        connection: Any = super()._new_conn()
        connection.pool = weakref.ref(self)
        return connection


def _check(connection: HTTPConnection, pool: _Pool | _TlsPool | None) -> None:
    reason = pool.refuse() if pool is not None else "its session has ended"
    if reason:
        connection.close()
        raise ConnectionRefused(reason)
