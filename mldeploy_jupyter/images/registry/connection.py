"""Requests to one registry: authenticated, retried while that may help, with errors that name the reason."""

from __future__ import annotations

import json
import os
import random
import re
import ssl
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from urllib.parse import urlencode, urljoin, urlsplit

from mldeploy_jupyter.core.errors import ImageError
from mldeploy_jupyter.images.registry.backoff import Away, Backoff, retry_after
from mldeploy_jupyter.images.registry.credentials import Credentials, find_credentials
from mldeploy_jupyter.images.registry.reference import is_loopback
from mldeploy_jupyter.images.registry.tokens import Tokens, parse_challenge
from mldeploy_jupyter.images.registry.transport import CERTIFICATES, api_host, is_plain, open_pool

PATIENCE = 60.0  # seconds of retries while a registry is unreachable, busy or broken
FIRST_PATIENCE = 10.0  # the same before it has answered once: most likely the address is wrong

ANSWER_LIMIT = 8 * 1024 * 1024  # bytes of an answer that is read into memory: a manifest or a configuration

RETRIED = frozenset({408, 425, 429, 500, 502, 503, 504})


class Registry:
    """One registry. Safe to use from several threads.

    `host` is a registry's address with its port. Without `credentials`, those of the Docker or Podman configuration
    are used. `offline` forbids every request to another machine. `cancel` is called during waits and raises to stop;
    `patience` is in seconds.
    """

    def __init__(
        self,
        host: str,
        credentials: Credentials | None = None,
        *,
        offline: bool = False,
        environ: Mapping[str, str] | None = None,
        patience: float = PATIENCE,
        cancel: Callable[[], None] = lambda: None,
        clock: Callable[[], float] = time.monotonic,
        jitter: Callable[[], float] = random.random,
        now: Callable[[], float] = time.time,
    ) -> None:
        self.host, self.offline, self.cancel, self.patience = host, offline, cancel, patience
        self._environ = os.environ if environ is None else environ
        self._clock, self._jitter, self._now = clock, jitter, now
        self._note = ""
        if credentials is None:
            found = find_credentials(host, self._environ)
            credentials, self._note = found.credentials, found.note
        self.credentials = credentials
        self._tokens = Tokens(host, credentials, self._ask_token_server, clock)
        self._stopped = threading.Event()
        self._lock = threading.Lock()
        self._pool: Any = None
        self._scheme = ""
        self._answered = False

    # -- one request --

    def request(
        self,
        method: str,
        path: str,
        *,
        scopes: Sequence[str] = (),
        headers: Mapping[str, str] | None = None,
        body: Any = None,
        expected: Sequence[int] = (200,),
        retry: bool = True,
        stream: bool = False,
        doing: str = "asked",
    ) -> Any:
        """The answer of the registry, of a status in `expected`. `path` may be an address that it gave.

        With `stream` the body is not read yet, and the caller closes the answer. `doing` completes "the registry
        cannot be ..." in errors.

        Raises `ImageError`; with `retry=False`, `Away` for an error that a retry may resolve.
        """
        backoff = self.backoff()
        while True:
            try:
                return self._attempt(method, path, scopes, dict(headers or {}), body, expected, stream, doing)
            except Away as away:
                if not retry:
                    raise
                backoff.wait(away)

    def backoff(self) -> Backoff:
        """The waits of one step."""
        patience = self.patience if self._answered else min(self.patience, FIRST_PATIENCE)
        return Backoff(patience, self.sleep, clock=self._clock, jitter=self._jitter)

    def sleep(self, seconds: float) -> None:
        """Waits; ends early when the registry is closed or the caller cancels."""
        end = self._clock() + seconds
        while (left := end - self._clock()) > 0:
            self.check()
            self._stopped.wait(min(left, 0.1))
        self.check()

    def check(self) -> None:
        """Raises when the work was cancelled, or its other threads have failed."""
        self.cancel()
        if self._stopped.is_set():
            raise ImageError("the transfer was stopped", code="Stopped")

    def close(self) -> None:
        """Ends every transfer and wait."""
        self._stopped.set()
        if self._pool is not None:
            self._pool.clear()

    def _attempt(
        self,
        method: str,
        path: str,
        scopes: Sequence[str],
        headers: dict[str, str],
        body: Any,
        expected: Sequence[int],
        stream: bool,
        doing: str,
    ) -> Any:
        self.check()
        base = f"{self._find_scheme()}://{api_host(self.host)}"
        address = urljoin(base + "/", path)
        ours = urlsplit(address)[:2] == urlsplit(base)[:2]  # else a storage service, which must not get the token
        for second in (False, True):
            authorization = self._tokens.header(scopes) if ours else ""
            if authorization:
                headers["Authorization"] = authorization
            if second and hasattr(body, "rewind"):
                body.rewind()
            answer = self._send(method, address, headers, body)
            if answer.status == 401 and ours and not second:
                challenge = parse_challenge(", ".join(answer.headers.getlist("WWW-Authenticate")))
                _drop(answer)
                if challenge is not None and self._tokens.refuse(challenge, authorization):
                    continue
                raise self._refused(401, "", scopes)
            break
        self._answered = True
        if answer.status in (301, 302, 303, 307, 308) and method in ("GET", "HEAD"):
            answer = self._follow(method, address, answer, headers)
        if answer.status in expected:
            if not stream:
                answer.body = self._read(answer)
            return answer
        raise self._error(answer, scopes, doing)

    def _send(self, method: str, address: str, headers: Mapping[str, str], body: Any) -> Any:
        """Sends one request. Raises `Away`."""
        import urllib3

        try:
            return self._open_pool().request(
                method,
                address,
                headers={"User-Agent": "mldeploy", **headers},
                body=body,
                preload_content=False,
                redirect=False,
            )
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise self.away(error) from None

    def _read(self, answer: Any) -> bytes:
        """The whole body of an answer. Raises `Away` for one that breaks off, `ImageError` for one beyond the limit."""
        import urllib3

        try:
            body: bytes = answer.read(ANSWER_LIMIT + 1, decode_content=True)
        except (urllib3.exceptions.HTTPError, OSError) as error:
            answer.close()
            raise self.away(error) from None
        if len(body) > ANSWER_LIMIT:
            answer.close()
            raise ImageError(
                f"the answer of the registry {self.host} is too long",
                why=f"more than {ANSWER_LIMIT // 2**20} MiB",
                hint="check that the address is that of a registry",
            )
        answer.release_conn()
        return body

    def _follow(self, method: str, address: str, answer: Any, headers: Mapping[str, str]) -> Any:
        """The answer at the end of redirections, which lead to a storage service. It is not sent the token."""
        for _ in range(5):
            target = urljoin(address, answer.headers.get("Location", ""))
            if urlsplit(target).scheme not in ("https", urlsplit(address).scheme):
                break
            _drop(answer)
            same = urlsplit(target)[:2] == urlsplit(address)[:2]
            sent = {name: value for name, value in headers.items() if same or name != "Authorization"}
            answer, address = self._send(method, target, sent, None), target
            if answer.status not in (301, 302, 303, 307, 308):
                break
        return answer

    def _open_pool(self) -> Any:
        with self._lock:
            if self._pool is None:
                self._pool = open_pool(self.host, self._environ)
            return self._pool

    def _find_scheme(self) -> str:
        """https, or http for a registry that speaks nothing else and may. Raises `Away`."""
        if self._scheme:
            return self._scheme
        if self.offline and not is_loopback(self.host):
            raise ImageError(
                f"the registry {self.host} is not asked without the network",
                why="the network was forbidden",
                hint="allow it, or take a base image that is on the disk: base_image='oci:/path/to/layout'",
                code="Offline",
            )
        plain = is_plain(self.host, self._environ)
        try:
            _drop(self._send("GET", f"https://{api_host(self.host)}/v2/", {}, None))
            self._scheme = "https"
        except Away as away:
            if away.error.code != "RegistryPlainHttp":
                if plain and away.error.code == "RegistryUnreachable":
                    self._scheme = "http"  # port 80, where nothing listens for https
                    return "http"
                raise
            if not plain and not is_loopback(self.host):
                raise
            self._scheme = "http"
        return self._scheme

    def _ask_token_server(
        self, method: str, address: str, fields: list[tuple[str, str]], authorization: str
    ) -> tuple[int, dict[str, Any]]:
        if urlsplit(address).scheme != "https" and self._scheme == "https":
            raise ImageError(
                f"the registry {self.host} names a token server without TLS",
                why=f"{urlsplit(address).netloc} would be sent the password unencrypted",
                hint="ask the registry's administrator to give it an https:// address",
                code="RegistryRefused",
            )
        headers = {"Authorization": authorization} if authorization else {}
        text = urlencode(fields)
        backoff = self.backoff()
        while True:
            try:
                if method == "POST":
                    headers["Content-Type"] = "application/x-www-form-urlencoded"
                    answer = self._send(method, address, headers, text)
                else:
                    separator = "&" if "?" in address else "?"
                    answer = self._send(method, f"{address}{separator}{text}", headers, None)
                if answer.status in RETRIED:
                    raise self._error(answer, (), "asked for a token")
            except Away as away:
                backoff.wait(away)
                continue
            try:
                data = json.loads(self._read(answer))
            except ValueError:
                data = {}
            return answer.status, data if isinstance(data, dict) else {}

    # -- errors --

    def away(self, error: Exception) -> Away:
        """The reason why a request got no answer."""
        import urllib3

        reasons = _chain(error)
        text = next((str(part) for part in reversed(reasons) if str(part)), type(error).__name__)
        text = re.sub(r"^.*?object at 0x[0-9a-f]+>:? ?", "", text)
        tls = next((part for part in reasons if isinstance(part, ssl.SSLError)), None)
        if any(isinstance(part, urllib3.exceptions.ProxyError) for part in reasons):
            found = ImageError(
                f"the proxy for the registry {self.host} cannot be used",
                why=text,
                hint="check HTTPS_PROXY, or add the registry to NO_PROXY",
                code="ProxyFailed",
            )
            return Away(found, hopeless=not self._answered)
        if isinstance(tls, ssl.SSLCertVerificationError):
            found = ImageError(
                f"the certificate of the registry {self.host} is not trusted",
                why=getattr(tls, "verify_message", "") or text,
                hint=f"name your authority's certificate in SSL_CERT_FILE, or put it in {CERTIFICATES[0]}/{self.host}/",
                code="RegistryCertificate",
            )
            return Away(found, hopeless=True)
        if tls is not None and re.search(
            r"WRONG_VERSION_NUMBER|HTTP_REQUEST|RECORD_LAYER_FAILURE|PACKET_LENGTH_TOO_LONG", str(tls).upper()
        ):
            found = ImageError(
                f"the registry {self.host} does not speak https",
                why="it answers in plain HTTP, which is allowed on this machine only",
                hint=f"MLDEPLOY_INSECURE_REGISTRIES={self.host} allows it",
                code="RegistryPlainHttp",
            )
            return Away(found, hopeless=True)
        found = ImageError(
            f"the registry {self.host} cannot be reached",
            why=text,
            hint="check the address, the network and HTTPS_PROXY",
            code="RegistryUnreachable",
        )
        return Away(found, hopeless=not self._answered and _is_name_error(reasons))

    def _error(self, answer: Any, scopes: Sequence[str], doing: str) -> Exception:
        """The error for an answer: `Away` when a retry may resolve it."""
        said, codes = self._said(answer)
        if answer.status in RETRIED:
            busy = ImageError(
                f"the registry {self.host} cannot be {doing}",
                why=f"it answered {answer.status}{f': {said}' if said else ''}",
                hint="try again later" if answer.status != 429 else "it limits requests: docker login, or try later",
                code="RegistryBusy",
            )
            return Away(busy, retry_after(answer.headers.get("Retry-After", ""), self._now()))
        if answer.status in (401, 403):
            return self._refused(answer.status, said, scopes)
        return RegistryAnswer(
            f"the registry {self.host} cannot be {doing}",
            why=f"it answered {answer.status}{f': {said}' if said else ''}",
            hint=_hint(answer.status, codes),
            code="RegistryFailed",
            status=answer.status,
            codes=codes,
        )

    def _said(self, answer: Any) -> tuple[str, list[str]]:
        """The registry's message for an error, in one line, and its codes."""
        try:
            data = json.loads(self._read(answer))
            errors = [entry for entry in data["errors"] if isinstance(entry, dict)]
        except (Away, ImageError, ValueError, TypeError, KeyError):  # no answer of a registry; its status tells enough
            return "", []
        codes = [str(entry.get("code", "")) for entry in errors]
        texts = [str(entry.get("message") or entry.get("code") or "") for entry in errors]
        return "; ".join(text for text in texts if text)[:300], codes

    def _refused(self, status: int, said: str, scopes: Sequence[str]) -> ImageError:
        what = " and ".join(scope.replace("repository:", "", 1) for scope in scopes) or "the registry"
        who = "the credentials do not allow it" if self.credentials is not None else "no credentials were given"
        notes = "; ".join(part for part in (said, self._note) if part)
        return ImageError(
            f"the registry {self.host} refuses access",
            why=f"it answered {status} for {what}: {who}{f' ({notes})' if notes else ''}",
            hint=f"docker login {self.host}",
            code="RegistryRefused",
        )


