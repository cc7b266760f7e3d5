"""Every mistake that makes wrong numbers without a word is found on a few hundred images, and said in one line."""

from collections.abc import Callable

import pytest
import torch
from scipy.stats import binomtest
from torch import Tensor, nn

from stages.core.errors import ConfigError
from stages.weights.checks import NORMALIZATIONS, Sample, _require_order, check_outputs, choose, mcnemar
from tests.unit.drawing import seeded, weights_from

CLASSES, COUNT = 10, 300


def sample(count: int = COUNT) -> Sample:
    """Gray images, each class of its own brightness."""
    labels = torch.arange(count) % CLASSES
    gray = (labels + 0.5) / CLASSES + 0.02 * torch.randn(count, generator=seeded(0))
    return Sample(gray.view(-1, 1, 1, 1).expand(-1, 3, 4, 4).contiguous(), labels)


class Brightness(nn.Module):
    """Logits that tell the brightness of images normalized by `mean` and `std`."""

    def __init__(self, mean: tuple[float, ...], std: tuple[float, ...]) -> None:
        super().__init__()
        self.mean, self.std = (torch.tensor(values).view(1, 3, 1, 1) for values in (mean, std))

    def forward(self, images: Tensor) -> Tensor:
        gray = (images * self.std + self.mean).mean(dim=(1, 2, 3))
        levels = (torch.arange(CLASSES) + 0.5) / CLASSES
        return -50 * (gray.unsqueeze(1) - levels).square()


PLAIN = NORMALIZATIONS["none"]


@pytest.mark.parametrize("name", NORMALIZATIONS)
def test_a_normalization_is_found(name: str) -> None:
    _, statistics, facts = choose({"net": Brightness(*NORMALIZATIONS[name])}, sample(), None, sample(4000))
    assert statistics == NORMALIZATIONS[name]
    assert facts["normalization"] == name
    assert facts["hypotheses"][f"net {name}"] > 0.9


@pytest.mark.parametrize("name", NORMALIZATIONS)
def test_a_wrong_normalization_stops_and_says_which(name: str) -> None:
    net = {"net": Brightness(*NORMALIZATIONS["ImageNet's"])}
    if name == "ImageNet's":
        assert choose(net, sample(), NORMALIZATIONS[name], sample())[1] == NORMALIZATIONS[name]
        return
    with pytest.raises(ConfigError, match=r"of 300 images are right, and .* with ImageNet's statistics, McNemar p"):
        choose(net, sample(), NORMALIZATIONS[name], sample())


def test_what_does_not_differ_significantly_is_a_warning() -> None:
    mean, std = NORMALIZATIONS["ImageNet's"]
    near = tuple(value + 0.012 for value in mean), std
    _, statistics, facts = choose({"net": Brightness(mean, std)}, sample(), near, sample())
    assert statistics == near
    assert "net ImageNet's" in facts["not_told_apart"]


def test_a_given_normalization_is_refused_where_the_files_own_is_right_more_often() -> None:
    own = ((0.9, 0.9, 0.9), (3.0, 3.0, 3.0))
    net = {"net": Brightness(*own)}
    assert choose(net, sample(), own, sample(), own)[1] == own
    with pytest.raises(ConfigError, match="with the file's statistics"):
        choose(net, sample(), PLAIN, sample(), own)


def test_of_two_nets_with_the_same_weights_the_one_that_is_right_is_taken() -> None:
    class Turned(Brightness):
        def forward(self, images: Tensor) -> Tensor:
            return super().forward(images).flip(1)

    for right in ("first", "second"):
        nets = {name: (Brightness if name == right else Turned)(*PLAIN) for name in ("first", "second")}
        assert choose(nets, sample(), PLAIN, sample())[0] == right


def test_what_all_test_images_do_not_tell_is_asked() -> None:
    class Relative(nn.Module):
        def forward(self, images: Tensor) -> Tensor:
            whitened = (images - images.mean()) / images.std()
            return Brightness(*PLAIN)(whitened * 0.28 + 0.5)

    with pytest.raises(
        ConfigError, match=r"on 4000 images net with .* statistics, .* are not told apart; write mean and"
    ):
        choose({"net": Relative()}, sample(), None, sample(4000))


