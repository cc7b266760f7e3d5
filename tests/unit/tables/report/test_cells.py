"""Cells of the report: their bounds, where the paper's number lies, and the evidence behind them."""

from decimal import Decimal
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from scipy import stats

from stages.core.config.table_plan import Plan
from stages.core.files import write_json
from stages.core.outcomes import OUTCOME_DETAILS, OUTCOME_SCHEMA, write_outcomes
from stages.tables.cells import Cell, score, wilson
from stages.tables.paper import Published, key
from stages.tables.report.chart import Chart
from stages.tables.report.files import Files
from stages.tables.report.grid import BrokenBy, Grid, bounds, grids
from stages.tables.report.ladder import ladders
from stages.tables.report.runs import trained
from stages.tables.report.told import Report
from tests.unit.tables.small_tables import first, plan, row, run, write_verdicts


def laid_out(root: Path, value: dict, paper: dict | None = None) -> Grid:
    report = Report.model_validate({"experiment": "x", "seeds": 1, "place": "tables", "plans": [value]})
    files = Files(report, root)
    (grid,) = grids(report.plans, paper or {}, trained(report.plans, files), files)
    return grid


def cell_of(counts: list[int], images: int = 100) -> Cell:
    given = Plan.model_validate(plan([row("A", [run("a")])]))
    return Cell(given.rows[0], given.columns[1], tuple(count / images for count in counts), images)


def test_the_bounds_of_one_seed_are_wilsons() -> None:
    assert bounds(cell_of([40])) == wilson(40, 100)
    assert bounds(cell_of([])) is None


@pytest.mark.parametrize("counts", [[38, 40, 42], [10, 50, 90, 70], [40, 40, 40], [0, 0, 1], [100, 99, 100]])
def test_the_bounds_of_several_seeds_add_the_images_and_the_seeds_in_squares(counts: list[int]) -> None:
    found = bounds(cell_of(counts))
    assert found is not None
    mean = float(np.mean(counts))
    low, high = wilson(round(mean), 100)
    half = stats.t.ppf(0.975, len(counts) - 1) * float(np.std(counts, ddof=1)) / len(counts) ** 0.5
    assert found[0] == pytest.approx(max(0.0, mean - ((mean - low) ** 2 + half**2) ** 0.5))
    assert found[1] == pytest.approx(min(100.0, mean + ((high - mean) ** 2 + half**2) ** 0.5))


@pytest.mark.parametrize(("n", "seeds", "sd"), [(500, 5, 0.04), (1000, 10, 0.04), (10_000, 3, 0.015)])
def test_the_bounds_of_several_seeds_hold_the_truth_as_often_as_they_say(n: int, seeds: int, sd: float) -> None:
    draw = np.random.default_rng(0)
    held = 0
    for _ in range(400):
        luck = draw.random(n)  # the same images for every seed: a net that is right on more of them is on those too
        counts = [int((luck < share).sum()) for share in draw.normal(0.5, sd, seeds).clip(0, 1)]
        low, high = bounds(cell_of(counts, n)) or (0.0, 0.0)
        held += low <= 50 <= high
    assert held >= 0.94 * 400


@pytest.mark.parametrize(("paper", "side"), [("39.5", "inside"), ("20", "above"), ("70", "below"), (None, "")])
def test_ours_is_above_where_the_papers_number_lies_below_our_interval(
    two_runs: Path, paper: str | None, side: str
) -> None:
    value = plan([row("LSP", [run("a")], paper_dataset="cifar10", paper_row="lsp")], paper=1)
    published = {}
    if paper:
        number = Published(table=1, dataset="CIFAR-10", row="LSP", column="PGD", paper=Decimal(paper))
        published = {key(1, "CIFAR-10", "LSP", "PGD"): number}
    clean, pgd = laid_out(two_runs, value, published).cells()
    assert (clean.side, pgd.side) == ("", side)
    assert pgd.cell.accuracy == 40


def test_a_cell_says_which_attack_in_its_ball_left_the_least(tmp_path: Path) -> None:
    told = {
        "clean": ("clean", None),
        "pgd": ("pgd", 0.1),
        "fgsm": ("fgsm", 0.1),
        "wide": ("pgd", 0.2),
        "cw": ("cw", None),
    }
    left = {"clean": 90, "pgd": 30, "fgsm": 40, "wide": 5, "cw": 0}
    write_verdicts(tmp_path / "attack/a.parquet", {f"{name}-1a2b": first(count, 100) for name, count in left.items()})
    columns = [
        {"attack": name, "label": name.upper(), "settings": {"kind": kind, **({"epsilon": size} if size else {})}}
        for name, (kind, size) in told.items()
    ]
    rows = [row("A", [run("a", attacks=tuple(told))])]
    shown = {one.cell.column.attack: one for one in laid_out(tmp_path, plan(rows, columns=columns)).cells()}
    assert shown["pgd"].worst == shown["fgsm"].worst == "PGD, 30.00"
    assert [shown[name].worst for name in ("clean", "wide", "cw")] == ["", "", ""]  # each is alone in what it is
    seed = shown["pgd"].seeds[0]
    assert (seed.broken, seed.images, seed.accuracy) == (70, 100, 30.0)


def test_both_layouts_show_the_same_cells(two_runs: Path) -> None:
    rows = [row("A", [run("a")]), row("B", [run("b")])]
    by_method, by_attack = (laid_out(two_runs, plan(rows, layout=layout)) for layout in ("methods", "attacks"))
    assert [line.label for line in by_method.blocks[0].lines] == ["A", "B"]
    assert [line.label for line in by_attack.blocks[0].lines] == ["Clean", "PGD"]
    across = [[shown.cell.accuracy for shown in line.cells] for line in by_attack.blocks[0].lines]
    assert np.array(across).T.tolist() == [[c.cell.accuracy for c in line.cells] for line in by_method.blocks[0].lines]
    assert [n for _, n in by_method.blocks[0].heads] == ["n = 100", "n = 100"]
    assert [line.n for line in by_attack.blocks[0].lines] == ["n = 100", "n = 100"]


