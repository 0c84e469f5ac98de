"""Keys and tokens: who is let in, who is not, and that no altered token is."""

from __future__ import annotations

import base64
import hmac
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mldeploy_jupyter.serving import tokens
from mldeploy_jupyter.serving.settings import Settings
from mldeploy_jupyter.serving.worker.auth import Auth

KEYS = {"primaryKey": "first-key", "secondaryKey": "second-key", "tokenSecret": "the-secret"}
NOW = 1_800_000_000.0


class Clock:
    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> float:
        return self.now


def keyed(**more: Any) -> Auth:
    auth = Auth(Settings(service="churn", **more))
    auth.set_keys(KEYS)
    return auth


def tokened(clock: Clock | None = None) -> Auth:
    auth = Auth(Settings(service="churn", token_auth_enabled=True), clock or Clock())
    auth.set_keys(KEYS)
    return auth


def token(service: str = "churn", secret: str = "the-secret", now: float = NOW) -> str:
    return tokens.sign(secret, service, now)


def forged(claims: Any, header: Any = None, secret: str = "the-secret") -> str:
    """A token with any claims, signed rightly."""

    def part(value: Any) -> bytes:
        data = value if isinstance(value, bytes) else json.dumps(value, separators=(",", ":")).encode()
        return base64.urlsafe_b64encode(data).rstrip(b"=")

    signed = part(header or {"alg": "HS256", "typ": "JWT"}) + b"." + part(claims)
    return (signed + b"." + part(hmac.digest(secret.encode(), signed, "sha256"))).decode()


CLAIMS = {"aud": "churn", "iat": int(NOW), "nbf": int(NOW), "exp": int(NOW) + 100}


@pytest.mark.parametrize("header", ["Bearer first-key", "bearer second-key", "BEARER  first-key "])
def test_either_key_opens(header: str) -> None:
    assert keyed().allows(header) == ""


@pytest.mark.parametrize(
    ("header", "reason"),
    [
        (None, "a key is required"),
        ("", "a key is required"),
        ("Bearer", "the key is wrong"),
        ("Bearer ", "the key is wrong"),
        ("first-key", 'the Authorization header does not begin with "Bearer "'),
        ("Basic first-key", 'the Authorization header does not begin with "Bearer "'),
        ("Bearer first-ke", "the key is wrong"),
        ("Bearer first-key2", "the key is wrong"),
        ("Bearer the-secret", "the key is wrong"),
        ("Bearer first-key,second-key", "the key is wrong"),
        ("Bearer \ud800é", "the key is wrong"),
    ],
)
def test_anything_else_is_refused(header: str | None, reason: str) -> None:
    assert keyed().allows(header) == reason


def test_without_keys_nobody_is_let_in() -> None:
    auth = Auth(Settings())
    assert auth.allows("Bearer ") == auth.allows("Bearer x") == "the key is wrong"
    auth.set_keys({"primaryKey": "", "secondaryKey": ""})
    assert auth.allows("Bearer ") == "the key is wrong"


def test_an_open_service_asks_for_nothing() -> None:
    assert keyed(auth_enabled=False).allows(None) == ""


def test_a_replaced_key_stops_and_the_other_goes_on() -> None:
    auth = keyed()
    auth.set_keys({**KEYS, "primaryKey": "third-key"})
    assert auth.allows("Bearer first-key") == "the key is wrong"
    assert auth.allows("Bearer third-key") == auth.allows("Bearer second-key") == ""


def test_a_token_opens_and_a_key_does_not() -> None:
    auth = tokened()
    assert auth.allows(f"Bearer {token()}") == ""
    assert auth.allows("Bearer first-key") == "the token is not valid"
    assert auth.allows(None) == auth.allows("Bearer ") == auth.allows(f"Basic {token()}") == "a token is required"


def test_a_token_begins_and_ends_by_the_clock_with_a_minute_to_spare() -> None:
    clock = Clock()
    auth = tokened(clock)
    header = f"Bearer {token()}"
    for _ in range(2):  # the second time its signature is remembered
        for seconds, reason in (
            (-61, "the token is not valid yet"),
            (-60, ""),
            (3600, ""),
            (3659, ""),
            (3660, "the token has expired"),
        ):
            clock.now = NOW + seconds
            assert auth.allows(header) == reason


