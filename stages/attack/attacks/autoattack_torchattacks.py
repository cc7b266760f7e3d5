"""torchattacks.AutoAttack 3.5.1 as it runs: the weaker "AA" that papers using torchattacks report.

Against the official algorithm: 10 steps instead of 100 in APGD, APGD-T and FAB-T, K - 1 targets instead of 9, and
Square with a rescaled schedule. Only its class count, which defaults to 10, is set to the model's, and Square's
windows are held inside images that are not square or under L2 do not fit its grid (`stages.attack.windows`).
"""

import torch
import torchattacks
from torch import Tensor, nn

from stages.attack.library import NORMS, as_library_sees, draw_seed, require_targets
from stages.attack.windows import hold_windows_inside, search_on_canvas
from stages.core.images.threat import Threat

CHOOSES = True
FOLDED = True
LEAST_CLASSES = 4


def autoattack_torchattacks(
    model: nn.Module, images: Tensor, labels: Tensor, threat: Threat, generator: torch.Generator
) -> Tensor:
    """An adversarial image (B, C, H, W) where one was found, else the image. Raises ConfigError below 4 classes."""
    if threat.epsilon == 0:
        return images.clone()
    with as_library_sees(model) as frozen:
        ensemble = torchattacks.AutoAttack(
            frozen,
            norm=NORMS[threat.norm],
            eps=threat.epsilon,
            version="standard",
            n_classes=require_targets(frozen, images, LEAST_CLASSES) + 1,
            seed=draw_seed(generator),
        )
        square = ensemble._autoattack.attacks[-1]
        height, width = images.shape[-2:]
        if threat.norm == "l2":
            height, width = search_on_canvas(square, "get_logits", images)
        hold_windows_inside(square, height, width, odd=threat.norm == "l2")
        return ensemble(images, labels).detach()
