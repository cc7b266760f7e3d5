"""`python -m stages.weights.entry`: an evaluation's outcomes in one file, and its entry for RobustBench's model zoo."""

import argparse
from pathlib import Path
from typing import Any

import pyarrow as pa

from stages.core.config.attacks import Attack
from stages.core.files import write_json
from stages.core.job.progress import log_line
from stages.core.job.stage import one_line_errors
from stages.core.manifests import read_json, read_manifest
from stages.core.parquet import read_table, write_table

OFFICIAL, OURS = "autoattack", "autoattack-engine"
# Of an entry, what a checkpoint and its outcomes do not tell.
UNKNOWN = ("link", "name", "authors", "venue", "reported")


def main(argv: list[str] | None = None) -> None:
    """Write entry.json and outcomes.parquet."""
    cli = argparse.ArgumentParser(prog="python -m stages.weights.entry", description=__doc__)
    cli.add_argument("--weights", type=Path, required=True, help="the manifest of stage weights")
    cli.add_argument("--attacked", type=Path, nargs="+", required=True, help="manifests of the attacks")
    cli.add_argument("--certificate", type=Path, help="its certificate (JSON)")
    cli.add_argument("--into", type=Path, required=True, help="the folder to write to")
    args = cli.parse_args(argv)
    with one_line_errors():
        facts = read_manifest(args.weights)["facts"]
        manifests = [read_manifest(path) for path in args.attacked]
        found = entry(facts["architecture"], manifests)
        if args.certificate is not None:
            found["unreliable"] = read_json(args.certificate)["verdict"] == "fail"
        write_json(args.into / "entry.json", found)
        tables = [read_table(path.with_suffix(".parquet")) for path in args.attacked]
        write_table(args.into / "outcomes.parquet", pa.concat_tables(tables, promote_options="default"))
        log_line(f"entry: {args.into}/entry.json; to be filled in by you: {unfilled(found)}")


def unfilled(found: dict[str, Any]) -> str:
    """The fields that are not known, for people."""
    return ", ".join(key for key, value in found.items() if value is None)


def entry(architecture: str, manifests: list[dict[str, Any]]) -> dict[str, Any]:
    """RobustBench's fields; accuracies in % of the largest set of images, and None for what is not known."""
    measured = [
        (Attack.revived(settings), manifest["facts"]["attacks"][name])
        for manifest in manifests
        for name, settings in manifest["settings"]["attacks"].items()
        if name in manifest["facts"]["attacks"]
    ]
    clean = max((facts for attack, facts in measured if attack.kind == "clean"), key=_images, default=None)
    ensembles = [(attack, facts) for attack, facts in measured if attack.kind in (OFFICIAL, OURS)]
    dear, result = max(ensembles, key=lambda pair: (_images(pair[1]), pair[0].kind == OFFICIAL), default=(None, None))
    test = next((manifest["inputs"]["test"]["path"] for manifest in manifests), None)
    return {
        **dict.fromkeys(UNKNOWN),
        "additional_data": None,
        "number_forward_passes": 1,
        "dataset": None if test is None else Path(test).parent.name.rpartition("-")[0],
        "architecture": architecture,
        "eps": None if dear is None else _radius(dear),
        "clean_acc": None if clean is None else f"{100 * clean['clean_accuracy']:.2f}",
        "autoattack_acc": None if result is None else f"{100 * result['robust_accuracy']:.2f}",
        "footnote": None if dear is None or result is None else f"{dear.kind} on {result['n']} test images",
        "unreliable": None,
    }


def _images(facts: dict[str, Any]) -> int:
    return int(facts["n"])


def _radius(attack: Attack) -> str:
    return f"{attack.epsilon * 255:.4g}/255" if attack.norm == "linf" else f"{attack.epsilon:g}"


if __name__ == "__main__":
    main()
