"""The bill of materials names every package of the lock and of the base image, the same way each time."""

from __future__ import annotations

import json
from pathlib import Path

from mldeploy_jupyter.images import sbom
from mldeploy_jupyter.images.base_image import BaseImage

HASH = "a" * 64
LOCK = (
    "# mldeploy environment lock 1\n# python 3.11.7\n"
    f"# conda zlib=1.3.1=hb9d3cd8_2 linux-64 sha256:{HASH}\n# conda tzdata=2026a=0 noarch sha256:none\n"
    f"Foo_Bar==1.0 \\\n    --hash=sha256:{HASH}\n"
    f"six==1.17.0 ; sys_platform == 'linux' \\\n    --hash=sha256:{HASH} \\\n    --hash=sha256:{'b' * 64}\n"
)
BASE = BaseImage(
    "registry.example/base:1",
    "sha256:1",
    "sha256:2",
    "linux/amd64",
    system="Debian GNU/Linux 12 (bookworm)",
    packages=[["deb", "libc6", "2.36-9+deb12u10", "amd64"]],
)


def test_every_package_has_a_url_that_names_it() -> None:
    data = json.loads(sbom.make(LOCK, "3.11.7", BASE))
    assert (data["bomFormat"], f"CycloneDX {data['specVersion']}") == ("CycloneDX", sbom.SPECIFICATION)
    urls = {part["purl"]: part.get("hashes", []) for part in data["components"] if "purl" in part}
    assert set(urls) == {
        "pkg:pypi/foo-bar@1.0",
        "pkg:pypi/six@1.17.0",
        "pkg:conda/zlib@1.3.1?build=hb9d3cd8_2&subdir=linux-64",
        "pkg:conda/tzdata@2026a?build=0&subdir=noarch",
        "pkg:deb/debian/libc6@2.36-9%2Bdeb12u10?arch=amd64",
    }
    assert urls["pkg:pypi/foo-bar@1.0"] == [{"alg": "SHA-256", "content": HASH}]
    assert urls["pkg:pypi/six@1.17.0"] == []  # one of two files: which one is not known here
    assert "registry.example/base@sha256:2" in {part["name"] for part in data["components"]}


def test_equal_inputs_give_an_equal_document(tmp_path: Path) -> None:
    made = sbom.make(LOCK, "3.11.7", BASE)
    assert made == sbom.make(LOCK, "3.11.7", BASE, tmp_path) == sbom.make(LOCK, "3.11.7", BASE, tmp_path)
    assert made != sbom.make(LOCK, "3.11.8", BASE, tmp_path)


def test_a_damaged_copy_is_made_again(tmp_path: Path) -> None:
    made = sbom.make(LOCK, "3.11.7", BASE, tmp_path)
    (file,) = tmp_path.rglob("*.json")
    file.write_text("{")
    assert sbom.make(LOCK, "3.11.7", BASE, tmp_path) == made


def test_an_empty_lock_and_an_unknown_base_have_a_document_too() -> None:
    assert json.loads(sbom.make("", "3.11.7", BaseImage("base", "sha256:1", "", "linux/amd64")))["components"]
