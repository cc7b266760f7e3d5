"""The page: everything that is there, laid into the templates beside this module, one file that asks for no other."""

from collections import Counter
from pathlib import Path

import jinja2
from markdown_it import MarkdownIt
from markupsafe import Markup

from stages.core.errors import ArtifactError
from stages.core.job.progress import log_line
from stages.core.manifests import require_file
from stages.tables.paper import read_paper
from stages.tables.report import cost, lipschitz, verdict
from stages.tables.report.files import Files
from stages.tables.report.grid import grids
from stages.tables.report.ladder import ladders
from stages.tables.report.runs import trained
from stages.tables.report.shown import galleries
from stages.tables.report.told import Report

TEMPLATES = Path(__file__).with_name("templates")
PAGE = tuple(sorted(path for path in TEMPLATES.iterdir() if path.suffix in (".html", ".css", ".js")))


def document(report: Report, root: Path) -> str:
    """The HTML of a report; root: what its paths are relative to. The same files give the same bytes."""
    files, paper = Files(report, root), read_paper()
    runs = trained(report.plans, files)
    tables = grids(report.plans, paper, runs, files)
    costs = cost.run_costs(report, list(runs.values()), files)
    return (
        _environment()
        .get_template("report.html")
        .render(
            report=report,
            compared=verdict.compared(report, tables, paper),
            claims=verdict.claims(root / report.claims if report.claims else None),
            certified=verdict.certified(report.certificates, root),
            lipschitz=lipschitz.measured(root / report.lipschitz if report.lipschitz else None),
            cannot_show=verdict.cannot_show(report, tables),
            tables=tables,
            runs=list(runs.values()),
            figures=[
                (plan, [runs[row.dataset, row.runs[0].name] for row in plan.rows])
                for plan in report.plans
                if plan.kind == "losses"
            ],
            ladders=ladders(tables),
            galleries=galleries(report.pictures, root, _titles(report)),
            stage_costs=cost.stage_costs(report, files),
            run_costs=costs,
            cost_charts=cost.accuracy_against_cost(tables, costs),
            assumptions=_assumptions(root / report.assumptions) if report.assumptions else "",
            environments=environments(report, files),
        )
    )


def environments(report: Report, files: Files) -> list[tuple[str, int]]:
    """Device and versions that jobs ran with, and how many did, most first."""
    found: Counter[str] = Counter()
    for job in report.jobs:
        manifest = files.manifest(job.manifest)
        if manifest is not None:
            versions = ", ".join(f"{name} {version}" for name, version in manifest.versions.items())
            found[f"{manifest.device or 'device unknown'}: {versions}"] += 1
    return found.most_common()


def _titles(report: Report) -> dict[str, str]:
    """What data sets and methods are called, by their keys; of a method, as in its first row without a variant."""
    rows = [row for plan in report.plans for row in plan.rows]
    titles = {row.dataset: row.title() for row in rows}
    for row in rows:
        if not row.variant:
            titles.setdefault(row.method, row.own_name)
    return titles


def _assumptions(path: Path) -> Markup:
    """The list of assumptions as HTML, its headings one level further down; nothing where it is missing."""
    try:
        require_file(path)
        text = path.read_text(encoding="utf-8")
    except (ArtifactError, OSError, ValueError) as error:
        log_line(f"warning: {path}: no assumptions ({error})")
        return Markup("")
    body = text.partition("\n## ")  # its head repeats what the report opens on
    # The list is our own stage's; raw HTML in it, which names could hold, stays text.
    markdown = MarkdownIt("commonmark", {"html": False})
    return Markup(markdown.render(f"## {body[2]}".replace("\n## ", "\n#### ").replace("## ", "#### ", 1)))


def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(duration=duration, memory=memory, figure=figure, loss=loss)
    return environment


def duration(seconds: float | None) -> str:
    """Seconds as people say them: 12 s, 3 min 20 s, 1 h 05 min."""
    if seconds is None:
        return "–"
    if seconds < 100:
        return f"{seconds:.3g} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:,} h {minutes:02} min" if hours else f"{minutes} min {rest:02} s"


def memory(amount: float | None) -> str:
    """Bytes in GB."""
    return "–" if amount is None else f"{amount / 1e9:.2f} GB"


def loss(value: float) -> str:
    """Three significant digits, for losses of any size, with a typographic minus."""
    return f"{value:.3g}".replace("-", "−")


def figure(value: float | None, digits: int = 2) -> str:
    """A number with that many decimals, a dash for none, and a typographic minus."""
    return "–" if value is None else f"{value:.{digits}f}".replace("-", "−")
