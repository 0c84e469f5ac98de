"""Reading requirements files of pip."""

from __future__ import annotations

import textwrap
from pathlib import Path

import pytest

from mldeploy_jupyter.core.environment.requirements_file import read_requirements_file
from mldeploy_jupyter.core.environment.spec import EnvironmentSpec
from mldeploy_jupyter.core.errors import ConfigError


def requirements(tmp_path: Path, text: str) -> EnvironmentSpec:
    path = tmp_path / "requirements.txt"
    path.write_text(textwrap.dedent(text))
    return read_requirements_file(path)


def test_requirements_with_everything(tmp_path: Path) -> None:
    (tmp_path / "more").mkdir()
    (tmp_path / "more" / "base.txt").write_text("-c limits.txt\npandas>=2  # frames\n")
    (tmp_path / "more" / "limits.txt").write_text("numpy<3\n")
    (tmp_path / "demo-1.2-py3-none-any.whl").write_text("")
    spec = requirements(
        tmp_path,
        """
        # the model's
        -r more/base.txt
        --extra-index-url https://user:${TOKEN}@index.invalid/simple
        --prefer-binary
        -f wheels
        six==1.16.0 \\
            --hash=sha256:aaaa \\
            --hash sha256:bbbb
        ./demo-1.2-py3-none-any.whl
        tool @ https://files.invalid/tool-1.0.tar.gz
        colorama; sys_platform == 'win32'
        """,
    )
    assert spec.pip == [
        "pandas>=2",
        "six==1.16.0 --hash=sha256:aaaa --hash=sha256:bbbb",
        "demo==1.2",
        "tool @ https://files.invalid/tool-1.0.tar.gz",
        'colorama; sys_platform == "win32"',
    ]
    assert spec.constraints == ["numpy<3"]
    assert spec.pip_options == [
        "--extra-index-url=https://user:${TOKEN}@index.invalid/simple",
        f"--find-links={tmp_path}/wheels",
        f"--find-links={tmp_path}",
    ]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
