"""Causes of failed builds name what was found and what to do, from the words of engines, uv, apt and compilers."""

from __future__ import annotations

from typing import Any

import pytest

from mldeploy_jupyter.core.diagnosis import explain

UNTRUSTED = [
    "error: Failed to fetch: `https://index.example/simple/six/`",
    "  cause: error sending request for url (https://index.example/simple/six/)",
    "  cause: invalid peer certificate: UnknownIssuer",
]
AWAY = [
    "error: Failed to fetch: `https://index.example/simple/six/`",
    "  cause: error sending request for url (https://index.example/simple/six/)",
    "  cause: dns error",
    "  cause: failed to lookup address information: Temporary failure in name resolution",
]
NO_PYTHON = [
    "error: Request failed after 3 retries in 10.9s",
    "  cause: Failed to download `https://mirror.example/20261110/cpython-3.12.18%2B20261110-x86_64.tar.gz`",
    "  cause: error sending request for url (https://mirror.example/20261110/cpython-3.12.18.tar.gz)",
    "  cause: client error (Connect)",
    "  cause: Connection refused (os error 111)",
]
NO_COMPILER = [
    "  × Failed to build `pandas==1.0.0`",
    "  ├─▶ The build backend returned an error",
    "      error: command 'gcc' failed: No such file or directory",
]


@pytest.mark.parametrize(
    ("tail", "what", "hint"),
    [
        (UNTRUSTED, "no certificate that the build trusts", "SSL_CERT_FILE"),
        (AWAY, "the package index cannot be reached", "HTTPS_PROXY"),
        (NO_PYTHON, "no Python 3.12, and it could not be downloaded", "install Python 3.12 in extra_docker_file_steps"),
        (NO_COMPILER, "the package pandas==1.0.0 cannot be built", "compiler"),
        (["E: Unable to locate package libgompp1"], "no system package libgompp1", "distribution"),
        (["error: Hash mismatch for `six==1.17.0`"], "six==1.17.0 is not the one that was locked", "index"),
        (["cp: cannot stat 'a': No such file"], "build failed: RUN cp a b", "used again"),
    ],
)
def test_a_step_that_failed_is_explained_by_its_output(tail: list[str], what: str, hint: str) -> None:
    failure = {"code": "build-step-failed", "step": "RUN cp a b", "exit_code": 1, "log_tail": tail}
    cause = explain(failure, settings={"service": "churn"})
    assert (cause.code, what in cause.what, hint in cause.hint) == ("build-step-failed", True, True), cause


@pytest.mark.parametrize(
    ("failure", "words"),
    [
        (
            {"code": "base-musl", "message": "Alpine Linux v3.20 has musl as its C library"},
            ["alpine:3", "musl", "glibc"],
        ),
        ({"code": "base-old-libc", "message": "its C library is glibc 2.12", "oldest": "2.17"}, ["2.12", "2.17"]),
        ({"code": "base-no-libc", "message": "it has no C library that was recognised"}, ["alpine:3"]),
        ({"code": "base-no-shell", "message": "it has no /bin/sh"}, ["/bin/sh", "--builder oci"]),
        (
            {"code": "base-no-apt", "message": "Fedora has no apt-get", "packages": ["libgomp1"]},
            ["libgomp1", "apt-get"],
        ),
        ({"code": "base-not-linux", "message": "it is an image for windows/amd64"}, ["windows/amd64"]),
    ],
)
def test_a_base_image_that_does_not_fit_is_named_with_what_was_found(failure: dict[str, Any], words: list[str]) -> None:
    cause = explain({**failure, "image": "alpine:3"})
    text = f"{cause.what} {cause.why} {cause.hint}"
    assert cause.code == failure["code"]
    assert all(word in text for word in words), text


@pytest.mark.parametrize("tail", [None, "text", [1, None], [""], ["\x1b[31m" + "x" * 5000]])
def test_odd_data_is_explained_too(tail: Any) -> None:
    assert explain({"code": "build-step-failed", "log_tail": tail, "step": 3, "exit_code": "x"}).what
