"""The margin by which an image is misclassified (Carlini & Wagner, 2017, f_6 with its sign turned)."""

import torch
from torch import Tensor


def margin(logits: Tensor, labels: Tensor) -> Tensor:
    """max_{k != y} z_k - z_y, positive where misclassified. logits: (B, K); labels: (B,); returns (B,)."""
    true = labels.unsqueeze(1)
    others = logits.scatter(1, true, -torch.inf)
    return others.amax(dim=1) - logits.gather(1, true).squeeze(1)
