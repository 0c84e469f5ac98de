"""What the HTTP side asks of the application that answers requests."""

from __future__ import annotations

from typing import Protocol

from ..scoring.messages import Response
from ..settings import Settings
from .direct_poll import DirectPoll
from .exchange import Exchange
from .head_cache import HeadCache


class Application(Protocol):
    """Answers requests. Every method is called with the lock of `direct`; answers go to `exchange.connection.send`."""

    settings: Settings
    head_cache: HeadCache
    direct: DirectPoll
    max_buffered: int  # bytes of bodies that all connections may hold

    def record_connections(self, count: int) -> None:
        """The number of open connections has changed."""

    def record_accepting(self, accepting: bool) -> None:
        """The worker begins or ceases to accept connections."""

    def record_accepted(self) -> None:
        """The worker has accepted a connection."""

    def is_paused(self) -> bool:
        """Whether the supervisor wants no connection accepted. The order to pause comes, or has come, as well."""

    def leaves_connection(self, waited: float) -> bool:
        """Whether a new connection, left to others for `waited` seconds so far, is left to them: they answer sooner."""

    def record_taken(self) -> None:
        """The connections that were left to others are gone."""

    def generate_request_id(self, exchange: Exchange) -> None:
        """Gives the request an id of the server's own."""

    def assign_request_id(self, exchange: Exchange) -> Response | None:
        """Gives the request the client's id, or one of the server's own. Returns the refusal of a bad id."""

    def admit(self, exchange: Exchange, buffered: int) -> None:
        """The headers are complete. Sets the id, and `early_response` if the body does not matter.

        `buffered` is how many bytes of bodies all connections hold.
        """

    def check_body_size(self, size: int, buffered: int) -> Response | None:
        """The refusal of a body of `size` bytes while all connections hold `buffered` bytes; None: it fits."""

    def handle(self, exchange: Exchange) -> None:
        """The request is complete, and is the next to be answered on its connection."""

    def handle_known(self, exchange: Exchange) -> None:
        """As `handle`, for a request to `/score` whose head is cached."""

    def send_response(self, exchange: Exchange, response: Response) -> None:
        """Sends a response that was decided without `handle`."""

    def abandon(self, exchange: Exchange) -> None:
        """The client disconnected before its answer."""
