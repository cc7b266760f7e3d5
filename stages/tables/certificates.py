"""`python -m stages.tables.certificates`: the certificates of an experiment's checkpoints, a line each."""

from pathlib import Path
from typing import Any

from pydantic import Field

from stages.core.config.quantities import Seed
from stages.core.config.section import Section
from stages.core.errors import ArtifactError
from stages.core.files import write_text
from stages.core.host import limit_threads
from stages.core.job.progress import log_line
from stages.core.job.stage import Job, load_settings, one_line_errors, parser, recorded
from stages.core.manifests import read_json
from stages.tables.listing import csv_text

UNDER = ("clean", "noise", "fgsm", "pgd", "margin", "aa")
CSV_HEAD = ("dataset", "row", "seed", "verdict", "epsilon", "n", *UNDER, "transferred", "from", "warned", "failed")
EXAMPLE = r"""\
    --settings '{"certificates": [{"dataset": "Digits", "row": "LSP", "method": "lsp", "seed": 0,
                                   "path": "digits/lsp-certificate.json"}]}' \
    --root . --out tables --manifest tables/certificates.json"""


class Listed(Section):
    """A certificate and whose it is."""

    dataset: str
    row: str
    method: str
    seed: Seed
    path: str


class Certificates(Section):
    """The certificates that are listed."""

    certificates: tuple[Listed, ...] = Field(min_length=1)


def main(argv: list[str] | None = None) -> None:
    """Read the certificates, write `certificates.csv` and the manifest; missing files are named, never fatal."""
    cli = parser("tables.certificates", __doc__ or "", Certificates, EXAMPLE, gpu=False)
    cli.add_argument("--root", type=Path, required=True, help="what the paths are relative to")
    cli.add_argument("--out", type=Path, required=True, help="the folder that certificates.csv goes to")
    args = cli.parse_args(argv)
    with one_line_errors():
        settings = load_settings(args.settings, Certificates)
        limit_threads(args.threads)
        output = args.out / "certificates.csv"
        with recorded(
            Job(
                args.manifest,
                modules=["stages.tables.certificates"],
                settings=settings.model_dump(mode="json"),
                inputs={one.path: args.root / one.path for one in settings.certificates},
                outputs={"csv": output},
                seed=0,
                device=None,
            )
        ) as facts:
            read = [(one, read_certificate(args.root / one.path)) for one in settings.certificates]
            write_text(output, csv_text(CSV_HEAD, [line(one, found) for one, found in read if found is not None]))
            facts["missing"] = [one.path for one, found in read if found is None]


def read_certificate(path: Path) -> dict[str, Any] | None:
    """What a certificate holds; None, and a line why, for one that is absent or damaged."""
    try:
        found = read_json(path)
        line_of = {key: found[key] for key in ("verdict", "epsilon", "images", "accuracies", "transferred", "checks")}
    except ArtifactError as error:
        log_line(f"warning: {error}")
        return None
    except (KeyError, TypeError) as error:
        log_line(f"warning: {path}: no certificate ({type(error).__name__}: {error})")
        return None
    return line_of


def named(certificate: dict[str, Any], verdict: str) -> list[str]:
    """The checks of a verdict."""
    return [check["name"] for check in certificate["checks"] if check["verdict"] == verdict]


def line(listed: Listed, certificate: dict[str, Any]) -> list[str]:
    """A certificate's line, accuracies in %; transferred: the least under the adversarial images of another."""
    accuracies, transferred = certificate["accuracies"], certificate["transferred"]
    source = min(transferred, key=lambda name: transferred[name], default="")
    return [
        listed.dataset,
        listed.row,
        str(listed.seed),
        certificate["verdict"],
        f"{certificate['epsilon']:.6g}",
        str(certificate["images"]),
        *(f"{accuracies[name]:.2f}" if name in accuracies else "" for name in UNDER),
        f"{transferred[source]:.2f}" if source else "",
        source,
        "; ".join(named(certificate, "warn")),
        "; ".join(named(certificate, "fail")),
    ]


if __name__ == "__main__":
    main()
