"""What an attacker sends instead of a token, over the wire: 401 with the documented body, and `run()` is never called.

`tests/unit/serving/worker/test_auth.py` has what can be wrong inside a token, in many more variants.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Iterator
from typing import Any

import pytest

from mldeploy_jupyter.core.keys import replace_key
from mldeploy_jupyter.serving import tokens
from tests.integration.serving.protocol.test_http_conformance import HOST, Wire
from tests.integration.serving.supervised import Supervised
from tests.polling import wait_until

SECRET, OTHER_SECRET = "a-secret", "the-secret-of-u"

KEYS = {"primaryKey": "first-key", "secondaryKey": "second-key", "tokenSecret": SECRET}

COUNT = """
    calls = 0
    def init(): pass
    def run(data):
        global calls
        calls += 1
        return calls
"""

REQUIRED, INVALID = "a token is required", "the token is not valid"

EXPIRED, NOT_YET = "the token has expired", "the token is not valid yet"

NOW = int(time.time())  # when the tests are collected; they may run more than an hour later
DAY = 86_400

CLAIMS = {"aud": "t", "iat": NOW, "nbf": NOW, "exp": NOW + DAY}


def part(value: Any) -> str:
    data = value if isinstance(value, bytes) else json.dumps(value, separators=(",", ":")).encode()
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def forge(header: Any, claims: Any, secret: str = SECRET, algorithm: str = "sha256") -> str:
    """A token as a library would make it of any header and claims."""
    signed = f"{part(header)}.{part(claims)}"
    return f"{signed}.{part(hmac.digest(secret.encode(), signed.encode(), algorithm))}"


HS256 = {"alg": "HS256", "typ": "JWT"}

RIGHT = forge(HS256, CLAIMS)  # valid for longer than the tests may take

UNSIGNED = ".".join(RIGHT.split(".")[:2])

# Name -> the header lines (None: no `Authorization` at all) and the message of the refusal.
ATTACKS: dict[str, tuple[bytes | None, str]] = {
    "none": (None, REQUIRED),
    "an empty header": (b"authorization: ", REQUIRED),
    "a scheme alone": (b"authorization: Bearer", REQUIRED),
    "spaces for a token": (b"authorization: Bearer     ", REQUIRED),
    "without a scheme": (f"authorization: {RIGHT}".encode(), REQUIRED),
    "Basic": (b"authorization: Basic " + base64.b64encode(f"t:{RIGHT}".encode()), REQUIRED),
    "the right token as Basic": (f"authorization: Basic {RIGHT}".encode(), REQUIRED),
    "in another header": (f"x-authorization: Bearer {RIGHT}".encode(), REQUIRED),
    "as a cookie": (f"cookie: authorization=Bearer {RIGHT}".encode(), REQUIRED),
    "for a proxy": (f"proxy-authorization: Bearer {RIGHT}".encode(), REQUIRED),
    "garbage": (b"authorization: Bearer garbage", INVALID),
    "three dots": (b"authorization: Bearer ...", INVALID),
    "a key": (b"authorization: Bearer first-key", INVALID),
    "the secret itself": (f"authorization: Bearer {SECRET}".encode(), INVALID),
    "alg none": (f"authorization: Bearer {part({'alg': 'none', 'typ': 'JWT'})}.{part(CLAIMS)}.".encode(), INVALID),
    "alg NONE": (f"authorization: Bearer {part({'alg': 'NONE'})}.{part(CLAIMS)}.".encode(), INVALID),
    "alg none, signed": (f"authorization: Bearer {forge({'alg': 'none'}, CLAIMS)}".encode(), INVALID),
    "no signature": (f"authorization: Bearer {UNSIGNED}.".encode(), INVALID),
    "no third part": (f"authorization: Bearer {UNSIGNED}".encode(), INVALID),
    "HS512": (
        f"authorization: Bearer {forge({**HS256, 'alg': 'HS512'}, CLAIMS, algorithm='sha512')}".encode(),
        INVALID,
    ),
    "RS256 in name": (f"authorization: Bearer {forge({**HS256, 'alg': 'RS256'}, CLAIMS)}".encode(), INVALID),
    "a key of its own": (f"authorization: Bearer {forge({**HS256, 'jwk': {'k': 'x'}}, CLAIMS, 'x')}".encode(), INVALID),
    "a key id": (f"authorization: Bearer {forge({**HS256, 'kid': '/dev/null'}, CLAIMS, '')}".encode(), INVALID),
    "another key": (f"authorization: Bearer {tokens.sign('guess', 't', NOW)}".encode(), INVALID),
    "an empty key": (f"authorization: Bearer {forge(HS256, CLAIMS, '')}".encode(), INVALID),
    "a plain digest": (
        f"authorization: Bearer {UNSIGNED}.{part(hashlib.sha256(UNSIGNED.encode()).digest())}".encode(),
        INVALID,
    ),
    "expired": (f"authorization: Bearer {tokens.sign(SECRET, 't', NOW - 3700)}".encode(), EXPIRED),
    "expired long ago": (f"authorization: Bearer {tokens.sign(SECRET, 't', 0)}".encode(), EXPIRED),
    "not yet valid": (f"authorization: Bearer {tokens.sign(SECRET, 't', NOW + DAY)}".encode(), NOT_YET),
    "forever": (f"authorization: Bearer {forge(HS256, {**CLAIMS, 'exp': None})}".encode(), INVALID),
    "until infinity": (f"authorization: Bearer {forge(HS256, {**CLAIMS, 'exp': 1e999})}".encode(), INVALID),
    "without an end": (f"authorization: Bearer {forge(HS256, {'aud': 't', 'iat': NOW})}".encode(), INVALID),
    "another service's": (f"authorization: Bearer {tokens.sign(OTHER_SECRET, 'u', NOW)}".encode(), INVALID),
    "another service's, same secret": (f"authorization: Bearer {tokens.sign(SECRET, 'u', NOW)}".encode(), INVALID),
    "for several services": (f"authorization: Bearer {forge(HS256, {**CLAIMS, 'aud': ['t', 'u']})}".encode(), INVALID),
    "claims that are no object": (f"authorization: Bearer {forge(HS256, [CLAIMS])}".encode(), INVALID),
    "claims nested deeply": (f"authorization: Bearer {forge(HS256, b'[' * 2000)}".encode(), INVALID),
    "two tokens": (f"authorization: Bearer x, Bearer {RIGHT}".encode(), INVALID),
    "a word behind it": (f"authorization: Bearer {RIGHT} x".encode(), INVALID),
    "padded": (f"authorization: Bearer {RIGHT}=".encode(), INVALID),
    "in capitals": (f"authorization: Bearer {RIGHT.upper()}".encode(), INVALID),
    "unicode": ("authorization: Bearer gültig.gültig.gültig".encode(), INVALID),
    "unicode digits": (("authorization: Bearer " + "\u0663" * 40).encode(), INVALID),
    "unicode behind the token": (f"authorization: Bearer {RIGHT}".encode() + b"\xc3\xa9", INVALID),
    "a space of Latin-1 behind the token": (f"authorization: Bearer {RIGHT}".encode() + b"\xa0", INVALID),
    "a control character of Latin-1": (f"authorization: Bearer {RIGHT}".encode() + b"\x85", INVALID),
    "bytes that are no text": (b"authorization: Bearer \xff\xfe\xfd", INVALID),
    "a huge token": (b"authorization: Bearer " + b"a" * 30_000, INVALID),
    "a huge token of ours": (f"authorization: Bearer {forge(HS256, {**CLAIMS, 'x': 'y' * 9000})}".encode(), INVALID),
}


@pytest.fixture(scope="module")
def counting(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Supervised]:
    """A service with tokens whose `run()` counts its calls."""
    service = Supervised(tmp_path_factory.mktemp("tokens")).start()
    (service.folder / "keys.json").write_text(json.dumps(KEYS))
    assert service.deploy(COUNT, token_auth_enabled=True, auth_enabled=False, workers=1)["ok"]
    yield service
    service.end()


def send(service: Supervised, line: bytes | None, target: str = "/score") -> tuple[int, dict[str, str], bytes]:
    head = f"POST {target} HTTP/1.1\r\n".encode() + HOST + b"content-type: application/json\r\ncontent-length: 1\r\n"
    with Wire(service) as wire:
        return wire.send(head + (line + b"\r\n" if line is not None else b"") + b"\r\n1").answer()


@pytest.mark.parametrize("name", ATTACKS)
def test_an_attack_is_answered_401(counting: Supervised, name: str) -> None:
    line, message = ATTACKS[name]
    status, headers, body = send(counting, line)
    assert (status, headers["content-type"]) == (401, "application/json"), body
    hint = "Send the header Authorization: Bearer <token>."
    assert json.loads(body) == {
        "message": message,
        "error": {"code": "unauthorised", "where": "authorization", "hint": hint},
    }
    challenge = f'Bearer error="invalid_token", error_description="{message}"'
    assert headers["www-authenticate"] == ("Bearer" if message == REQUIRED else challenge)


@pytest.mark.parametrize("target", [f"/score?access_token={RIGHT}", f"/score?token={RIGHT}&authorization=Bearer%20x"])
def test_a_token_in_the_address_is_none(counting: Supervised, target: str) -> None:
    status, _, body = send(counting, None, target)
    assert (status, json.loads(body)["message"]) == (401, REQUIRED)


@pytest.mark.parametrize(
    ("line", "status", "code"),
    [
        (b"authorization: Bearer " + b"a" * 70_000, 431, "headers-too-large"),
        (f"authorization: Bearer x\r\nauthorization: Bearer {RIGHT}".encode(), 400, "bad-request"),
        (f"authorization: Bearer {RIGHT}\r\nauthorization: Bearer {RIGHT}".encode(), 400, "bad-request"),
        (f"authorization: Bearer {RIGHT}\r\n x".encode(), 400, "bad-request"),
        (f"authorization : Bearer {RIGHT}".encode(), 400, "bad-request"),
        (f"authorization: Bearer {RIGHT}\0".encode(), 400, "bad-request"),
    ],
)
def test_a_head_that_is_wrong_is_refused_before_its_token_is_read(
    counting: Supervised, line: bytes, status: int, code: str
) -> None:
    found, _, body = send(counting, line)
    assert (found, json.loads(body)["error"]["code"]) == (status, code)


def test_a_token_is_void_once_the_secret_is_replaced(counting: Supervised) -> None:
    """Also one that a connection has just been let in with; and no attack before has reached `run()`."""
    line = f"authorization: Bearer {RIGHT}".encode()
    request = b"POST /score HTTP/1.1\r\n" + HOST + b"content-length: 1\r\n" + line + b"\r\n\r\n1"
    with Wire(counting) as wire:
        assert [wire.send(request).answer()[::2] for _ in range(3)] == [(200, b"1"), (200, b"2"), (200, b"3")]
        secret = replace_key(counting.folder / "keys.json", "Token").token_secret
        assert counting.ask("keys")["ok"]
        status, _, body = wire.send(request).answer()
        assert (status, json.loads(body)["message"]) == (401, INVALID)
    assert send(counting, line)[0] == 401
    assert send(counting, f"authorization: Bearer {tokens.sign(secret, 't', time.time())}".encode())[0] == 200
    counting.process.kill()  # type: ignore[union-attr]
    counting.process.wait(60)  # type: ignore[union-attr]
    counting.start("--resume")
    wait_until(lambda: send(counting, line)[0] != 503)
    assert send(counting, line)[0] == 401
