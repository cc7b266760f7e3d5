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
ENOUGH = 100  # images: below them chance is not told from little
FITTED = 5  # images a class, at least, that another order of the classes is fitted on
PROBED = 32
CLOSE = 1e-3  # of the largest logit: what another batch's order of sums may move


@dataclass(frozen=True)
class Sample:
    """Test images (n, 3, H, W) float32 in [0, 1] and their labels (n,), on the device."""

    images: Tensor
    labels: Tensor


Hypothesis = tuple[str, str]


def choose(
    networks: Mapping[str, nn.Module],
    sample: Sample,
    given: Statistics | None,
    whole: Sample,
    found: Statistics | None = None,
) -> tuple[str, Statistics, dict[str, Any]]:
    """The network and the normalization to classify with, and what each hypothesis gets right.

    networks: by their architectures, with the same weights. given: the config's or the file's normalization;
    ConfigError where another, of which `found`, the file's, is one, gets significantly more right. Without one the best
    is taken; what `sample` does not tell apart from it is tried on `whole`, all test images, and ConfigError if they do
    not tell either.
    """
    of_file = {"the file's": found} if found is not None and found != given else {}
    known = {**NORMALIZATIONS, **of_file, **({GIVEN: given} if given else {})}
    every = [(architecture, name) for architecture in networks for name in known]
    right = {key: _right(networks[key[0]], known[key[1]], sample) for key in every}
    taken, close, facts = _best(right, given)
    if given is None and close and len(whole.labels) > len(sample.labels):
        right = {key: _right(networks[key[0]], known[key[1]], whole) for key in (taken, *close)}
        taken, close, _ = _best(right, given)
    if given is None and close:
        raise ConfigError(
            f"on {len(whole.labels)} images {_listed([taken, *close])} are not told apart; write mean and std, and the"
            " architecture where it is one of those"
        )
    return (
        taken[0],
        known[taken[1]],
        {**facts, "normalization": taken[1], "not_told_apart": [" ".join(key) for key in close]},
    )


def _best(
    right: Mapping[Hypothesis, Tensor], given: Statistics | None
) -> tuple[Hypothesis, list[Hypothesis], dict[str, Any]]:
    """The hypothesis to take, those that are as good and would change anything, and all accuracies."""
    accuracies = {key: float(found.float().mean()) for key, found in right.items()}
    best = max(accuracies, key=lambda key: accuracies[key])
    taken = max((key for key in right if given is None or key[1] == GIVEN), key=lambda key: accuracies[key])
    p = mcnemar(right[best], right[taken])
    if given is not None and p < SIGNIFICANT:
        raise ConfigError(
            f"mean {list(given[0])}, std {list(given[1])}: {accuracies[taken]:.1%} of {len(right[taken])} images are"
            f" right, and {accuracies[best]:.1%} with {best[1]} statistics, McNemar p = {p:.1g}; write those"
        )
    close = [
        key for key in right if key != taken and key[1] != GIVEN and mcnemar(right[taken], right[key]) >= SIGNIFICANT
    ]
    facts = {"hypotheses": {" ".join(key): round(accuracy, 4) for key, accuracy in accuracies.items()}}
    return taken, close if given is None or taken != best else [], facts


def _listed(keys: list[Hypothesis]) -> str:
    return ", ".join(f"{architecture} with {name} statistics" for architecture, name in keys)


def check_outputs(model: nn.Module, sample: Sample, classes: int) -> dict[str, Any]:
    """Accuracy, and ConfigError for outputs that attacks or verdicts cannot rest on."""
    logits = _logits(model, sample.images)
    if logits.shape[1] != classes:
        raise ConfigError(
            f"the model returns {logits.shape[1]} logits an image, and the data set has {classes} classes"
        )
    if not bool(logits.isfinite().all()):
        raise ConfigError("a logit is not finite; the weights are broken, or the normalization is")
    _require_repeatable(model, sample)
    sums = logits.exp().sum(dim=1)
    if bool((logits >= 0).all()) and torch.allclose(logits.sum(dim=1), torch.ones_like(sums), atol=1e-3):
        raise ConfigError("the model returns probabilities, on which gradients vanish; let it return logits")
    if torch.allclose(sums, torch.ones_like(sums), atol=1e-3):
        raise ConfigError("the model returns log-probabilities; let it return logits, whose scale is looked at, too")
    right = logits.argmax(dim=1) == sample.labels
    _require_order(logits.argmax(dim=1).cpu(), sample.labels.cpu(), classes)
    _require_above_chance(int(right.sum()), len(right), classes)
    return {"accuracy": round(float(right.float().mean()), 4), "images": len(right)}


