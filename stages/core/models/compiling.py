"""A network compiled by torch.compile: one program for batches of every size, so that no order of sizes weighs."""

import torch
from torch import Tensor, nn
from torch._dynamo.exc import TorchDynamoException

from stages.core.errors import ConfigError


class Compiled(nn.Module):
    """The same function, its operations fused; it rounds otherwise. It is compiled when it is first called."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network
        self._run = torch.compile(network.forward, fullgraph=True)

    def forward(self, images: Tensor) -> Tensor:
        """What the network makes of images (B, C, H, W); ConfigError where it cannot be compiled."""
        # From the first batch on, or a run that goes on from a state would meet the sizes in another order and get
        # programs of other bits.
        torch._dynamo.maybe_mark_dynamic(images, 0)
        try:
            result: Tensor = self._run(images)
        except TorchDynamoException as error:
            reason = str(error).strip().partition("\n")[0]
            raise ConfigError(f"compile: true cannot be had here ({reason}); write compile: false") from error
        return result
