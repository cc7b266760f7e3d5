"""Networks to certify, trained on scikit-learn's digits in seconds: honest ones, and ones whose gradients mislead."""

from collections.abc import Callable
from functools import cache
from typing import cast

import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import Tensor, nn

from stages.core.artifacts import ImageSet
from stages.core.images.perturb import perturb
from stages.core.images.pixels import to_unit
from stages.core.images.search import Search
from stages.core.images.threat import Threat

EPSILON = 0.1
TESTED = 360
CLASSES = 10
KL_WEIGHT = 6.0  # of TRADES
TEMPERATURE = 100.0  # of distillation

Loss = Callable[[nn.Module, Tensor, Tensor, torch.Generator], Tensor]


@cache
def digits() -> tuple[ImageSet, ImageSet]:
    """(training, test) images (n, 3, 8, 8), the same gray in three channels."""
    found = load_digits()
    pixels = torch.from_numpy((found.images / 16 * 255).round()).to(torch.uint8)
    images = pixels.unsqueeze(1).expand(-1, 3, -1, -1).contiguous()
    labels = torch.from_numpy(found.target).long()
    names = tuple("0123456789")
    return ImageSet(images[:-TESTED], labels[:-TESTED], names), ImageSet(images[-TESTED:], labels[-TESTED:], names)


class Net(nn.Module):
    """Three convolutions and a linear layer: (B, 3, 8, 8) -> (B, 10)."""

    def __init__(self, activation: Callable[[Tensor], Tensor] = F.relu) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 16, 3, padding=1)
        self.second = nn.Conv2d(16, 32, 3, stride=2, padding=1)
        self.third = nn.Conv2d(32, 64, 3, stride=2, padding=1)
        self.head = nn.Linear(256, CLASSES)
        self.activation = activation

    def forward(self, images: Tensor) -> Tensor:
        """Logits."""
        features = images
        for convolution in (self.first, self.second, self.third):
            features = self.activation(convolution(features))
        return cast(Tensor, self.head(features.flatten(1)))


def winners(features: Tensor, share: float = 0.1) -> Tensor:
    """k-winners-take-all (Xiao et al., 2020): the largest values of an image's features, and 0 for the others."""
    flat = features.flatten(1)
    least = flat.topk(max(int(share * flat.shape[1]), 1), dim=1).values[:, -1:]
    return torch.where(flat >= least, flat, 0.0).view_as(features)


class _Sign(torch.autograd.Function):
    """The sign, with the gradient of the identity where that is within 1 (Bengio et al., 2013)."""

    @staticmethod
    def forward(ctx: torch.autograd.function.FunctionCtx, features: Tensor) -> Tensor:
        ctx.save_for_backward(features)
        return features.sign()

    @staticmethod
    def backward(ctx: torch.autograd.function.FunctionCtx, *gradients: Tensor) -> Tensor:
        (features,) = ctx.saved_tensors  # type: ignore[attr-defined]
        return gradients[0] * (features.abs() <= 1)


def learnable_sign(features: Tensor) -> Tensor:
    """A step that can be trained through."""
    return cast(Tensor, _Sign.apply(features))


def standard(model: nn.Module, images: Tensor, labels: Tensor, generator: torch.Generator) -> Tensor:
    """Cross-entropy."""
    return F.cross_entropy(model(images), labels)


def adversarial(model: nn.Module, images: Tensor, labels: Tensor, generator: torch.Generator) -> Tensor:
    """Madry et al. (2018)."""
    x_adv = perturb(
        model,
        images,
        lambda logits: F.cross_entropy(logits, labels, reduction="none"),
        Threat("linf", EPSILON),
        Search(EPSILON / 4, 7),
        generator,
    )
    return F.cross_entropy(model(x_adv), labels)


def trades(model: nn.Module, images: Tensor, labels: Tensor, generator: torch.Generator) -> Tensor:
    """Zhang et al. (2019)."""
    with torch.no_grad():
        clean = model(images).log_softmax(dim=1)
    x_adv = perturb(
        model,
        images,
        lambda logits: F.kl_div(logits.log_softmax(dim=1), clean, reduction="none", log_target=True).sum(dim=1),
        Threat("linf", EPSILON),
        Search(EPSILON / 4, 7, "gaussian"),
        generator,
    )
    logits = model(images)
    apart = F.kl_div(model(x_adv).log_softmax(dim=1), logits.log_softmax(dim=1), reduction="batchmean", log_target=True)
    return F.cross_entropy(logits, labels) + KL_WEIGHT * apart


def smoothed(model: nn.Module, images: Tensor, labels: Tensor, generator: torch.Generator) -> Tensor:
    """Cross-entropy with smoothed labels (Szegedy et al., 2016)."""
    return F.cross_entropy(model(images), labels, label_smoothing=0.1)


def mixed(model: nn.Module, images: Tensor, labels: Tensor, generator: torch.Generator) -> Tensor:
    """Mixup (Zhang et al., 2018) with a uniform share."""
    share = float(torch.rand((), generator=generator))
    order = torch.randperm(len(labels), generator=generator)
    logits = model(share * images + (1 - share) * images[order])
    return share * F.cross_entropy(logits, labels) + (1 - share) * F.cross_entropy(logits, labels[order])


def distilled(teacher: nn.Module) -> Loss:
    """Defensive distillation (Papernot et al., 2016): learn a teacher's softened probabilities, at its temperature."""

    def loss(model: nn.Module, images: Tensor, labels: Tensor, generator: torch.Generator) -> Tensor:
        with torch.no_grad():
            wanted = (teacher(images) / TEMPERATURE).softmax(dim=1)
        return F.cross_entropy(model(images) / TEMPERATURE, wanted)

    return loss


