"""Section 3.3 measured, image by image: the Parquet artifact of stage lipschitz, and what it comes to."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from scipy.stats import bootstrap

from stages.core.errors import ArtifactError
from stages.core.parquet import read_table, write_table

SCHEMA = pa.schema(
    [
        ("index", pa.int64()),
        ("label", pa.int64()),
        ("prediction", pa.int64()),
        ("p_a", pa.float64()),
        ("p_b", pa.float64()),
        ("lipschitz", pa.float64()),
        ("found_at", pa.float64()),
        ("radius", pa.float64()),
        ("broken", pa.bool_()),
        ("distance", pa.float64()),  # null where no adversarial example was found inside the radius
    ]
)
RESAMPLES, AT_ONCE = 9999, 100
Values = NDArray[np.float64]


def write_lipschitz(path: Path, measured: pa.Table) -> None:
    """Write one row an image: SCHEMA."""
    write_table(path, measured.cast(SCHEMA))


def read_lipschitz(path: Path) -> pa.Table:
    """Read them, schema verified; ArtifactError for another or none."""
    table = read_table(path)
    if [*table.schema.remove_metadata()] != [*SCHEMA]:
        raise ArtifactError(f"{path}: columns must be {SCHEMA.names}; these are {table.schema.names}")
    if any(table.column(name).null_count for name in SCHEMA.names if name != "distance"):
        raise ArtifactError(f"{path}: a value is missing; have the stage lipschitz make it again")
    if not len(table):
        raise ArtifactError(f"{path}: it holds no image; have the stage lipschitz make it again")
    return table


def summary(measured: pa.Table) -> dict[str, Any]:
    """L_x and radius over the images, each (mean, low, high) at 95 %, the median L_x, and how many are broken inside.

    The intervals are percentiles of bootstrap means; None where there is one image.
    """
    lipschitz, radius, broken = (measured.column(name).to_numpy() for name in ("lipschitz", "radius", "broken"))
    return {
        "n": len(measured),
        "lipschitz": mean_and_interval(lipschitz),
        "median_lipschitz": float(np.median(lipschitz)),
        "radius": mean_and_interval(radius),
        "broken": int(broken.sum()),
    }


def mean_and_interval(values: Values) -> list[float | None]:
    """[mean, low, high] of (n,) values, the interval at 95 % by the percentile bootstrap (Efron, 1979)."""
    mean = float(values.mean())
    if len(values) < 2:
        return [mean, None, None]
    found = bootstrap(
        (values,),
        np.mean,
        n_resamples=RESAMPLES,
        batch=AT_ONCE,
        method="percentile",
        rng=np.random.default_rng(0),
    )
    return [mean, float(found.confidence_interval.low), float(found.confidence_interval.high)]