def test_a_new_secret_ends_every_token_at_once() -> None:
    auth = tokened()
    header = f"Bearer {token()}"
    assert auth.allows(header) == ""
    auth.set_keys({**KEYS, "tokenSecret": "another"})
    assert auth.allows(header) == "the token is not valid"
    assert auth.allows(f"Bearer {token(secret='another')}") == ""
    auth.set_keys({"primaryKey": "k", "secondaryKey": "l"})
    assert auth.allows(f"Bearer {token(secret='')}") == "the token is not valid"


def test_more_tokens_than_are_remembered_are_all_let_in() -> None:
    auth = tokened()
    made = [f"Bearer {token(now=NOW + n)}" for n in range(10)]
    assert [auth.allows(header) for header in (*made, *made)] == [""] * 20


@pytest.mark.parametrize(
    "text",
    [
        token(service="other"),
        token(secret="wrong"),
        forged({**CLAIMS, "aud": ["churn"]}),
        forged({**CLAIMS, "exp": str(int(NOW) + 100)}),
        forged({**CLAIMS, "exp": True}),
        forged({**CLAIMS, "exp": -1}),
        forged({**CLAIMS, "exp": 1e400}),
        forged({**CLAIMS, "nbf": None}),
        *(forged({name: value for name, value in CLAIMS.items() if name != left}) for left in CLAIMS),
        forged([CLAIMS]),
        forged(b"[" * 3000),
        forged(b"\xff"),
        forged(CLAIMS, {"alg": "none", "typ": "JWT"}),
        forged(CLAIMS, {"alg": "HS512", "typ": "JWT"}),
        forged(CLAIMS, {"typ": "JWT", "alg": "HS256"}),
        forged({**CLAIMS, "more": "x" * 5000}),
        *(f"{token()}{space}" for space in "\x0b\x0c\x1c\x85\xa0\u2003"),  # spaces in Python, none in HTTP
        *(".", "..", "...", "a.b.c", token().replace("=", "") + "=", token().rpartition(".")[0] + "."),
    ],
)
def test_what_is_no_token_of_ours_is_refused(text: str) -> None:
    assert tokened().allows(f"Bearer {text}") == "the token is not valid"


def test_a_token_with_those_claims_would_be_taken() -> None:
    """So that the refusals above are for their reasons."""
    assert tokened().allows(f"Bearer {forged(CLAIMS)}") == ""


@given(st.data())
def test_no_altered_token_is_taken(data: st.DataObject) -> None:
    right = token()
    auth = tokened()
    if data.draw(st.booleans()):
        auth.allows(f"Bearer {right}")  # remembered, or not
    place = data.draw(st.integers(0, len(right)))
    kept = data.draw(st.integers(place, min(len(right), place + 3)))
    put = data.draw(st.text("ABCabc019-_=.+/ \té", max_size=3))
    changed = right[:place] + put + right[kept:]
    if changed.strip(" \t") != right:
        assert auth.allows(f"Bearer {changed}") != ""


@given(st.text(max_size=60))
def test_any_header_has_an_answer(text: str) -> None:
    assert isinstance(keyed().allows(text), str) and isinstance(tokened().allows(text), str)


@pytest.mark.parametrize(
    ("auth", "header", "challenge"),
    [
        (keyed(), None, b"Bearer"),
        (keyed(), "Bearer x", b"Bearer"),
        (tokened(), None, b"Bearer"),
        (tokened(), "Bearer x", b'Bearer error="invalid_token", error_description="the token is not valid"'),
    ],
)
def test_a_refusal_says_how_to_come_in(auth: Auth, header: str | None, challenge: bytes) -> None:
    assert auth.challenge(auth.allows(header)) == challenge
    assert auth.hint.endswith("<token>." if auth is not None and auth._tokens else "<key>.")
