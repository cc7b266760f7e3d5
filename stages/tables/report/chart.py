"""Charts as inline SVG: lines with bands, or labelled points, in the page's own colors, light and dark.

A chart is 360 by 230 units and scales with its column. Ticks are those that matplotlib's locator would set. Colors
stand in the style sheet by the number of the series, and dashes tell them apart in gray.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite

from markupsafe import Markup
from matplotlib.ticker import MaxNLocator

WIDTH, HEIGHT = 360, 230
LEFT, RIGHT, TOP, BOTTOM = 52, 12, 12, 42
TICKS = 5
COLORS = 10
MARGIN = 0.04  # of the range, above and below the data


@dataclass(frozen=True)
class Series:
    """One line, or one cloud of points: (n,) each; low and high: its band, where it has one."""

    label: str
    x: Sequence[float]
    y: Sequence[float]
    low: Sequence[float] = ()
    high: Sequence[float] = ()
    color: int = 0

    @property
    def style(self) -> str:
        """Its class in the style sheet, which has ten; an eleventh series looks like the first."""
        return f"c{self.color % COLORS}"


@dataclass(frozen=True)
class Chart:
    """What a chart shows. marks: (x, what stands there), drawn as vertical lines; zero: the y axis starts at 0;
    whole: x is counted.
    """

    title: str
    x_label: str
    y_label: str
    series: Sequence[Series]
    marks: Sequence[tuple[float, str]] = ()
    points: bool = False
    zero: bool = False
    whole: bool = False

    @property
    def words(self) -> str:
        """What a reader who does not see it is told: each series' range and ends."""
        told = []
        for one in self.series:
            finite = [(x, y) for x, y in zip(one.x, one.y, strict=True) if isfinite(y)]
            if finite and self.points:
                told.append(f"{one.label} at {finite[0][0]:.4g}, {finite[0][1]:.4g}")
            elif finite:
                told.append(f"{one.label} from {finite[0][1]:.4g} to {finite[-1][1]:.4g}")
        return f"{self.title}; {self.y_label} over {self.x_label}: {'; '.join(told)}"

    def svg(self) -> Markup:
        """The chart; an empty one says so."""
        axes = _Axes.of(self)
        if axes is None:
            return Markup('<p class="none">Nothing to draw: {}.</p>').format(self.title)
        parts = [*axes.frame(self.x_label, self.y_label)]
        parts += [axes.mark(x, what) for x, what in self.marks]
        for one in self.series:
            parts += axes.dots(one) if self.points else axes.line(one)
        inside = Markup("").join(parts)
        return Markup('<svg class="chart" viewBox="0 0 {} {}" role="img" aria-label="{}">{}</svg>').format(
            WIDTH, HEIGHT, self.words, inside
        )


