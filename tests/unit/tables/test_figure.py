"""Laws of the figure of losses: its numbers, its files, and what it says is missing."""

import csv
import json
from pathlib import Path

import matplotlib.image
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from stages.core.config.table_plan import Plan
from stages.core.parquet import write_table
from stages.tables.__main__ import main
from stages.tables.curves import LOSSES, TRAINING_LOSS, Curves, MissingRun, read_curves, read_history
from stages.tables.figure import LABELS, _draw

EPOCHS = np.arange(1, 6)


def write_history(root: Path, name: str, scale: float) -> None:
    losses = {"objective_loss": scale / EPOCHS, "lsp_loss": 0.01 * scale * EPOCHS}
    write_table(root / f"{name}.parquet", pa.table({"epoch": EPOCHS, "clean_accuracy": EPOCHS / 5} | losses))


def plan(*rows: tuple[str, list[str]]) -> dict:
    made = [
        {
            "dataset": "digits",
            "label": label,
            "method": "m",
            "runs": [{"seed": i, "name": name, "history": f"{name}.parquet"} for i, name in enumerate(names)],
        }
        for label, names in rows
    ]
    return {"experiment": "x", "table": "figure3", "kind": "losses", "title": "Losses $ _ %", "rows": made}


def build(root: Path, value: dict) -> list[dict[str, str]]:
    places = ["--root", str(root), "--out", str(root / "out"), "--manifest", str(root / "out/m.json")]
    main(["--settings", json.dumps(value), *places, "--device", "cpu"])
    with (root / "out/figure3.csv").open(encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def lines_of(curves: list[Curves], notes: tuple[str, ...] = ()) -> list[dict[str, np.ndarray]]:
    """By panel, what is really drawn of each loss."""
    figure = _draw("t", curves, notes)
    drawn: list[dict[str, np.ndarray]] = [{} for _ in curves]
    for axes in figure.axes:
        for line in axes.lines:
            loss = next(loss for loss, label in LABELS.items() if label == line.get_label())
            panel = next(i for i, a in enumerate(figure.axes) if a.get_position().bounds == axes.get_position().bounds)
            drawn[panel][loss] = np.asarray(line.get_xydata())
    return drawn


def test_the_curves_are_mean_and_sample_deviation_over_seeds(tmp_path: Path) -> None:
    write_history(tmp_path, "a", 1.0)
    write_history(tmp_path, "b", 3.0)
    lines = build(tmp_path, plan(("LSP", ["a", "b"])))
    assert [float(line["objective_loss"]) for line in lines] == pytest.approx(2.0 / EPOCHS, rel=1e-5)
    assert [float(line["objective_loss_sd"]) for line in lines] == pytest.approx(2**0.5 / EPOCHS, rel=1e-5)
    assert [float(line["lsp_loss"]) for line in lines] == pytest.approx(0.02 * EPOCHS, rel=1e-5)
    assert [line["epoch"] for line in lines] == [str(epoch) for epoch in EPOCHS]
    assert {line["seeds"] for line in lines} == {"2"}


@pytest.mark.parametrize("column", ["epoch", "objective_loss"])
@pytest.mark.parametrize("words", [["one", "two"], [[1.0], [2.0]]])
def test_a_history_that_holds_no_numbers_is_a_missing_run(column: str, words: list[object], tmp_path: Path) -> None:
    columns = {"epoch": [1, 2], "objective_loss": [1.0, 2.0], "lsp_loss": [1.0, 2.0]}
    write_table(tmp_path / "a.parquet", pa.table({**columns, column: words}))
    found = read_history(Plan.model_validate(plan(("LSP", ["a"]))).rows[0].runs[0], tmp_path)
    assert found == MissingRun("a", "a.parquet is damaged")


def test_what_is_drawn_is_what_the_csv_says(tmp_path: Path) -> None:
    write_history(tmp_path, "a", 1.0)
    write_history(tmp_path, "b", 3.0)
    value = plan(("Vanilla", ["a"]), ("LSP", ["a", "b"]))
    written = pd.DataFrame(build(tmp_path, value))
    drawn = lines_of(read_curves(Plan.model_validate(value), tmp_path))
    for panel, label in enumerate(["Vanilla", "LSP"]):
        chosen = written[written["row"] == label]
        for loss in LOSSES:
            np.testing.assert_allclose(drawn[panel][loss][:, 1], chosen[loss].astype(float), rtol=1e-5)
            np.testing.assert_array_equal(drawn[panel][loss][:, 0], chosen["epoch"].astype(int))


def test_a_band_is_drawn_for_several_seeds_alone(tmp_path: Path) -> None:
    write_history(tmp_path, "a", 1.0)
    write_history(tmp_path, "b", 3.0)
    heights = []
    for names in (["a"], ["a", "b"]):
        figure = _draw("t", read_curves(Plan.model_validate(plan(("LSP", names))), tmp_path), ())
        vertices = [np.asarray(path.vertices) for band in figure.axes[0].collections for path in band.get_paths()]
        heights.append(max((float(np.ptp(v[v[:, 0] == 1.0][:, 1])) for v in vertices if len(v)), default=0.0))
    assert heights == pytest.approx([0.0, 2 * 2**0.5])


def test_the_figure_is_a_png_of_200_dpi_and_a_pdf_without_a_date_and_the_same_each_time(tmp_path: Path) -> None:
    write_history(tmp_path, "a", 1.0)
    value = plan(("LSP", ["a"]))
    names = ("figure3.png", "figure3.pdf", "figure3.csv")
    build(tmp_path, value)
    before = [(tmp_path / "out" / name).read_bytes() for name in names]
    build(tmp_path, value)
    assert [(tmp_path / "out" / name).read_bytes() for name in names] == before
    height, width, _ = matplotlib.image.imread(tmp_path / "out/figure3.png").shape
    assert width == 200 * 5.5
    assert height > 400
    assert before[1].startswith(b"%PDF")
    assert b"CreationDate" not in before[1]


def test_missing_damaged_and_partial_histories_are_named_in_the_figure_and_leave_the_others(tmp_path: Path) -> None:
    for name in ("a", "torn"):
        write_history(tmp_path, name, 1.0)
    torn = tmp_path / "torn.parquet"
    torn.write_bytes(torn.read_bytes()[:-40])
    write_table(tmp_path / "poor.parquet", pa.table({"epoch": EPOCHS, "objective_loss": 1.0 / EPOCHS}))
    value = plan(("Vanilla", ["gone"]), ("AT", ["torn"]), ("HAT", ["poor"]), ("LSP", ["a", "gone"]))
    lines = build(tmp_path, value)
    named = {line["row"]: line["missing"] for line in lines}
    assert named == {"Vanilla": "gone", "AT": "torn", "HAT": "poor", "LSP": "gone"}
    assert len([line for line in lines if line["row"] == "LSP" and line["seeds"] == "1"]) == len(EPOCHS)
    figure = _draw("t", read_curves(Plan.model_validate(value), tmp_path), ())
    said = " ".join([*(text.get_text() for axes in figure.axes for text in axes.texts), str(figure.get_supxlabel())])
    for words in ("no history of\ngone", "torn.parquet is damaged", "poor.parquet has no column lsp_loss"):
        assert words in said


def test_an_epoch_without_a_loss_is_left_out_of_its_curve(tmp_path: Path) -> None:
    table = pa.table({"epoch": [1, 2, 3], "objective_loss": [3.0, 2.0, 1.0], "lsp_loss": [0.3, None, 0.1]})
    write_table(tmp_path / "a.parquet", table)
    value = plan(("LSP", ["a"]))
    assert [line["lsp_loss"] for line in build(tmp_path, value)] == ["0.3", "", "0.1"]
    drawn = lines_of(read_curves(Plan.model_validate(value), tmp_path))[0]
    assert drawn["lsp_loss"].tolist() == [[1.0, 0.3], [3.0, 0.1]]
    assert len(drawn["objective_loss"]) == 3


def write_both(root: Path, name: str, scale: float) -> None:
    """A history that has the LSP loss while training too."""
    losses = {"objective_loss": scale / EPOCHS, "lsp_loss": 0.01 * scale * EPOCHS, TRAINING_LOSS: scale * EPOCHS}
    write_table(root / f"{name}.parquet", pa.table({"epoch": EPOCHS} | losses))


def test_the_loss_while_training_stands_beside_that_of_each_epoch_s_end_each_under_its_name(tmp_path: Path) -> None:
    write_both(tmp_path, "a", 1.0)
    write_both(tmp_path, "b", 3.0)
    write_history(tmp_path, "old", 1.0)
    value = plan(("Vanilla", ["old"]), ("LSP", ["a", "b"]))
    lines = build(tmp_path, value)
    found = [line for line in lines if line["row"] == "LSP"]
    assert [float(line[TRAINING_LOSS]) for line in found] == pytest.approx(2.0 * EPOCHS, rel=1e-5)
    assert [float(line[f"{TRAINING_LOSS}_sd"]) for line in found] == pytest.approx(2**0.5 * EPOCHS, rel=1e-5)
    assert {line[TRAINING_LOSS] for line in lines if line["row"] == "Vanilla"} == {""}
    curves = read_curves(Plan.model_validate(value), tmp_path)
    vanilla, lsp = lines_of(curves)
    assert set(vanilla) == set(LOSSES)
    assert lsp[TRAINING_LOSS].tolist() == [[epoch, 2.0 * epoch] for epoch in EPOCHS]
    assert lsp["lsp_loss"][:, 1].tolist() == pytest.approx(0.02 * EPOCHS)
    (legend,) = _draw("t", curves, ()).legends
    assert [text.get_text() for text in legend.get_texts()] == list(LABELS.values())
    assert "LSP loss while training (train mode, augmented)" in LABELS.values()
    assert "LSP loss at each epoch's end (eval mode)" in LABELS.values()


def test_without_the_loss_while_training_the_csv_has_no_column_of_it(tmp_path: Path) -> None:
    write_history(tmp_path, "a", 1.0)
    build(tmp_path, plan(("LSP", ["a"]), ("AT", ["gone"])))
    head, first, *_, last = (tmp_path / "out/figure3.csv").read_text().splitlines()
    assert head == "dataset,row,epoch,seeds,objective_loss,objective_loss_sd,lsp_loss,lsp_loss_sd,missing"
    assert first == "digits,LSP,1,1,1,,0.01,,"
    assert last == "digits,AT,,,,,,,gone"
