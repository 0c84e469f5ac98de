"""A small token server, whose tokens a real registry verifies: RS256, signed with a key that the registry knows."""

from __future__ import annotations

import base64
import json
import threading
import time
import uuid
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.x509.oid import NameOID


class TokenServer:
    """Gives tokens that last `seconds` to whoever signs in as `user`; `asked` are the scopes of each request.

    `allowed` are actions of a repository that are granted, beside those of pulling.
    """

    issuer, service = "mldeploy tests", "registry of the tests"

    def __init__(self, folder: Path, *, user: str = "ann", password: str = "s3cret", seconds: int = 60) -> None:
        self.user, self.password, self.seconds = user, password, seconds
        self.asked: list[list[str]] = []
        self._key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "token server")])
        now = datetime.now(UTC)
        self._certificate = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(self._key.public_key())
            .serial_number(1)
            .not_valid_before(now - timedelta(hours=1))
            .not_valid_after(now + timedelta(hours=1))
            .sign(self._key, hashes.SHA256())
        )
        self.certificate = folder / "tokens.pem"
        self.certificate.write_bytes(self._certificate.public_bytes(serialization.Encoding.PEM))
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                query = parse_qs(urlsplit(self.path).query)
                server.asked.append(query.get("scope", []))
                expected = base64.b64encode(f"{server.user}:{server.password}".encode()).decode()
                signed_in = self.headers.get("Authorization") == f"Basic {expected}"
                status, answer = (200, server._answer(query)) if signed_in else (401, {"details": "who are you?"})
                body = json.dumps(answer).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *args: object) -> None:
                pass

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._http.serve_forever, daemon=True)

    @property
    def settings(self) -> dict[str, Any]:
        """The registry's settings `auth`."""
        return {
            "token": {
                "realm": f"http://127.0.0.1:{self._http.server_port}/token",
                "service": self.service,
                "issuer": self.issuer,
                "rootcertbundle": str(self.certificate),
            }
        }

    def __enter__(self) -> TokenServer:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._http.shutdown()
        self._http.server_close()

    def _answer(self, query: dict[str, list[str]]) -> dict[str, Any]:
        access = []
        for scope in query.get("scope", []):
            kind, name, actions = scope.split(":")
            access.append({"type": kind, "name": name, "actions": actions.split(",")})
        now = int(time.time())
        claims = {
            "iss": self.issuer,
            "sub": self.user,
            "aud": self.service,
            "iat": now,
            "nbf": now - 60,
            # The registry allows a minute of difference between clocks, which a short token has behind it already.
            "exp": now + self.seconds - (60 if self.seconds < 60 else 0),
            "jti": str(uuid.uuid4()),
            "access": access,
        }
        certificate = self._certificate.public_bytes(serialization.Encoding.DER)
        head = {"typ": "JWT", "alg": "RS256", "x5c": [base64.b64encode(certificate).decode()]}
        signed = f"{_encode(head)}.{_encode(claims)}"
        signature = self._key.sign(signed.encode(), padding.PKCS1v15(), hashes.SHA256())
        return {"token": f"{signed}.{_base64(signature)}", "expires_in": 300}


def _encode(data: dict[str, Any]) -> str:
    return _base64(json.dumps(data).encode())


def _base64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
