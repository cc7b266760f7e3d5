"""`python -m stages.attack.certificate`: whether the robust accuracies of one checkpoint can be believed."""

from pathlib import Path

import torch

from stages.attack.certificate.battery import Battery
from stages.attack.certificate.certify import NothingRightError, checks, gather
from stages.attack.certificate.report import nothing_right, record, text
from stages.attack.state import AttackState
from stages.core.artifacts import read_images, require_labels
from stages.core.config.certificate import ATTACKS, CertificateSettings
from stages.core.config.plugins import module_name
from stages.core.device import prepare
from stages.core.errors import ConfigError
from stages.core.files import write_json, write_text
from stages.core.images.subset import say_if_fewer
from stages.core.job import once
from stages.core.job.progress import log_line
from stages.core.job.saving import saving
from stages.core.job.stage import Job, load_settings, one_line_errors, parser, recorded
from stages.core.models.checkpoint import load_classifier

SECONDS_BETWEEN_SAVES = 60.0
OTHER = "other "  # in front of the names of other checkpoints among a job's inputs
EXAMPLE = r"""\
    --settings '{"images": 100, "epsilon": 0.1}' --checkpoint digits/lsp.safetensors --test digits/test.safetensors \
    --resume resume/certificate --certificate digits/lsp-certificate.json --text digits/lsp-certificate.md \
    --manifest digits/lsp-certificate-manifest.json"""


def main(argv: list[str] | None = None) -> None:
    """Read checkpoints and test images; probe and attack; write the certificate, for programs and for people."""
    cli = parser("attack.certificate", __doc__ or "", CertificateSettings, EXAMPLE)
    cli.add_argument("--checkpoint", type=Path, required=True, help="the classifier (safetensors)")
    cli.add_argument("--test", type=Path, required=True, help="labelled test images (safetensors)")
    cli.add_argument(
        "--others",
        nargs="*",
        default=[],
        metavar="NAME=FILE",
        help="whose adversarial images are tried too",
    )
    cli.add_argument("--certificate", type=Path, required=True, help="output: verdict, checks and accuracies (JSON)")
    cli.add_argument("--text", type=Path, required=True, help="output: the same for people (Markdown)")
    once.add_arguments(cli)
    args = cli.parse_args(argv)
    with one_line_errors():
        settings = load_settings(args.settings, CertificateSettings)
        device = prepare(args.device, args.threads, settings.seed)
        job = Job(
            args.manifest,
            modules=["stages.attack.certificate.__main__", *(module_name("attacks", kind) for kind in ATTACKS)],
            settings=settings.model_dump(mode="json"),
            inputs={"checkpoint": args.checkpoint, "test": args.test, **dict(map(_other, args.others))},
            outputs={"certificate": args.certificate, "text": args.text},
            seed=settings.seed,
            device=device,
        )
        once.once(job, args.resume, args.planned_at, lambda: run(job, settings, device, args.resume / "state.pt"))


def _other(given: str) -> tuple[str, Path]:
    name, _, path = given.partition("=")
    if not path:
        raise ConfigError(f"--others: '{given}' must be NAME=FILE")
    return OTHER + name, Path(path)


def run(job: Job, settings: CertificateSettings, device: torch.device, saved: Path) -> None:
    """Certify, and write both outputs and their manifest; `saved`: what a next attempt goes on from."""
    with recorded(job) as facts:
        test = read_images(job.inputs["test"])
        model, architecture = load_classifier(job.inputs["checkpoint"], device)
        require_labels(test, architecture["classes"], str(job.inputs["test"]))
        say_if_fewer("certificate", settings.images, len(test.labels))
        state = AttackState()
        state.restore(saved, job.key)
        others = {
            name.removeprefix(OTHER): load_classifier(path, device)[0]
            for name, path in job.inputs.items()
            if name.startswith(OTHER)
        }
        with saving(lambda: state.save(saved, job.key), lambda: state.place, SECONDS_BETWEEN_SAVES) as save_if_due:
            battery = Battery(model, test, settings.images, settings.epsilon, settings.seed, device, state, save_if_due)
            try:
                evidence = gather(battery, others)
                found = record(evidence, checks(evidence))
            except NothingRightError as told:
                found = nothing_right(settings.epsilon, len(battery.indices), str(told))
        facts["verdict"] = found["verdict"]
        write_json(job.outputs["certificate"], found)
        write_text(job.outputs["text"], text(found, str(job.inputs["checkpoint"])))
        for check in found["checks"]:
            if check["verdict"] != "pass":
                log_line(f"certificate: {check['verdict']}: {check['name']}: {check['found']}; {check['advice']}")
        log_line(f"certificate: {found['verdict']}")


if __name__ == "__main__":
    main()
