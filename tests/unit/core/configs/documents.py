"""Complete configuration files, one for each target, and a writer for test files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

ACI = {
    "computeType": "ACI",
    "containerResourceRequirements": {"cpu": 0.5, "memoryInGB": 1},
    "location": "westeurope",
    "authEnabled": True,
    "sslEnabled": False,
    "appInsightsEnabled": True,
    "sslCertificate": None,
    "sslKey": None,
    "cname": None,
    "dnsNameLabel": "churn",
    "vaultBaseUrl": "https://v",
    "keyName": "k",
    "keyVersion": "1",
    "vnetName": "v",
    "subnetName": "s",
    "keys": {"primaryKey": "a", "secondaryKey": "b"},
}


AKS = {
    "computeType": "aks",
    "autoScaler": {
        "autoscaleEnabled": True,
        "minReplicas": 1,
        "maxReplicas": 3,
        "refreshPeriodInSeconds": 1,
        "targetUtilization": 70,
    },
    "dataCollection": {"storageEnabled": True},
    "authEnabled": True,
    "tokenAuthEnabled": False,
    "containerResourceRequirements": {"cpu": 0.5, "memoryInGB": 1.0, "cpuLimit": 1, "memoryInGBLimit": 2},
    "gpuCores": 0,
    "appInsightsEnabled": False,
    "scoringTimeoutMs": 1000,
    "maxConcurrentRequestsPerContainer": 1,
    "maxQueueWaitMs": 500,
    "numReplicas": None,
    "keys": None,
    "livenessProbeRequirements": {
        "periodSeconds": 10,
        "initialDelaySeconds": 310,
        "timeoutSeconds": 2,
        "successThreshold": 1,
        "failureThreshold": 3,
    },
    "namespace": "prod",
    "computeTargetName": "cluster",
}


LOCAL = {"computeType": "local", "port": 8890, "environmentVariables": {"A": "1"}, "corsOrigins": ["https://a.example"]}


ENDPOINT = {**AKS, "computeType": "AksEndpoint", "versionName": "blue", "trafficPercentile": 20}


def write_file(folder: Path, data: Any, name: str = "deploymentconfig.json") -> Path:
    path = folder / name
    path.write_text(data if isinstance(data, str) else json.dumps(data))
    return path