class Wrapped(nn.Module):
    """The right logits, made into something else."""

    def __init__(self, change: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.net, self.change = Brightness(*PLAIN), change

    def forward(self, images: Tensor) -> Tensor:
        return self.change(self.net(images))


def of_batch(logits: Tensor) -> Tensor:
    return logits - logits.mean(dim=0)


MISTAKES: dict[str, tuple[Callable[[Tensor], Tensor], str]] = {
    "softmax": (lambda logits: logits.softmax(dim=1), "returns probabilities"),
    "log-softmax": (lambda logits: logits.log_softmax(dim=1), "returns log-probabilities"),
    "dropout": (lambda logits: nn.functional.dropout(logits, training=True), "other logits at a second call"),
    "noise": (lambda logits: logits + torch.randn_like(logits), "other logits at a second call"),
    "batch": (of_batch, "hang on the batch"),
    "NaN": (lambda logits: logits / 0 * 0, "not finite"),
    "order": (lambda logits: logits.roll(3, dims=1), "another order than the data set's"),
    "shape": (lambda logits: logits[:, :9], "returns 9 logits an image, and the data set has 10"),
    "features": (lambda logits: logits.unsqueeze(2), r"returns \(100, 10, 1\) for 100 images"),
    "tuple": (lambda logits: (logits, logits), "returns tuple for 100 images"),  # type: ignore[dict-item, return-value]
    "size": (lambda logits: logits @ torch.zeros(3, 3), r"fails on images \(100, 3, 4, 4\) \(RuntimeError: "),
    "chance": (lambda logits: torch.ones_like(logits), "no more than by chance"),
    "two swapped": (lambda logits: logits[:, [1, 0, *range(2, 10)]], "another order than the data set's"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_caught_with_one_line(mistake: str) -> None:
    change, said = MISTAKES[mistake]
    with weights_from(0), pytest.raises(ConfigError, match=said) as caught:
        check_outputs(Wrapped(change), sample(), CLASSES)
    assert "\n" not in str(caught.value)


def test_batch_norm_in_train_mode_hangs_on_the_batch() -> None:
    norm = nn.BatchNorm1d(CLASSES, affine=False)
    model = Wrapped(lambda logits: norm(logits) if len(logits) > 1 else logits)
    with pytest.raises(ConfigError, match="hang on the batch"):
        check_outputs(model, sample(), CLASSES)


@pytest.mark.parametrize("shift", [0.0, 5.0, -100.0])
@pytest.mark.parametrize("scale", [0.01, 1.0, 1000.0])
def test_honest_logits_pass_whatever_their_scale(scale: float, shift: float) -> None:
    facts = check_outputs(Wrapped(lambda logits: scale * logits + shift), sample(), CLASSES)
    assert facts["accuracy"] > 0.9


@pytest.mark.parametrize("accuracy", [0.2, 0.3, 0.6])
@pytest.mark.parametrize("classes", [10, 100, 1000])
def test_a_weak_model_s_classes_are_in_no_other_order(classes: int, accuracy: float) -> None:
    refused = []
    for seed in range(20):
        generator = seeded(seed)
        labels = torch.arange(500) % classes
        guessed = torch.randint(classes, (500,), generator=generator)
        predicted = torch.where(torch.rand(500, generator=generator) < accuracy, labels, guessed)
        try:
            _require_order(predicted, labels, classes)
        except ConfigError:
            refused.append(seed)
    assert refused == []


def test_mcnemar_is_the_exact_binomial_test() -> None:
    one, other = torch.rand(50, generator=seeded(0)) < 0.7, torch.rand(50, generator=seeded(1)) < 0.4
    only, others = int((one & ~other).sum()), int((~one & other).sum())
    assert mcnemar(one, other) == pytest.approx(binomtest(only, only + others, 0.5).pvalue)
    assert mcnemar(one, other) == mcnemar(other, one)
    assert mcnemar(one, one) == 1
