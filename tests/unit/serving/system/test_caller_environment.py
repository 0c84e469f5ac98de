"""What workers inherit of the caller's environment, and when it counts as changed."""

from __future__ import annotations

from mldeploy_jupyter.serving.settings import Settings
from mldeploy_jupyter.serving.supervisor.spawn import process_environment
from mldeploy_jupyter.serving.system.caller_environment import digest, inherited


def test_variables_of_a_kernel_or_terminal_do_not_count() -> None:
    base = {"RATE": "1", "PATH": "/bin"}
    assert digest(base) == digest({**base, "JPY_SESSION_NAME": "a.ipynb", "SHLVL": "2", "PYTHONPATH": "/x"})
    assert len({digest(base), digest({**base, "RATE": "2"}), digest({"RATE": "1"}), digest({**base, "B": ""})}) == 4


def test_workers_get_the_callers_variables_below_those_of_the_revision() -> None:
    settings = Settings(env={"RATE": "own"}, inherited={"RATE": "caller", "TOKEN": "t", "PYTHONPATH": "/x"})
    environment = process_environment(settings, "")
    assert (environment["RATE"], environment["TOKEN"]) == ("own", "t")
    assert environment["PYTHONPATH"] != "/x" and "HOME" not in environment
    assert inherited({"PYTHONHOME": "/x", "A": "1"}) == {"A": "1"}


def test_they_are_written_nowhere() -> None:
    settings = Settings(inherited={"TOKEN": "hunter2"})
    assert "inherited" not in settings.to_dict() and "hunter2" not in repr(settings)
    assert Settings.from_dict({**settings.to_dict(), "inherited": {"TOKEN": "t"}}).inherited == {"TOKEN": "t"}
