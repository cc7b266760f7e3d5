"""The engine on a benchmark's points, as the attack stage runs it."""

from stages.attack.attacks.autoattack_engine import autoattack_engine
from stages.attack.evaluation import Evaluation, Record
from stages.core.config.attacks import Attack
from stages.core.images.threat import Threat
from tests.benchmarks.regimes import Points


def engine(points: Points, epsilon: float, seed: int, precision: str = "float32", batch_size: int = 256) -> list[str]:
    """Which of the engine's attacks breaks each point, and at which iteration; "" for none."""
    attack = Attack(kind="autoattack-engine", epsilon=epsilon, batch_size=batch_size, options={"precision": precision})
    record = Record()
    images, labels = points.images, points.labels
    given = Evaluation(points.model, "engine", attack, images, labels, points.indices, seed, record, lambda: None)
    autoattack_engine(points.model, images, labels, Threat("linf", epsilon), given, **attack.options)
    return [
        by and f"{by} at {iteration}" for by, iteration in zip(record.broken_by, record.iteration.tolist(), strict=True)
    ]
