"""Import names and the distributions on PyPI that provide them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
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
    "category_encoders": "category-encoders",
    "feature_engine": "feature-engine",
    "git": "GitPython",
    "huggingface_hub": "huggingface-hub",
    "imblearn": "imbalanced-learn",
    "pytorch_lightning": "pytorch-lightning",
    "sentence_transformers": "sentence-transformers",
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

# Distributions that ended, or that only conda calls so -> what to install from PyPI in their place.
REPLACED = {
    "beautifulsoup": "beautifulsoup4",
    "matplotlib-base": "matplotlib",
    "msgpack-python": "msgpack",
    "opencv": "opencv-python",
    "py-opencv": "opencv-python",
    "py-xgboost": "xgboost",
    "pycrypto": "pycryptodome",
    "pytables": "tables",
    "pytorch": "torch",
    "tensorflow-gpu": "tensorflow",
}

# Packages of conda that hold no Python: parts of its compilers and of the system, which wheels bring along. So do those
# that begin with `lib`, except for a few, and with `_`.
SYSTEM_LIBRARIES = frozenset(
    """
    blas bzip2 ca-certificates cpuonly cudatoolkit cudnn freetype gcc gxx gfortran icu intel-openmp jpeg krb5 lcms2
    ld_impl_linux-64 ld_impl_linux-aarch64 lerc llvm-openmp lz4-c ncurses nccl openjpeg openmpi openssl pcre
    pytorch-cuda pytorch-mutex readline sqlite tk tzdata xz yaml zlib zstd
    """.split()  # noqa: SIM905
)
PYTHON_LIBRARIES = ("libclang", "libcst", "libpysal", "librosa", "libsass")

# Well-known modules whose distribution has their name. Any other name on an index may be an unrelated package.
SAME_NAMES = frozenset(
    """
    accelerate aiohttp altair arviz catboost cloudpickle cupy cvxpy dask datasets dill duckdb einops fastapi flair
    flask gensim geopandas h5py httpx hyperopt jax joblib keras lifelines lightgbm lightning llvmlite matplotlib
    mlflow mxnet networkx nltk numba numexpr numpy onnx onnxruntime openpyxl optuna orjson pandas peft plotly polars
    prophet psutil pyarrow pydantic pymc pyod requests rich rioxarray safetensors scipy seaborn sentencepiece shap
    shapely skops spacy sqlalchemy statsmodels sympy tables tabulate tensorflow textblob tiktoken timm tokenizers
    torch torchaudio torchvision tqdm transformers treelite ujson xarray xgboost xlrd zstandard
    """.split()  # noqa: SIM905
)


def is_system_library(package: str) -> bool:
    """Whether the conda package of that name contains no Python, and so has no counterpart on PyPI."""
    name = package.lower()
    return name in SYSTEM_LIBRARIES or (name.startswith(("_", "lib")) and name not in PYTHON_LIBRARIES)


def distribution_of(module: str) -> str:
    """The distribution to install for `module`: from the table, or else its top-level name."""
    top = module.partition(".")[0]
    return DISTRIBUTIONS.get(module) or DISTRIBUTIONS.get(top) or top


def known_distribution(module: str) -> str:
    """The distribution that surely provides `module`: installed here, or well known; "" for any other.

    Advice to install anything else could bring in an unrelated package of the same name.
    """
    top = module.partition(".")[0]
    name, version = installed_distribution(top)
    if version or module in DISTRIBUTIONS or top in DISTRIBUTIONS:
        return distribution_of(module) if not version else name
    return top if top in SAME_NAMES else ""


def imported_as(distribution: str) -> str:
    """The distribution for the name of an import that was given instead of a distribution; "" for any other name.

    `sklearn` -> `scikit-learn`. The names are compared as PyPI does: `PIL` and `pil` are one.
    """
    normal = distribution.lower().replace("_", "-").replace(".", "-")
    for module, name in DISTRIBUTIONS.items():
        if module.lower().replace("_", "-") == normal and name.lower() != normal and "." not in module:
            return name
    return ""


def installed_distribution(
    module: str, owners: Callable[[], Mapping[str, list[str]]] = metadata.packages_distributions
) -> tuple[str, str]:
    """The distribution that provides the top-level `module` here, and its version; `(module, "")` without one.

    `owners` returns the distributions of every module. It reads all that is installed, so keep it for many modules.
    """
    for name in (distribution_of(module), module):
        try:
            return name, metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    for name in owners().get(module, []):
        return name, metadata.version(name)
    return module, ""
