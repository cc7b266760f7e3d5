"""Hostile configs and settings."""

import json
import zlib
from base64 import b64encode
from pathlib import Path

from stages.core.config.structure import NeighborSearch
from stages.core.files import PACKED
from stages.core.job.stage import load_settings
from tests.conftest import ROOT, TINY
from tests.faults.untrusted import Hostile, linked, sparse, written
from tests.workflow.test_wrong_files import FILES
from workflow.planning.load import load_experiment
from workflow.planning.reading import refuse_unreadable

NAME = "overlay.yaml"
DEEP = 10_000
GIB = 2**30


def load(path: Path) -> object:
    """As Snakemake's command line is read, then as the Snakefile does."""
    refuse_unreadable(["snakemake", "--configfile", str(path)])
    return load_experiment([TINY, path], ROOT / "config.yaml")


def settings(path: Path) -> object:
    """As a stage reads --settings @file."""
    return load_settings(f"@{path}", NeighborSearch)


def folder_as_config(folder: Path) -> Path:
    """A folder of the name of a config."""
    (folder / NAME).mkdir()
    return folder / NAME


def bases(count: int, last: str) -> Hostile:
    """A config on a base on a base …, the last of which names `last`."""

    def make(folder: Path) -> Path:
        for number in range(count):
            base = f"base{number + 1}.yaml" if number + 1 < count else last
            (folder / f"base{number}.yaml").write_text(f"base: {base}\n")
        return folder / "base0.yaml"

    return Hostile(f"config: {count} bases", make, load, told="base")


def config(name: str, content: bytes, *said: str) -> Hostile:
    """A config of these bytes."""
    return Hostile(f"config: {name}", written(content, NAME), load, said=said)


HOSTILE = (
    *(
        Hostile(f"config: {name}", written(text.encode(), NAME), load, told="", said=tuple(parts))
        for name, (text, parts) in FILES.items()
    ),
    config("Latin-1", "title: café\n".encode("latin-1"), "byte 10 is not UTF-8"),
    config("UTF-16", "title: x\n".encode("utf-16"), "byte 0 is not UTF-8"),
    config("UTF-16 without a mark", "title: x\n".encode("utf-16-le"), "not valid YAML"),
    config("no bytes of text", bytes(range(256)), "not UTF-8"),
    Hostile("config: a folder", folder_as_config, load, said=("no readable config file",)),
    Hostile("config: 100 MB", sparse(100 * 10**6, NAME), load, said=("100,000,000 bytes", "LSP_CEILINGS=")),
    Hostile("config: an endless device", linked("/dev/zero", NAME), load, said=("the ceiling",)),
    Hostile("config: a link to itself", linked(NAME, NAME), load, said=("no readable config file",)),
    bases(2, "base0.yaml"),
    bases(100, "base99.yaml"),
    Hostile("settings: 1 GB", sparse(GIB, "settings.json"), settings, said=("LSP_CEILINGS=32",)),
    Hostile("settings: lists in lists", written(b"[" * DEEP, "settings.json"), settings, told="--settings"),
    Hostile("settings: many digits", written(b'{"depth": ' + b"9" * 6000 + b"}", "x"), settings, told="--settings"),
    Hostile("settings: no text", written(b"\xff\xfe{", "settings.json"), settings, told="--settings"),
    Hostile("settings: a list", written(json.dumps([1]).encode(), "settings.json"), settings, told=""),
    Hostile("settings: a folder", lambda folder: folder, settings),
    Hostile("settings: absent", lambda folder: folder / "settings.json", settings),
    Hostile(
        "settings: 200 MB packed in 200 KB",
        written(PACKED.encode() + b64encode(zlib.compress(bytes(200 * 10**6), 1)), "settings.json"),
        settings,
        told="--settings",
        said=("unpacks to more",),
    ),
)
