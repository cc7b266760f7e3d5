"""`python -m workflow.commands.evaluate`: weights from elsewhere, recognized, attacked and tabulated in one command.

It writes an experiment of one checkpoint to results/evaluate/NAME/experiment.yaml and runs it through Snakemake, so
that it goes on where it was interrupted; what follows `--` goes to Snakemake, a profile for a cluster, say.
"""

import argparse
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from stages.core.config.certificate import IMAGES
from stages.core.config.plugins import nearest
from stages.core.config.quantities import parse_number
from stages.core.config.section import NAME
from stages.core.errors import ConfigError
from stages.core.files import write_text
from workflow.commands.cli import ROOT, run
from workflow.planning.jobs import Plan
from workflow.planning.load import load_experiment, read_on_its_base
from workflow.planning.presets import PRESETS
from workflow.planning.tables import make_plan
from workflow.preflight.look import to_do

TABLE = "evaluation"
STEPS_ACROSS = 4  # of PGD, from the middle of the ball to its rim: 2/255 at 8/255


def main(argv: list[str] | None = None) -> None:
    """Write the experiment, read the weights, print what the rest will take, attack, and gather what came out."""
    arguments, passed_on = command_line(sys.argv[1:] if argv is None else argv)
    name = name_of(arguments)
    folder = Path("results/evaluate") / name
    file = folder / "experiment.yaml"
    written = yaml.safe_dump(experiment(name, arguments), sort_keys=False)
    if file.exists() and file.read_text(encoding="utf-8") != written:
        raise ConfigError(f"NAME: {file} is of another evaluation; write NAME=another, or delete {folder}")
    write_text(file, written)
    plan = make_plan(load_experiment([file], ROOT / "config.yaml"))
    snakemake = [sys.executable, "-m", "snakemake", "-s", str(ROOT / "Snakefile"), "--configfile", str(file)]
    called([*snakemake, *passed_on, "--until", "weights"])
    if to_do(plan):
        called([sys.executable, "-m", "workflow.commands.estimate", "--configfile", str(file)])
    called([*snakemake, *passed_on])
    gather(plan, folder)


def name_of(arguments: argparse.Namespace) -> str:
    """The row's and the folder's name; ConfigError for one that cannot be, or is a method's."""
    if not arguments.checkpoint.name:
        raise ConfigError("CHECKPOINT: name the file with the weights, e.g. CHECKPOINT=my.pt")
    name = arguments.name or re.sub(r"[^A-Za-z0-9._-]", "_", arguments.checkpoint.stem)
    if not re.fullmatch(NAME, name):
        raise ConfigError(
            f"NAME: '{name}' must be of letters, digits, '.', '_' and '-' and begin with one of the first"
        )
    if name in PRESETS:
        raise ConfigError(f"NAME: '{name}' is a method's name; write NAME=my-{name}")
    return name


def command_line(argv: list[str]) -> tuple[argparse.Namespace, list[str]]:
    """The command's arguments, and those for Snakemake."""
    cli = argparse.ArgumentParser(prog="python -m workflow.commands.evaluate", description=__doc__)
    cli.add_argument("--checkpoint", type=Path, required=True, help=".pt, .pth, .ckpt or .safetensors")
    cli.add_argument(
        "--dataset", required=True, help="a key under datasets: of config.yaml or of an experiment, or a file"
    )
    cli.add_argument("--architecture", help="default: what the tensors fit (docs/checkpoints.md)")
    cli.add_argument("--weights", help="of several state_dicts in the file the one to take")
    cli.add_argument("--mean", nargs=3, help="of the normalization; default: found")
    cli.add_argument("--std", nargs=3, help="of the normalization; default: found")
    cli.add_argument("--epsilon", default="8/255", help="radius of the L-infinity ball (default: 8/255)")
    cli.add_argument("--images", type=int, default=1000, help="test images attacked (default: 1000)")
    cli.add_argument("--name", help="of the row and the folder below results/evaluate/ (default: the file's)")
    split = argv.index("--") if "--" in argv else len(argv)
    return cli.parse_args(argv[:split]), argv[split + 1 :] or ["--cores", "all"]


