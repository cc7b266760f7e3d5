# What the rules look up: resources, optional arguments, and jobs of the plan by their wildcards.
NAME = r"[A-Za-z0-9._-]+"
DEVICE = experiment.device
DOWNLOADS = experiment.downloads
LOCATIONS = canonical_json(plan.locations)
TABLES = f"results/tables/{experiment.experiment}"
TABLE_LOGS = f"logs/tables/{experiment.experiment}"


wildcard_constraints:
    data=NAME,
    features=NAME,
    neighbors=NAME,
    structure=NAME,
    run=rf"{NAME}/{NAME}/seed\d+",
    group=NAME,


def asks(stage, what):
    """A resource of a stage; memory and time grow with the attempt. A change reruns nothing."""
    value = getattr(experiment.stage_resources(stage), what)
    if what in ("mem_mb", "runtime"):
        return lambda wildcards, attempt: value * attempt
    return value


def attack_asks(what):
    """Cheap attacks share a job and ask for `attack`; AutoAttack is alone and asks for `autoattack`."""

    def asked(wildcards, attempt):
        stage = "attack" if wildcards.group.startswith("attacks-") else "autoattack"
        return attempt * getattr(experiment.stage_resources(stage), what)

    return asked


def optional(flag, path):
    """`--flag path`, or nothing where there is no path."""
    return f"{flag} {path}" if path else ""


def attack_job(wildcards):
    """The planned job of a checkpoint's group of attacks."""
    return plan.attack[f"{wildcards.run}/{wildcards.group}"]


def tables_of(kind):
    """Names of the experiment's tables of a kind, as a pattern."""
    return "|".join(name for name, table in experiment.tables.items() if table.kind == kind) or "none"


def table_inputs(wildcards):
    """Every outcome and test-selected figure that a table shows, every history that a figure shows."""
    table = plan.tables[wildcards.table]
    runs = [run for row in table["rows"] for run in row["runs"]]
    if table["kind"] == "losses":
        return sorted({run["history"] for run in runs})
    outcomes = {cell["path"] for run in runs for cell in run["outcomes"].values()}
    return sorted(outcomes | {run["test_selected"] for run in runs if "test_selected" in run})


def table_files():
    """What `all` asks for."""
    endings = {"table": ("csv", "tex"), "losses": ("png", "pdf")}
    return [f"{TABLES}/{name}.{ending}" for name, table in experiment.tables.items() for ending in endings[table.kind]]
