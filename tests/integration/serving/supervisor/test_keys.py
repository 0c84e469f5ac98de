"""Keys and tokens of a running service: regenerated under load without a failed request, and what a refusal says."""

from __future__ import annotations

import json
import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import requests

from mldeploy_jupyter.core.keys import replace_key
from mldeploy_jupyter.serving import tokens
from tests.integration.serving.open_loop import OpenLoop
from tests.integration.serving.supervised import WAIT, Supervised
from tests.polling import wait_until

ROUNDS = int(os.environ.get("MLDEPLOY_KEY_ROUNDS", "6"))
RATE = 150  # requests a second


def regenerate(service: Supervised, name: str) -> str:
    """As `regen_key` does it; the new key."""
    made = replace_key(service.folder / "keys.json", name)
    assert service.ask("keys")["ok"]
    return made.primary if name == "Primary" else made.secondary


def bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


def test_keys_are_regenerated_under_load_and_no_request_fails(supervised: Supervised) -> None:
    """The old key is refused, and the new one taken, as soon as the order has returned; the load never notices."""
    assert supervised.deploy(workers=2)["ok"]
    primary, secondary = "first-key", "second-key"
    with OpenLoop(supervised.url, RATE, primary) as load:
        for _ in range(ROUNDS):
            load.use(secondary)
            old, primary = primary, regenerate(supervised, "Primary")
            # Every worker: new connections go to either.
            assert {supervised.score(headers=bearer(old)).status_code for _ in range(6)} == {401}
            load.use(primary)
            old, secondary = secondary, regenerate(supervised, "Secondary")
            assert {supervised.score(headers=bearer(old)).status_code for _ in range(6)} == {401}
        wait_until(lambda: load.answered() >= 100 * ROUNDS)
        found = load.end()
    assert found["problems"] == [] and list(found["statuses"]) == ["200"], found
    print(f"{found['statuses']} in {ROUNDS * 2} regenerations, slowest {found['slowest'] * 1000:.0f} ms")


def test_a_key_that_is_regenerated_while_workers_start_is_theirs_too(supervised: Supervised) -> None:
    """Workers begin to load with the old keys, and never serve with them after the order returned."""
    slow = f"import json, os, time\ndef init(): {WAIT}\ndef run(data): return json.loads(data)\n"
    assert supervised.deploy(workers=1)["ok"]
    with OpenLoop(supervised.url, 40, "second-key") as load:
        deploying = threading.Thread(target=supervised.deploy, args=(slow,), kwargs={"workers": 2})
        deploying.start()
        wait_until(lambda: (supervised.ask("status")["last_deploy"] or {}).get("outcome") == "running")
        keys = [regenerate(supervised, "Primary") for _ in range(5)]
        supervised.open_gate()
        while deploying.is_alive():
            keys.append(regenerate(supervised, "Primary"))
        deploying.join()
        found = load.end()
    assert found["problems"] == [], found
    assert {supervised.score(headers=bearer(keys[-1])).status_code for _ in range(8)} == {200}
    assert {supervised.score(headers=bearer(keys[-2])).status_code for _ in range(8)} == {401}


def test_two_who_regenerate_at_once_both_have_their_key(supervised: Supervised) -> None:
    assert supervised.deploy(workers=2)["ok"]
    made: dict[str, str] = {}

    def again(name: str) -> None:
        for _ in range(20):
            made[name] = regenerate(supervised, name)

    threads = [threading.Thread(target=again, args=(name,)) for name in ("Primary", "Secondary")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for key in made.values():
        assert {supervised.score(headers=bearer(key)).status_code for _ in range(6)} == {200}


@pytest.mark.slow
def test_a_worker_whose_call_keeps_the_global_lock_takes_new_keys_after_it(supervised: Supervised) -> None:
    """No order reaches it meanwhile, for longer than other orders are waited for."""
    held = "import ctypes\ndef init(): pass\ndef run(data):\n    ctypes.PyDLL(None).usleep(14_000_000)\n    return 1\n"
    assert supervised.deploy(held)["ok"]
    before = supervised.pids()
    with ThreadPoolExecutor(1) as pool:
        call = pool.submit(supervised.score)
        wait_until(lambda: not answers(supervised), what="nobody else to run in the worker")
        regenerate(supervised, "Primary")
        assert call.result().status_code == 200
    assert supervised.score(headers=bearer("first-key")).status_code == 401 and supervised.pids() == before


def answers(service: Supervised) -> bool:
    try:
        return requests.get(service.url, timeout=0.5).ok
    except requests.Timeout:
        return False


def with_secret(service: Supervised) -> dict[str, Any]:
    keys = {"primaryKey": "first-key", "secondaryKey": "second-key", "tokenSecret": "a-secret"}
    (service.folder / "keys.json").write_text(json.dumps(keys))
    return keys


def test_a_service_with_tokens_takes_them_and_no_keys(supervised: Supervised) -> None:
    with_secret(supervised)
    assert supervised.deploy(token_auth_enabled=True, auth_enabled=False)["ok"]
    right = tokens.sign("a-secret", "t", time.time())
    assert supervised.score(headers=bearer(right)).json() == 1
    for wrong, words in (
        ("first-key", "the token is not valid"),
        (tokens.sign("a-secret", "t", time.time() - 3700), "the token has expired"),
        (tokens.sign("a-secret", "t", time.time() + 100), "the token is not valid yet"),
    ):
        answer = supervised.score(headers=bearer(wrong))
        assert answer.status_code == 401 and answer.json()["message"] == words
        assert answer.headers["www-authenticate"] == f'Bearer error="invalid_token", error_description="{words}"'
        assert "<token>" in answer.json()["error"]["hint"]
    answer = supervised.score(headers={})
    assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")
    assert requests.get(f"{supervised.url}/swagger.json", timeout=60).status_code == 401
    document = requests.get(f"{supervised.url}/swagger.json", headers=bearer(right), timeout=60).json()
    assert document["securityDefinitions"] if "swagger" in document else document["components"]["securitySchemes"]
    for path in ("/", "/ready", "/metrics"):
        assert requests.get(supervised.url + path, timeout=60).status_code == 200


def test_a_new_secret_ends_the_tokens_and_nothing_else(supervised: Supervised) -> None:
    with_secret(supervised)
    assert supervised.deploy(token_auth_enabled=True, auth_enabled=False)["ok"]
    old = tokens.sign("a-secret", "t", time.time())
    assert supervised.score(headers=bearer(old)).status_code == 200
    pids = supervised.pids()
    secret = replace_key(supervised.folder / "keys.json", "Token").token_secret
    assert supervised.ask("keys")["ok"]
    assert supervised.score(headers=bearer(old)).json()["message"] == "the token is not valid"
    assert supervised.score(headers=bearer(tokens.sign(secret, "t", time.time()))).status_code == 200
    assert supervised.pids() == pids and secret not in supervised.log
