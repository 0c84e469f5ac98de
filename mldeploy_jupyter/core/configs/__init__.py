"""Configuration files and the settings of every target, described as data.

A `Field` describes one setting of a deploy configuration and a `ConfigSpec` all settings of one target; a
`DeployConfig` holds the values that were passed. Signatures, docstrings, command-line flags, the readers of
`deploymentconfig.json` and its JSON Schema all follow from the fields. `inference_file` reads `inferenceconfig.json`.
The settings of the scoring server are another thing: `serving/settings.py`.

Imports only the modules of `core` itself: errors, keys, names.
"""

from mldeploy_jupyter.core.configs.config_file import Problem
from mldeploy_jupyter.core.configs.config_spec import ConfigSpec
from mldeploy_jupyter.core.configs.deploy_config import (
    METADATA,
    SPECS,
    ConfigViolations,
    DeployConfig,
    find_spec,
    make_config,
    passed_settings,
    unknown_field,
)
from mldeploy_jupyter.core.configs.deploy_file import (
    paths_in_file,
    raise_problems,
    read_deploy_config,
    read_deploy_file,
)
from mldeploy_jupyter.core.configs.fields import Field, Spelling, Violation, describe
from mldeploy_jupyter.core.configs.inference_file import read_inference_config
from mldeploy_jupyter.core.configs.json_schema import json_schema
from mldeploy_jupyter.core.configs.signature import docstring_of, signature_of
from mldeploy_jupyter.core.name_rules import check_model_name, check_service_name, make_model_name, make_service_name

__all__ = [
    "METADATA",
    "SPECS",
    "ConfigSpec",
    "ConfigViolations",
    "DeployConfig",
    "Field",
    "Problem",
    "Spelling",
    "Violation",
    "check_model_name",
    "check_service_name",
    "describe",
    "docstring_of",
    "find_spec",
    "json_schema",
    "make_config",
    "make_model_name",
    "make_service_name",
    "passed_settings",
    "paths_in_file",
    "raise_problems",
    "read_deploy_config",
    "read_deploy_file",
    "read_inference_config",
    "signature_of",
    "unknown_field",
]
