"""`python -m stages.tables.assumptions`: what an experiment chose where the paper is silent, from its own settings.

Which choices there are stands in `assumptions.yaml`; what was chosen is read off the runs and attacks of the
experiment, so that the list is true of it whatever its config says.
"""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import Field

from stages.core.config.section import Section
from stages.core.files import write_text
from stages.core.host import limit_threads
from stages.core.job.stage import Job, load_settings, one_line_errors, parser, recorded

CATALOG = Path(__file__).with_name("assumptions.yaml")
EXAMPLE = r"""\
    --settings '{"experiment": "mine", "title": "Digits", "seeds": 1, "runs": [], "attacks": []}' \
    --out tables --manifest tables/assumptions.json"""
PIXEL_LEVELS = 255
OWN = "this experiment's own"
READING = (
    "Each line says what the paper (arXiv 2303.16861) leaves open, **what this experiment uses**, and where that comes "
    "from. The list is generated from the experiment's settings; the manifests of its runs hold them in full. Where "
    "another way is named, a table of `workflow/experiments/sensitivity.yaml` runs it. What the rows of a table vary "
    "is not listed: a line gives the method's setting without it."
)


class Experiment(Section):
    """What is read of an experiment: settings of every run without variants, and of every attack, as nested values."""

    experiment: str
    title: str
    seeds: int
    runs: tuple[dict[str, Any], ...]
    attacks: tuple[dict[str, Any], ...]


class Entry(Section):
    """One choice; see the head of assumptions.yaml."""

    open: str = ""
    says: str = ""
    of: Literal["runs", "attacks", "experiment"] = "runs"
    when: dict[str, Any] = Field(default_factory=dict)
    uses: str
    reference: str | dict[str, str] | None = None
    source: str = "the paper"
    sensitivity: str | None = None


class Topic(Section):
    """Choices that belong together."""

    topic: str
    entries: tuple[Entry, ...]


def main(argv: list[str] | None = None) -> None:
    """Write the list and its manifest."""
    cli = parser("tables.assumptions", __doc__ or "", Experiment, EXAMPLE, gpu=False)
    cli.add_argument("--out", type=Path, required=True, help="the folder that assumptions.md goes to")
    args = cli.parse_args(argv)
    with one_line_errors():
        limit_threads(args.threads)
        experiment = load_settings(args.settings, Experiment)
        listed = args.out / "assumptions.md"
        with recorded(
            Job(
                args.manifest,
                modules=["stages.tables.assumptions"],
                settings=experiment.model_dump(mode="json"),
                inputs={CATALOG.name: CATALOG},
                outputs={"assumptions": listed},
                seed=0,
                device=None,
            )
        ):
            write_text(listed, document(experiment, read_catalog()))


def read_catalog(path: Path = CATALOG) -> list[Topic]:
    """The topics of the catalog."""
    return [Topic.model_validate(topic) for topic in yaml.safe_load(path.read_text(encoding="utf-8"))]


def document(experiment: Experiment, topics: list[Topic]) -> str:
    """The Markdown: departures from what the paper says, then what it leaves open, topic by topic."""
    parts = [f"# What `{experiment.experiment}` assumes", experiment.title, READING]
    for topic in topics:
        lines = [line for entry in topic.entries for line in _lines(entry, experiment)]
        departures = any(entry.says for entry in topic.entries)
        if departures:
            head = "Departures from what the paper says"
            parts.append(f"## {head}\n\n" + ("\n".join(lines) if lines else "None."))
        elif lines:
            parts.append(f"## {topic.topic}\n\n" + "\n".join(lines))
    return "\n\n".join(parts) + "\n"


def _lines(entry: Entry, experiment: Experiment) -> Iterator[str]:
    """At most one line: each way in which the entry's runs or attacks are set, with whose it is if they differ."""
    groups: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    records = _records(entry, experiment)
    for record in records:
        used = _filled(entry.uses, record)
        if used is not None:
            groups.setdefault((used, _origin(entry, record, used)), []).append(record)
    if entry.says:
        groups = {key: whose for key, whose in groups.items() if key[1]}
    if not groups:
        return
    alone = len(groups) == 1 and len(next(iter(groups.values()))) == len(records)
    origins = {origin for _, origin in groups}
    shown = []
    for (used, origin), whose in groups.items():
        details = ["" if alone else _who(whose, records), origin if len(origins) > 1 else ""]
        told = "; ".join(filter(None, details))
        shown.append(f"**{used}**" + (f" ({told})" if told else ""))
    said = "; ".join(shown) + (f" ({origins.pop()})" if len(origins) == 1 and "" not in origins else "")
    also = f" Another way: `{entry.sensitivity}`." if entry.sensitivity else ""
    yield f"- {entry.says or entry.open}: {said}.{also}"


def _records(entry: Entry, experiment: Experiment) -> list[Mapping[str, Any]]:
    records: tuple[Mapping[str, Any], ...] = ({"seeds": experiment.seeds},)
    if entry.of != "experiment":
        records = experiment.runs if entry.of == "runs" else experiment.attacks
    return [record for record in records if all(_matches(_at(record, path), rule) for path, rule in entry.when.items())]


def _matches(value: Any, rule: Any) -> bool:
    if isinstance(rule, list):
        return value in rule
    return rule in value if isinstance(value, list | tuple) else bool(value == rule)


def _origin(entry: Entry, record: Mapping[str, Any], used: str) -> str:
    """Where a choice comes from; '' where it is what the paper says."""
    reference = entry.reference
    if isinstance(reference, dict):
        reference = reference.get(record.get("paper") or "")
        if reference is None:
            return "" if entry.says else OWN
    if reference is None or used == reference:
        return "" if entry.says else entry.source
    return f"{OWN}, not {reference}" if entry.says else f"{OWN}, instead of {reference}: {entry.source}"


def _who(whose: list[Mapping[str, Any]], all_records: list[Mapping[str, Any]]) -> str:
    """Data sets if they tell the group from the others, else methods, else both; attacks by their labels."""
    for keys in (("dataset_title",), ("label",), ("label", "dataset_title")):
        mine = list(dict.fromkeys(" on ".join(str(record.get(key, "")) for key in keys) for record in whose))
        rest = {
            " on ".join(str(record.get(key, "")) for key in keys)
            for record in all_records
            if not any(record is member for member in whose)
        }
        if all(mine) and not rest & set(mine):
            return ", ".join(mine)
    return ""


def _filled(template: str, record: Mapping[str, Any]) -> str | None:
    """The template with each {dotted.path} in the record's words; None where the record has no such setting."""
    missing = object()
    paths = re.findall(r"{([a-z0-9_.]+)}", template)
    values = {path: _at(record, path, missing) for path in paths}
    if any(value is missing for value in values.values()):
        return None
    return re.sub(r"{([a-z0-9_.]+)}", lambda match: spelled(values[match[1]]), template)


def _at(record: Any, path: str, default: Any = None) -> Any:
    for name in path.split("."):
        if not isinstance(record, Mapping) or name not in record:
            return default
        record = record[name]
    return record


def spelled(value: Any) -> str:
    """A setting in words: 8/255 for such a float, 1,024, (75, 90), true, and all where a number may be left out."""
    if value is None:
        return "all"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list | tuple):
        return f"({', '.join(map(spelled, value))})"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        levels = value * PIXEL_LEVELS
        plain = f"{value:g}"
        if float(plain) != value and abs(levels - round(levels)) < 1e-9:
            return f"{round(levels)}/{PIXEL_LEVELS}"
        return plain
    return str(value)


if __name__ == "__main__":
    main()
