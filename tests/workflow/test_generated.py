"""Files that are generated equal what generates them."""

import json
import re

from tests.conftest import ROOT
from workflow.generate.conda import environment, pins
from workflow.generate.schema import PATH, schema


def test_the_committed_schema_is_the_models_own() -> None:
    assert json.loads(PATH.read_text()) == schema()


def test_the_conda_file_has_the_locks_versions() -> None:
    assert (ROOT / "envs/environment.yaml").read_text() == environment()


def test_the_lock_covers_every_direct_dependency_at_its_pin() -> None:
    for line in (ROOT / "envs/requirements.in").read_text().splitlines():
        if "==" in line and not line.startswith("#"):
            name, version = re.split(r"(?:\[.*\])?==", line)
            assert pins()[name.lower()] == version


def test_every_locked_package_has_a_hash_and_no_index_address_is_named() -> None:
    for name in ("requirements.txt", "bootstrap.txt"):
        text = (ROOT / "envs" / name).read_text()
        blocks = re.split(r"^(?=[a-z0-9])", text, flags=re.MULTILINE)[1:]
        assert blocks
        assert all(re.match(r"[a-z0-9._-]+==", block) and "--hash=sha256:" in block for block in blocks)
        assert not re.search(r"://|--(extra-)?index-url|--find-links", text)
