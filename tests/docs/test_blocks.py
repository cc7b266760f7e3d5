"""Every code block of README.md and docs/ holds: Python runs, stanzas plan, commands name what there is."""

import contextlib
import importlib.util
import io
import re
import runpy
import shlex
import sys
from functools import cache
from pathlib import Path

import pytest
import yaml
from snakemake.cli import get_argument_parser

from tests.conftest import ROOT
from tests.docs.blocks import PAGES, Block, blocks, commands, overlays, scripts
from workflow.planning.load import load_experiment
from workflow.planning.tables import make_plan

UNTESTED = {"mermaid", "text", "latex"}
PLAIN = {"git", "cd", ".", "export", "pip", "tail", "squeue", "tmux", "kill", "nvidia-smi"}
LINKS = re.compile(r"\]\(([^)#\s]+)(?:#[^)]*)?\)")
FLAG = re.compile(r"--[\w-]+")
PROFILE = "config.yaml"
RUN_IN_THEIR_PLACE = {"checkpoints.md"}  # by tests/workflow/test_checkpoints.py, whose table shows the weights
CONSOLE = [(block, command) for block in blocks("console") for command in commands(block)]


def test_every_block_has_a_language_that_is_tested_or_cannot_be() -> None:
    assert {block.language for block in blocks()} <= {"python", "yaml", "console", *UNTESTED}
    assert len(CONSOLE) > 20


@pytest.mark.parametrize(
    "page",
    [page for page, parts in scripts().items() if parts and page.name not in RUN_IN_THEIR_PLACE],
    ids=lambda page: page.name,
)
def test_python_runs(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "page.py").write_text("\n".join(block.text for block in scripts()[page]))
    runpy.run_path("page.py")


@pytest.mark.parametrize("block", overlays(), ids=str)
def test_a_stanza_plans(block: Block, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    in_a_folder_with_weights(tmp_path, monkeypatch)
    if block.file.endswith(PROFILE):
        assert {f"--{key}" for key in yaml.safe_load(block.text)} <= snakemake_options()
        return
    path = tmp_path / "overlay.yaml"
    path.write_text(block.text)
    planned(path)


@pytest.mark.parametrize(("block", "command"), CONSOLE, ids=[f"{block}-{command[:50]}" for block, command in CONSOLE])
def test_a_command_names_what_there_is(
    block: Block, command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_a_folder_with_weights(tmp_path, monkeypatch)
    words = shlex.split(command)
    while words and re.match(r"[A-Z0-9_]+=", words[0]):
        words = words[1:]
    match words:
        case []:
            return
        case ["make", *targets]:
            made = re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
            for target in targets:
                assert "=" in target or target in made, f"the Makefile has no target {target}"
        case ["snakemake", *_]:
            flags = {word.partition("=")[0] for word in words if word.startswith("-")}
            assert flags - {"--"} <= snakemake_options()
        case ["python", "-m", module, *rest]:
            said = usage(module, tuple(subcommand(rest)))
            own = rest[: rest.index("--")] if "--" in rest else rest
            assert {flag.partition("=")[0] for flag in own if flag.startswith("--")} <= {*FLAG.findall(said)}, said
        case ["python", script]:
            assert any(other.text.startswith(f"# {script}:") for other in blocks("python") if other.page == block.page)
        case ["cp", "-rn", source, target]:
            within = re.fullmatch(r"([^{]*)\{([^}]*)\}", source)
            assert within
            assert all((ROOT / within[1] / name).is_dir() for name in [*within[2].split(","), ROOT / target])
        case _:
            assert words[0] in PLAIN, f"{words[0]} is no command that a page may name untested"
    for names in config_files(words):
        planned(*(_place(name, block, tmp_path) for name in names))


def in_a_folder_with_weights(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the file lies that docs/checkpoints.md makes; a plan reads no more of it than its hash."""
    monkeypatch.chdir(folder)
    (folder / "my.pt").touch()


def config_files(words: list[str]) -> list[list[str]]:
    """The config files that a command names: after --configfile, or as CONFIG=."""
    found = [[word.removeprefix("CONFIG=")] for word in words if word.startswith("CONFIG=")]
    if "--configfile" in words:
        after = words[words.index("--configfile") + 1 :]
        flags = [place for place, word in enumerate(after) if word.startswith("-")]
        found.append(after[: min(flags, default=len(after))])
    return found


def _place(name: str, block: Block, tmp_path: Path) -> Path:
    """A config file of the project, or one that a stanza of the same page is named."""
    if (ROOT / name).is_file():
        return ROOT / name
    (stanza,) = [other for other in blocks("yaml") if other.page == block.page and other.file == name]
    (tmp_path / name).write_text(stanza.text)
    return tmp_path / name


@cache
def _planned(files: tuple[tuple[str, str], ...]) -> None:
    make_plan(load_experiment([Path(name) for name, _ in files], ROOT / "config.yaml"))


def planned(*files: Path) -> None:
    """Load and plan what config files make together."""
    _planned(tuple((str(file), file.read_text(encoding="utf-8")) for file in files))


@cache
def snakemake_options() -> set[str]:
    """Every flag that Snakemake knows."""
    return set(get_argument_parser()._option_string_actions)


def subcommand(words: list[str]) -> list[str]:
    """The words before the first flag."""
    return words[: next((place for place, word in enumerate(words) if word.startswith("-")), len(words))]


@cache
def usage(module: str, words: tuple[str, ...]) -> str:
    """What `python -m module … --help` prints."""
    assert importlib.util.find_spec(module), module
    printed, before = io.StringIO(), sys.argv
    sys.argv = [module, *words, "--help"]
    try:
        with contextlib.redirect_stdout(printed), pytest.raises(SystemExit) as ended:
            runpy.run_module(module, run_name="__main__")
    finally:
        sys.argv = before
    assert not ended.value.code
    return printed.getvalue()


def test_every_link_leads_to_a_file() -> None:
    for page in PAGES:
        for target in LINKS.findall(page.read_text(encoding="utf-8")):
            assert "://" in target or (page.parent / target).exists(), f"{page.name}: {target}"
