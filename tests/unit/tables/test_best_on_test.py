"""Laws of parity lines and of what a table says of the part of the test images that it rests on."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.unit.tables.small_tables import build, first, plan, row, run, write_verdicts

CLEAN = {"attack": "clean", "label": "Clean", "settings": {"kind": "clean"}}
MONITORED: dict[str, Any] = {
    "epoch": 47,
    "clean": 0.829,
    "pgd": 0.5349,
    "n": 50,
    "subset": "stratified",
    "attack": {"norm": "linf", "epsilon": 8 / 255, "step_size": 2 / 255, "steps": 10},
}


def pgd(images: int | None = 50, subset: str = "stratified", **more: Any) -> dict[str, Any]:
    options = {"steps": more.pop("steps", 10), "step_size": more.pop("step_size", "2/255")} | more.pop("options", {})
    settings = {"kind": more.pop("kind", "pgd"), "images": images, "subset": subset, "options": options} | more
    return {"attack": "pgd", "label": "PGD-10", "settings": settings}


def text(root: Path, facts: dict[str, Any] | None, column: dict[str, Any], attacked: int = 50) -> str:
    """The table's text on one line, where the run's manifest has these facts and `attacked` images were attacked."""
    write_verdicts(root / "attack/a.parquet", {"clean-1a2b": first(90, 100), "pgd-1a2b": first(20, attacked)})
    chosen = run("a")
    if facts is not None:
        (root / "a.json").write_text(json.dumps({"facts": {"test_selected": facts}}))
        chosen |= {"test_selected": "a.json"}
    build(root, plan([row("AT", [chosen])], columns=[CLEAN, column]))
    return " ".join((root / "out/table1.txt").read_text(encoding="utf-8").split())


def test_figures_on_a_columns_images_and_attack_stand_in_a_line_with_n(tmp_path: Path) -> None:
    assert (
        "For parity, AT on Digits with the epoch selected on test images (47): clean 82.90, PGD-10 53.49,"
        " both on the n = 50 images of PGD-10." in text(tmp_path, MONITORED, pgd())
    )


@pytest.mark.parametrize(
    ("column", "attacked"),
    [
        (pgd(images=100), 100),
        (pgd(subset="first"), 50),
        (pgd(epsilon="4/255"), 50),
        (pgd(norm="l2"), 50),
        (pgd(steps=20), 50),
        (pgd(step_size="1/255"), 50),
        (pgd(options={"restarts": 2}), 50),
        (pgd(options={"random_start": False}), 50),
        (
            pgd() | {"settings": {"kind": "margin_pgd", "images": 50, "options": {"steps": 10, "step_size": "2/255"}}},
            50,
        ),
        ({"attack": "pgd", "label": "PGD-10"}, 50),
        (pgd(), 0),
    ],
)
def test_figures_on_other_images_or_another_attack_are_left_out(
    tmp_path: Path, column: dict[str, Any], attacked: int
) -> None:
    assert "For parity" not in text(tmp_path, MONITORED, column, attacked)


@pytest.mark.parametrize("lacking", ["n", "subset", "attack"])
def test_figures_of_a_manifest_that_does_not_say_what_they_rest_on_are_left_out(tmp_path: Path, lacking: str) -> None:
    facts = {key: value for key, value in MONITORED.items() if key != lacking}
    assert "For parity" not in text(tmp_path, facts, pgd())


def test_a_run_that_selects_nothing_has_no_line(tmp_path: Path) -> None:
    assert "For parity" not in text(tmp_path, None, pgd())


@pytest.mark.parametrize("column", [pgd(images=None), pgd(images=60, subset="first"), pgd(subset="first")])
def test_all_images_are_the_same_however_they_are_asked_for(tmp_path: Path, column: dict[str, Any]) -> None:
    assert "both on the n = 50 images of PGD-10" in text(tmp_path, MONITORED | {"subset": "all"}, column)


def test_seeds_are_averaged_and_a_missing_manifest_is_named(tmp_path: Path) -> None:
    for seed, name in enumerate("abc"):
        write_verdicts(tmp_path / f"attack/{name}.parquet", {"clean-1a2b": first(9, 50), "pgd-1a2b": first(2, 50)})
        facts = MONITORED | {"epoch": 40 + seed, "pgd": 0.5 + 0.1 * seed}
        (tmp_path / f"{name}.json").write_text(json.dumps({"facts": {"test_selected": facts}}))
    (tmp_path / "c.json").unlink()
    runs = [run(name, seed) | {"test_selected": f"{name}.json"} for seed, name in enumerate("abc")]
    build(tmp_path, plan([row("AT", runs)], columns=[CLEAN, pgd()]))
    shown = " ".join((tmp_path / "out/table1.txt").read_text(encoding="utf-8").split())
    assert "(40, 41): clean 82.90, PGD-10 55.00, both on the n = 50 images of PGD-10; missing: c." in shown


def test_the_part_of_the_images_is_named(tmp_path: Path) -> None:
    assert "PGD-10: the first 50 test images of the file." in text(tmp_path, None, pgd(subset="first"))
    assert "PGD-10: 50 of the test images, drawn once" in text(tmp_path, None, pgd())
    assert "test images of the file" not in text(tmp_path, None, pgd())


def test_more_images_asked_for_than_there_are_is_said(tmp_path: Path) -> None:
    shown = text(tmp_path, None, pgd(images=60, subset="first"))
    assert "PGD-10: 60 test images are asked for; Digits has 50, all are taken." in shown
    assert "the first 60" not in shown


def test_all_images_need_no_word(tmp_path: Path) -> None:
    shown = text(tmp_path, None, pgd(images=None))
    assert "asked for" not in shown
    assert "drawn once" not in shown
