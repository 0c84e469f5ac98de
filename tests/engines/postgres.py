"""A real PostgreSQL for the tests: in a temporary folder, on 127.0.0.1, as a user who is not root.

`postgres_server()` starts one and ends it; the fixture `postgres_url` gives each test a database of its own. Without
the server's binaries (`apt-get install postgresql`) a test is skipped, but in CI (`CI=true`) it fails.
"""

from __future__ import annotations

import os
import pwd
import secrets
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.engines.missing import engine_missing
from tests.ports import free_port

REASON = "PostgreSQL's server binaries are missing: apt-get install postgresql"


def find_binaries() -> Path | None:
    """The folder with `initdb` and `postgres`, the newest version first."""
    on_path = shutil.which("initdb")
    versions = sorted(
        Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]), reverse=True
    )
    found = [*versions, *([Path(on_path).resolve()] if on_path else [])]
    return found[0].parent if found else None


@contextmanager
def postgres_server(binaries: Path) -> Iterator[str]:
    """A server for the time of the block; the value is the URL of its database `postgres`."""
    user = _unprivileged()
    root = Path(tempfile.mkdtemp(prefix="mldeploy-postgres-"))
    data = root / "data"
    if user is not None:
        os.chown(root, user.pw_uid, user.pw_gid)
    run = {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []} if user is not None else {}
    port = free_port()
    options = f"-c listen_addresses=127.0.0.1 -p {port} -k {root} -c fsync=off -c max_connections=50"
    control = [str(binaries / "pg_ctl"), "-D", str(data), "-w", "-t", "60"]
    try:
        initdb = [str(binaries / "initdb"), "-D", str(data), "-U", "tester", "-A", "trust", "-E", "UTF8", "--no-sync"]
        _run(initdb, root, run)
        _run([*control, "-l", str(root / "log"), "-o", options, "start"], root, run)
        try:
            yield f"postgresql+psycopg://tester@127.0.0.1:{port}/postgres"
        finally:
            _run([*control, "-m", "immediate", "stop"], root, run)
    finally:
        shutil.rmtree(root, ignore_errors=True)


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """The URL of a server that lives as long as the test session."""
    binaries = find_binaries()
    if binaries is None:
        engine_missing(REASON)
    with postgres_server(binaries) as url:
        yield url


@pytest.fixture
def postgres_url(postgres: str) -> Iterator[str]:
    """The URL of an empty database."""
    import psycopg

    name = f"test_{secrets.token_hex(6)}"
    server = postgres.replace("+psycopg", "")
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    yield postgres.rpartition("/")[0] + f"/{name}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


def _unprivileged() -> pwd.struct_passwd | None:
    """PostgreSQL refuses to run as root: another user, or None when this one will do."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    pytest.fail("PostgreSQL does not run as root, and there is neither a user postgres nor nobody")


def _run(command: list[str], root: Path, run: dict[str, object]) -> None:
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, timeout=90, **run)  # type: ignore[call-overload]
    if done.returncode:
        log = root / "log"
        raise RuntimeError(f"{command[0]} failed:\n{done.stderr}{log.read_text() if log.exists() else ''}")
