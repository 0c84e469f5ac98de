"""What the scoring server needs of an environment. Imports nothing, so any tool may read it.

`PYTHON_FLOOR` is the oldest Python that runs the server. `REQUIREMENTS` join a service's environment, and `TRACING`
that of a service whose settings ask for tracing.
`PROVIDES` are the distributions whose names a v1 script imports and which the server answers for itself
(`compat.py`), so they are left out of a service's environment.
"""

PYTHON_FLOOR = (3, 11)

REQUIREMENTS = [
    "httptools>=0.6.4",
    "uvloop>=0.21; sys_platform != 'win32'",
    "orjson>=3.10",
]

TRACING = [
    "opentelemetry-sdk>=1.30",
    "opentelemetry-exporter-otlp-proto-http>=1.30",
]

PROVIDES = [
    "azureml-defaults",
    "azureml-core",
    "inference-schema",
    "azureml-inference-server-http",
    "azureml-contrib-services",
    "azureml-monitoring",
]
