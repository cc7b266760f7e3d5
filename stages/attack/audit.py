"""The second look at adversarial images: their bounds, and the model's verdict by a forward of its own.

An attack's own word counts for nothing here; what it returns is measured in float64 and scored again in float32.
"""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from stages.core.config.attacks import Attack
from stages.core.errors import AuditError, DivergenceError
from stages.core.images.perturb import evaluating

SCORE_BATCH = 100
LINF_TOLERANCE = 1e-6
L2_TOLERANCE = 1e-5


@dataclass(frozen=True)
class Verdicts:
    """What the audit found, on the CPU: predictions (B,) int64, robust (B,) bool, sizes (B,) float64.

    robust: predicted correctly on the clean image and on the adversarial image.
    """

    clean_prediction: Tensor
    adversarial_prediction: Tensor
    robust: Tensor
    linf: Tensor
    l2: Tensor


def audit(
    model: nn.Module,
    name: str,
    attack: Attack,
    images: Tensor,
    x_adv: Tensor,
    labels: Tensor,
    indices: Tensor,
    clean: Tensor | None = None,
) -> Verdicts:
    """Verdicts on adversarial images x_adv of `images`, both (B, C, H, W) float32; labels (B,).

    name: the attack's id; indices (B,): where each stands in the test set; clean (B,): the model's predictions on
    `images` by `score`, where they are known. Raises AuditError for an image
    out of [0, 1] or, for a bounded attack, out of its ball; DivergenceError for a logit that is not finite.
    """
    if x_adv.shape != images.shape or x_adv.dtype != images.dtype:
        raise AuditError(
            f"attack '{name}' returned {x_adv.dtype} {tuple(x_adv.shape)} for images {images.dtype} "
            f"{tuple(images.shape)}; it must return one image for each"
        )
    _require_box(name, x_adv, indices)
    difference = (x_adv.double() - images.double()).flatten(1)
    linf, l2 = difference.abs().amax(dim=1).cpu(), difference.square().sum(dim=1).sqrt().cpu()
    if attack.bounded:
        epsilon = 0.0 if attack.kind == "clean" else attack.epsilon
        tolerance = LINF_TOLERANCE if attack.norm == "linf" else L2_TOLERANCE * max(1.0, epsilon)
        _require_ball(name, linf if attack.norm == "linf" else l2, attack.norm, epsilon, tolerance, indices)
    if clean is None:
        clean = score(model, name, images, indices).argmax(dim=1).cpu()
    adversarial = score(model, name, x_adv, indices).argmax(dim=1).cpu()
    truth = labels.cpu()
    return Verdicts(clean, adversarial, (clean == truth) & (adversarial == truth), linf, l2)


def score(model: nn.Module, name: str, images: Tensor, indices: Tensor) -> Tensor:
    """Logits (B, K) by a plain float32 forward in eval mode; DivergenceError names an image whose are not finite."""
    if images.is_cuda and (torch.backends.cuda.matmul.allow_tf32 or torch.backends.cudnn.allow_tf32):
        raise AuditError("TF32 is on, so float32 verdicts are not float32; turn it off by stages.core.device.prepare")
    with evaluating(model), torch.no_grad(), torch.autocast(images.device.type, enabled=False):
        logits = torch.cat([model(part.float()) for part in images.split(SCORE_BATCH)])
    finite = logits.isfinite().all(dim=1)
    if not bool(finite.all()):
        index = int(indices[int((~finite).int().argmax())])
        raise DivergenceError(f"attack '{name}', image {index}: a logit is not finite; train the model again")
    return logits


def require_eval_mode(model: nn.Module, name: str) -> None:
    """Raise AuditError if a submodule is in train mode, where batch norm would see the batch."""
    for path, module in model.named_modules():
        if module.training:
            raise AuditError(
                f"attack '{name}': submodule '{path or 'model'}' is in train mode; it must be in eval mode"
            )


@contextlib.contextmanager
def unchanged(model: nn.Module, name: str) -> Iterator[None]:
    """Raise AuditError if afterwards a weight or a buffer differs from what it was before."""
    before = {key: value.clone() for key, value in model.state_dict().items()}
    yield
    for key, value in model.state_dict().items():
        if not torch.equal(value, before[key]):
            raise AuditError(f"attack '{name}' changed the model's '{key}'; an attack must leave the model as found")


def _require_box(name: str, x_adv: Tensor, indices: Tensor) -> None:
    inside = ((x_adv >= 0) & (x_adv <= 1)).flatten(1)
    if bool(inside.all()):
        return
    row = int((~inside.all(dim=1)).int().argmax())
    value = float(x_adv[row].flatten()[int((~inside[row]).int().argmax())])
    raise AuditError(f"attack '{name}', image {int(indices[row])}: pixel {value:.9g} lies out of the box [0, 1]")


def _require_ball(name: str, sizes: Tensor, norm: str, epsilon: float, tolerance: float, indices: Tensor) -> None:
    row = int(sizes.argmax())
    if not float(sizes[row]) <= epsilon + tolerance:
        raise AuditError(
            f"attack '{name}', image {int(indices[row])}: {norm} size {float(sizes[row]):.9g} exceeds epsilon"
            f" {epsilon:.9g}"
        )
