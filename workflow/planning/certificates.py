"""The certificates of an experiment: which checkpoints have one, and the list of all."""

from collections.abc import Callable, Iterable

from stages.core.config.certificate import ATTACKS, RADIUS, CertificateSettings
from stages.core.config.plugins import module_name
from stages.core.config.table_plan import Row
from stages.core.files import canonical_json, digest, packed_json
from workflow.planning.experiment import Experiment
from workflow.planning.jobs import ClassifierJob, Job, Plan
from workflow.planning.runs import code_of
from workflow.planning.stages import CERTIFICATES, CERTIFY

OTHER = "other "  # in front of the names of the other checkpoints among a job's inputs


def certify(plan: Plan, rows: Iterable[tuple[Row, list[ClassifierJob]]]) -> dict[str, Job]:
    """Plan a job for every checkpoint that is to be certified; those, by the name of what makes the checkpoint.

    Adversarial images of the others that are certified on the same data set under the same seed are tried on it, but
    for those of variants.
    """
    experiment = plan.experiment
    asked = asked_for(experiment.certifies, rows)
    found: dict[str, Job] = {}
    for key, (row, job) in asked.items():
        others = {
            f"{OTHER}{their_row.method}": theirs
            for their_row, theirs in asked.values()
            if not their_row.variant
            and (their_row.dataset, theirs.seed) == (row.dataset, job.seed)
            and theirs.key != key
        }
        found[key] = _job(plan, row, job, dict(sorted(others.items())))
    return found


def asked_for(
    wanted: Callable[[str], bool], rows: Iterable[tuple[Row, list[ClassifierJob]]]
) -> dict[str, tuple[Row, ClassifierJob]]:
    """The checkpoints of the methods that are wanted, each with a row that shows it: one without a variant, if any."""
    asked: dict[str, tuple[Row, ClassifierJob]] = {}
    for row, jobs in rows:
        for job in jobs if wanted(row.method) else ():
            if job.key not in asked or (asked[job.key][0].variant and not row.variant):
                asked[job.key] = row, job
    return asked


def _job(plan: Plan, row: Row, job: ClassifierJob, others: dict[str, ClassifierJob]) -> Job:
    wanted = plan.experiment.certificate
    settings = CertificateSettings(images=wanted.images, epsilon=radius(plan.experiment, row))
    components = tuple(module_name("attacks", kind) for kind in ATTACKS)
    name = digest([settings.identity(), {name: other.key for name, other in others.items()}])
    codes = [job.code, *(other.code for other in others.values()), code_of((*CERTIFY.modules, *components))]
    inputs = {"checkpoint": job.file("checkpoint"), "test": job.inputs["test"]}
    inputs |= {name: other.file("checkpoint") for name, other in others.items()}
    made = Job(
        CERTIFY,
        f"{job.key}/{name}",
        canonical_json(settings.model_dump(mode="json")),
        digest(codes, 16),
        inputs,
        components,
    )
    return plan.certify.setdefault(made.key, made)


def radius(experiment: Experiment, row: Row) -> float:
    """The one that is asked for, or that of the attack inside the method's recipe, under L-infinity."""
    if experiment.certificate.epsilon is not None:
        return experiment.certificate.epsilon
    if row.method in experiment.checkpoints:
        return RADIUS
    recipe, _ = experiment.recipe(row.dataset, experiment.method(row.dataset, row.method, row.variant).recipe)
    return recipe.attack.epsilon if recipe.attack.norm == "linf" and recipe.attack.epsilon > 0 else RADIUS


def certificates(plan: Plan, rows: Iterable[tuple[Row, list[ClassifierJob]]], certified: dict[str, Job]) -> Job:
    """The job that lists the certificates of all rows, each once."""
    listed = [
        {
            "dataset": row.title(),
            "row": row.own_name,
            "method": row.method,
            "seed": job.seed,
            "path": certified[job.key].file("certificate"),
        }
        for row, job in asked_for(plan.experiment.certifies, rows).values()
    ]
    paths = [certified_job.file("certificate") for certified_job in certified.values()]
    return Job(
        CERTIFICATES,
        f"{plan.experiment.place}/certificates",
        packed_json({"certificates": listed}),
        digest(sorted({code_of(CERTIFICATES.modules), *(job.code for job in certified.values())}), 16),
        {path: path for path in paths},
    )
