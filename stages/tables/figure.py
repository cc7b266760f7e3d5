"""Figure 3: the objective's loss and the LSP loss over the epochs, one panel a method, twin axes.

The legend says how each was measured: the LSP loss of a net in training is another number than that of the net at rest.
Several seeds are drawn as their mean within a band of one standard deviation. Colors are Okabe and Ito's (2008), told
apart by the color-blind; line styles tell them apart in gray.
"""

import math
import textwrap
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from stages.core.files import atomic
from stages.tables.curves import TRAINING_LOSS, Curves

AXES = {"objective's loss": ("objective_loss",), "LSP loss": ("lsp_loss", TRAINING_LOSS)}
LABELS = {
    "objective_loss": "objective's loss while training",
    "lsp_loss": "LSP loss at each epoch's end (eval mode)",
    TRAINING_LOSS: "LSP loss while training (train mode, augmented)",
}
STYLES: dict[str, dict[str, Any]] = {
    "objective_loss": {"color": "#0072B2", "linestyle": "-"},
    "lsp_loss": {"color": "#D55E00", "linestyle": "--"},
    TRAINING_LOSS: {"color": "#CC79A7", "linestyle": ":"},
}
ACROSS = 3
PANEL_INCHES = (4.2, 3.0)
LEGEND_INCHES = 0.5
DPI = 200
RC: Any = {"font.size": 9, "axes.titlesize": 10, "pdf.fonttype": 42, "axes.spines.top": False, "text.parse_math": False}
METADATA: dict[str, dict[str, Any]] = {"png": {"Software": None}, "pdf": {"CreationDate": None}}


def draw_losses(title: str, curves: list[Curves], notes: tuple[str, ...], paths: tuple[Path, ...]) -> None:
    """Draw the panels and write them to each path, a .png or a .pdf, the same bytes for the same curves."""
    with matplotlib.rc_context(RC):
        figure = _draw(title, curves, notes)
        for path in paths:
            kind = path.suffix.removeprefix(".")
            with atomic(path) as temporary:
                figure.savefig(temporary, format=kind, dpi=DPI, metadata=METADATA[kind])


def _draw(title: str, curves: list[Curves], notes: tuple[str, ...]) -> Figure:
    across = 2 if len(curves) == 4 else min(ACROSS, len(curves))
    down = math.ceil(len(curves) / across)
    width = max(PANEL_INCHES[0] * across, 5.5)
    caption = _caption(curves, notes, int(width * 15))
    height = PANEL_INCHES[1] * down + 0.9 + LEGEND_INCHES + 0.15 * (caption.count("\n") + 1)
    figure = Figure(figsize=(width, height), layout="constrained")
    several = len({curve.row.dataset for curve in curves}) > 1
    axes = figure.subplots(down, across, squeeze=False).flatten()
    for panel, curve in zip(axes, curves, strict=False):
        head = f"{curve.row.title()}: {curve.row.label}" if several else curve.row.label
        _panel(panel, head, curve)
    for panel in axes[len(curves) :]:
        panel.set_axis_off()
    _head(figure, textwrap.fill(title, int(width * 9)))
    figure.supxlabel(caption, fontsize=8, x=0.01, ha="left")
    return figure


def _panel(panel: Axes, head: str, curve: Curves) -> None:
    """The losses of one method, or in their place the runs that are missing."""
    panel.set_title(textwrap.fill(head, 42))
    panel.set_xlabel("epoch")
    if curve.table.empty:
        names = "\n".join(gap.run for gap in curve.gaps)
        panel.text(0.5, 0.5, f"no history of\n{names}", ha="center", va="center", transform=panel.transAxes)
        panel.set_yticks([])
        panel.set_xticks([])
        return
    panel.xaxis.set_major_locator(MaxNLocator(integer=True))
    for side, (name, losses) in zip((panel, panel.twinx()), AXES.items(), strict=True):
        for loss in losses:
            if loss in curve.table:
                _line(side, curve, loss)
        color = STYLES[losses[0]]["color"]
        side.set_ylabel(name, color=color)
        side.tick_params(axis="y", colors=color)


def _line(side: Axes, curve: Curves, loss: str) -> None:
    """A loss over the epochs that have it, and its band."""
    points = curve.table[[loss, f"{loss}_sd"]].dropna(subset=[loss])
    marker = "o" if len(points) == 1 else None
    side.plot(points.index, points[loss], marker=marker, label=LABELS[loss], **STYLES[loss])
    band = points.dropna()
    mean, sd = band[loss], band[f"{loss}_sd"]
    side.fill_between(band.index, mean - sd, mean + sd, color=STYLES[loss]["color"], alpha=0.2, lw=0)


def _head(figure: Figure, title: str) -> None:
    """The title and under it one legend of all panels' lines, in the order of LABELS: a legend's place is kept free."""
    lines = {str(line.get_label()): line for axes in figure.axes for line in axes.lines}
    named = [label for label in LABELS.values() if label in lines]
    figure.legend(
        [lines[label] for label in named],
        named,
        title=title,
        title_fontproperties={"size": 12, "weight": "bold"},
        loc="outside upper center",
        fontsize=8,
        frameon=False,
    )


def _caption(curves: list[Curves], notes: tuple[str, ...], width: int) -> str:
    """How the curves are to be read and what is missing, wrapped to `width` characters."""
    seeds = max((int(curve.table["seeds"].max()) for curve in curves if not curve.table.empty), default=0)
    band = [f"Mean of up to {seeds} seeds; the band is one standard deviation."] if seeds > 1 else []
    gaps = dict.fromkeys(f"Missing: {gap.run} ({gap.reason})." for curve in curves for gap in curve.gaps)
    return "\n".join(textwrap.fill(line, width) for line in (*band, *notes, *gaps))
