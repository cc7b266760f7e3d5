"""Section 3.3 in the report: L_x and Theorem 1's radius of each checkpoint, and two scatter plots for each data set."""

from dataclasses import dataclass
from pathlib import Path

from stages.tables.report.chart import Chart, Series
from stages.tables.report.read import Read, read

WORDS = {"lsp_loss": "LSP loss at the kept epoch", "lipschitz": "mean L_x"}


class Checkpoint(Read):
    """A checkpoint's line; shares in percent."""

    dataset: str
    row: str
    seed: int
    n: int
    lipschitz: float
    lipschitz_low: float | None
    lipschitz_high: float | None
    lipschitz_median: float
    radius: float
    broken: float
    broken_low: float
    broken_high: float
    lsp_loss: float | None
    attack: str
    robust_accuracy: float | None


class Correlation(Read):
    """Spearman's of two of their numbers on a data set, over n checkpoints of so many rows of the tables."""

    dataset: str
    x: str
    y: str
    n: int
    rows: int
    rho: float | None
    low: float | None
    high: float | None

    def words(self, attack: str) -> str:
        """What goes with what, and how closely."""
        count = f"{self.n} checkpoints" + (f" of {self.rows} methods" if self.n != self.rows else "")
        if self.rho is None:
            told = f"too few, or all alike ({count})"
        else:
            interval = f" [{self.low:.2f}, {self.high:.2f}]" if self.low is not None and self.high is not None else ""
            told = f"ρ = {self.rho:.2f}{interval}, {count}".replace("-", "−")
        return f"{named(self.x, attack)} and {named(self.y, attack)}: {told}"


class Measured(Read):
    """What the list of the measured checkpoints holds."""

    checkpoints: tuple[Checkpoint, ...]
    correlations: tuple[Correlation, ...]


@dataclass(frozen=True)
class Block:
    """A data set: its checkpoints, and each correlation with its chart."""

    dataset: str
    checkpoints: tuple[Checkpoint, ...]
    correlations: tuple[tuple[str, Chart], ...]


def measured(path: Path | None) -> list[Block]:
    """A block for each data set; none, and a line in the log, where the list cannot be read."""
    found = None if path is None else read(path, Measured)
    if found is None:
        return []
    return [_block(found, dataset) for dataset in dict.fromkeys(one.dataset for one in found.checkpoints)]


def named(what: str, attack: str) -> str:
    """A number in words."""
    return WORDS.get(what, f"robust accuracy in % ({attack})")


def _block(found: Measured, dataset: str) -> Block:
    checkpoints = tuple(one for one in found.checkpoints if one.dataset == dataset)
    attack = next((one.attack for one in checkpoints if one.attack), "none")
    charts = [
        (one.words(attack), _chart(one, checkpoints, attack)) for one in found.correlations if one.dataset == dataset
    ]
    return Block(dataset, checkpoints, tuple(charts))


def _chart(pair: Correlation, checkpoints: tuple[Checkpoint, ...], attack: str) -> Chart:
    """A dot for each checkpoint that has both numbers, seeds of a row in one color."""
    series = []
    for color, row in enumerate(dict.fromkeys(one.row for one in checkpoints)):
        both = [(getattr(one, pair.x), getattr(one, pair.y)) for one in checkpoints if one.row == row]
        there = [(x, y) for x, y in both if x is not None and y is not None]
        if there:
            series.append(Series(row, [x for x, _ in there], [y for _, y in there], (), (), color))
    title = f"{pair.dataset}: {named(pair.y, attack)} against {named(pair.x, attack)}"
    return Chart(title, named(pair.x, attack), named(pair.y, attack), series, points=True)
