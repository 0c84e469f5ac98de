"""The scoring client: sends an input to a service and returns its answer, or an error that says why there is none."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from mldeploy_jupyter.core.errors import ScoringError
from mldeploy_jupyter.core.scoring_body import make_body, needs_document

if TYPE_CHECKING:
    import requests


DOCUMENT_LIFETIME = 2.0  # seconds until a service's OpenAPI document is read again; an update may change it

KEY_LIFETIME = 2700.0  # seconds until the key or token is fetched again; tokens expire after 3600


class NothingSent(ScoringError):
    """The program at the address may not be the service, so it was sent neither the key nor the input."""


class ScoringClient:
    """Posts to one scoring URI over connections that are kept alive.

    `key` returns the key or the token, "" for a service without authentication. It is called before the first request,
    after `KEY_LIFETIME` seconds (when a token has a quarter of an hour left) and after a 401, so a replaced key is
    picked up. `refuse` is asked on each new connection, before anything is sent: it returns why what listens there
    may not be the service, or "". `session` is a `requests.Session` or an object with its interface. `timeout` is in
    seconds and limits the connection and each pause of the server.
    """

    def __init__(
        self,
        uri: str,
        key: Callable[[], str],
        *,
        refuse: Callable[[], str] | None = None,
        session: requests.Session | None = None,
        timeout: float = 120.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.uri = uri
        self.timeout = timeout
        self._fetch_key = key
        self._refuse = refuse
        self._clock = clock
        self._key: str | None = None
        self._fetched = 0.0
        self._session = session
        self._document: dict[str, Any] | None = None
        self._document_read: float | None = None

    def run(self, input_data: Any, *, headers: dict[str, str] | None = None) -> Any:
        """The service's answer: JSON as Python data, other text as `str`, anything else as `bytes`.

        `str` and `bytes` are sent as they are; other input is sent as JSON (`json_values.py`). What is not an object is
        sent under the name of the service's one parameter (`scoring_body.py`).

        Raises:
            ScoringError: there was no answer, or one with another status than 200.
            NothingSent: the connection was refused.
            UserErrorException: the input cannot be written as JSON.
        """
        depends = needs_document(input_data)
        body = make_body(input_data, self.read_document() if depends else None)
        response = self.post(body, headers)
        if depends and response.status_code == 422:  # perhaps it was updated since
            self._document_read = None
            current = make_body(input_data, self.read_document())
            response = self.post(current, headers) if current != body else response
        if response.status_code != 200:
            raise _status_error(self.uri, response, with_key=bool(self._key))
        if "json" in response.headers.get("content-type", ""):
            return response.json()
        return response.text if response.headers.get("content-type", "").startswith("text/") else response.content

    def post(self, body: bytes, headers: dict[str, str] | None = None) -> requests.Response:
        """The response to one request, of any status. After a 401 it is sent once more with a newly fetched key.

        Raises `ScoringError` when there was no response, `NothingSent` when the connection was refused.
        """
        return self._request("POST", self.uri, body, headers)

    def read_document(self) -> dict[str, Any] | None:
        """The service's OpenAPI document, at most `DOCUMENT_LIFETIME` seconds old; None when it has none."""
        if self._document_read is None or self._clock() - self._document_read > DOCUMENT_LIFETIME:
            response = self._request("GET", f"{self.uri.rpartition('/')[0]}/swagger.json")
            try:
                found = response.json() if response.status_code == 200 else None
            except ValueError:
                found = None
            self._document = found if isinstance(found, dict) else None
            self._document_read = self._clock()
        return self._document

    def read_metrics(self) -> str:
        """The service's metrics in Prometheus' text format; "" when it has none."""
        response = self._request("GET", f"{self.uri.rpartition('/')[0]}/metrics")
        return response.text if response.status_code == 200 else ""

    def _request(
        self, method: str, uri: str, body: bytes | None = None, headers: dict[str, str] | None = None
    ) -> requests.Response:
        import requests

        from mldeploy_jupyter.core.checked_connections import ConnectionRefused

        session = self._open()
        if self._clock() - self._fetched > KEY_LIFETIME:
            self._key = None
        refreshed = self._key is None
        while True:
            if self._key is None:
                self._key, self._fetched = self._fetch_key(), self._clock()
            sent = {"Content-Type": "application/json", "Accept": "application/json", **(headers or {})}
            if self._key:
                sent["Authorization"] = f"Bearer {self._key}"
            try:
                # A redirect is an answer like any other: followed, it would lead to whatever address it names.
                response = session.request(
                    method, uri, data=body, headers=sent, timeout=self.timeout, allow_redirects=False
                )
            except ConnectionRefused as refused:
                raise self._nothing_sent(str(refused)) from None
            except requests.RequestException as error:
                raise ScoringError(
                    f"no answer from {self.uri}",
                    why=_describe_failure(error),
                    hint="see its state with `mldeploy service list` and its log with `mldeploy service get-logs`",
                ) from error
            if response.status_code != 401 or refreshed:
                return response
            self._key, refreshed = None, True

    def close(self) -> None:
        """Closes the connections. The client opens new ones when it is used again."""
        if self._session is not None:
            self._session.close()

    def _open(self) -> requests.Session:
        if self._session is None:
            is_here = urlsplit(self.uri).hostname in ("127.0.0.1", "localhost", "::1")
            # Of an address elsewhere it is known before connecting whether the service can be there.
            if not is_here and self._refuse is not None and (reason := self._refuse()):
                raise self._nothing_sent(reason)
            import requests

            self._session = requests.Session()
            # Requests to this machine must not go through a proxy, even if the environment names one.
            if is_here:
                self._session.trust_env = False
            if self._refuse is not None:
                from mldeploy_jupyter.core.checked_connections import CheckingAdapter

                for scheme in ("http://", "https://"):
                    self._session.mount(scheme, CheckingAdapter(self._refuse))
        return self._session

    def _nothing_sent(self, reason: str) -> NothingSent:
        return NothingSent(
            f"nothing was sent to {self.uri}", why=reason, hint="see the service's state with `mldeploy service list`"
        )


def _describe_failure(error: Exception) -> str:
    text = str(error)
    if "refused" in text:
        return "the connection was refused: nothing listens there"
    if "timed out" in text.lower():
        return "the service did not answer in time"
    return type(error).__name__ + ": " + text[:200]


def _status_error(uri: str, response: requests.Response, with_key: bool) -> ScoringError:
    body = response.text
    try:
        data = response.json()
        message, detail = str(data.get("message", body)), data.get("error") or {}
    except (ValueError, AttributeError):
        message, detail = body[:500], {}
    where = detail.get("where", "")
    request_id = response.headers.get("x-ms-request-id", "")
    see = f"its log has more: look for the request id {request_id}"
    if response.status_code < 500:  # the log has nothing more about a client's error
        header = "-H 'Authorization: Bearer KEY' " if with_key else ""
        see = f"see what it takes: curl {header}{uri.rpartition('/')[0]}/swagger.json"
    return ScoringError(
        f"the service answered {response.status_code}",
        why=message + (f" (at {where})" if where and where not in message else ""),
        hint=detail.get("hint") or see,
        status_code=response.status_code,
        body=body,
        request_id=request_id,
    )
