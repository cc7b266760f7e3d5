"""torchattacks.CW as it is: the paper's "CW" column of the standard tables (Kim, 2020; version 3.5.1).

Read its numbers with its traps in mind: the whole batch stops early once its summed cost rises, so a verdict depends
on the batch an image is in; the true class's logit is masked with 0 instead of left out, so a constant added to all
logits changes verdicts; pixels at exactly 0 or 1 never move; kappa does not enter the test of success; and at
c = 0.01 the scale of the logits decides how often it succeeds. `cw` and `margin_pgd` stand beside it for that reason.
"""

import torch
import torchattacks
from torch import Tensor, nn

from stages.attack.library import as_library_sees
from stages.core.config.quantities import Count, NonNegative, Positive
from stages.core.images.threat import Threat

CHOOSES = True
FOLDED = True
UNBOUNDED = True


def cw_torchattacks(
    model: nn.Module,
    images: Tensor,
    labels: Tensor,
    threat: Threat,
    generator: torch.Generator,
    *,
    c: Positive = 0.01,
    kappa: NonNegative = 0.0,
    steps: Count = 50,
    lr: Positive = 0.01,
) -> Tensor:
    """The smallest misclassified image torchattacks.CW meets, or the image itself; (B, C, H, W).

    `threat` and `generator` go unused: nothing is bounded and nothing drawn.
    """
    with as_library_sees(model) as frozen:
        return torchattacks.CW(frozen, c=c, kappa=kappa, steps=steps, lr=lr)(images, labels).detach()
