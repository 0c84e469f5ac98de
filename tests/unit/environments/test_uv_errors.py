"""uv's failures as errors with a name, from the output of uv 0.13."""

from __future__ import annotations

import time

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
    "PackageNotFound   ": """error: Failed to download and build `parent @ git+https://forge.invalid/team/parent.git`
  cause: Package metadata name `its-name` does not match given name `parent`""",
    "PackageNotFound    ": "error: Requested package name `thing` does not match `six` in the distribution filename: "
    "https://files.invalid/six-1.16.0-py2.py3-none-any.whl",
    "PackageNotFound     ": """error: Failed to download `six @ https://files.invalid/six-1.16.0-py2.py3-none-any.whl`
  cause: Failed to fetch: https://files.invalid/six-1.16.0-py2.py3-none-any.whl
  cause: HTTP status client error (404 Not Found) for url (https://files.invalid/six-1.16.0-py2.py3-none-any.whl)""",
    "NoNetwork ": """error: Failed to download `six @ https://files.invalid/six-1.16.0-py2.py3-none-any.whl`
  cause: Failed to fetch: https://files.invalid/six-1.16.0-py2.py3-none-any.whl
  cause: error sending request for url (https://files.invalid/six-1.16.0-py2.py3-none-any.whl)
  cause: dns error""",
    "LinksNotFound": """error: Failed to read `--find-links` directory: /project/wheels
  cause: No such file or directory (os error 2)""",
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


def test_reasons_of_many_lines_are_read_in_time_that_grows_with_them() -> None:
    """uv's reasons for packages with hundreds of old versions; time for its square would be minutes here."""
    line = (
        "         And because old=={0}.0 depends on other<{0}, we can conclude that all versions of old are unusable."
    )
    output = "error: No solution found when resolving dependencies\n  cause: Because old was there\n"
    output += "\n".join(line.format(number) for number in range(50_000)) + "\n" * 20_000
    build = "error: Failed to build `old==1.0`\n  cause: It failed\n[stderr]\n" + "\n" * 30_000 + " " * 30_000
    output = output.replace(
        "\n", "\n         And because other==1 was not found in the package registry, so it is.\n", 1
    )
    conclusion = "And because you require old and other, we can conclude that your requirements are unsatisfiable."
    begun = time.process_time()
    error = explain_failure(f"{output}\n         {conclusion}\n\nhint: many", doing="locked")
    assert error.code == "RequirementsConflict" and error.why.startswith("... And because old==")
    assert error.why.endswith(conclusion) and "uv tried all their versions" in error.hint
    assert explain_failure(f"{build}\nerror: no compiler", doing="locked").why.endswith("error: no compiler")
    assert time.process_time() - begun < 10


@pytest.mark.parametrize(
    ("output", "requirements", "hint"),
    [
        (
            "error: Failed to build `numpy==1.18.5`\n  cause: The build backend returned an error",
            ["numpy==1.18.5"],
            "write numpy==1.23.2, the first version after 1.18.5 that has a wheel for this Python, "
            "or install what its build needs",
        ),
        (
            "error: Failed to build `numpy==1.18.5`\n  cause: The build backend returned an error",
            ["old-one"],
            "ask for numpy==1.23.2, the first version after 1.18.5 that has a wheel for this Python, "
            "or install what its build needs",
        ),
        (
            "error: Failed to build `numpy==1.18.5`\n  cause: The build backend returned an error",
            ["numpy<1.19"],
            "loosen numpy<1.19: of the versions that it admits, 1.18.5 has no wheel for this Python, "
            "and 1.23.2 is the first later one that has",
        ),
        (
            OUTPUTS["BuildFailed  "],
            ["pandas-ml"],
            "one of the requirements needs sklearn: take a version of it, or a package, that does not",
        ),
        (
            OUTPUTS["VersionNotFound"],
            ["six==99"],
            "write six==1.17.0, the last version before 99 that has a wheel for this Python",
        ),
        (
            OUTPUTS["VersionNotFound "],
            ["tensorflow==2.3.0"],
            "write tensorflow==2.12.0, the first version after 2.3.0 that has a wheel for this Python: "
            "tensorflow==2.3.0 has builds for Python 3.5, 3.6, 3.7, 3.8 only, and a service needs 3.11 or newer",
        ),
        (
            OUTPUTS["VersionNotFound "].replace("tensorflow", "tensorflow-gpu"),
            ["tensorflow-gpu==2.3.0"],
            "write tensorflow instead of tensorflow-gpu, which is no longer made or has another name on PyPI",
        ),
    ],
)
def test_a_version_without_a_wheel_has_a_near_one_in_its_hint(output: str, requirements: list[str], hint: str) -> None:
    near = {"numpy": "1.23.2", "six": "1.17.0", "tensorflow": "2.12.0"}
    error = explain_failure(
        output, doing="locked", requirements=requirements, near_wheel=lambda name, version: near[name]
    )
    assert error.hint == hint
