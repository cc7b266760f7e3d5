"""`python -m tests.benchmarks.batches`: do the engine's verdicts hang on the batch?

32 points, of which about half survive, attacked alone, in batches of 7 and all at once. What is drawn has the same bits
(tests/unit/attack/test_draws.py); a network rounds otherwise in another batch, so a search may take another turn. The
points whose verdict, attack or iteration differs are listed in results/published/verdicts/batches.json.
"""

import json
import time

import torch

from stages.core.code import code_digest
from stages.core.files import atomic
from tests.benchmarks.engine import engine
from tests.benchmarks.regimes import REGIMES, load
from tests.benchmarks.verdicts import PARTS

BATCHES = (256, 7, 1)
POINTS = 32
REGIME = "half"


def main() -> None:
    """Attack in each size of batch and write what differs."""
    points = load(POINTS, torch.get_num_threads())
    found: dict[int, list[str]] = {}
    for size in BATCHES:
        started = time.monotonic()
        found[size] = engine(points, REGIMES[REGIME], seed=0, batch_size=size)
        print(f"batch {size}: {found[size].count('')} survive, {time.monotonic() - started:.0f} s", flush=True)
    rows = {index: [found[size][place] for size in BATCHES] for place, index in enumerate(points.indices.tolist())}
    record = {
        "checkpoint": points.sha256,
        "epsilon": REGIMES[REGIME],
        "code": code_digest(["stages.attack.attacks.autoattack_engine"]),
        "batches": BATCHES,
        "indices": list(rows),
        "other verdict": {index: row for index, row in rows.items() if len({by == "" for by in row}) > 1},
        "other attack or iteration": {index: row for index, row in rows.items() if len(set(row)) > 1},
        "torch": torch.__version__,
        "threads": torch.get_num_threads(),
    }
    with atomic(PARTS / "batches.json") as temporary:
        temporary.write_text(json.dumps(record, indent=1) + "\n")
    print(json.dumps({key: record[key] for key in ("other verdict", "other attack or iteration")}))


if __name__ == "__main__":
    main()