def softened(model: nn.Module, images: Tensor, labels: Tensor, generator: torch.Generator) -> Tensor:
    """Cross-entropy at the temperature of distillation."""
    return F.cross_entropy(model(images) / TEMPERATURE, labels)


def median(images: Tensor) -> Tensor:
    """Each pixel the median of the nine around it (Xu et al., 2018), computed outside of autograd."""
    with torch.no_grad():
        around = F.unfold(F.pad(images, (1, 1, 1, 1), mode="replicate"), 3)
        return around.view(len(images), 3, 9, -1).median(dim=2).values.view_as(images)


def shifted(images: Tensor) -> Tensor:
    """By a pixel in a direction that is drawn at every call."""
    steps = torch.randint(-1, 2, (2,)).tolist()
    return images.roll(steps, dims=(2, 3))


def rippled(images: Tensor) -> Tensor:
    """With a ripple on every pixel, whose slope outweighs the pixel's own and turns every hundredth of the range."""
    return images + 0.05 * (300 * images).sin()


def perceptron() -> nn.Module:
    """Two hidden layers of tanh."""
    return nn.Sequential(
        nn.Flatten(), nn.Linear(192, 64), nn.Tanh(), nn.Linear(64, 64), nn.Tanh(), nn.Linear(64, CLASSES)
    )


def trained(model: nn.Module, loss: Loss = standard, epochs: int = 12, seed: int = 0) -> nn.Module:
    """The model, in eval mode, after Adam on the training digits."""
    generator = torch.Generator().manual_seed(seed)
    train, _ = digits()
    images, labels = to_unit(train.images), train.labels
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
    for _ in range(epochs):
        for batch in torch.randperm(len(labels), generator=generator).split(64):
            optimizer.zero_grad()
            loss(model, images[batch], labels[batch], generator).backward()
            optimizer.step()
    return model.eval().requires_grad_(False)


def started(make: Callable[[], nn.Module], seed: int = 0) -> nn.Module:
    """A model made under a seed."""
    with torch.random.fork_rng(devices=()):
        torch.manual_seed(seed)
        return make()


class Before(nn.Module):
    """A model that a function changes the pixels for."""

    def __init__(self, change: Callable[[Tensor], Tensor], model: nn.Module) -> None:
        super().__init__()
        self.change, self.model = change, model
        self.eval()

    def forward(self, images: Tensor) -> Tensor:
        """Outputs."""
        return cast(Tensor, self.model(self.change(images)))


class After(nn.Module):
    """A model whose outputs a function changes."""

    def __init__(self, model: nn.Module, change: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.model, self.change = model, change
        self.eval()

    def forward(self, images: Tensor) -> Tensor:
        """Outputs."""
        return self.change(self.model(images))


@cache
def vanilla() -> nn.Module:
    """Trained on the cross-entropy."""
    return trained(started(Net))


HONEST: dict[str, Callable[[], nn.Module]] = {
    "vanilla": vanilla,
    "AT": lambda: trained(started(Net), adversarial),
    "TRADES": lambda: trained(started(Net), trades),
    "linear": lambda: trained(nn.Sequential(nn.Flatten(), started(lambda: nn.Linear(192, CLASSES)))),
}

# Tried once the thresholds stood.
HONEST_LATER: dict[str, Callable[[], nn.Module]] = {
    "GELU, smoothed labels": lambda: trained(started(lambda: Net(F.gelu)), smoothed),
    "Mixup": lambda: trained(started(Net), mixed, epochs=24),
    "perceptron": lambda: trained(started(perceptron)),
}


def _binarized() -> nn.Module:
    model = cast(Net, trained(started(lambda: Net(learnable_sign))))
    model.activation = torch.sign
    return model


MASKED: dict[str, tuple[Callable[[], nn.Module], str]] = {
    "logits x 1000": (lambda: After(vanilla(), lambda logits: 1000 * logits), "saturation of the cross-entropy"),
    "8 levels of the pixels": (lambda: Before(lambda images: (images * 7).round() / 7, vanilla()), "gradients"),
    "noise": (lambda: Before(lambda images: images + 0.1 * torch.randn_like(images), vanilla()), "determinism"),
    "softmax": (lambda: After(vanilla(), lambda logits: (10 * logits).softmax(dim=1)), "logits"),
    "step": (_binarized, "gradients"),
    "dropout": (lambda: Before(lambda images: F.dropout(images, 0.2, training=True), vanilla()), "determinism"),
    "k-winners": (lambda: trained(started(lambda: Net(winners)), epochs=30), "active test"),
}


def _student() -> nn.Module:
    return trained(started(Net, seed=1), distilled(trained(started(Net), softened, epochs=40)), epochs=40)


MASKED_LATER: dict[str, tuple[Callable[[], nn.Module], str]] = {
    "median filter outside of autograd": (lambda: trained(Before(median, started(Net))), "gradients"),
    "defensive distillation": (_student, "saturation of the cross-entropy"),
    "random shift": (lambda: Before(shifted, vanilla()), "determinism"),
    "ripple": (lambda: trained(Before(rippled, started(Net))), "active test"),
    "logits x 0.0001": (lambda: After(vanilla(), lambda logits: 1e-4 * logits), "saturation of the cross-entropy"),
}
