"""`snakemake --report` holds what people read of the tables, and needs no network."""

import base64
import shutil
from pathlib import Path
from zipfile import ZipFile

import pytest

from tests.conftest import Project

READ = ["assumptions.md", "claims.csv", "claims.json", "comparisons.csv", "report.html"]
READ += [f"{table}{suffix}" for table in ("table1", "table2") for suffix in (".csv", ".tex")]
OFFLINE = ("unshare", "--user", "--map-root-user", "--net")


def offline(project: Project, *words: str) -> tuple[str, ...]:
    """A command without a network, where this machine lets a user have none."""
    possible = shutil.which("unshare") and project.command(*OFFLINE, "true").returncode == 0
    return (*OFFLINE, *words) if possible else words


@pytest.mark.parametrize("form", ["html", "zip"])
def test_snakemakes_report_holds_the_tables(project: Project, form: str, tmp_path: Path) -> None:
    made, tables = tmp_path / f"made.{form}", project.root / "results/tables/tiny"
    words = ("snakemake", "--cores", "1", "--report", str(made), *project.configfiles())
    done = project.command(*offline(project, *words))
    assert done.returncode == 0, done.stdout
    if form == "zip":
        with ZipFile(made) as archive:
            held = {Path(name).name: archive.read(name) for name in archive.namelist() if "/data/" in name}
        assert held == {name: (tables / name).read_bytes() for name in READ}
    else:
        text = made.read_text(encoding="utf-8")
        assert [name for name in READ if base64.b64encode((tables / name).read_bytes()).decode() not in text] == []
