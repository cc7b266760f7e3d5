"""`python -m stages.attack`: one checkpoint under one or more attacks."""

from pathlib import Path

import pyarrow as pa

from stages.attack.evaluate import evaluate, require_labels, resolve_attacks
from stages.core.artifacts import read_images, write_outcomes
from stages.core.components import module_name
from stages.core.config import AttackSettings
from stages.core.device import prepare
from stages.core.models.checkpoint import load_classifier
from stages.core.progress import say
from stages.core.stage import load_settings, one_line_errors, parser, recorded


def main(argv: list[str] | None = None) -> None:
    """Read checkpoint and test images; attack and audit; write the outcomes of all attacks and the manifest."""
    cli = parser("attack", __doc__ or "")
    cli.add_argument("--checkpoint", type=Path, required=True, help="the classifier (safetensors)")
    cli.add_argument("--test", type=Path, required=True, help="labelled test images (safetensors)")
    cli.add_argument("--outcomes", type=Path, required=True, help="output: one row an attack and image (Parquet)")
    args = cli.parse_args(argv)
    with one_line_errors():
        settings = load_settings(args.settings, AttackSettings)
        attacks = resolve_attacks(settings.attacks)
        settings = settings.model_copy(update={"attacks": attacks})
        device = prepare(args.device, args.threads, settings.seed)
        with recorded(
            args.manifest,
            modules=["stages.attack.__main__", *(module_name("attacks", attack.kind) for attack in attacks.values())],
            settings=settings.model_dump(mode="json"),
            inputs={"checkpoint": args.checkpoint, "test": args.test},
            outputs={"outcomes": args.outcomes},
            seed=settings.seed,
            device=device,
        ) as facts:
            test = read_images(args.test)
            model, architecture = load_classifier(args.checkpoint, device)
            require_labels(test, architecture["classes"], str(args.test))
            tables, facts["attacks"] = [], {}
            for name, attack in attacks.items():
                table, found = evaluate(model, name, attack, test, settings.seed, device)
                tables.append(table)
                facts["attacks"][name] = found
                say(f"{name}: robust accuracy {found['robust_accuracy']:.4f} of {found['n']}, {found['seconds']:.1f} s")
            write_outcomes(args.outcomes, pa.concat_tables(tables))


if __name__ == "__main__":
    main()
