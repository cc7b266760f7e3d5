"""What would make wrong numbers without a word, looked for on a few hundred images of the data set."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from scipy.optimize import linear_sum_assignment
from scipy.stats import binomtest
from torch import Tensor, nn

from stages.core.errors import ConfigError
from stages.core.models.architectures import Outside

Statistics = tuple[tuple[float, ...], tuple[float, ...]]
NORMALIZATIONS: Mapping[str, Statistics] = {
    "none": ((0.0, 0.0, 0.0), (1.0, 1.0, 1.0)),
    "CIFAR-10's": ((0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616)),
    "CIFAR-10's, small deviations": ((0.4914, 0.4822, 0.4465), (0.2023, 0.1994, 0.2010)),
    "CIFAR-100's": ((0.5071, 0.4865, 0.4409), (0.2673, 0.2564, 0.2762)),
    "ImageNet's": ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    "0.5 and 0.5": ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5)),
}
GIVEN = "given"
SIGNIFICANT = 1e-3
BATCH = 100
PROBED = 32
CLOSE = 1e-3  # of the largest logit: what another batch's order of sums may move


@dataclass(frozen=True)
class Sample:
    """Test images (n, 3, H, W) float32 in [0, 1] and their labels (n,), on the device."""

    images: Tensor
    labels: Tensor


def choose(
    networks: Mapping[str, nn.Module], sample: Sample, given: Statistics | None
) -> tuple[str, Statistics, dict[str, Any]]:
    """The network and the normalization to classify with, and what each hypothesis gets right.

    networks: by their architectures, with the same weights. given: the config's or the file's normalization;
    ConfigError where another gets significantly more right. Without one, the best is taken.
    """
    hypotheses = {
        (architecture, name): _right(network, statistics, sample)
        for architecture, network in networks.items()
        for name, statistics in {**NORMALIZATIONS, **({GIVEN: given} if given else {})}.items()
    }
    accuracies = {key: float(right.float().mean()) for key, right in hypotheses.items()}
    best = max(accuracies, key=lambda key: accuracies[key])
    taken = max((key for key in hypotheses if given is None or key[1] == GIVEN), key=lambda key: accuracies[key])
    p = mcnemar(hypotheses[best], hypotheses[taken])
    said = f"{accuracies[best]:.1%} of {len(sample.labels)} images are right with {best[1]} statistics"
    if given is not None and p < SIGNIFICANT:
        raise ConfigError(
            f"mean {list(given[0])}, std {list(given[1])}: {accuracies[taken]:.1%} are right, and {said}, McNemar p ="
            f" {p:.1g}; write those, or leave both out"
        )
    close = [
        " ".join(key)
        for key in hypotheses
        if key != taken and key[1] != GIVEN and mcnemar(hypotheses[taken], hypotheses[key]) >= SIGNIFICANT
    ]
    facts = {
        "hypotheses": {" ".join(key): round(accuracy, 4) for key, accuracy in accuracies.items()},
        "normalization": taken[1],
        "not_told_apart": close if given is None or taken != best else [],
    }
    return taken[0], given or NORMALIZATIONS[taken[1]], facts


def check_outputs(model: nn.Module, sample: Sample, classes: int) -> dict[str, Any]:
    """Accuracy, and ConfigError for outputs that attacks or verdicts cannot rest on."""
    logits = _logits(model, sample.images)
    if logits.ndim != 2 or logits.shape[1] != classes:
        raise ConfigError(
            f"the model returns {tuple(logits.shape)} for {len(sample.images)} images; logits (B, {classes})"
        )
    if not bool(logits.isfinite().all()):
        raise ConfigError("a logit is not finite; the weights are broken, or the normalization is")
    _require_repeatable(model, sample)
    sums = logits.exp().sum(dim=1)
    if bool((logits >= 0).all()) and torch.allclose(logits.sum(dim=1), torch.ones_like(sums), atol=1e-3):
        raise ConfigError("the model returns probabilities, on which gradients vanish; let it return logits")
    if torch.allclose(sums, torch.ones_like(sums), atol=1e-3):
        raise ConfigError("the model returns log-probabilities; let it return logits, as attacks on margins read them")
    return {"accuracy": _require_order(logits.argmax(dim=1), sample.labels, classes), "images": len(logits)}


def _require_repeatable(model: nn.Module, sample: Sample) -> None:
    """ConfigError where an image's logits change from call to call or with the images beside it."""
    few = sample.images[:PROBED]
    with torch.no_grad():
        first, again = model(few), model(few)
        alone = torch.cat([model(one) for one in few.split(1)])
    scale = float(first.abs().max())
    if float((again - first).abs().max()) > CLOSE * scale:
        raise ConfigError("the same images get other logits at a second call; turn dropout and noise off in eval mode")
    if float((alone - first).abs().max()) > CLOSE * scale:
        raise ConfigError("an image's logits hang on the batch it is in; batch norm must use its running statistics")


def _require_order(predicted: Tensor, labels: Tensor, classes: int) -> float:
    """Accuracy; ConfigError where another order of the classes gets significantly more right."""
    confusion = torch.zeros(classes, classes, dtype=torch.int64)
    confusion.index_put_((labels.cpu(), predicted.cpu()), torch.ones(len(labels), dtype=torch.int64), accumulate=True)
    theirs, ours = linear_sum_assignment(-confusion.numpy().T)
    order = torch.empty(classes, dtype=torch.int64)
    order[torch.from_numpy(theirs)] = torch.from_numpy(ours)
    right, reordered = predicted.cpu() == labels.cpu(), order[predicted.cpu()] == labels.cpu()
    accuracy = float(right.float().mean())
    if float(reordered.float().mean()) > max(2 * accuracy, 0.5) and mcnemar(reordered, right) < SIGNIFICANT:
        raise ConfigError(
            f"{accuracy:.1%} of {len(labels)} images are right, and {float(reordered.float().mean()):.1%} with the"
            f" classes in the order {order.tolist()}; the model's classes stand in another order than the data set's"
        )
    return round(accuracy, 4)


def mcnemar(one: Tensor, other: Tensor) -> float:
    """Exact two-sided p of two classifiers' correctness (n,) bool on the same images."""
    only, others = int((one & ~other).sum()), int((other & ~one).sum())
    return float(binomtest(only, only + others).pvalue) if only + others else 1.0


def _right(network: nn.Module, statistics: Statistics, sample: Sample) -> Tensor:
    model = Outside(network, *statistics).to(sample.images.device).eval()
    return _logits(model, sample.images).argmax(dim=1) == sample.labels


def _logits(model: nn.Module, images: Tensor) -> Tensor:
    with torch.no_grad():
        return torch.cat([model(part) for part in images.split(BATCH)])
