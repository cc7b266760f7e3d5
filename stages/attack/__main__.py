"""`python -m stages.attack`: one checkpoint under one or more attacks."""

from pathlib import Path

import pyarrow as pa
from torch import device as torch_device

from stages.attack.curve import evaluate_above
from stages.attack.evaluate import Trial
from stages.attack.state import AttackState, Finished
from stages.core.artifacts import read_images, require_labels
from stages.core.config.attacks import AttackSettings
from stages.core.config.plugins import module_name
from stages.core.device import prepare
from stages.core.images.subset import say_if_fewer
from stages.core.job import once
from stages.core.job.progress import log_line
from stages.core.job.saving import saving
from stages.core.job.stage import Job, load_settings, one_line_errors, parser, recorded
from stages.core.models.checkpoint import load_classifier
from stages.core.outcomes import write_outcomes

SECONDS_BETWEEN_SAVES = 60.0  # the state of 1,024 searches, the most, is 75 MB at 32x32
EXAMPLE = r"""\
    --settings '{"attacks": {"clean": {"kind": "clean"}, "fgsm": {"kind": "fgsm", "epsilon": 0.1, "images": 50}}}' \
    --checkpoint digits/lsp.safetensors --test digits/test.safetensors --resume resume/attack \
    --outcomes digits/lsp-outcomes.parquet --manifest digits/lsp-outcomes.json"""


def main(argv: list[str] | None = None) -> None:
    """Read checkpoint and test images; attack and audit; write the outcomes of all attacks and the manifest."""
    cli = parser("attack", __doc__ or "", AttackSettings, EXAMPLE)
    cli.add_argument("--checkpoint", type=Path, required=True, help="the classifier (safetensors)")
    cli.add_argument("--test", type=Path, required=True, help="labelled test images (safetensors)")
    cli.add_argument("--outcomes", type=Path, required=True, help="output: one row an attack and image (Parquet)")
    once.add_arguments(cli)
    args = cli.parse_args(argv)
    with one_line_errors():
        settings = load_settings(args.settings, AttackSettings)
        device = prepare(args.device, args.threads, settings.seed)
        job = Job(
            args.manifest,
            modules=code_modules(settings),
            settings=settings.model_dump(mode="json"),
            inputs={"checkpoint": args.checkpoint, "test": args.test},
            outputs={"outcomes": args.outcomes},
            seed=settings.seed,
            device=device,
        )
        once.once(job, args.resume, args.planned_at, lambda: run(job, settings, device, args.resume / "state.pt"))


def code_modules(settings: AttackSettings) -> list[str]:
    """The modules whose import closures decide these attacks' outcomes."""
    kinds = (module_name("attacks", attack.kind) for attack in settings.attacks.values())
    return ["stages.attack.__main__", *kinds]


def run(job: Job, settings: AttackSettings, device: torch_device, saved: Path) -> None:
    """Attack, and write the outcomes and their manifest; `saved`: what a next attempt goes on from."""
    with recorded(job) as facts:
        test = read_images(job.inputs["test"])
        model, architecture = load_classifier(job.inputs["checkpoint"], device)
        require_labels(test, architecture["classes"], str(job.inputs["test"]))
        state = AttackState()
        state.restore(saved, job.key)
        tables, facts["attacks"] = [], {}
        with saving(lambda: state.save(saved, job.key), lambda: state.place, SECONDS_BETWEEN_SAVES) as save_if_due:
            for name, attack in settings.attacks.items():
                say_if_fewer(name, attack.images, len(test.labels))
                below = None
                for rung, one in attack.rungs().items():
                    finished = state.attacks.setdefault(name + rung, Finished())
                    trial = Trial(model, name + rung, one, test, settings.seed, device)
                    below, found = evaluate_above(below, trial, finished, save_if_due)
                    tables.append(below)
                    facts["attacks"][name + rung] = found
                    log_line(
                        f"{name + rung}: robust accuracy {found['robust_accuracy']:.4f} of {found['n']},"
                        f" {found['seconds']:.1f} s"
                    )
            write_outcomes(job.outputs["outcomes"], pa.concat_tables(tables, promote_options="default"))


if __name__ == "__main__":
    main()
