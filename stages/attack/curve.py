"""One attack at several radii: an image that is broken at one is broken at every larger one."""

from collections.abc import Callable

import pyarrow as pa
import pyarrow.compute as pc
import torch

from stages.attack.evaluate import Facts, Trial, evaluate, summary
from stages.attack.state import Finished


def evaluate_above(
    below: pa.Table | None, trial: Trial, finished: Finished, between_batches: Callable[[], None]
) -> tuple[pa.Table, Facts]:
    """What `evaluate` gives, where an image that is not robust in `below`, the next smaller radius, keeps its row.

    Its perturbation is that of the smaller radius. below: None at the smallest. Facts: over all images; above
    the smallest radius `n_attacked` of them were attacked.
    """
    if below is None:
        return evaluate(trial, finished, between_batches)
    broken = below.filter(pc.invert(below["robust"]))
    skipped = torch.from_numpy(broken["index"].to_numpy().copy())
    if len(broken) < len(below):
        new, facts = evaluate(trial, finished, between_batches, skipped)
    else:
        new, facts = below.slice(0, 0), {"seconds": 0.0}
    renamed = broken.set_column(0, "attack", pa.array([trial.name] * len(broken), pa.string()))
    both = pa.concat_tables([new, renamed], promote_options="default")
    order = pc.index_in(below["index"], both["index"].combine_chunks())
    table = both.take(order)
    return table, {"seconds": facts["seconds"], **summary(table), "n_attacked": len(new)}
