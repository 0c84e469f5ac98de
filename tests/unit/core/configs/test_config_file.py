"""Reading JSON and YAML: syntax errors, unreadable files, encodings."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from syrupy.assertion import SnapshotAssertion

from mldeploy_jupyter.core.configs import read_deploy_config
from mldeploy_jupyter.core.configs.config_file import describe_json_error
from mldeploy_jupyter.core.errors import ConfigError

from .documents import LOCAL

SYNTAX = {
    "comma.json": '{"computeType": "local",\n "port": 1,,}',
    "twice.json": '{"computeType": "local",\n "port": 1,\n "port": 2}',
    "nested.json": '{"computeType": "aks",\n "keys": {"primaryKey": "a",\n "primaryKey": "b"}}',
    "list.json": "[1]",
    "empty.json": "",
    "indent.yml": "computeType: local\n port: 1\n",
    "twice.yml": "computeType: local\nport: 1\nport: 2\n",
    "alias.yml": "computeType: &a local\nport: *a\n",
    "tag.yml": "computeType: !!python/object/apply:os.system [ls]\n",
    "empty.yml": "",
    "key.yml": "computeType: local\n? [port]\n: 1\n",
    "merge.yml": "computeType: local\n<<: {port: 1}\n",
    "deep.json": "[" * 100_000,
    "deep.yml": "[" * 20_000,
}


@pytest.mark.parametrize("name", SYNTAX)
def test_a_syntax_error_has_its_line(name: str, folder: Path, snapshot: SnapshotAssertion) -> None:
    (folder / name).write_text(SYNTAX[name])
    with pytest.raises(ConfigError) as caught:
        read_deploy_config(name)
    assert str(caught.value) == snapshot


@pytest.mark.parametrize(
    "text",
    [
        '{"computeType": "local",\n "port": 8890,}',
        '{\n\t"computeType": "local", # here\n\t"port": 8890\n}',
        "{'computeType': 'local', port: 8890}",
        "computeType: local\nport: 8890\n",
    ],
)
def test_a_json_file_may_be_what_v1_read_as_yaml(text: str, folder: Path) -> None:
    (folder / "d.json").write_text(text)
    assert read_deploy_config("d.json").passed == {"port": 8890}


@pytest.mark.parametrize(
    ("text", "line", "column", "closing"),
    [
        ('{"a": 1,}', 1, 8, "}"),
        ('{"a": [1,\n  ]}', 1, 9, "]"),
        ('{"a": 1 ,\n\n}', 1, 9, "}"),
        ('{\n "a": {"b": 1,\t}}', 2, 14, "}"),
    ],
)
def test_a_trailing_comma_reads_the_same_on_every_python(text: str, line: int, column: int, closing: str) -> None:
    with pytest.raises(json.JSONDecodeError) as caught:
        json.loads(text)
    assert describe_json_error(caught.value) == (f"there is a comma before the closing {closing}", line, column)


@pytest.mark.parametrize("text", ["[,]", "{,}", "[1,,]", '{"a": }', '{"a": [1,}', "[1,", '{"a": 1, "b"}', '["a,"', ""])
def test_other_json_errors_are_not_called_a_trailing_comma(text: str) -> None:
    with pytest.raises(json.JSONDecodeError) as caught:
        json.loads(text)
    error = caught.value
    assert describe_json_error(error) == (error.msg[0].lower() + error.msg[1:], error.lineno, error.colno)
    assert "comma stands" not in describe_json_error(error)[0]


def test_a_file_that_cannot_be_read(folder: Path, snapshot: SnapshotAssertion) -> None:
    (folder / "bytes.json").write_bytes(b"\xff\xfe\x00")
    (folder / "big.json").write_text(" " * 1_000_001)
    texts = []
    for name in ("missing.json", ".", "bytes.json", "big.json"):
        with pytest.raises(ConfigError) as caught:
            read_deploy_config(name)
        texts.append(str(caught.value))
    assert texts == snapshot


def test_a_byte_order_mark_is_no_syntax_error(folder: Path) -> None:
    (folder / "c.json").write_bytes(b"\xef\xbb\xbf" + json.dumps(LOCAL).encode())
    assert read_deploy_config("c.json").passed["port"] == 8890