class RegistryAnswer(ImageError):
    """A registry's answer that a retry cannot resolve. `status` is HTTP's, `codes` are the registry's own."""

    def __init__(
        self, what: str, *, why: str, hint: str, code: str, status: int = 0, codes: Sequence[str] = ()
    ) -> None:
        super().__init__(what, why=why, hint=hint, code=code)
        self.status, self.codes = status, tuple(codes)


def _drop(answer: Any) -> None:
    """Reads the rest of a small answer, so that its connection can be used again."""
    answer.drain_conn() if int(answer.headers.get("Content-Length") or 0) < 65536 else answer.close()
    answer.release_conn()


def _hint(status: int, codes: Sequence[str]) -> str:
    if status == 413:
        return "a proxy in front of the registry limits the size of requests; have it raised"
    if "UNSUPPORTED" in codes or status == 405:
        return "this registry accepts no pushes; name another one"
    return "check the address of the registry and the name of the image"


def _chain(error: BaseException) -> list[BaseException]:
    """The error and what is behind it."""
    found: list[BaseException] = []
    current: Any = error
    while isinstance(current, BaseException) and current not in found and len(found) < 10:
        found.append(current)
        inner = [part for part in current.args if isinstance(part, BaseException)]
        current = getattr(current, "original_error", None) or (inner[0] if inner else None) or current.__cause__
        current = current or found[-1].__context__
    return found


def _is_name_error(reasons: Sequence[BaseException]) -> bool:
    import socket

    return any(isinstance(part, socket.gaierror) and part.errno != socket.EAI_AGAIN for part in reasons)