def test_a_missing_run_is_a_cell_without_a_number_and_with_a_reason(two_runs: Path) -> None:
    shown = laid_out(two_runs, plan([row("A", [run("a")]), row("C", [run("c")])])).cells()
    assert [one.cell.accuracy for one in shown] == [90, 40, None, None]
    assert shown[2].cell.gaps[0].reason == "no file attack/c.parquet"
    assert shown[2].bounds is None


def test_links_lead_to_files_that_are_there_and_others_are_only_named(two_runs: Path) -> None:
    write_json(two_runs / "attack/a.json", {"seconds": 9.0, "facts": {"attacks": {"clean-1a2b": {"seconds": 2.5}}}})
    jobs = [{"stage": "attack", "key": "a", "manifest": "attack/a.json", "log": "logs/attack/a.log"}]
    value = {
        "experiment": "x",
        "seeds": 1,
        "place": "tables/x y",
        "plans": [plan([row("A", [run("a")])])],
        "jobs": jobs,
    }
    report = Report.model_validate(value)
    files = Files(report, two_runs)
    (grid,) = grids(report.plans, {}, trained(report.plans, files), files)
    addresses = {link.name: link.address for link in grid.cells()[0].seeds[0].links}
    assert [cell.seeds[0].seconds for cell in grid.cells()] == [2.5, None]
    assert addresses == {"outcomes": "../../attack/a.parquet", "manifest": "../../attack/a.json", "log": ""}


def test_an_ensembles_members_are_counted_by_the_images_they_broke(tmp_path: Path) -> None:
    schema = pa.schema([*OUTCOME_SCHEMA, *OUTCOME_DETAILS])
    members = ["apgd-ce", "fab", "apgd-ce", None, None]
    lines = [
        {"attack": "aa", "index": i, "label": 0, "clean_prediction": 0, "robust": member is None, "broken_by": member}
        for i, member in enumerate(members)
    ]
    whole = [{"adversarial_prediction": 1, "linf": 0.0, "l2": 0.0, "iteration": 0, "forwards": 0, "backwards": 0}] * 5
    write_outcomes(
        tmp_path / "aa.parquet", pa.Table.from_pylist([a | b for a, b in zip(lines, whole, strict=True)], schema)
    )
    assert BrokenBy(tmp_path).of("aa.parquet", "aa") == (("apgd-ce", 2), ("fab", 1))
    assert BrokenBy(tmp_path).of("aa.parquet", "other") == ()
    assert BrokenBy(tmp_path).of("none.parquet", "aa") == ()


def under_radii(root: Path, radii: dict[str, float], *, first_images: int = 100) -> list[Chart]:
    """Curves of a run with 90 of 100 images right when clean; of the first attack on that many images."""
    lines = []
    for place, name in enumerate(radii):
        for index in range(first_images if place == 0 else 100):
            clean, robust = index < 90, index < 70 - 40 * place
            before, after = (0 if clean else 1), (0 if robust else 1)
            lines.append([f"{name}-1", index, 0, before, after, robust, 0.0, 0.0])
    table = pa.table(list(zip(*lines, strict=True)), names=OUTCOME_SCHEMA.names).cast(OUTCOME_SCHEMA)
    write_outcomes(root / "attack/a.parquet", table)
    columns = [
        {
            "attack": name,
            "label": f"PGD ε = {name.partition('.')[2]}/255",
            "settings": {"kind": "pgd", "epsilon": radius},
        }
        for name, radius in radii.items()
    ]
    outcomes = {name: {"path": "attack/a.parquet", "attack": f"{name}-1"} for name in radii}
    rows = [row("A", [{"seed": 0, "name": "a", "outcomes": outcomes}])]
    return ladders([laid_out(root, plan(rows, columns=columns))])


def test_a_curve_over_radii_starts_at_the_clean_accuracy_on_the_same_images(tmp_path: Path) -> None:
    (chart,) = under_radii(tmp_path, {"pgd.1": 1 / 255, "pgd.4": 4 / 255})
    (series,) = chart.series
    assert series.x == pytest.approx((0, 1, 4))
    assert series.y == (90, 70, 30)
    assert list(zip(series.low, series.high, strict=True)) == [wilson(count, 100) for count in (90, 70, 30)]
    assert chart.title == "PGD on Digits, table1"
    assert chart.x_label == "ε in 255ths (L∞)"


def test_a_curve_has_no_clean_point_where_its_radii_rest_on_other_images(tmp_path: Path) -> None:
    (chart,) = under_radii(tmp_path, {"pgd.1": 1 / 255, "pgd.4": 4 / 255}, first_images=50)
    assert chart.series[0].x == pytest.approx((1, 4))


def test_attacks_that_differ_in_more_than_their_radius_are_no_curve(tmp_path: Path) -> None:
    assert under_radii(tmp_path, {"pgd.10": 8 / 255, "pgd.50": 8 / 255}) == []


def test_the_report_shows_the_numbers_of_the_tables(two_runs: Path) -> None:
    value = plan([row("A", [run("a")]), row("B", [run("b")])])
    scored = score(Plan.model_validate(value), two_runs, {})
    assert [shown.cell.accuracy for shown in laid_out(two_runs, value).cells()] == [cell.accuracy for cell in scored]
