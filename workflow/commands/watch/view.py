"""A look as text: a frame of a terminal that fits its width and height, or one line.

Whatever comes from a log, a name or a path is shown as it is, never read as markup.
"""

import textwrap
from collections import Counter
from datetime import datetime

from rich.console import Group, RenderableType
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from workflow.commands.watch.look import SILENT, STATES, Left, Look, Seen
from workflow.commands.watch.times import duration

STYLES = {
    "done": "green",
    "running": "cyan",
    "silent": "yellow",
    "stopped": "yellow",
    "failed": "bold red",
    "missing": "dim",
}
WIDE = 120  # columns from which a job takes one line
GAP = 2
LEAST, MOST = 4, 40  # columns of a bar
LEFT = len("≤ 23 h 59 min left")


def frame(place: str, look: Look, width: int, height: int) -> RenderableType:
    """The stages, then jobs that failed, that are silent or stopped, that run; of each as many as there is room for."""
    head: list[RenderableType] = [_cut(f"experiment {place}  {_clock(look.at)}", width, "bold"), _stages(look, width)]
    times = [Text(part, "bold") for part in textwrap.wrap(_times(look), width)]
    room = height - 1 - len(times) - 1 - (len(look.stages) + 2)
    failed = _listed([_failed(seen, width) for seen in look.of("failed")], "failed", room // 2)
    room -= len(failed)
    silent = _listed(_jobs(look, width, "silent", "stopped"), "silent or stopped", room // 2)
    running = _listed(_jobs(look, width, "running"), "running", room - len(silent))
    return Group(*head, *times, *failed, *silent, *running)


def line(look: Look) -> str:
    """All of it in one line."""
    jobs = sum(map(len, look.stages.values()))
    others = [f"{count} {state}" for state in STATES[1:] if (count := look.count(state))]
    counts = ", ".join([f"{look.count('done')} of {jobs} done", *others])
    return "; ".join(filter(None, (f"{_clock(look.at, '%Y-%m-%d %H:%M:%S')} {counts}", _times(look))))


def failures(look: Look) -> list[str]:
    """A line for each job that failed."""
    return [f"failed {_name(seen)}: {_error(seen)} ({seen.job.log})" for seen in look.of("failed")]


def _times(look: Look) -> str:
    """The time since the first job began, and what is left."""
    since = "" if look.begun is None else f"{duration(look.at - look.begun)} since the first began"
    return "; ".join(filter(None, (since, _left(look.left, look.count("running")))))


def _left(left: Left, running: int) -> str:
    """What is known of it, and of how many jobs nothing is: nothing is guessed."""
    known = left.jobs - left.unknown
    if not left.jobs:
        return ""
    if left.unknown:
        told = f"{duration(left.seconds)} for {known} job{'s' * (known != 1)}, " if known else ""
        return f"left: {told}unknown for {left.unknown} (no job like them is done)"
    if not running:
        return f"left: {duration(left.seconds)} of jobs, none of which runs"
    return f"left: about {duration(max(left.longest, left.seconds / running))}, with {running} running at a time"


def _stages(look: Look, width: int) -> Table:
    """A row a stage and one for all: a bar, jobs done of all, and how many are in each other state."""
    jobs = {**look.stages, "all": [seen for jobs in look.stages.values() for seen in jobs]}
    counted = {name: Counter(seen.state for seen in found) for name, found in jobs.items()}
    done = {name: f"{counted[name]['done']}/{len(found)}" for name, found in jobs.items()}
    others = [sum(map(len, STATES[1:])), max(map(len, jobs)), max(map(len, done.values())), GAP * (len(STATES) + 1)]
    table = Table(box=None, padding=(0, GAP, 0, 0), pad_edge=False, header_style="dim")
    table.add_column("stage", no_wrap=True)
    table.add_column("", width=min(MOST, max(LEAST, width - sum(others))))
    for state in STATES:
        table.add_column(Text(state), justify="right", no_wrap=True)
    for name, found in jobs.items():
        number = counted[name]["done"]
        bar = ProgressBar(len(found), number, style="bright_black", complete_style="green", finished_style="green")
        counts = [Text(str(counted[name][state] or ""), STYLES[state]) for state in STATES[1:]]
        table.add_row(Text(name), bar, done[name], *counts)
    return table


def _failed(seen: Seen, width: int) -> list[Text]:
    """Name, error and log: the log's path whole, to be copied."""
    name = _middle(_name(seen), width - len("failed") - GAP)
    log = textwrap.wrap(seen.job.log, width, initial_indent="  ", break_on_hyphens=False)
    first = _cut(f"failed  {name}", width, STYLES["failed"], len("failed"))
    return [first, _cut(f"  {_error(seen)}", width), *map(Text, log)]


def _error(seen: Seen) -> str:
    return seen.log.failure if seen.log is not None else ""


def _jobs(look: Look, width: int, *states: str) -> list[list[Text]]:
    """The jobs in these states, their names in a column where each takes one line."""
    found = look.of(*states)
    column = min(width // 3, max((len(_name(seen)) for seen in found), default=0))
    return [_job(seen, look.at, width, column) for seen in found]


def _job(seen: Seen, now: float, width: int, column: int) -> list[Text]:
    """One line, or two on a narrow terminal: the job and how far it is, then what it measured and what is left."""
    said, state = seen.said, seen.state
    if state == "silent":
        state = f"silent for {duration(now - (seen.alive or now))}"
    where = said.where
    if seen.state == "running" and seen.log is not None and now - seen.log.modified > SILENT:
        where += f" (no line for {duration(now - seen.log.modified)})"
    left = f"{said.to_go} left" if said.to_go and seen.state == "running" else ""
    told = ", ".join(filter(None, (where, said.measured)))
    if width >= WIDE:
        named = _middle(_name(seen), column).ljust(column)
        told = f"{left:{LEFT}}  {told}" if seen.state == "running" else told
        return [_cut(f"{state}  {named}  {told}", width, STYLES[seen.state], len(state))]
    named = _middle(_name(seen), width - len(state) - len(left) - 2 * GAP)
    first = _cut("  ".join(filter(None, (state, named, left))), width, STYLES[seen.state], len(state))
    return [first, _cut(f"  {told}", width)]


def _listed(entries: list[list[Text]], what: str, lines: int) -> list[Text]:
    """As many entries as `lines` hold, one at least, and how many more there are."""
    shown: list[Text] = []
    for place, entry in enumerate(entries):
        last = place == len(entries) - 1
        if shown and len(shown) + len(entry) + (not last) > lines:
            return [*shown, Text(f"and {len(entries) - place} more {what}", "dim")]
        shown += entry
    return shown


def _name(seen: Seen) -> str:
    return f"{seen.job.stage.name} {seen.job.key}"


def _clock(at: float, form: str = "%H:%M:%S") -> str:
    return datetime.fromtimestamp(at).strftime(form)


def _middle(text: str, width: int) -> str:
    """Cut in the middle: a name begins with its data set and ends with its seed."""
    if len(text) <= width:
        return text
    kept = max(0, width - 1)
    return f"{text[: kept - kept // 2]}…{text[len(text) - kept // 2 :]}"


def _cut(text: str, width: int, style: str = "", styled: int | None = None) -> Text:
    """Cut at the end; the first `styled` characters, or all, in a style."""
    shown = Text(text, no_wrap=True, overflow="ellipsis")
    shown.truncate(width, overflow="ellipsis")
    if style:
        shown.stylize(style, 0, len(text) if styled is None else styled)
    return shown
