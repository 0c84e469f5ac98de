from __future__ import annotations

import threading
from typing import Any

import pytest

from mldeploy_jupyter.core.errors import ImageError
from mldeploy_jupyter.images.registry.credentials import Credentials
from mldeploy_jupyter.images.registry.tokens import Challenge, Tokens, parse_challenge

BEARER = Challenge("bearer", "https://auth.example/token", "reg.example")


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ('Basic realm="a, b"', Challenge("basic", "a, b")),
        (
            'Bearer realm="https://auth.example/token",service="reg.example",scope="repository:a/b:pull,push",error="x"',
            Challenge("bearer", "https://auth.example/token", "reg.example", "repository:a/b:pull,push", "x"),
        ),
        ('bearer realm=https://auth.example, service="s"', Challenge("bearer", "https://auth.example", "s")),
        ('Basic realm="r", Bearer realm="https://t"', Challenge("bearer", "https://t")),
        ("Negotiate", None),
        ("", None),
    ],
)
def test_challenge(header: str, expected: Challenge | None) -> None:
    assert parse_challenge(header) == expected


class Server:
    def __init__(self, status: int = 200, answer: dict[str, Any] | None = None) -> None:
        self.status, self.answer = status, answer
        self.asked: list[tuple[str, list[tuple[str, str]], str]] = []

    def __call__(
        self, method: str, address: str, fields: list[tuple[str, str]], sent: str
    ) -> tuple[int, dict[str, Any]]:
        self.asked.append((method, fields, sent))
        return self.status, {"token": f"t{len(self.asked)}"} if self.answer is None else self.answer


def open_tokens(server: Server, credentials: Credentials | None = None, clock: Any = lambda: 0.0) -> Tokens:
    tokens = Tokens("reg.example", credentials, server, clock)
    assert tokens.header(["repository:a:pull"]) == ""
    assert tokens.refuse(BEARER, "")
    return tokens


def test_one_token_for_each_set_of_scopes() -> None:
    server = Server()
    tokens = open_tokens(server, Credentials("ann", "x"))
    assert [tokens.header(scopes) for scopes in (["a"], ["b", "a"], ["a"], ["a", "b"])] == [
        "Bearer t1", "Bearer t2", "Bearer t1", "Bearer t2",
    ]  # fmt: skip
    expected = [("service", "reg.example"), ("scope", "a"), ("scope", "b"), ("account", "ann")]
    assert server.asked[1] == ("GET", expected, Credentials("ann", "x").basic())


def test_token_is_replaced_before_its_end_and_after_a_refusal() -> None:
    now = [0.0]
    server = Server()
    tokens = open_tokens(server, clock=lambda: now[0])
    assert tokens.header(["a"]) == "Bearer t1"
    now[0] = 56.0
    assert tokens.header(["a"]) == "Bearer t2"
    assert tokens.refuse(BEARER, "Bearer t2")
    assert tokens.header(["a"]) == "Bearer t3"


def test_several_threads_ask_once() -> None:
    server = Server()
    tokens = open_tokens(server)
    threads = [threading.Thread(target=tokens.header, args=(["a"],)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(server.asked) == 1


def test_identity_token_is_exchanged() -> None:
    server = Server(answer={"access_token": "t"})
    assert open_tokens(server, Credentials(identity_token="i")).header(["a"]) == "Bearer t"
    method, fields, sent = server.asked[0]
    assert (method, sent, dict(fields)["refresh_token"]) == ("POST", "", "i")


def test_refusal_of_the_token_server_is_told() -> None:
    with pytest.raises(ImageError) as refused:
        open_tokens(Server(403, {"details": "no such team"})).header(["a"])
    assert str(refused.value) == (
        "error: the registry reg.example refuses access\n"
        "cause: its token server auth.example answered 403: no such team\n"
        "hint: docker login reg.example"
    )


def test_basic_authentication_is_tried_once() -> None:
    tokens = Tokens("reg.example", Credentials("ann", "x"), Server(), lambda: 0.0)
    basic = Challenge("basic", "r")
    assert tokens.refuse(basic, "")
    sent = tokens.header(["a"])
    assert sent.startswith("Basic ")
    assert not tokens.refuse(basic, sent)
    assert not Tokens("reg.example", None, Server()).refuse(basic, "")
