"""Charts: what is drawn stands where the numbers say."""

import math
import re
import xml.etree.ElementTree as ET
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stages.tables.report.chart import BOTTOM, COLORS, HEIGHT, LEFT, RIGHT, TOP, WIDTH, Chart, Series
from stages.tables.report.page import TEMPLATES

NUMBERS = st.integers(-(10**7), 10**7).map(lambda value: value / 1000)
POINTS = st.lists(st.tuples(st.integers(1, 200), NUMBERS), min_size=2, max_size=30, unique_by=lambda point: point[0])


def drawn(chart: Chart) -> ET.Element:
    return ET.fromstring(str(chart.svg()))


def path_of(svg: ET.Element, kind: str) -> np.ndarray:
    (found,) = [element for element in svg.iter("path") if kind in element.attrib["class"].split()]
    return np.array(re.findall(r"-?[\d.]+", found.attrib["d"]), float).reshape(-1, 2)


def tick_labels(svg: ET.Element, axis: str) -> tuple[list[float], list[float]]:
    """Values and places of an axis' ticks."""
    found = [(text.text or "", text) for text in svg.iter("text") if text.attrib["class"] == axis]
    values = [(float(word.replace("−", "-")), text) for word, text in found if re.fullmatch(r"[−\d.e+-]+", word)]
    return [value for value, _ in values], [float(text.attrib[axis]) for _, text in values]


@settings(deadline=None)
@given(POINTS)
def test_a_line_goes_through_its_points_as_the_ticks_measure_them(points: list[tuple[int, float]]) -> None:
    x, y = zip(*sorted(points), strict=True)
    svg = drawn(Chart("t", "epoch", "loss", [Series("a", x, y)]))
    line = path_of(svg, "line")
    for axis, column, values in (("x", 0, x), ("y", 1, y)):
        ticks, places = tick_labels(svg, axis)
        if len(ticks) > 1 and ticks[0] != ticks[-1]:
            slope, offset = np.polyfit(ticks, places, 1)
            # a tick's label has six digits, a place one decimal
            slack = 0.2 + abs(slope) * max(map(abs, ticks)) * 1e-4
            np.testing.assert_allclose(line[:, column], slope * np.array(values) + offset, atol=slack)
    assert (line[:, 0] >= LEFT - 0.1).all()
    assert (line[:, 0] <= WIDTH - RIGHT + 0.1).all()
    assert (line[:, 1] >= TOP - 0.1).all()
    assert (line[:, 1] <= HEIGHT - BOTTOM + 0.1).all()


def test_a_band_lies_around_its_line_and_inside_the_frame() -> None:
    x, y = [1, 2, 3], [1.0, 5.0, 2.0]
    svg = drawn(Chart("t", "x", "y", [Series("a", x, y, [0.5, 4.0, 1.0], [2.0, 7.0, 2.5])]))
    line, band = path_of(svg, "line"), path_of(svg, "band")
    above, below = band[:3], band[:2:-1]
    assert (above[:, 1] < line[:, 1]).all()
    assert (below[:, 1] > line[:, 1]).all()
    np.testing.assert_array_equal(above[:, 0], below[:, 0])
    assert (band[:, 1] >= TOP).all()
    assert (band[:, 1] <= HEIGHT - BOTTOM).all()


@pytest.mark.parametrize("y", [[], [math.nan, math.nan]])
def test_a_chart_of_nothing_says_so(y: Sequence[float]) -> None:
    assert "Nothing to draw" in Chart("empty", "x", "y", [Series("a", range(len(y)), y)]).svg()


def test_a_gap_is_left_out_and_a_single_point_is_a_dot() -> None:
    svg = drawn(Chart("t", "x", "y", [Series("a", [1, 2, 3], [1.0, math.nan, 2.0])]))
    assert len(path_of(svg, "line")) == 2
    alone = drawn(Chart("t", "x", "y", [Series("a", [4], [1.0])]))
    assert len(list(alone.iter("circle"))) == 1
    assert not [p for p in alone.iter("path") if "line" in p.attrib["class"]]


def test_names_are_text_and_told_to_those_who_do_not_see() -> None:
    chart = Chart("<b>&", "x", "y", [Series('"><script>', [1, 2], [3.0, 4.0])], marks=[(1.0, "<i>kept")])
    svg = drawn(chart)
    assert not list(svg.iter("script"))
    assert not list(svg.iter("b"))
    assert svg.attrib["aria-label"] == '<b>&; y over x: "><script> from 3 to 4'
    assert {title.text for title in svg.iter("title")} == {'"><script>', "<i>kept"}


def test_an_eleventh_series_is_drawn_as_the_first(tmp_path: Path) -> None:
    svg = str(
        Chart("t", "x", "y", [Series(str(color), [1, 2], [color, color], color=color) for color in range(12)]).svg()
    )
    style = {int(color) for color in re.findall(r"line c(\d+)", svg)}
    sheet = (TEMPLATES / "report.css").read_text()
    assert style == {*range(COLORS)}
    assert f"range({COLORS})" in sheet


def test_what_is_told_of_a_line_is_its_finite_ends() -> None:
    chart = Chart("t", "epoch", "y", [Series("a", [1, 2, 3], [math.nan, 2.0, 3.0])])
    assert chart.words == "t; y over epoch: a from 2 to 3"


def test_accuracies_start_at_zero_where_asked_and_epochs_are_whole() -> None:
    svg = drawn(Chart("t", "x", "y", [Series("a", [1, 2, 3], [40.0, 50.0, 60.0])], zero=True, whole=True))
    assert tick_labels(svg, "y")[0][0] == 0
    assert all(value == int(value) for value in tick_labels(svg, "x")[0])
