"""Import names and the distributions on PyPI that provide them."""

from __future__ import annotations

from importlib import metadata

# Import name -> distribution, where the two differ, spelt as PyPI does. Several distributions provide `cv2`;
# `installed_distribution` finds out which one is installed.
DISTRIBUTIONS = {
    "bs4": "beautifulsoup4",
    "Crypto": "pycryptodome",
    "cv2": "opencv-python",
    "dateutil": "python-dateutil",
    "docx": "python-docx",
    "dotenv": "python-dotenv",
    "faiss": "faiss-cpu",
    "fitz": "PyMuPDF",
    "git": "GitPython",
    "jose": "python-jose",
    "jwt": "PyJWT",
    "magic": "python-magic",
    "MySQLdb": "mysqlclient",
    "OpenSSL": "pyOpenSSL",
    "opentelemetry": "opentelemetry-sdk",
    "opentelemetry.exporter": "opentelemetry-exporter-otlp-proto-http",
    "PIL": "pillow",
    "pkg_resources": "setuptools",
    "psycopg2": "psycopg2-binary",
    "pythonjsonlogger": "python-json-logger",
    "serial": "pyserial",
    "skimage": "scikit-image",
    "sklearn": "scikit-learn",
    "sksurv": "scikit-survival",
    "slugify": "python-slugify",
    "tensorflow_hub": "tensorflow-hub",
    "tflite_runtime": "tflite-runtime",
    "umap": "umap-learn",
    "yaml": "PyYAML",
    "zmq": "pyzmq",
}


def distribution_of(module: str) -> str:
    """The distribution to install for `module`: from the table, or else its top-level name."""
    top = module.partition(".")[0]
    return DISTRIBUTIONS.get(module) or DISTRIBUTIONS.get(top) or top


def installed_distribution(module: str) -> tuple[str, str]:
    """The distribution that provides the top-level `module` here, and its version; `(module, "")` without one."""
    for name in (distribution_of(module), module):
        try:
            return name, metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    for name in metadata.packages_distributions().get(module, []):
        return name, metadata.version(name)
    return module, ""
