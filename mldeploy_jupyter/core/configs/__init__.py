"""Deploy configurations as data: the settings of every target, their checks, their files and their schema."""

from mldeploy_jupyter.core.configs.config_file import Problem
from mldeploy_jupyter.core.configs.config_spec import ConfigSpec
from mldeploy_jupyter.core.configs.deploy_config import (
    METADATA,
    SPECS,
    ConfigViolations,
    DeployConfig,
    find_spec,
    make_config,
    unknown_field,
)
from mldeploy_jupyter.core.configs.deploy_file import file_names, read_deploy_config, read_deploy_file, refuse
from mldeploy_jupyter.core.configs.fields import Field, Spelling, Violation, describe
from mldeploy_jupyter.core.configs.inference_file import read_inference_config
from mldeploy_jupyter.core.configs.names import check_model_name, check_service_name, make_model_name, make_service_name
from mldeploy_jupyter.core.configs.schema import json_schema
from mldeploy_jupyter.core.configs.signature import docstring_of, signature_of

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
    "file_names",
    "find_spec",
    "json_schema",
    "make_config",
    "make_model_name",
    "make_service_name",
    "read_deploy_config",
    "read_deploy_file",
    "read_inference_config",
    "refuse",
    "signature_of",
    "unknown_field",
]
