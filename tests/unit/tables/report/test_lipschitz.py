"""Section 3.3 on the page: a dot for each checkpoint that has both numbers, and words for each correlation."""

from pathlib import Path

import pytest

from stages.core.files import write_json
from stages.tables.report.lipschitz import measured
from tests import made_up

CHECKPOINTS = [(dataset, row, seed) for dataset in ("A", "B") for row in ("Vanilla", "LSP") for seed in (0, 1)]


def test_each_data_set_has_its_lines_and_two_charts_of_those_that_have_both_numbers(tmp_path: Path) -> None:
    made_up.lipschitz(tmp_path, "list.json", CHECKPOINTS)
    blocks = measured(tmp_path / "list.json")
    assert [(block.dataset, len(block.checkpoints)) for block in blocks] == [("A", 4), ("B", 4)]
    for block in blocks:
        (loss_words, losses), (robust_words, robust) = block.correlations
        assert [(one.label, len(one.x)) for one in losses.series] == [("Vanilla", 1), ("LSP", 2)]  # one has no loss
        assert [(one.label, len(one.x)) for one in robust.series] == [("Vanilla", 2), ("LSP", 2)]
        assert loss_words == "LSP loss at the kept epoch and mean L_x: ρ = 0.75 [−0.20, 1.00], 9 checkpoints"
        assert (
            robust_words
            == "mean L_x and robust accuracy in % (Vanilla): too few, or all alike (9 checkpoints of 3 methods)"
        )
        assert robust.series[1].x == [one.lipschitz for one in block.checkpoints if one.row == "LSP"]
        assert "nan" not in losses.svg()


@pytest.mark.parametrize("content", [None, {}, {"checkpoints": [{}], "correlations": []}])
def test_a_list_that_cannot_be_read_is_none(
    tmp_path: Path, content: object, capsys: pytest.CaptureFixture[str]
) -> None:
    if content is not None:
        write_json(tmp_path / "list.json", content)
    assert measured(tmp_path / "list.json") == []
    assert "list.json" in capsys.readouterr().err
    assert measured(None) == []