@dataclass(frozen=True)
class _Axes:
    """The ranges of a chart and their ticks."""

    x_ticks: list[float]
    y_ticks: list[float]
    x_range: tuple[float, float]
    y_range: tuple[float, float]

    @classmethod
    def of(cls, chart: Chart) -> "_Axes | None":
        """None where there is no finite point."""
        xs = [x for one in chart.series for x, y in zip(one.x, one.y, strict=True) if isfinite(x) and isfinite(y)]
        ys = [y for one in chart.series for y in (*one.y, *one.low, *one.high) if isfinite(y)]
        if not xs or not ys:
            return None
        xs += [x for x, _ in chart.marks]
        x_range = _padded(min(xs), max(xs), MARGIN if chart.points else 0.0)
        low, high = _padded(min(ys), max(ys), MARGIN)
        y_range = (0.0 if chart.zero else low, high)
        return cls(_ticks(*x_range, whole=chart.whole), _ticks(*y_range, whole=False), x_range, y_range)

    def x(self, value: float) -> str:
        return f"{LEFT + (value - self.x_range[0]) / (self.x_range[1] - self.x_range[0]) * (WIDTH - LEFT - RIGHT):.1f}"

    def y(self, value: float) -> str:
        share = (value - self.y_range[0]) / (self.y_range[1] - self.y_range[0])
        return f"{HEIGHT - BOTTOM - share * (HEIGHT - TOP - BOTTOM):.1f}"

    def frame(self, x_label: str, y_label: str) -> list[Markup]:
        """Grid, ticks and names of the axes."""
        parts = []
        for value in self.y_ticks:
            parts.append(
                Markup('<path class="grid" d="M{} {}H{}"/><text class="y" x="{}" y="{}">{}</text>').format(
                    LEFT, self.y(value), WIDTH - RIGHT, LEFT - 5, self.y(value), _number(value)
                )
            )
        for value in self.x_ticks:
            parts.append(
                Markup('<path class="tick" d="M{0} {1}v4"/><text class="x" x="{0}" y="{2}">{3}</text>').format(
                    self.x(value), HEIGHT - BOTTOM, HEIGHT - BOTTOM + 16, _number(value)
                )
            )
        base = Markup('<path class="axis" d="M{} {}H{}"/>').format(LEFT, HEIGHT - BOTTOM, WIDTH - RIGHT)
        middle = TOP + (HEIGHT - TOP - BOTTOM) / 2
        names = Markup(
            '<text class="x" x="{}" y="{}">{}</text>'
            '<text class="name" transform="translate(12 {}) rotate(-90)">{}</text>'
        )
        return [*parts, base, names.format((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 8, x_label, middle, y_label)]

    def mark(self, x: float, what: str) -> Markup:
        """A vertical line; its name shows where the pointer rests on it."""
        return Markup('<path class="mark" d="M{} {}V{}"><title>{}</title></path>').format(
            self.x(x), TOP, HEIGHT - BOTTOM, what
        )

    def line(self, series: Series) -> list[Markup]:
        """A band if there is one, and the line over it; a single point is a dot."""
        points = [(x, y) for x, y in zip(series.x, series.y, strict=True) if isfinite(y)]
        parts = []
        if series.low:
            band = [
                (x, low, high) for x, low, high in zip(series.x, series.low, series.high, strict=True) if isfinite(low)
            ]
            there = " ".join(f"{self.x(x)} {self.y(high)}" for x, _, high in band)
            back = " ".join(f"{self.x(x)} {self.y(low)}" for x, low, _ in reversed(band))
            if band:
                parts.append(Markup('<path class="band {}" d="M{} L{}Z"/>').format(series.style, there, back))
        if len(points) == 1:
            return [*parts, *self.dots(series)]
        path = " ".join(f"{self.x(x)} {self.y(y)}" for x, y in points)
        return [
            *parts,
            Markup('<path class="line {}" d="M{}"><title>{}</title></path>').format(series.style, path, series.label),
        ]

    def dots(self, series: Series) -> list[Markup]:
        """A dot for each point, its name where the pointer rests on it."""
        return [
            Markup('<circle class="dot {}" cx="{}" cy="{}" r="4"><title>{}: {:.4g}, {:.4g}</title></circle>').format(
                series.style, self.x(x), self.y(y), series.label, x, y
            )
            for x, y in zip(series.x, series.y, strict=True)
            if isfinite(y)
        ]


def _padded(low: float, high: float, margin: float) -> tuple[float, float]:
    """A range with room around it; one that is a single value gets some."""
    if low == high:
        return low - 0.5, high + 0.5
    room = margin * (high - low)
    return low - room, high + room


def _ticks(low: float, high: float, *, whole: bool) -> list[float]:
    found = MaxNLocator(nbins=TICKS, integer=whole, steps=[1, 2, 2.5, 5, 10]).tick_values(low, high)
    slack = 1e-9 * (high - low)
    return [float(value) for value in found if low - slack <= value <= high + slack]


def _number(value: float) -> str:
    return f"{value + 0.0:.6g}".replace("-", "−")