def _require_above_chance(right: int, count: int, classes: int) -> None:
    """ConfigError for a classifier that knows nothing of the images: the preprocessing or the weights are others'."""
    if count >= ENOUGH and binomtest(right, count, 1 / classes, alternative="greater").pvalue >= SIGNIFICANT:
        raise ConfigError(
            f"{right} of {count} images are right, no more than by chance; are pixels in [0, 1], the size and the data"
            " set those that it was trained on?"
        )


def _require_repeatable(model: nn.Module, sample: Sample) -> None:
    """ConfigError where an image's logits change from call to call or with the images beside it."""
    few = sample.images[:PROBED]
    with torch.no_grad():
        first, again = _called(model, few), _called(model, few)
        alone = torch.cat([_called(model, one) for one in few.split(1)])
    scale = float(first.abs().max())
    if float((again - first).abs().max()) > CLOSE * scale:
        raise ConfigError("the same images get other logits at a second call; turn dropout and noise off in eval mode")
    if float((alone - first).abs().max()) > CLOSE * scale:
        raise ConfigError("an image's logits hang on the batch it is in; batch norm must use its running statistics")


def _require_order(predicted: Tensor, labels: Tensor, classes: int) -> None:
    """ConfigError where another order of the classes, fitted on half of the images, is right more often on the rest."""
    if len(labels) < 2 * FITTED * classes:
        return
    confusion = torch.zeros(classes, classes, dtype=torch.int64)
    one = torch.ones(1, dtype=torch.int64)
    of_a_class = labels.argsort(stable=True)
    fitted, tested = of_a_class[::2], of_a_class[1::2]
    confusion.index_put_((labels[fitted], predicted[fitted]), one, accumulate=True)
    theirs, ours = linear_sum_assignment(-confusion.numpy().T)
    order = torch.empty(classes, dtype=torch.int64)
    order[torch.from_numpy(theirs)] = torch.from_numpy(ours)
    right, reordered = predicted[tested] == labels[tested], order[predicted[tested]] == labels[tested]
    gained = int(reordered.sum()) > int(right.sum())
    if gained and mcnemar(reordered, right) < SIGNIFICANT:
        raise ConfigError(
            f"{float(right.float().mean()):.1%} of {len(right)} images are right, and"
            f" {float(reordered.float().mean()):.1%} with the classes in the order {order.tolist()}, fitted on others;"
            " the model's classes stand in another order than the data set's"
        )


def mcnemar(one: Tensor, other: Tensor) -> float:
    """Exact two-sided p of two classifiers' correctness (n,) bool on the same images."""
    only, others = int((one & ~other).sum()), int((other & ~one).sum())
    return float(binomtest(only, only + others).pvalue) if only + others else 1.0


def _right(network: nn.Module, statistics: Statistics, sample: Sample) -> Tensor:
    model = Outside(network, *statistics).to(sample.images.device).eval()
    return _logits(model, sample.images).argmax(dim=1) == sample.labels


def _logits(model: nn.Module, images: Tensor) -> Tensor:
    """(n, K); ConfigError where the model cannot be called on the images, or returns something else."""
    with torch.no_grad():
        parts = [_called(model, part) for part in images.split(BATCH)]
    return torch.cat(parts)


def _called(model: nn.Module, images: Tensor) -> Tensor:
    try:
        found: object = model(images)
    except Exception as error:  # of a net that is not ours
        reason = f"{type(error).__name__}: {error}".partition("\n")[0]
        raise ConfigError(f"the model fails on images {tuple(images.shape)} ({reason}); is it of this size?") from error
    if not isinstance(found, Tensor) or found.ndim != 2 or len(found) != len(images):
        what = tuple(found.shape) if isinstance(found, Tensor) else type(found).__name__
        raise ConfigError(f"the model returns {what} for {len(images)} images; let it return logits (B, K)")
    return found
