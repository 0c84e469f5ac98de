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
        "six @ file:///home/conda/feedstock_root/build_artifacts/six_1/work\n",
        "-e git+https://git.invalid/team/mine.git@0123\n",
        "sklearn>=1.0\n",
        "cv2\n",
        "--index-url https://me:secret@index.invalid/simple\n",
    ]:
        with pytest.raises(ConfigError) as caught:
            requirements(tmp_path, text)
        texts.append(str(caught.value).replace(str(tmp_path), "FOLDER"))
    assert "secret" not in "".join(texts)
    assert texts == snapshot
