# The pipeline's table of contents: data -> features -> neighbors -> structure -> train -> attack -> tables.
import os
import sys
import time
from pathlib import Path

from snakemake.logging import logger
from snakemake.utils import min_version

# Jobs run in the working directory, which `--directory` may put elsewhere; they find the code by this.
sys.path.insert(0, workflow.basedir)
os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, (workflow.basedir, os.environ.get("PYTHONPATH"))))

from stages.core.errors import ConfigError, StageError
from stages.core.files import packed_json
from workflow.launch.devices import gpu_slots
from workflow.launch.exhausted import TIMES, Exhausted
from workflow.planning.checks import remarks
from workflow.planning.given import Given
from workflow.planning.peaks import asked, peaks
from workflow.planning.certificates import OTHER
from workflow.planning.pictures import arguments as arguments_of_pictures
from workflow.planning.stages import (
    ASSUMPTIONS,
    ATTACK,
    CERTIFICATES,
    CERTIFY,
    CLAIMS,
    COMPARISONS,
    DATA,
    EMBED,
    FIGURE,
)
from workflow.planning.stages import INDEX, LIPSCHITZ, LIPSCHITZ_LIST, NEIGHBORS, PICTURES, PRETRAIN, REPORT, RESOURCES
from workflow.planning.stages import STRUCTURE, TABLE, TRAIN, WEIGHTS
from workflow.planning.tables import make_plan
from workflow.preflight.look import preflight, refuse_to_start
from workflow.verify.start import Found, after_jobs, before_jobs

min_version("9.0")

try:
    given = Given(workflow.overwrite_configfiles, dict(workflow.config_settings.config))
    experiment = given.experiment()
    plan = make_plan(experiment)
except ConfigError as error:
    sys.exit(f"config error: {error}")
if workflow.is_main_process:
    for remark in remarks(experiment):
        print(f"config warning: {remark}", file=sys.stderr)
    for fault in preflight(plan):
        print(f"preflight: {fault}", file=sys.stderr)

# What is gone, and what a repair asked for (`make verify REPAIR=1`), for which jobs of the plan are left as they are.
# `--unlock` makes a folder free to be repaired.
planned = plan.copy()
verified = Found()
if workflow.is_main_process and "--unlock" not in sys.argv:
    try:
        verified = before_jobs(plan, given)
    except StageError as error:
        sys.exit(f"error: {error}")


# Which jobs a run means to start is known here, and what stands in their way ends it; a dry run has said it above.
onstart:
    refuse_to_start(planned, workflow)
    classes = {path: job.resources for path, job in planned.makers().items()}
    logger.addHandler(Exhausted(workflow, classes, PEAKS))


include: "workflow/rules/common.smk"
include: "workflow/rules/data.smk"
include: "workflow/rules/features.smk"
include: "workflow/rules/neighbors.smk"
include: "workflow/rules/structure.smk"
include: "workflow/rules/train.smk"
include: "workflow/rules/weights.smk"
include: "workflow/rules/attack.smk"
include: "workflow/rules/certify.smk"
include: "workflow/rules/lipschitz.smk"
include: "workflow/rules/pictures.smk"
include: "workflow/rules/tables.smk"


rule all:
    default_target: True
    input:
        table_files(),
        verified.again,


onsuccess:
    after_jobs(plan, verified)


onerror:
    after_jobs(plan, verified)