def test_a_file_is_read_in_the_encoding_of_its_byte_order_mark(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "requirements.txt"
    (tmp_path / "more.txt").write_bytes("tqdm\r\n".encode(encoding))
    path.write_bytes("humanize==4.9.0  # größer\r\n-r more.txt\r\n".encode(encoding))
    assert read_requirements_file(path).pip == ["humanize==4.9.0", "tqdm"]


def test_a_checkout_as_pip_freeze_writes_it_is_its_repository(tmp_path: Path) -> None:
    url = "git+https://git.invalid/team/mine.git@0123456789abcdef0123456789abcdef01234567"
    text = f"-e {url}#egg=mine\n--editable={url}#egg=part&subdirectory=part\n"
    assert requirements(tmp_path, text).pip == [f"mine @ {url}", f"part @ {url}#subdirectory=part"]


@pytest.mark.parametrize(
    ("line", "requirement"),
    [
        ("https://files.invalid/x/Thing_A-1.0-py3-none-any.whl", "thing-a @ {}"),
        ("https://files.invalid/cpu/torch-2.1.0%2Bcpu-cp311-cp311-linux_x86_64.whl", "torch @ {}"),
        ("https://files.invalid/thing-1.0.tar.gz ; python_version > '3'", 'thing @ {} ; python_version > "3"'),
        ("https://forge.invalid/team/thing/archive/refs/heads/main.zip", "thing @ {}"),
        ("https://forge.invalid/team/thing/-/archive/v1/thing-v1.tar.gz", "thing @ {}"),
        ("https://files.invalid/a.zip#egg=thing", "thing @ https://files.invalid/a.zip"),
        ("git+https://forge.invalid/team/thing.git", "thing @ {}"),
        ("git+https://forge.invalid/team/thing@v1.2", "thing @ {}"),
        ("git+https://forge.invalid/team/mono.git@v1#egg=part[all]&subdirectory=part",
         "part[all] @ git+https://forge.invalid/team/mono.git@v1#subdirectory=part"),
        ("git+git@forge.invalid:team/thing.git", "thing @ git+ssh://git@forge.invalid/team/thing.git"),
        ("-e git+ssh://git@forge.invalid/team/thing.git@0123", "thing @ git+ssh://git@forge.invalid/team/thing.git@0123"),
    ],
)  # fmt: skip
def test_an_address_has_the_name_of_its_file_or_repository(tmp_path: Path, line: str, requirement: str) -> None:
    assert requirements(tmp_path, f"{line}\n").pip == [requirement.format(line.partition(" ;")[0])]


def test_packages_that_came_from_folders_are_pinned_where_their_version_is_known(tmp_path: Path) -> None:
    (tmp_path / "demo-1.2-py3-none-any.whl").write_text("")
    spec = requirements(
        tmp_path,
        f"""
        six @ file:///home/conda/feedstock_root/work/dist/six-1.16.0-py2.py3-none-any.whl#sha256=aa
        demo @ file://{tmp_path}/demo-1.2-py3-none-any.whl
        file:demo-1.2-py3-none-any.whl
        file://localhost{tmp_path}/demo-1.2-py3-none-any.whl
        """,
    )
    assert spec.pip == ["six==1.16.0", "demo==1.2"]
    assert spec.pip_options == [f"--find-links={tmp_path}"]


def test_what_pip_freeze_writes_of_this_environment_is_pinned(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    info = tmp_path / "built-3.1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Name: built\nVersion: 3.1\n")
    (info / "direct_url.json").write_text('{"dir_info": {}, "url": "file:///croot/built_17/work"}')
    monkeypatch.syspath_prepend(str(tmp_path))
    assert requirements(tmp_path, "built @ file:///croot/built_17/work\n").pip == ["built==3.1"]
    with pytest.raises(ConfigError, match=r"write built==3\.1, the version that is installed here"):
        requirements(tmp_path, "built @ file:///croot/built_16/work\n")


def test_a_requirement_knows_its_place(tmp_path: Path) -> None:
    (tmp_path / "more.txt").write_text("\n\ntqdm\n")
    spec = requirements(tmp_path, "six\n# two\n-r more.txt\nsix\nnumpy<2\n")
    assert spec.places == {
        "six": "requirements.txt, line 1",
        "tqdm": "more.txt, line 3",
        "numpy<2": "requirements.txt, line 5",
    }


def test_a_wrong_requirements_file_says_what_and_where(tmp_path: Path, snapshot: object) -> None:
    (tmp_path / "circle.txt").write_text("-r circle.txt\n")
    texts = []
    for text in [
        "six\n-e ./here\n",
        "./folder\n",
        "six=1.0\n",
        "-r nowhere.txt\n",
        "-r circle.txt\n",
        "--install-option=x\n",
        "--index-url\n",
        "elsewhere @ file:///home/conda/feedstock_root/build_artifacts/elsewhere_1/work\n",
        "https://files.invalid/download?id=7\n",
        "https://me:secret@files.invalid/mine-1.0.tar.gz\n",
        "file:/wheels/mine-1.0-py3-none-any.whl\n",
        "sklearn>=1.0\n",
        "cv2\n",
        "six=1.16.0=pyhd3eb1b0_1\n",
        "numpy=1.5.*\n",
        "numpy=>1.2\n",
        "numpy>=1.2.*\n",
        "numpy 1.26.4\n",
        "Package    Version\n---------- -------\nnumpy      1.26.4\n",
        "'numpy'\n",
        "numpy is nice\n",
        "python==3.8\n",
        "pytorch==1.4\n",
        "--index-url https://me:secret@index.invalid/simple\n",
        "-r https://me:secret@files.invalid/validated.txt [--no-deps]\n",
    ]:
        with pytest.raises(ConfigError) as caught:
            requirements(tmp_path, text)
        texts.append(str(caught.value).replace(str(tmp_path), "FOLDER"))
    assert "secret" not in "".join(texts)
    assert texts == snapshot
