"""The artifact of stage lipschitz: what is read is what was written, and what it comes to."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from stages.core.errors import ArtifactError
from stages.core.lipschitz import mean_and_interval, read_lipschitz, summary, write_lipschitz
from stages.core.parquet import write_table
from tests.unit.measurements import measured


def test_what_is_read_is_what_was_written(tmp_path: Path) -> None:
    table = measured([1.0, 2.0, 4.0], [False, True, False])
    write_lipschitz(tmp_path / "a.parquet", table)
    assert read_lipschitz(tmp_path / "a.parquet").equals(table)


def test_another_table_none_and_an_empty_one_are_refused(tmp_path: Path) -> None:
    write_table(tmp_path / "a.parquet", pa.table({"index": [1]}))
    with pytest.raises(ArtifactError, match="columns must be"):
        read_lipschitz(tmp_path / "a.parquet")
    write_lipschitz(tmp_path / "b.parquet", measured([], []))
    with pytest.raises(ArtifactError, match="no image"):
        read_lipschitz(tmp_path / "b.parquet")
    with pytest.raises(ArtifactError, match="no such file"):
        read_lipschitz(tmp_path / "c.parquet")


def test_the_summary_is_means_the_median_and_a_count() -> None:
    found = summary(measured([1.0, 2.0, 6.0], [False, True, True]))
    assert (found["n"], found["median_lipschitz"], found["broken"]) == (3, 2.0, 2)
    assert found["lipschitz"][0] == pytest.approx(3.0)
    assert found["radius"][0] == pytest.approx((0.4 + 0.2 + 0.4 / 6) / 3)


def test_the_interval_is_that_of_the_mean_by_the_normal_law_where_images_are_many() -> None:
    values = np.random.default_rng(1).gamma(4.0, 1.0, 400)
    mean, low, high = mean_and_interval(values)
    half = 1.96 * values.std(ddof=1) / 20
    assert mean == pytest.approx(values.mean())
    assert (low, high) == pytest.approx((values.mean() - half, values.mean() + half), rel=0.01)
    assert mean_and_interval(values) == [mean, low, high]


def test_one_image_has_no_interval_and_equal_ones_a_point() -> None:
    assert mean_and_interval(np.array([2.0])) == [2.0, None, None]
    assert mean_and_interval(np.full(5, 2.0)) == [2.0, 2.0, 2.0]
