"""Runs of the report: their curves are the histories', whatever columns those have."""

from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest

from stages.core.config.table_plan import Plan
from stages.core.files import write_json
from stages.core.parquet import write_table
from stages.tables.report.cost import run_costs, stage_costs
from stages.tables.report.files import Files
from stages.tables.report.runs import Trained, trained
from stages.tables.report.told import Report
from tests.unit.tables.small_tables import plan, row, run

EPOCHS = [1, 2, 3]


def history(root: Path, name: str, seed: int, **columns: list[float]) -> dict[str, Any]:
    """A run of one seed with its history and its manifest."""
    place = f"train/digits/{name}/seed{seed}"
    (root / place).mkdir(parents=True)
    table = {"epoch": EPOCHS, "lr": [0.1] * 3, "seconds": [1.0] * 3} | columns
    write_table(root / f"{place}/history.parquet", pa.table(table))
    facts = {"selected_epoch": 2 + seed}
    memory = {"host": 1e9 * (1 + seed), "device": 5e8}
    write_json(
        root / f"{place}/manifest.json",
        {
            "seconds": 10.0 * (1 + seed),
            "facts": facts,
            "settings": {"m": 8},
            "peak_memory_bytes": memory,
            "device": "cpu",
        },
    )
    return {**run("none", seed), "name": name, "history": f"{place}/history.parquet"}


def told(root: Path, rows: list[dict[str, Any]]) -> tuple[Report, Files]:
    runs = {(one["name"], one["seed"]) for given in rows for one in given["runs"]}
    jobs = [
        {
            "stage": "train",
            "key": f"digits/{name}/seed{seed}",
            "log": "logs/x.log",
            "manifest": f"train/digits/{name}/seed{seed}/manifest.json",
        }
        for name, seed in sorted(runs)
    ]
    report = Report.model_validate(
        {"experiment": "x", "seeds": 1, "place": "tables", "plans": [plan(rows)], "jobs": jobs}
    )
    return report, Files(report, root)


def only(root: Path, rows: list[dict[str, Any]]) -> Trained:
    report, files = told(root, rows)
    (found,) = trained(report.plans, files).values()
    return found


def test_curves_are_the_means_over_seeds_and_bands_one_deviation_wide(tmp_path: Path) -> None:
    values = {0: [2.0, 1.0, 0.5], 1: [4.0, 2.0, 1.5]}
    runs = [
        history(tmp_path, "a", seed, objective_loss=loss, lsp_loss=loss, robust_accuracy=[0.1, 0.2, 0.3])
        for seed, loss in values.items()
    ]
    charts = only(tmp_path, [row("A", runs)]).charts()
    assert [chart.y_label for chart in charts] == ["loss", "LSP loss", "accuracy in %"]
    (loss,) = charts[0].series
    frame = pd.DataFrame(values)
    assert list(loss.x) == EPOCHS
    assert list(loss.y) == frame.mean(axis=1).tolist()
    assert list(loss.high) == pytest.approx((frame.mean(axis=1) + frame.std(axis=1, ddof=1)).tolist())
    assert charts[2].series[0].y == pytest.approx([10, 20, 30])
    assert [x for x, _ in charts[0].marks] == [2, 3]


def test_one_seed_has_no_band_and_the_total_is_left_out_where_it_is_the_objectives(tmp_path: Path) -> None:
    same = history(tmp_path, "a", 0, loss=[3.0, 2.0, 1.0], objective_loss=[3.0, 2.0, 1.0])
    more = history(tmp_path, "b", 0, loss=[4.0, 3.0, 2.0], objective_loss=[3.0, 2.0, 1.0], lsp_term=[1.0, 1.0, 1.0])
    (chart,) = only(tmp_path, [row("A", [same])]).charts()
    assert [series.label for series in chart.series] == ["objective's loss"]
    assert not chart.series[0].low
    (chart,) = only(tmp_path, [row("B", [more])]).charts()
    assert [series.label for series in chart.series] == ["total loss", "objective's loss", "LSP term"]


def test_a_run_that_several_rows_show_is_one_and_named_by_the_row_without_a_variant(tmp_path: Path) -> None:
    shown = history(tmp_path, "a", 0, objective_loss=[1.0, 1.0, 1.0])
    rows = [row("m = 8", [shown], variant={"lsp.m": 8}), row("LSP", [shown])]
    report, files = told(tmp_path, rows)
    (found,) = trained(report.plans, files).values()
    assert found.label == "LSP"
    (alone,) = trained(told(tmp_path, rows[:1])[0].plans, files).values()
    assert alone.label == "LSP, m 8"


