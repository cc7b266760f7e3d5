"""What the stage lipschitz could have measured."""

import pyarrow as pa

from stages.core.lipschitz import SCHEMA


def measured(lipschitz: list[float], broken: list[bool]) -> pa.Table:
    """An image for each L_x; of p_a - p_b = 0.8, and broken at 0.1 where it is."""
    n = len(lipschitz)
    columns = {
        "index": range(n),
        "label": [0] * n,
        "prediction": [0] * n,
        "p_a": [0.9] * n,
        "p_b": [0.1] * n,
        "lipschitz": lipschitz,
        "found_at": [0.2] * n,
        "radius": [0.4 / one for one in lipschitz],
        "broken": broken,
        "distance": [0.1 if one else None for one in broken],
    }
    return pa.table({name: pa.array(values, SCHEMA.field(name).type) for name, values in columns.items()})
