"""The list of measured checkpoints: a line each, what is missing named, and correlations within a data set."""

import csv
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from stages.core.files import write_json
from stages.core.lipschitz import write_lipschitz
from stages.core.parquet import write_table
from stages.tables.correlation import spearman
from stages.tables.lipschitz import main
from tests.unit.measurements import measured
from tests.unit.tables.small_tables import first, write_verdicts


def checkpoint(root: Path, name: str, constants: list[float], loss: float, robust: int, **more: Any) -> dict[str, Any]:
    """A trained and measured checkpoint, `robust` of ten images robust under PGD; what the list is told of it."""
    write_lipschitz(root / f"{name}.parquet", measured(constants, first(1, len(constants))))
    history = {"epoch": [1, 2], "objective_loss": [1.0, 1.0], "lsp_loss": [9.0, loss]}
    write_table(root / f"{name}-history.parquet", pa.table(history))
    write_json(root / f"{name}.json", {"facts": {"selected_epoch": 2}})
    write_verdicts(root / f"{name}-attack.parquet", {"pgd-1a2b": first(robust, 10)})
    outcomes = {"pgd": {"path": f"{name}-attack.parquet", "attack": "pgd-1a2b"}}
    return {
        "dataset": "Digits",
        "row": name,
        "path": f"{name}.parquet",
        "run": {"seed": 0, "name": name, "history": f"{name}-history.parquet", "outcomes": outcomes},
        "trained": f"{name}.json",
        "attack": {"attack": "pgd", "label": "PGD"},
    } | more


def listed(root: Path, checkpoints: list[dict[str, Any]]) -> tuple[list[dict[str, str]], dict[str, Any], list[str]]:
    """The CSV's lines, the JSON and what the manifest calls missing."""
    words = ["--settings", json.dumps({"checkpoints": checkpoints}), "--root", str(root), "--out", str(root / "out")]
    main([*words, "--manifest", str(root / "out/lipschitz-manifest.json"), "--device", "cpu"])
    with (root / "out/lipschitz.csv").open() as stream:
        lines = list(csv.DictReader(stream))
    missing = json.loads((root / "out/lipschitz-manifest.json").read_text())["facts"]["missing"]
    return lines, json.loads((root / "out/lipschitz.json").read_text()), missing


def test_a_line_holds_the_means_the_kept_epochs_loss_and_the_robust_accuracy(tmp_path: Path) -> None:
    (line,), found, missing = listed(tmp_path, [checkpoint(tmp_path, "a", [1.0, 2.0, 6.0, 7.0], 0.25, 4)])
    assert [line[name] for name in ("dataset", "row", "seed", "n", "lipschitz", "lipschitz_median")] == [
        "Digits", "a", "0", "4", "4", "4",
    ]  # fmt: skip
    assert [line[name] for name in ("broken", "lsp_loss", "attack", "robust_accuracy")] == ["25", "0.25", "PGD", "40"]
    assert float(line["lipschitz_low"]) < 4 < float(line["lipschitz_high"])
    radius = sum(0.4 / one for one in (1, 2, 6, 7)) / 4
    assert float(line["radius"]) == pytest.approx(radius, rel=1e-3)
    assert float(line["radius_low"]) < radius < float(line["radius_high"])
    assert float(line["broken_low"]) < 25 < float(line["broken_high"])
    assert found["checkpoints"][0]["robust_accuracy"] == 40
    assert missing == []


def test_correlations_are_those_of_a_data_sets_lines(tmp_path: Path) -> None:
    numbers = [(1.0, 0.3, 9), (2.0, 0.1, 7), (3.0, 0.5, 8), (4.0, 0.4, 2), (5.0, 0.9, 3)]
    given = [
        checkpoint(tmp_path, f"{dataset}{place}", [constant] * 2, sign * loss, robust, dataset=dataset)
        for dataset, sign in (("one", 1), ("other", -1))
        for place, (constant, loss, robust) in enumerate(numbers)
    ]
    found = {(one["dataset"], one["x"], one["y"]): one for one in listed(tmp_path, given)[1]["correlations"]}
    assert len(found) == 4
    for dataset, sign in (("one", 1), ("other", -1)):
        losses = found[dataset, "lsp_loss", "lipschitz"]
        assert (losses["n"], losses["rows"]) == (5, 5)
        assert losses["rho"] == pytest.approx(spearman([(sign * loss, c) for c, loss, _ in numbers], "abcde")["rho"])
        robust = found[dataset, "lipschitz", "robust_accuracy"]
        assert robust["rho"] == pytest.approx(spearman([(c, r) for c, _, r in numbers], "abcde")["rho"])
        assert robust["low"] <= robust["rho"] <= robust["high"]


def test_an_interval_draws_rows_with_their_seeds(tmp_path: Path) -> None:
    numbers = [(1.0, 0.3, 9), (2.0, 0.1, 7), (3.0, 0.5, 8), (4.0, 0.4, 2), (5.0, 0.9, 3)]
    once, twice = (
        [
            checkpoint(tmp_path, f"{place}-{seed}", [c] * 2, loss, robust, row=f"row {place}")
            for place, (c, loss, robust) in enumerate(numbers)
            for seed in range(seeds)
        ]
        for seeds in (1, 2)
    )
    for one, two in zip(*(listed(tmp_path, given)[1]["correlations"] for given in (once, twice)), strict=True):
        assert (one["n"], two["n"], one["rows"], two["rows"]) == (5, 10, 5, 5)
        assert [two[name] for name in ("rho", "low", "high")] == [one[name] for name in ("rho", "low", "high")]


def test_what_is_missing_is_left_empty_or_named_and_the_others_stand(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = [checkpoint(tmp_path, name, [1.0, 2.0], 0.1, 5) for name in "abcd"]
    (tmp_path / "a.parquet").unlink()
    (tmp_path / "b-attack.parquet").unlink()
    (tmp_path / "c-history.parquet").write_bytes(b"PAR1 no more")
    (tmp_path / "d.json").write_text("{}")
    lines, found, missing = listed(tmp_path, given)
    assert missing == ["a.parquet"]
    assert [(line["row"], line["lsp_loss"], line["robust_accuracy"]) for line in lines] == [
        ("b", "0.1", ""),
        ("c", "", "50"),
        ("d", "", "50"),
    ]
    assert found["correlations"][0]["n"] == 1
    assert capsys.readouterr().err.count("a.parquet") == 1


def test_a_checkpoint_from_elsewhere_has_no_loss(tmp_path: Path) -> None:
    given = checkpoint(tmp_path, "a", [1.0, 2.0], 0.1, 5)
    del given["trained"], given["attack"], given["run"]["history"], given["run"]["outcomes"]
    (line,), _, _ = listed(tmp_path, [given])
    assert (line["lsp_loss"], line["attack"], line["robust_accuracy"]) == ("", "", "")
