"""AutoAttack, the official algorithm and budget (Croce & Hein, 2020), by its repackaging `pyautoattack`.

Version "standard": APGD-CE, APGD on the targeted DLR loss, targeted FAB (100 iterations each, 9 targets) and Square
(5,000 queries), each on what the ones before it left. With K < 10 classes there are only K - 1 targets; the official
code counts on 9 and crashes, so the two counts are lowered. The targeted DLR loss needs 4 classes. Under L2 Square
crashes on some shapes and searches these on a canvas (`stages.attack.windows`).
"""

import torch
from pyautoattack import AutoAttack
from torch import Tensor, nn

from stages.attack.library import NORMS, as_library_sees, draw_seed, require_targets
from stages.attack.windows import search_on_canvas
from stages.core.images.threat import Threat

TARGETS = 9
LEAST_CLASSES = 4


def autoattack(model: nn.Module, images: Tensor, labels: Tensor, threat: Threat, generator: torch.Generator) -> Tensor:
    """An adversarial image (B, C, H, W) where one was found, else the image; misclassified images are not attacked.

    Raises ConfigError below 4 classes.
    """
    if threat.epsilon == 0:
        return images.clone()
    with as_library_sees(model) as frozen:
        targets = min(TARGETS, require_targets(frozen, images, LEAST_CLASSES))
        ensemble = AutoAttack(
            frozen,
            norm=NORMS[threat.norm],
            eps=threat.epsilon,
            seed=draw_seed(generator),
            device=images.device,
            version="standard",
        )
        ensemble.apgd_targeted.n_target_classes = targets
        ensemble.fab.n_target_classes = targets
        if threat.norm == "l2":
            search_on_canvas(ensemble.square, "predict", images)
        x_adv, _ = ensemble.run_standard_evaluation(images, labels, batch_size=len(images))
    return x_adv.detach()
