"""Receives a long body on the event loop: straight into its memory, with no `bytes` object for each piece between."""

from __future__ import annotations

import asyncio
from typing import Protocol

from .body import LongBody

_UNWANTED = 65_536  # bytes of a body that is refused by now, received at once


class BodyReceiver(Protocol):
    """The connection, as this protocol sees it. `long_body` is where the body goes; None: nowhere."""

    transport: asyncio.Transport

    @property
    def long_body(self) -> LongBody | None: ...

    def body_received(self, size: int) -> None: ...

    def data_received(self, data: bytes) -> None: ...

    def eof_received(self) -> bool: ...

    def connection_lost(self, exc: Exception | None) -> None: ...

    def pause_writing(self) -> None: ...

    def resume_writing(self) -> None: ...


class BodyProtocol(asyncio.BufferedProtocol):
    """The transport's protocol while a long body arrives. All else that the transport tells is for the connection."""

    def __init__(self, connection: BodyReceiver) -> None:
        self._connection = connection
        self._unwanted: bytearray | None = None

    def get_buffer(self, sizehint: int) -> memoryview | bytearray:
        body = self._connection.long_body
        if body is not None:
            return body.space()
        self._unwanted = bytearray(_UNWANTED)
        return self._unwanted

    def buffer_updated(self, nbytes: int) -> None:
        if self._unwanted is None:
            self._connection.body_received(nbytes)
        else:
            self._connection.transport.set_protocol(self._connection)  # type: ignore[arg-type]
            self._connection.data_received(bytes(self._unwanted[:nbytes]))

    def eof_received(self) -> bool:
        return self._connection.eof_received()

    def connection_lost(self, exc: Exception | None) -> None:
        self._connection.connection_lost(exc)

    def pause_writing(self) -> None:
        self._connection.pause_writing()

    def resume_writing(self) -> None:
        self._connection.resume_writing()
