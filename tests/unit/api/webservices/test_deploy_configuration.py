"""The configuration objects of the webservice classes."""

from __future__ import annotations

import inspect

import pytest

from mldeploy_jupyter.api.webservices import AciWebservice, LocalWebservice
from mldeploy_jupyter.api.webservices.deploy_configuration import CLASSES, from_data
from mldeploy_jupyter.core.configs import SPECS
from mldeploy_jupyter.core.errors import ConfigError


def test_every_target_has_a_class_with_its_settings_as_attributes() -> None:
    assert set(CLASSES) == set(SPECS)
    for compute_type, cls in CLASSES.items():
        for field in SPECS[compute_type].fields:
            assert inspect.getdoc(getattr(cls, field.name)) == inspect.cleandoc(field.doc)


def test_a_setting_is_none_until_passed_and_a_change_is_checked_on_use() -> None:
    config = LocalWebservice.deploy_configuration(port=6789)
    assert (config.port, config.auth_enabled) == (6789, None)
    config.port = -1
    with pytest.raises(ConfigError):
        config.validate_configuration()


def test_a_setting_passed_twice_or_too_many_are_refused() -> None:
    with pytest.raises(ConfigError, match="twice"):
        LocalWebservice.deploy_configuration(6789, port=6790)
    with pytest.raises(ConfigError, match="positional values"):
        LocalWebservice.deploy_configuration(*range(99))


def test_printing_marks_the_defaults_and_hides_the_keys() -> None:
    lines: list[str] = []
    AciWebservice.deploy_configuration(cpu_cores=2, primary_key="hunter2-key").print_deploy_configuration(lines.append)
    assert "  cpu_cores = 2" in lines and any(line.endswith("(default)") for line in lines)
    assert "hunter2" not in "".join(lines)


def test_configurations_are_equal_when_their_settings_are() -> None:
    config = LocalWebservice.deploy_configuration(port=6789)
    assert config == from_data(config.config.to_dict()) != LocalWebservice.deploy_configuration()
