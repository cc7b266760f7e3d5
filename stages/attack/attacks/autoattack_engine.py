"""AutoAttack (Croce & Hein, 2020) under L-infinity at its full budget, point by point: see `stages.attack.engine`.

APGD-CE, APGD on the targeted DLR loss, targeted FAB (100 iterations each, 9 targets or K - 1 where they are fewer) and
Square (5,000 queries), in this order. Against the official code, `autoattack`: a broken point leaves at once, random
numbers belong to the image, a point's targets are searched side by side, Square draws a square for every point, and any
number of classes from 2 will do. Below 4 classes, where the targeted DLR loss is not defined, APGD ascends z_t - z_y:
`apgd-margin-t`.
"""

from typing import Any, Literal

import torch
from torch import Tensor, nn

from stages.attack.engine.apgd import APGD, cross_entropy, targeted_dlr, targeted_margin
from stages.attack.engine.draws import Draws
from stages.attack.engine.ensemble import attack_all
from stages.attack.engine.fab import FAB
from stages.attack.engine.points import Algorithm, Points
from stages.attack.engine.progress import Progress
from stages.attack.engine.square import Square
from stages.attack.evaluation import Evaluation
from stages.core.config.quantities import Fraction01
from stages.core.images.threat import Threat
from stages.core.job.interrupt import uninterrupted
from stages.core.job.progress import log_line
from stages.core.models.folding import folded

ALL_AT_ONCE = True
NORMS = ("linf",)
LEAST_CLASSES = 2
TARGETS = 9
LEAST_FOR_DLR = 4


def autoattack_engine(
    model: nn.Module,
    images: Tensor,
    labels: Tensor,
    threat: Threat,
    evaluation: Evaluation,
    *,
    precision: Literal["float32", "bfloat16"] = "float32",
    rechecked: Fraction01 = 0.05,
) -> None:
    """Attack all images (n, C, H, W) in [0, 1] that the model gets right; what breaks is on the evaluation's record.

    precision: of the search; every verdict is a float32 forward of the model itself. rechecked: under bfloat16 the
    share of its survivors, drawn at random and at least one, that is attacked again in float32; if one breaks, all are.
    """
    record = evaluation.record
    search = record.search
    if not search:
        places = evaluation.correct.nonzero().flatten() if threat.epsilon > 0 else torch.zeros(0, dtype=torch.int64)
        search.update(phase="search", places=places, progress=Progress.at_start(places, record.forwards))
    following: dict[str, Any]
    while True:
        narrow = precision == "bfloat16" and search["phase"] == "search"
        network = folded(model, images, torch.bfloat16 if narrow else torch.float32)
        left = _search(model, network, images, labels, threat, evaluation)
        if narrow:
            chosen = _sample(evaluation, left, rechecked)
            following = {"phase": "recheck", "places": left[chosen], "others": left[~chosen]}
        elif search["phase"] == "recheck" and len(left) < len(search["places"]):
            following = {"phase": "widened", "places": search["others"]}
        else:
            break
        following["progress"] = Progress.at_start(following["places"], record.forwards, record.backwards)
        with uninterrupted():
            search.update(following)
        log_line(f"attack {evaluation.name}: {search['phase']}: {len(search['places'])} survivors again in float32")
    if search["phase"] == "recheck" and (tried := len(search["places"])):
        log_line(
            f"attack {evaluation.name}: none of {tried} survivors broke in float32; with 95 % confidence less than"
            f" {100 * (1 - 0.05 ** (1 / tried)):.1f} % of all would"
        )


def _sample(evaluation: Evaluation, left: Tensor, share: float) -> Tensor:
    """(k,) bool which of the points that are left are attacked again."""
    drawn = Draws(evaluation.seed, "recheck").uniform(evaluation.indices[left], 0, 1)[:, 0]
    if share == 0 or not len(left):
        return torch.zeros(len(left), dtype=torch.bool)
    return drawn <= max(share, float(drawn.min()))


def _search(
    model: nn.Module, network: nn.Module, images: Tensor, labels: Tensor, threat: Threat, evaluation: Evaluation
) -> Tensor:
    """Take the search that is on record to its end; the places that it leaves."""
    record = evaluation.record
    progress = record.search["progress"]
    with torch.no_grad():
        order = torch.cat([model(part) for part in images.split(evaluation.batch_size)]).argsort(dim=1, descending=True)
    targets = order[order != labels.unsqueeze(1)].view(len(labels), -1)
    indices = evaluation.indices.to(images.device)
    points = Points(network, images, labels, indices, targets, torch.zeros_like(labels), threat.epsilon)
    attacks = ensemble(evaluation.seed, targets.shape[1] + 1)
    evaluation.begin_search(passes(progress, attacks)[0] if progress.attack < len(attacks) else 0.0)

    def after_look() -> None:
        attack = attacks[progress.attack]
        where = f"{record.search['phase']}: {attack.name}, iteration {progress.iteration} of {attack.iterations}"
        evaluation.say(where, *passes(progress, attacks))
        evaluation.save_if_due()

    attack_all(points, attacks, progress, evaluation.judge, evaluation.batch_size, after_look)
    record.forwards, record.backwards = progress.forwards, progress.backwards
    left: Tensor = progress.left
    return left


def ensemble(seed: int, classes: int) -> list[Algorithm]:
    """The attacks in order, for a number of classes."""
    runs = min(TARGETS, classes - 1)
    name, loss = ("apgd-t", targeted_dlr) if classes >= LEAST_FOR_DLR else ("apgd-margin-t", targeted_margin)
    return [
        APGD("apgd-ce", cross_entropy, Draws(seed, "apgd-ce")),
        APGD(name, loss, Draws(seed, "apgd-t"), runs),
        FAB("fab-t", runs),
        Square(Draws(seed, "square")),
    ]


def passes(progress: Progress, attacks: list[Algorithm]) -> tuple[float, float]:
    """Passes through the network (made, still to make if no further point breaks); a backward counts twice."""
    costs = [attack.runs * attack.iterations * (attack.passes[0] + 2 * attack.passes[1]) for attack in attacks]
    made = float((progress.forwards + 2 * progress.backwards).sum())
    later = sum(costs[progress.attack + 1 :]) * len(progress.left)
    attack = attacks[progress.attack]
    begun = (1 - progress.iteration / attack.iterations) * len(progress.wave) / attack.runs
    return made, later + costs[progress.attack] * (len(progress.waiting) + begun)
