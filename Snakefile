# The pipeline's table of contents: data -> features -> neighbors -> structure -> train -> attack -> tables.
import os
import sys
import time
from pathlib import Path

from snakemake.utils import min_version

sys.path.insert(0, workflow.basedir)

from stages.core.errors import ConfigError
from stages.core.files import canonical_json, packed_json
from workflow.devices import gpu_slots
from workflow.load import load_experiment
from workflow.plan import comparisons, make_plan

min_version("9.0")

try:
    experiment = load_experiment(
        workflow.overwrite_configfiles,
        Path(workflow.basedir) / "config.yaml",
        dict(workflow.config_settings.config),
    )
    plan = make_plan(experiment)
except ConfigError as error:
    sys.exit(f"config error: {error}")


include: "workflow/rules/common.smk"
include: "workflow/rules/data.smk"
include: "workflow/rules/features.smk"
include: "workflow/rules/neighbors.smk"
include: "workflow/rules/structure.smk"
include: "workflow/rules/train.smk"
include: "workflow/rules/attack.smk"
include: "workflow/rules/tables.smk"


rule all:
    default_target: True
    input:
        table_files(),
