"""The MoCo v2 ResNet-50 that its authors trained on ImageNet (Chen et al., 2020), from their checkpoint.

A pickle of `state_dict`, the query encoder under `module.encoder_q.` with torchvision's names and the head
`fc.0`, `fc.2` (2048 -> 2048 -> 128). Only tensors are unpickled: a file that would run code is refused.
"""

import pickle
from pathlib import Path

import torch
from torch import Tensor, nn

from stages.core.ceilings import require_plain_zip
from stages.core.errors import ArtifactError
from stages.features.network import Encoder, load_exactly

PREFIX = "module.encoder_q."
HEAD_DIM = 128
IMAGE_SIZE = 224
IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


def read_official(path: Path) -> Encoder:
    """The query encoder: images of any size, resized to 224, -> (B, 128), its pooled features (B, 2048)."""
    from torchvision.models import resnet50  # takes seconds to import

    weights = query_weights(path)
    network = resnet50(weights=None)
    features = network.fc.in_features
    network.fc = nn.Sequential(nn.Linear(features, features), nn.ReLU(), nn.Linear(features, HEAD_DIM))
    load_exactly(network, weights, str(path))
    head, network.fc = network.fc, nn.Identity()
    return Encoder(network, head, torch.tensor(IMAGENET_MEAN), torch.tensor(IMAGENET_STD), IMAGE_SIZE)


def query_weights(path: Path) -> dict[str, Tensor]:
    """The query encoder's tensors by torchvision's names; ArtifactError where the file is not such a checkpoint."""
    cure = "download moco_v2_800ep_pretrain.pth.tar from the MoCo repository again"
    if not path.is_file():
        raise ArtifactError(f"{path}: no such file; set `checkpoint` to the MoCo v2 file")
    try:
        require_plain_zip(path)
        record = torch.load(path, map_location="cpu", weights_only=True)
    except ArtifactError:
        raise
    except pickle.UnpicklingError as error:
        raise ArtifactError(
            f"{path}: damaged, or holds objects that could run code, so it is not read; {cure}"
        ) from error
    except Exception as error:  # whatever goes wrong inside a reader, the bytes are to blame
        raise ArtifactError(f"{path}: not a readable checkpoint ({type(error).__name__}); {cure}") from error
    state = record.get("state_dict") if isinstance(record, dict) else None
    if not isinstance(state, dict):
        raise ArtifactError(f"{path}: holds no `state_dict`; {cure}")
    weights = {name.removeprefix(PREFIX): value for name, value in state.items() if str(name).startswith(PREFIX)}
    if not weights or not all(isinstance(value, Tensor) for value in weights.values()):
        raise ArtifactError(f"{path}: `state_dict` has no tensors under {PREFIX}; {cure}")
    return weights
