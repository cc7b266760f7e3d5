"""How a network sees what is shown: Q_x of the anchors (Eq. 3), and what PGD makes of the test images."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from stages.core.artifacts import ImageSet
from stages.core.config.pictures import PicturesSettings
from stages.core.images.perturb import perturb
from stages.core.images.pixels import PIXEL_MAX, to_unit
from stages.core.images.search import Search
from stages.core.images.threat import Threat
from stages.core.pictures import Attacked, Neighborhoods, Pictures
from stages.pictures.anchors import Anchors

TINY = 1e-12
STEPS_ACROSS = 4  # of PGD, from the middle of the ball to its rim: 2/255 at 8/255
View = dict[str, Tensor]


class Shown(NamedTuple):
    """Anchors among the training images, and rows (E,) of the test images."""

    train: ImageSet
    anchors: Anchors
    test: ImageSet
    rows: Tensor


def view(model: nn.Module, shown: Shown, epsilon: float, settings: PicturesSettings) -> View:
    """What is of one method in `stages.core.pictures`, on the CPU: q, and its row of what is attacked.

    model: in eval mode. The start of the search is drawn on the CPU, for every method alike.
    """
    device = next(model.parameters()).device
    generator = torch.Generator().manual_seed(settings.seed)
    images, labels = to_unit(shown.test.images[shown.rows].to(device)), shown.test.labels[shown.rows].to(device)
    found = attack(model, images, labels, epsilon, settings.steps, generator)
    found["q"] = logit_structure(model, shown.anchors.images(shown.train).to(device))
    return {name: tensor.cpu() for name, tensor in found.items()}


def logit_structure(model: nn.Module, images: Tensor) -> Tensor:
    """Q_x (A, m): distances of an anchor's logits to its companions', as shares of their sum (Eq. 3).

    images: uint8 (A, 1 + m, 3, H, W), each anchor before its companions, not augmented. As in training, 1e-12 is added
    below the root.
    """
    distances = torch.zeros(len(images), images.shape[1] - 1)
    with torch.no_grad():
        for row, neighborhood in enumerate(images):
            anchor, *_ = logits = model(to_unit(neighborhood))
            distances[row] = ((logits[1:] - anchor).square().sum(dim=1) + TINY).sqrt()
    return distances / distances.sum(dim=1, keepdim=True)


def attack(
    model: nn.Module, images: Tensor, labels: Tensor, epsilon: float, steps: int, generator: torch.Generator
) -> View:
    """PGD on the cross-entropy, and what the model says before and after it.

    images: (E, 3, H, W) in [0, 1]; labels: (E,). The probability is the softmax of the predicted class.
    """
    loss = partial(F.cross_entropy, target=labels, reduction="none")
    x_adv = perturb(model, images, loss, Threat("linf", epsilon), Search(epsilon / STEPS_ACROSS, steps), generator)
    with torch.no_grad():
        probabilities, predictions = model(images).softmax(dim=1).max(dim=1)
        adversarial_probabilities, adversarial_predictions = model(x_adv).softmax(dim=1).max(dim=1)
    perturbation = x_adv.double() - images.double()
    return {
        "predictions": predictions,
        "probabilities": probabilities,
        "adversarial": (x_adv * PIXEL_MAX).round().to(torch.uint8),
        "perturbation": perturbation.half(),
        "adversarial_predictions": adversarial_predictions,
        "adversarial_probabilities": adversarial_probabilities,
        "linf": perturbation.flatten(1).abs().amax(dim=1).float(),
        "l2": perturbation.flatten(1).norm(dim=1).float(),
    }


def put_together(
    shown: Shown, radii: Mapping[str, float], views: Sequence[View], missing: tuple[str, ...], steps: int
) -> Pictures:
    """The pictures of a data set; radii by method, and a view of each in this order."""
    train, near, test, rows = shown
    pixels = near.images(train).numpy()
    of_methods = {name: torch.stack([one[name] for one in views]).numpy() for name in views[0]}
    q = of_methods.pop("q")
    return Pictures(
        classes=test.classes,
        methods=tuple(radii),
        epsilons=tuple(radii.values()),
        missing=missing,
        steps=steps,
        kinds=near.kinds,
        neighborhoods=Neighborhoods(
            ids=near.ids.numpy(),
            labels=train.labels[near.ids].numpy(),
            images=pixels[:, 0],
            neighbor_ids=near.companions.numpy(),
            neighbor_labels=train.labels[near.companions].numpy(),
            neighbor_images=pixels[:, 1:],
            distances=near.distances.numpy(),
            p=near.vectors.numpy(),
            q=q,
        ),
        attacked=Attacked(
            ids=rows.numpy(),
            labels=test.labels[rows].numpy(),
            images=test.images[rows].numpy(),
            **of_methods,
        ),
    )
