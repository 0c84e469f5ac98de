"""The settings of a revision's server."""

from __future__ import annotations

import pytest

from mldeploy_jupyter.serving.settings import Settings


def test_settings_go_to_json_and_back_and_unknown_keys_are_dropped() -> None:
    settings = Settings(service="s", revision=3, env={"A": "b"}, init_timeout=5)
    assert Settings.from_dict({**settings.to_dict(), "from_the_future": 1}) == settings
    assert settings.label == "3" and Settings(revision=3, revision_label="3-ab").label == "3-ab"


@pytest.mark.parametrize("bad", [{"workers": "2"}, {"env": []}, {"debug": 1}, {"workers": True}, {"init_timeout": "1"}])
def test_settings_of_a_wrong_type_are_refused(bad: dict) -> None:
    with pytest.raises(TypeError, match=f"settings.{next(iter(bad))} must be"):
        Settings.from_dict(bad)
