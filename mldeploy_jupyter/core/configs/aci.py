"""The settings of `AciWebservice`: one container on Azure Container Instances."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from typing import Any

from mldeploy_jupyter.core.configs.config_spec import ConfigSpec, all_or_none, keys_differ, shared_fields
from mldeploy_jupyter.core.configs.fields import Field, Violation

_shared = shared_fields()
_SSL = ("ssl_cert_pem_file", "ssl_key_pem_file", "ssl_cname")


def ssl_is_complete(passed: Mapping[str, Any]) -> Iterator[Violation]:
    """The rule that HTTPS needs a certificate, its key and a host name, and that the files exist."""
    if passed.get("ssl_enabled") is not True:
        return
    for name in _SSL:
        if name not in passed:
            fix = "pass {ssl_cert_pem_file}, {ssl_key_pem_file} and {ssl_cname}, or {ssl_enabled=False}"
            yield Violation(name, "missing", "must be given when {ssl_enabled=True}", fix)
    for name in _SSL[:2]:
        path = passed.get(name)
        if isinstance(path, str) and path and not os.path.isfile(path):
            yield Violation(
                name, repr(path), "must be the path of a file that exists", f"write the file, or correct {{{name}}}"
            )


ACI = ConfigSpec(
    "ACI",
    "aci",
    "AciWebservice",
    (
        Field("cpu_cores", "number", "CPU cores of the container; may be a fraction.", 0.1,
              "containerResourceRequirements.cpu", ("--cc", "--cpu-cores"), above=0),
        Field("memory_gb", "number", "Memory of the container, in gigabytes.", 0.5,
              "containerResourceRequirements.memoryInGB", ("--gb", "--memory-gb"), above=0),
        _shared["tags"],
        _shared["properties"],
        _shared["description"],
        Field("location", "string", "The Azure region. The workspace's when left out.", None, "location",
              ("--lo", "--location")),
        _shared["auth_enabled"],
        Field("ssl_enabled", "boolean", "Whether the service is reached by HTTPS.", False, "sslEnabled",
              ("--se", "--ssl-enabled")),
        Field("enable_app_insights", "boolean", "Whether Application Insights collects metrics and logs.", False,
              "appInsightsEnabled", ("--ai", "--enable-app-insights")),
        Field("ssl_cert_pem_file", "path", "The certificate, a PEM file.", None, "sslCertificate",
              ("--sp", "--ssl-cert-pem-file")),
        Field("ssl_key_pem_file", "path", "The certificate's key, a PEM file.", None, "sslKey",
              ("--sk", "--ssl-key-pem-file")),
        Field("ssl_cname", "string", "The host name the certificate is for.", None, "cname", ("--sc", "--ssl-cname")),
        Field("dns_name_label", "string", "The first part of the host name. Generated when left out.", None,
              "dnsNameLabel", ("--dn", "--dns-name-label")),
        _shared["primary_key"],
        _shared["secondary_key"],
        Field("collect_model_data", "boolean", "Whether inputs and outputs are stored.", False, "",
              ("--md", "--collect-model-data")),
        Field("cmk_vault_base_url", "string", "The key vault of a customer-managed key.", None, "vaultBaseUrl",
              ("--vault-base-url",)),
        Field("cmk_key_name", "string", "The customer-managed key's name.", None, "keyName", ("--key-name",)),
        Field("cmk_key_version", "string", "The customer-managed key's version.", None, "keyVersion",
              ("--key-version",)),
        Field("vnet_name", "string", "The virtual network.", None, "vnetName", ("--vnet-name",)),
        Field("subnet_name", "string", "The subnet inside the virtual network.", None, "subnetName",
              ("--subnet-name",)),
    ),
    (
        ssl_is_complete,
        keys_differ,
        all_or_none("cmk_vault_base_url", "cmk_key_name", "cmk_key_version"),
        all_or_none("vnet_name", "subnet_name"),
    ),
)  # fmt: skip
