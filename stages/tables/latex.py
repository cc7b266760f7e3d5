"""A table as a LaTeX document that compiles as it is: booktabs rules, a block a data set, the best in bold.

pandas' Styler writes the tabular; the file is plain ASCII and needs no more than booktabs, graphicx and geometry, so
pdfLaTeX, XeLaTeX and Tectonic all take it. To use the table elsewhere, take the part from \\begin{tabular} on.
"""

import pandas as pd

from stages.tables.escape import escape
from stages.tables.sheet import Entry, Line, Sheet

DOCUMENT = r"""\documentclass{{article}}
\usepackage[landscape,margin=15mm]{{geometry}}
\usepackage{{booktabs}}
\usepackage{{graphicx}}
\pagestyle{{empty}}
\begin{{document}}
\begin{{center}}
\textbf{{{title}}}\par\medskip
\resizebox{{\ifdim\width>\linewidth\linewidth\else\width\fi}}{{!}}{{%
{tabular}}}\par
\end{{center}}
\begin{{flushleft}}\footnotesize
{notes}
\end{{flushleft}}
\end{{document}}
"""


def latex_document(sheet: Sheet) -> str:
    """The sheet as a document of its own."""
    records = [_record(line, row, place) for place, block in enumerate(sheet.blocks) for row, line in enumerate(block)]
    heads = ["Data set", "Method", *map(escape, sheet.heads)]
    styler = pd.DataFrame(records, columns=heads).style.hide(axis="index")
    tabular = styler.to_latex(hrules=True, column_format="ll" + "r" * len(sheet.heads))
    notes = "\n".join(rf"{_superscript(mark)}{_breakable(note)}\par" for mark, note in sheet.notes)
    return DOCUMENT.format(title=escape(sheet.title), tabular=tabular, notes=notes)


def _record(line: Line, row: int, block: int) -> list[str]:
    """The line's entries; a block after the first opens with a rule, and only its first line names the data set."""
    rule = "\\midrule\n" if block and not row else ""
    dataset = rule + escape(line.dataset) if not row else ""
    return [dataset, _entry(line.label), *map(_entry, line.entries)]


def _entry(entry: Entry) -> str:
    text = rf"\textbf{{{escape(entry.text)}}}" if entry.best else escape(entry.text)
    spread = rf" {{\scriptsize {escape(entry.spread)}}}" if entry.spread else ""
    return text + spread + _superscript(",".join(entry.marks))


def _superscript(marks: str) -> str:
    return rf"\textsuperscript{{{marks}}}" if marks else ""


def _breakable(note: str) -> str:
    """A note whose long paths may break after a slash, a hyphen or an underscore."""
    escaped = escape(note)
    for sign in ("/", r"\_"):
        escaped = escaped.replace(sign, sign + r"\allowbreak{}")
    return escaped