def test_seeds_that_tables_show_apart_stand_together(tmp_path: Path) -> None:
    runs = [history(tmp_path, "a", seed, objective_loss=[1.0 + seed] * 3) for seed in (0, 1)]
    plans = [plan([row("A", runs[:1])]), plan([row("A", runs[1:])], table="table2")]
    report, files = told(tmp_path, [row("A", runs)])
    report = report.model_copy(update={"plans": tuple(Plan.model_validate(one) for one in plans)})
    (found,) = trained(report.plans, files).values()
    assert [seed.seed for seed in found.seeds] == [0, 1]
    assert list(found.charts()[0].series[0].y) == [1.5] * 3


def test_weights_from_elsewhere_have_no_cost_of_training(tmp_path: Path) -> None:
    write_json(tmp_path / "weights.json", {"seconds": 3.0, "peak_memory_bytes": {"host": 1e9}})
    job = {"stage": "weights", "key": "digits/a/seed0", "manifest": "weights.json", "log": "logs/x.log"}
    value = {"experiment": "x", "seeds": 1, "place": "tables", "plans": [plan([row("A", [run("a")])])], "jobs": [job]}
    report = Report.model_validate(value)
    files = Files(report, tmp_path)
    (cost,) = run_costs(report, list(trained(report.plans, files).values()), files)
    assert (cost.training, cost.memory) == (None, None)
    assert stage_costs(report, files)[0].seconds == 3.0


def test_what_a_resumed_job_took_is_what_all_its_epochs_or_attacks_took(tmp_path: Path) -> None:
    shown = history(tmp_path, "a", 0, objective_loss=[1.0, 1.0, 1.0], seconds=[100.0, 100.0, 100.0])
    report, files = told(tmp_path, [row("A", [shown])])
    train = report.jobs[0].model_copy(update={"history": shown["history"]})
    assert files.seconds(report.jobs[0]) == 10.0  # of its last attempt
    assert files.seconds(train) == 300.0
    facts = {"attacks": {"pgd": {"seconds": 40.0}, "aa": {"seconds": 50.0}}}
    write_json(tmp_path / "attack.json", {"seconds": 12.0, "facts": facts})
    attack = train.model_copy(update={"stage": "attack", "manifest": "attack.json", "history": None})
    assert files.seconds(attack) == 90.0


@pytest.mark.parametrize(
    "content",
    ['{"facts": null}', '{"versions": null}', '{"seconds": "x"}', '{"peak_memory_bytes": {"a": null}}', "[]", "{"],
)
def test_a_manifest_of_another_form_is_taken_for_missing(tmp_path: Path, content: str) -> None:
    shown = history(tmp_path, "a", 0, objective_loss=[1.0, 1.0, 1.0])
    report, files = told(tmp_path, [row("A", [shown])])
    (tmp_path / report.jobs[0].manifest).write_text(content)
    (stage,) = stage_costs(report, files)
    assert (stage.jobs, stage.known) == (1, 0)


def test_a_missing_or_damaged_history_is_named_and_the_rest_is_drawn(tmp_path: Path) -> None:
    kept = history(tmp_path, "a", 0, objective_loss=[1.0, 2.0, 3.0])
    lost = history(tmp_path, "a", 1, objective_loss=[1.0, 2.0, 3.0])
    (tmp_path / lost["history"]).write_bytes(b"PAR1 no more")
    found = only(tmp_path, [row("A", [kept, lost])])
    assert found.missing == ("a",)
    assert list(found.charts()[0].series[0].y) == [1, 2, 3]


def test_a_run_without_a_history_has_no_curves_and_lacks_none(tmp_path: Path) -> None:
    found = only(tmp_path, [row("A", [run("a")])])
    assert found.charts() == []
    assert found.missing == ()


def test_costs_are_means_of_seconds_and_the_most_memory_of_host_and_device(tmp_path: Path) -> None:
    runs = [history(tmp_path, "a", seed, objective_loss=[1.0, 1.0, 1.0]) for seed in (0, 1)]
    report, files = told(tmp_path, [row("A", runs)])
    (cost,) = run_costs(report, list(trained(report.plans, files).values()), files)
    assert (cost.training, cost.attacks, cost.memory) == (15.0, None, 2e9)
    (stage,) = stage_costs(report, files)
    assert (stage.jobs, stage.known, stage.seconds, stage.memory, stage.devices) == (2, 2, 30.0, 2e9, "cpu")
    (tmp_path / report.jobs[0].manifest).unlink()
    (stage,) = stage_costs(report, Files(report, tmp_path))
    assert (stage.jobs, stage.known, stage.seconds) == (2, 1, 20.0)
