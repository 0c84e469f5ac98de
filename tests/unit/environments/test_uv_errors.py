"""uv's failures as errors with a name, from the output of uv 0.13."""

from __future__ import annotations

import pytest

from mldeploy_jupyter.environments.uv_errors import explain_failure

OUTPUTS = {
    "PackageNotFound": """error: No solution found when resolving dependencies
  cause: Because nosuch was not found in the package registry and you require nosuch, we can conclude that your \
requirements are unsatisfiable.""",
    "VersionNotFound": """error: No solution found when resolving dependencies
  cause: Because there is no version of six==99 and you require six==99, we can conclude that your requirements \
are unsatisfiable.""",
    "RequirementsConflict": """warning: something else
error: No solution found when resolving dependencies
  cause: Because uvicorn>=0.34.0 depends on click>=7.0 and you require click<7, we can conclude that your \
requirements and uvicorn>=0.34.0 are incompatible.
         And because you require uvicorn>=0.34, we can conclude that your requirements are unsatisfiable.

hint: a hint of uv""",
    "Offline": """error: No solution found when resolving dependencies
  cause: Because tomli was not found in the cache and you require tomli, we can conclude that your requirements \
are unsatisfiable.

hint: Packages were unavailable because the network was disabled.""",
    "NoNetwork": """error: Request failed after 3 retries in 5.6s
  cause: Failed to fetch: http://127.0.0.1:9/simple/uvloop/
  cause: error sending request for url (http://127.0.0.1:9/simple/uvloop/)
  cause: client error (Connect)
  cause: tcp connect error
  cause: Connection refused (os error 111)""",
    "IndexRefused": """error: Failed to fetch: `http://127.0.0.1:9/simple/six/`
  cause: HTTP status client error (401 Unauthorized) for url (http://127.0.0.1:9/simple/six/)""",
    "BuildFailed": """error: Failed to build `pycrypto==2.6.1`
  cause: The build backend returned an error
  cause: Call to `setuptools.build_meta:__legacy__.build_wheel` failed (exit status: 1)

         [stdout]
         checking for gcc... gcc

         [stderr]
         src/_fastmath.c:33:10: fatal error: longintrepr.h: No such file or directory
         error: Command '['gcc']' returned non-zero exit status 1.

hint: This error likely indicates that you need to install a library""",
    "DiskFull": """error: failed to write to file `/cache/x`
  cause: No space left on device (os error 28)""",
    # uv before 0.10 drew its causes.
    "RequirementsConflict ": """  × No solution found when resolving dependencies:
  ╰─▶ Because you require six==1.16.0 and six==1.15.0, we can conclude that
      your requirements are unsatisfiable.""",
    "BuildFailed ": """error: Failed to build `breaks==1.0`
  cause: The build backend returned an error
  cause: Call to `fails.build_wheel` failed (exit status: 1)

         [stderr]
         gcc -DNDEBUG -O3 """
    + "-I/x " * 300
    + """-c hashing.c: error: gone
         hashing.c:7: error: types mismatch
         Hash mismatch for `breaks==1.0`
         Expected: sha256:1 Computed: sha256:2

hint: Build failures usually indicate a problem with the package or the build environment""",
    "BuildFailed  ": """error: Failed to build `sklearn==0.0.post12`
  cause: The build backend returned an error

         [stderr]
         The 'sklearn' PyPI package is deprecated, use 'scikit-learn'""",
    "HashMismatch": """error: Failed to download and build `breaks==1.0`
  cause: Hash mismatch for `breaks==1.0`

         Expected:
           sha256:11111111

         Computed:
           sha256:12d9a26b""",
    "HashMismatch ": """  × Failed to download `breaks==1.0`
  ╰─▶ Hash mismatch for `breaks==1.0`

      Expected:
        sha256:11111111

      Computed:
        sha256:12d9a26b""",
    "PackageNotFound ": """error: No solution found when resolving dependencies
  cause: Because cv2 was not found in the package registry and you require cv2, we can conclude that your \
requirements are unsatisfiable.""",
    "PackageNotFound  ": """error: No solution found when resolving dependencies
  cause: Because json was not found in the package registry and you require json, we can conclude that your \
requirements are unsatisfiable.""",
    "VersionNotFound ": """error: No solution found when resolving dependencies
  cause: Because tensorflow==2.3.0 has no wheels with a matching Python ABI tag (e.g., `cp311`) and you require \
tensorflow==2.3.0, we can conclude that your requirements are unsatisfiable.

hint: You require CPython 3.11 (`cp311`), but we only found wheels for `tensorflow` (v2.3.0) with the following Python \
ABI tags: `cp35m`, `cp36m`, `cp37m`, `cp38`""",
    "EnvironmentFailed": "error: something that nobody saw before",
}


@pytest.mark.parametrize("code", OUTPUTS)
def test_a_failure_is_recognised_by_its_output(code: str, snapshot: object) -> None:
    error = explain_failure(OUTPUTS[code], doing="locked")
    assert error.code == code.strip()
    assert str(error) == snapshot


def test_the_requirement_that_admits_only_old_versions_is_named() -> None:
    output = "error: Failed to build `pandas==0.13.1`\n  cause: The build backend returned an error"
    lines = ["azureml-dataprep", "Pandas<=0.23.4 ; python_version > '3'"]
    error = explain_failure(output, doing="locked", requirements=lines)
    assert error.hint == ("loosen Pandas<=0.23.4: of the versions that it admits, 0.13.1 has no wheel for this Python")
    # A pin is what the user wants; it is not "loosened" to the version that has just failed.
    assert "choose a version" in explain_failure(output, doing="locked", requirements=["pandas==0.13.1"]).hint
