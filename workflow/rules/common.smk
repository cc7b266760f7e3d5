# What the rules share: how a command starts, logs, resources, optional arguments. Their files are named in
# workflow/planning/stages.py, their jobs planned in workflow/planning/runs.py and tables.py.
NAME = r"[A-Za-z0-9._-]+"
DOWNLOADS = experiment.downloads
PEAKS = peaks(plan) if workflow.is_main_process else {}
ASKED = {name: asked(experiment, name, PEAKS.get(name)) for name in RESOURCES}
GROWING = ("mem_mb", "runtime")
# The priority of what trainings wait for. Of the jobs that can start Snakemake takes those whose priorities sum up to
# the most, so one that needs many threads must outweigh as many trainings. It still waits for its threads to be free.
FIRST = 1000
# Snakemake takes braces in this path for wildcards, unless they are doubled.
CONDA = f"{workflow.basedir}/envs/environment.yaml".replace("{", "{{").replace("}", "}}")


wildcard_constraints:
    data=NAME,
    features=NAME,
    neighbors=NAME,
    structure=NAME,
    pictures=NAME,
    run=rf"{NAME}/{NAME}/seed\d+",
    attacks=rf"{NAME}/{NAME}/seed\d+/{NAME}",


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


def command(stage):
    """`python -m stages.…` with a log of each attempt, a GPU of its own if it asks for one, and its threads.

    `exec`, so that signals reach the stage and not a shell around it.
    """
    device = experiment.device if ASKED[stage.resources].gpu else "cpu"
    return (
        f"exec python -m workflow.launch.job --log {{log}} --gpu {{resources.gpu}} --jobs-per-gpu {experiment.jobs_per_gpu}"
        f" -- python -m stages.{stage.command} --device {device} --threads {{threads}}"
    )


def resumable(stage, key):
    """The arguments of a job that goes on where an earlier attempt was interrupted."""
    return f" --resume {stage.resumed(key)} --planned-at {os.environ['LSP_PLANNED_AT']}"


def benchmark_of(stage, key):
    """Where Snakemake notes a job's seconds and memory, beside its log."""
    return str(Path(stage.log(key)).with_suffix(".benchmark.tsv"))


def resource(what, asks):
    """A resource of a class, or of the class that `asks` finds for wildcards. A change reruns nothing.

    Memory and time grow with the attempt, up to threefold (workflow/launch/exhausted.py says what then).
    """

    def amount(wildcards, attempt=1):
        least = getattr(ASKED[asks(wildcards) if callable(asks) else asks], what)
        return least * min(attempt, TIMES) if what in GROWING else least

    return amount if callable(asks) or what in GROWING else getattr(ASKED[asks], what)


def resources_of(asks):
    """What a job asks of the scheduler besides threads."""
    return {what: resource(what, asks) for what in (*GROWING, "gpu")}


def attack_asks(wildcards):
    """The class of resources that a job asks for; AutoAttack is alone and has its own."""
    return plan.attack[wildcards.attacks].resources


def others_of(wildcards):
    """The other checkpoints that a certificate looks at, by their names."""
    inputs = plan.certify[wildcards.attacks].inputs
    return {name.removeprefix(OTHER): path for name, path in inputs.items() if name.startswith(OTHER)}


def optional(flag, path):
    """`--flag path`, or nothing where there is no path."""
    return f"{flag} {path}" if path else ""


def tables_of(stage):
    """Names of the experiment's tables, or of its figures, as a pattern."""
    return "|".join(name for name, job in plan.tables.items() if job.stage is stage) or "none"


# What people read of each job of the tables: `all` asks for it, and `snakemake --report` holds it.
READ = {
    TABLE: ("csv", "tex"),
    FIGURE: ("png", "pdf"),
    COMPARISONS: ("csv",),
    CERTIFICATES: ("csv",),
    LIPSCHITZ_LIST: ("csv", "json"),
    CLAIMS: ("csv", "json"),
    ASSUMPTIONS: ("listed",),
    REPORT: ("report",),
}


def outputs_of(stage, key):
    """The files of a job of the tables, what people read of them marked for `snakemake --report`."""
    files, (category, _, name) = stage.outputs(key), key.rpartition("/")
    for output in READ[stage]:
        labels = {"name": name, "file": Path(files[output]).suffix[1:]}
        files[output] = report(files[output], category=category, labels=labels)
    return files


def table_files():
    """What `all` asks for."""
    return [job.file(name) for job in (*plan.tables.values(), *plan.lists.values()) for name in READ[job.stage]]
