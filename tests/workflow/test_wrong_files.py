"""Wrong config files: no YAML, no mapping, or to be read otherwise than meant; each is one line with file and place."""

from pathlib import Path

import pytest

from stages.core.errors import ConfigError
from tests.conftest import ROOT, Project
from tests.workflow.test_wrong_overlays import line_of
from workflow.planning.load import load_experiment

# Nine levels of an alias each, nine times the one before: small to read, and 387 million values written out.
LAUGHS = "a0: &a0 [x]\n" + "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 10))
MERGES = "a0: &a0 {x: 1}\n" + "".join(f"a{n}: &a{n} {{<<: [{', '.join([f'*a{n - 1}'] * 9)}]}}\n" for n in range(1, 10))
FILES = {
    "octal": ("seeds: [0]\nmonitor: {anchors: 010}\n", ["line 2: 010 is 8 to YAML", "write 8, or 10 if"]),
    "leading-zero": ("monitor: {anchors: 08}\n", ["monitor.anchors", "leading zero", "'08'"]),
    "hexadecimal": ("seeds: [0x10]\n", ["line 1: 0x10 is 16 to YAML"]),
    "sexagesimal": ("seeds: [1:30]\n", ["line 1: 1:30 is 90 to YAML"]),
    "long": (f"seeds: [{'9' * 6000}]\n", ["line 1", "too many digits"]),
    "open-list": ("title: x\nseeds: [0\n", ["line 3, column 1: not valid YAML"]),
    "tab": ("seeds:\n\t- 0\n", ["line 2, column 1: not valid YAML", "indent with spaces"]),
    "no-indent": ("datasets:\n  digits:\n data: 3\n", ["line 3, column 2: not valid YAML"]),
    "control": ("title: \x07\n", ["not valid YAML"]),
    "tag": ("title: !!python/name:os.system x\n", ["line 1, column 8: not valid YAML"]),
    "two-documents": ("seeds: [0]\n---\nseeds: [1]\n", ["line 2, column 1: not valid YAML"]),
    "unknown-anchor": ("seeds: *mine\n", ["line 1, column 8: not valid YAML", "mine"]),
    "endless-anchor": ("methods: &m {lsp: *m}\n", ["an anchor that holds itself"]),
    "laughs": (LAUGHS, ["written out", "926,177,106 values", "LSP_CEILINGS="]),
    "merges": (MERGES, ["pairs", "LSP_CEILINGS="]),
    "bad-date": ("title: !!timestamp 2001-99-99\n", ["line 1, column 8: not valid YAML", "timestamp"]),
    "bytes": ("title: !!binary aGk=\n", ["not valid YAML", "binary"]),
    "set": ("methods: !!set {lsp}\n", ["not valid YAML", "set"]),
    "call": ("title: !!python/object/apply:os.mkdir [canary]\n", ["not valid YAML", "os.mkdir"]),
    "no-int": ("seeds: [!!int abc]\n", ["line 1: 'abc' is no int to YAML"]),
    "no-bool": ("title: !!bool maybe\n", ["line 1: 'maybe' is no bool to YAML"]),
    "no-float": ("title: !!float x\n", ["line 1: 'x' is no float to YAML"]),
    "nothing-as-int": ("title: !!int ''\n", ["line 1: '' is no int to YAML"]),
    "long-hexadecimal": (f"seeds: [0x{'f' * 6000}]\n", ["line 1", "too many digits"]),
    "nul": ("title: a\0b\n", ["not valid YAML"]),
    "deep-mapping": ("title: " + "{a: " * 3000 + "\n", ["nested too deep"]),
    "mapping-as-key": ("? {a: b}\n: 1\n", ["line 1: key of several parts is no text"]),
    "deep": ("title: " + "[" * 3000 + "\n", ["nested too deep"]),
    "number-as-key": ("datasets: {1: {}}\n", ["line 1: key 1 is no text", "quotes"]),
    "no-as-key": ("attacks: {no: {kind: clean}}\n", ["line 1: key no is no text"]),
    "list-as-key": ("? [a]\n: 1\n", ["line 1: key of several parts is no text"]),
    "key-twice": ("seeds: [0]\nseeds: [1]\n", ["line 2: key 'seeds' stands here twice"]),
    "list": ("- seeds\n", ["a mapping of keys to values is needed, not a list"]),
    "word": ("seeds\n", ["a mapping of keys to values is needed, not a str"]),
    "empty": ("", ["holds nothing", "`seeds: [0]`"]),
    "comment": ("# seeds: [0]\n", ["holds nothing"]),
    "base-missing": ("base: gone.yaml\n", ["gone.yaml: no such config file"]),
    "base-itself": ("base: overlay.yaml\n", ["`base` leads back to it"]),
    "base-number": ("base: 3\n", ["base: the name of a file", "(given: 3)"]),
    "base-folder": ("base: .\n", ["no readable config file"]),
}


@pytest.mark.parametrize("wrong", FILES)
def test_a_wrong_file_is_one_line_before_any_job(wrong: str, tmp_path: Path) -> None:
    text, parts = FILES[wrong]
    (tmp_path / "overlay.yaml").write_text(text)
    line = line_of(tmp_path / "overlay.yaml", tmp_path)
    assert [part for part in parts if part not in line] == [], line
    assert len(line.splitlines()) == 1
    assert len(line) < 600


def test_bytes_that_are_no_text_are_one_line(tmp_path: Path) -> None:
    (tmp_path / "overlay.yaml").write_bytes(b"title: \xff\n")
    assert "byte 7 is not UTF-8" in line_of(tmp_path / "overlay.yaml", tmp_path)


def test_bases_that_lead_in_a_circle_are_one_line(tmp_path: Path) -> None:
    (tmp_path / "overlay.yaml").write_text("base: other.yaml\n")
    (tmp_path / "other.yaml").write_text("base: overlay.yaml\n")
    assert "`base` leads back to it" in line_of(tmp_path / "overlay.yaml", tmp_path)


def test_a_lone_overlay_lies_on_the_default_experiment_and_its_fault_says_so(tmp_path: Path) -> None:
    lone = tmp_path / "lone.yaml"
    lone.write_text("tables: {table1: {attacks: [pgd-8]}}")
    with pytest.raises(ConfigError) as caught:
        load_experiment([lone], ROOT / "config.yaml")
    assert "lone.yaml has no key `experiment` and so lies on config.yaml" in str(caught.value)
    lone.write_text("seeds: [5]")
    assert load_experiment([lone], ROOT / "config.yaml").seeds == [5]


@pytest.mark.parametrize("wrong", ["open-list", "empty"])
def test_snakemake_ends_with_that_line_and_status_1(fresh: Project, wrong: str) -> None:
    text, parts = FILES[wrong]
    line = fresh.refusal(text or "\n")
    assert all(part in line for part in parts)


@pytest.mark.slow
def test_snakemake_names_a_config_file_that_is_missing_from_wherever_it_is_run(fresh: Project, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    done = fresh.command("snakemake", "-n", "--cores", "1", "-d", str(elsewhere), "--configfile", "gone.yaml")
    assert done.returncode == 1
    assert done.stdout.splitlines()[1:] == ["config error: gone.yaml: no such config file"]
