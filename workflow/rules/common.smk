# What the rules look up: how a command starts, resources, optional arguments, and jobs of the plan by their wildcards.
NAME = r"[A-Za-z0-9._-]+"
DOWNLOADS = experiment.downloads
LOCATIONS = canonical_json(plan.locations)
TABLES = f"results/tables/{experiment.place}"
RESUME = "results/resume"
TABLE_LOGS = f"logs/tables/{experiment.place}"
# Snakemake takes braces in this path for wildcards, unless they are doubled.
CONDA = f"{workflow.basedir}/envs/environment.yaml".replace("{", "{{").replace("}", "}}")


wildcard_constraints:
    data=NAME,
    features=NAME,
    neighbors=NAME,
    structure=NAME,
    run=rf"{NAME}/{NAME}/seed\d+",
    group=NAME,


# When the main process planned its jobs; they inherit it. Outputs finished since are taken (stages/core/job/once.py).
if workflow.is_main_process:
    os.environ["LSP_PLANNED_AT"] = str(time.time())


envvars:
    "LSP_PLANNED_AT",
    "PYTHONPATH",


# Of jobs on this machine, as many at a time as its GPUs have slots; on a cluster SLURM counts.
if workflow.is_main_process and workflow.resource_settings.nodes is None and "gpu" not in workflow.global_resources:
    slots = gpu_slots(experiment.jobs_per_gpu)
    if slots is not None:
        workflow.register_resource("gpu", slots)


def start(stage, command):
    """`python -m stages.<command>` with a log of each attempt, a GPU of its own if it asks for one, and its threads.

    `exec`, so that signals reach the stage and not a shell around it.
    """
    device = experiment.device if experiment.stage_resources(stage).gpu else "cpu"
    return (
        f"exec python -m workflow.launch.job --log {{log}} --gpu {{resources.gpu}} --jobs-per-gpu {experiment.jobs_per_gpu}"
        f" -- python -m stages.{command} --device {device} --threads {{threads}}"
    )


def resumable(stage, name):
    """The arguments of a job that goes on where an earlier attempt was interrupted."""
    return f" --resume {RESUME}/{stage}/{name} --planned-at {os.environ['LSP_PLANNED_AT']}"


def asks(stage, what):
    """A resource of a stage; memory and time grow with the attempt, up to threefold. A change reruns nothing."""
    value = getattr(experiment.stage_resources(stage), what)
    if what in ("mem_mb", "runtime"):
        return lambda wildcards, attempt: value * min(attempt, 3)
    return value


def attack_asks(what):
    """Cheap attacks share a job and ask for `attack`; AutoAttack is alone and asks for `autoattack`."""
    cheap, alone = asks("attack", what), asks("autoattack", what)

    def asked(wildcards, attempt=1):
        value = cheap if wildcards.group.startswith("attacks-") else alone
        return value(wildcards, attempt) if callable(value) else value

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
    made = [f"{TABLES}/{name}.{ending}" for name, table in experiment.tables.items() for ending in endings[table.kind]]
    compared = [f"{TABLES}/comparisons.csv"] * bool(comparison_inputs())
    return [*made, *compared, f"{TABLES}/assumptions.md"]


def comparison_inputs():
    """Every outcome that a table shows."""
    runs = [run for table in comparisons(plan)[0].get("plans", []) for row in table["rows"] for run in row["runs"]]
    return sorted({cell["path"] for run in runs for cell in run["outcomes"].values()})
