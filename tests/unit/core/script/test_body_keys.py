"""What a script reads of a body that it parses itself."""

from __future__ import annotations

import pytest

from mldeploy_jupyter.core.script.body_keys import find_body_keys, find_unparsed_text

SCRIPTS = {
    "at once": ("def run(raw):\n return model.predict(np.array(json.loads(raw)['data']))\n", ["data"]),
    "by a name": (
        "def run(raw):\n body = json.loads(raw)\n return body['b'], body.get('a', 1), body['b']\n",
        ["b", "a"],
    ),
    "a nested key": ("def run(raw):\n return json.loads(raw)['input']['rows']\n", ["input"]),
    "an object": ("def run(body: dict):\n return body['x']\n", ["x"]),
    "below try": ("def run(raw):\n try:\n  d = loads(raw)\n  return d['x']\n except Exception:\n  raise\n", ["x"]),
    "of something else": ("def run(raw):\n config = json.loads(text)\n return config['x']\n", []),
    "assigned": ("def run(raw):\n d = json.loads(raw)\n d['made'] = 1\n return d\n", []),
    "no object": ("def run(raw):\n return json.loads(raw)[0]\n", []),
    "without a parameter": ("def run():\n return 1\n", []),
    "not Python": ("def run(\n", []),
}


@pytest.mark.parametrize("name", SCRIPTS)
def test_find_body_keys(name: str) -> None:
    text, keys = SCRIPTS[name]
    assert find_body_keys(text) == keys


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("def run(data):\n return model.predict(pd.DataFrame(data))\n", "data"),
        ("def run(raw: str):\n return raw['data']\n", "raw"),
        ("def run(raw, request_headers):\n return raw.get('data')\n", "raw"),
        ("def run(data):\n return model.predict(json.loads(data)['data'])\n", ""),
        ("def run(data):\n return predict_text(data)\n", ""),
        ("def run(data):\n body = data\n return orjson.loads(body)\n", ""),
        ("def run(data: dict):\n return data['x']\n", ""),
        ("def run(a, b):\n return a['x']\n", ""),
        ("@input_schema('data', sample)\ndef run(data):\n return data['x']\n", ""),
        ("def run(\n", ""),
    ],
)
def test_find_unparsed_text(text: str, name: str) -> None:
    assert find_unparsed_text(text) == name
