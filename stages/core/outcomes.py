"""What an attack did to each image: the Parquet artifact of stage attack."""

from pathlib import Path

import pyarrow as pa

from stages.core.errors import ArtifactError
from stages.core.parquet import read_table, write_table

OUTCOME_SCHEMA = pa.schema(
    [
        ("attack", pa.string()),
        ("index", pa.int64()),
        ("label", pa.int64()),
        ("clean_prediction", pa.int64()),
        ("adversarial_prediction", pa.int64()),
        ("robust", pa.bool_()),
        ("linf", pa.float32()),
        ("l2", pa.float32()),
    ]
)

# What an attack on all images at once tells too: what broke an image, when, and its passes through the network.
OUTCOME_DETAILS = pa.schema(
    [("broken_by", pa.string()), ("iteration", pa.int64()), ("forwards", pa.int64()), ("backwards", pa.int64())]
)


def write_outcomes(path: Path, outcomes: pa.Table) -> None:
    """Write per-example attack outcomes: OUTCOME_SCHEMA and, where an attack has them, OUTCOME_DETAILS."""
    details = OUTCOME_DETAILS if "broken_by" in outcomes.schema.names else ()
    write_table(path, outcomes.cast(pa.schema([*OUTCOME_SCHEMA, *details])))


def read_outcomes(path: Path) -> pa.Table:
    """Read per-example attack outcomes, schema verified."""
    table = read_table(path)
    if list(table.schema.remove_metadata()) not in ([*OUTCOME_SCHEMA], [*OUTCOME_SCHEMA, *OUTCOME_DETAILS]):
        raise ArtifactError(f"{path}: columns must be {OUTCOME_SCHEMA.names}; these are {table.schema.names}")
    if any(table.column(name).null_count for name in OUTCOME_SCHEMA.names):
        raise ArtifactError(f"{path}: a value is missing; have the stage attack make it again")
    return table
