"""A table as LaTeX: a fragment to \\input, and a document around it that compiles; booktabs rules, the best in bold.

Both are plain ASCII, so pdfLaTeX, XeLaTeX and Tectonic all take them. The fragment needs booktabs and graphicx, is
shrunk where it is wider than the text, and carries the notes below the table. An entry is two columns of the tabular,
its number and its spread, so that numbers stand below each other digit by digit.
"""

from collections.abc import Iterator

from stages.tables.escape import escape
from stages.tables.sheet import Block, Entry, Line, Sheet
from stages.tables.stars import BEST

FRAGMENT = r"""% \input this; it needs \usepackage{{booktabs,graphicx}}
\resizebox{{\ifdim\width>\linewidth\linewidth\else\width\fi}}{{!}}{{%
\begin{{tabular}}{{l{columns}}}
\toprule
{lines}
\bottomrule
\end{{tabular}}}}\par\medskip
\begin{{minipage}}{{\linewidth}}\footnotesize\raggedright
{notes}
\end{{minipage}}
"""
DOCUMENT = r"""\documentclass{{article}}
\usepackage[{page}margin=15mm]{{geometry}}
\usepackage{{booktabs,graphicx}}
\pagestyle{{empty}}
\begin{{document}}
\begin{{center}}
\textbf{{{title}}}\par\medskip
\input{{{fragment}}}
\end{{center}}
\end{{document}}
"""
COLUMNS = r"r@{\,}l"
SPACE = r"\addlinespace[2pt]"
WIDE = 6


def latex_fragment(sheet: Sheet) -> str:
    """The table and its notes, for \\input into a table environment of any document."""
    notes = "\n".join(rf"{_superscript(mark)}{_breakable(note)}\par" for mark, note in sheet.notes)
    return FRAGMENT.format(columns=COLUMNS * len(sheet.heads), lines="\n".join(_lines(sheet)), notes=notes)


def latex_document(sheet: Sheet, fragment: str) -> str:
    """A document that shows the fragment of that file name, which lies beside it."""
    page = "landscape," if len(sheet.heads) > WIDE else ""
    return DOCUMENT.format(page=page, title=escape(sheet.title), fragment=fragment)


def _lines(sheet: Sheet) -> Iterator[str]:
    """One data set is named in the table's corner; of several, each is named above its lines."""
    several = len(sheet.blocks) > 1
    corner = "" if several else escape(sheet.blocks[0].dataset)
    yield _row(corner, map(_across, sheet.heads))
    for block in sheet.blocks:
        if several:
            yield r"\midrule"
        if several or any(block.sizes):
            yield _row(rf"\textit{{{escape(block.dataset)}}}" if several else "", map(_across_small, block.sizes))
        yield SPACE if several else r"\midrule"
        yield from _body(block)


def _body(block: Block) -> Iterator[str]:
    """The lines; where some belong to the one above them, a little space parts the groups."""
    parted = any(line.below for line in block.lines)
    for place, line in enumerate(block.lines):
        if parted and place and not line.below:
            yield SPACE
        yield _row(_label(line), map(_entry, line.entries))


def _row(label: str, entries: Iterator[str]) -> str:
    return " & ".join((label, *entries)) + r" \\"


def _label(line: Line) -> str:
    label = line.label
    size = f" {_small(label.spread)}" if label.spread else ""
    return (r"\quad " if line.below else "") + escape(label.text) + size + _superscript(",".join(label.marks))


def _entry(entry: Entry) -> str:
    text = rf"\textbf{{{escape(entry.text)}}}" if entry.star == BEST else escape(entry.text)
    return f"{text} & {_superscript(entry.star)}{_small(entry.spread)}{_superscript(','.join(entry.marks))}"


def _across(text: str) -> str:
    return rf"\multicolumn{{2}}{{c}}{{{escape(text)}}}"


def _across_small(text: str) -> str:
    return rf"\multicolumn{{2}}{{c}}{{{_small(text)}}}"


def _small(text: str) -> str:
    return rf"{{\scriptsize {escape(text)}}}" if text else ""


def _superscript(marks: str) -> str:
    return rf"\textsuperscript{{{marks}}}" if marks else ""


def _breakable(note: str) -> str:
    """A note whose long paths may break after a slash, a hyphen or an underscore."""
    escaped = escape(note)
    for sign in ("/", r"\_"):
        escaped = escaped.replace(sign, sign + r"\allowbreak{}")
    return escaped
