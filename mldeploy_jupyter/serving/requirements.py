"""What the scoring server needs of a service's environment. Imports nothing, so that any tool can read it."""

PYTHON_FLOOR = (3, 11)  # the oldest Python that runs the server

# Added to every environment.
REQUIREMENTS = [
    "httptools>=0.6.4",
    "uvloop>=0.21; sys_platform != 'win32'",
    "orjson>=3.10",
    "werkzeug>=2.3",  # request and response of `@rawhttp`; imported only for scripts that use it
]

# Added when a service's settings ask for tracing.
TRACING = [
    "opentelemetry-sdk>=1.30",
    "opentelemetry-exporter-otlp-proto-http>=1.30",
]

# Distributions that v1 scripts import from. The server provides their modules (`azureml/import_hook.py`), so they
# are left out of environments.
PROVIDES = [
    "azureml-defaults",
    "azureml-core",
    "azureml-sdk",
    "inference-schema",
    "azureml-inference-server-http",
    "azureml-contrib-services",
    "azureml-monitoring",
    "azureml-telemetry",
    "azureml-widgets",
]