def experiment(name: str, arguments: argparse.Namespace) -> dict[str, Any]:
    """The experiment of one checkpoint on one data set."""
    dataset, data = stanza(arguments.dataset)
    given = {
        key: value
        for key in ("architecture", "weights", "mean", "std")
        if (value := getattr(arguments, key)) is not None
    }
    try:
        radius = float(parse_number(arguments.epsilon))
    except ValueError as error:
        raise ConfigError(f"EPSILON: '{arguments.epsilon}' is no radius ({error}); write e.g. 8/255") from error
    attacked = {"epsilon": arguments.epsilon, "images": arguments.images}
    steps = {"steps": 20, "step_size": radius / STEPS_ACROSS}
    return {
        "experiment": f"evaluate-{name}",
        "title": f"{name} on {data.get('title', dataset)}",
        "datasets": {dataset: {"data": data, "features": {"source": "pixels"}}},
        "recipes": {},
        "checkpoints": {name: {"file": str(arguments.checkpoint), "dataset": dataset, **given}},
        "attacks": {
            "clean": {"kind": "clean", "label": "Clean"},
            "fgsm": {"kind": "fgsm", "label": "FGSM", **attacked},
            "pgd": {"kind": "pgd", "label": "PGD-20", **attacked, "options": steps},
            "margin": {"kind": "margin_pgd", "label": "margin-PGD", **attacked, "options": steps},
            "aa": {"kind": "autoattack-engine", "label": "AA (engine)", **attacked},
        },
        "certify": [name],
        "certificate": {"epsilon": arguments.epsilon, "images": min(IMAGES, arguments.images)},
        "tables": {
            TABLE: {
                "title": f"{name}, L-infinity, epsilon {arguments.epsilon}",
                "datasets": [dataset],
                "methods": [name],
                "attacks": ["clean", "fgsm", "pgd", "margin", "aa"],
            }
        },
    }


def stanza(asked: str) -> tuple[str, dict[str, Any]]:
    """A data set's key and where its images come from, all test images; ConfigError where none goes by the name."""
    known: dict[str, dict[str, Any]] = {}
    for content in configs(asked):
        for key, section in (content.get("datasets") or {}).items():
            if isinstance(section, dict) and isinstance(section.get("data"), dict):
                known.setdefault(key, section)
    key = next(iter(known)) if len(known) == 1 else asked
    if key not in known:
        raise ConfigError(
            f"DATASET: '{asked}' is no data set {nearest(asked, list(known))}, and no file with one, in"
            " `datasets: {NAME: {data: …}}`"
        )
    return key, {name: value for name, value in known[key]["data"].items() if name != "test_images"}


def configs(asked: str) -> Iterator[dict[str, Any]]:
    """The file that is asked for, or all that come with the project."""
    if asked.endswith((".yaml", ".yml")):
        yield read_on_its_base(Path(asked))
        return
    for path in (ROOT / "config.yaml", *sorted((ROOT / "workflow/experiments").glob("*.yaml"))):
        yield read_on_its_base(path)


def gather(plan: Plan, folder: Path) -> None:
    """Copy table and certificate to the evaluation's folder; put all outcomes and an entry for RobustBench there."""
    (weights,), (table,), (certified,) = plan.weights.values(), plan.tables.values(), plan.certify.values()
    for path in [
        *(table.file(name) for name in ("text", "csv", "tex")),
        certified.file("certificate"),
        certified.file("text"),
    ]:
        shutil.copyfile(path, folder / Path(path).name)
    manifests = [job.file("manifest") for job in plan.attack.values()]
    command = [sys.executable, "-m", "stages.weights.entry", "--weights", weights.file("manifest")]
    told = ["--certificate", certified.file("certificate"), "--into", str(folder)]
    called([*command, "--attacked", *manifests, *told])
    print((folder / f"{TABLE}.txt").read_text(encoding="utf-8"))
    print(f"evaluate: {folder}/, as a page: {plan.lists['report'].file('report')}")


def called(command: list[str]) -> None:
    """Run a command; where it fails this one ends with its status, for it has said why."""
    done = subprocess.run(command, check=False)
    if done.returncode:
        sys.exit(done.returncode)


if __name__ == "__main__":
    run(main)
