"""Training loops as the field's repositories write them: eager float32, NCHW, torchvision's transforms of one picture
at a time, torchattacks' PGD, a number read every step. What `tests.benchmarks.training` compares with.

On a GPU the pictures come from worker processes through pinned memory, and convolutions are PyTorch's default, TF32.
"""

import time
from collections.abc import Callable, Iterator

import torch
import torch.nn.functional as F
import torchattacks
from PIL import Image
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms

from stages.core.config.moco import Moco
from stages.core.models.resnet import ResNet18
from stages.features.contrast import Queue, info_nce
from stages.features.network import moco_encoder, split_batch_norm

EPSILON, STEP_SIZE, STEPS, BETA = 8 / 255, 2 / 255, 10, 6.0
BATCH_SIZE = 128
WORKERS = 8


class Pictures(Dataset[tuple[Tensor, ...]]):
    """Pictures (H, W, 3) uint8, each through a transform as often as `views` says, and their labels."""

    def __init__(self, images: Tensor, labels: Tensor, transform: Callable[[Image.Image], Tensor], views: int = 1):
        self.pictures = [Image.fromarray(image) for image in images.permute(0, 2, 3, 1).numpy()]
        self.labels, self.transform, self.views = labels, transform, views

    def __len__(self) -> int:
        return len(self.pictures)

    def __getitem__(self, index: int) -> tuple[Tensor, ...]:
        return (*(self.transform(self.pictures[index]) for _ in range(self.views)), self.labels[index])


def crops() -> Callable[[Image.Image], Tensor]:
    """The usual augmentation of CIFAR."""
    parts = [transforms.RandomCrop(32, padding=4), transforms.RandomHorizontalFlip(), transforms.ToTensor()]
    composed: Callable[[Image.Image], Tensor] = transforms.Compose(parts)
    return composed


def views(moco: Moco) -> Callable[[Image.Image], Tensor]:
    """MoCo's views of a picture."""
    jitter = transforms.ColorJitter(*moco.jitter)
    composed: Callable[[Image.Image], Tensor] = transforms.Compose(
        [
            transforms.RandomResizedCrop(32, scale=(moco.crop_scale, 1.0)),
            transforms.RandomHorizontalFlip(),
            transforms.RandomApply([jitter], p=moco.jitter_probability),
            transforms.RandomGrayscale(p=moco.gray_probability),
            transforms.ToTensor(),
        ]
    )
    return composed


class Net(nn.Module):
    """The classifier in PyTorch's own layout."""

    def __init__(self, width: int, classes: int) -> None:
        super().__init__()
        self.backbone = ResNet18(width=width)
        self.head = nn.Linear(self.backbone.features, classes)

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.head(self.backbone(images))
        return logits


def batches(pictures: Pictures, batch_size: int, device: torch.device) -> Iterator[list[Tensor]]:
    """Shuffled batches on the device."""
    on_gpu = device.type == "cuda"
    loader = DataLoader(pictures, batch_size, shuffle=True, num_workers=WORKERS * on_gpu, pin_memory=on_gpu)
    for batch in loader:
        yield [part.to(device, non_blocking=True) for part in batch]


def loop(method: str, images: Tensor, labels: Tensor, width: int, device: torch.device) -> Iterator[float]:
    """The time as each step begins; images (N, 3, 32, 32) uint8."""
    model = Net(width, int(labels.max()) + 1).to(device).train()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9, weight_decay=5e-4, nesterov=True)
    attack = torchattacks.PGD(model, eps=EPSILON, alpha=STEP_SIZE, steps=STEPS, random_start=True)
    losses: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
        "vanilla": lambda x, y: F.cross_entropy(model(x), y),
        "at": lambda x, y: F.cross_entropy(model(attack(x, y)), y),
        "trades": lambda x, y: trades(model, x, y),
    }
    total = 0.0
    for x, y in batches(Pictures(images, labels, crops()), BATCH_SIZE, device):
        yield time.perf_counter()
        model.train()
        optimizer.zero_grad()
        loss = losses[method](x, y)
        loss.backward()
        optimizer.step()
        total += loss.item()
    yield time.perf_counter()


def trades(model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    """The TRADES loss, its search in eval mode and with the gradients of the weights."""
    model.eval()
    clean = F.softmax(model(x), dim=1).detach()
    x_adv = x + 0.001 * torch.randn_like(x)
    for _ in range(STEPS):
        x_adv.requires_grad_()
        kl = F.kl_div(F.log_softmax(model(x_adv), dim=1), clean, reduction="sum")
        (slope,) = torch.autograd.grad(kl, [x_adv])
        x_adv = x_adv.detach() + STEP_SIZE * slope.sign()
        x_adv = torch.min(torch.max(x_adv, x - EPSILON), x + EPSILON).clamp(0, 1)
    model.train()
    logits = model(x)
    robust = F.kl_div(F.log_softmax(model(x_adv), dim=1), F.softmax(logits, dim=1), reduction="batchmean")
    return F.cross_entropy(logits, y) + BETA * robust


def moco_loop(images: Tensor, labels: Tensor, moco: Moco, device: torch.device) -> Iterator[float]:
    """The time as each step of MoCo's begins; the networks are ours, in PyTorch's own layout."""
    parts = {"backbone": "resnet18", "width": moco.width, "dim": moco.dim, "head_layers": moco.head_layers}
    query, key = (moco_encoder(**parts).to(device) for _ in range(2))  # type: ignore[arg-type]
    key.load_state_dict(query.state_dict())
    for network in (query, key):
        split_batch_norm(network, moco.splits)
    queue = Queue(moco.queue, moco.dim, torch.Generator(), device)
    optimizer = torch.optim.SGD(query.parameters(), lr=moco.lr, momentum=moco.momentum, weight_decay=moco.weight_decay)
    total = 0.0
    for first, second, _ in batches(Pictures(images, labels, views(moco), 2), moco.batch_size, device):
        yield time.perf_counter()
        with torch.no_grad():
            for slow, fast in zip(key.parameters(), query.parameters(), strict=True):
                slow.data = slow.data * moco.key_momentum + fast.data * (1 - moco.key_momentum)
            order = torch.randperm(len(second), device=device)
            keys = key(second[order])[order.argsort()]
        loss = info_nce(query(first), keys, queue.keys.clone(), temperature=moco.temperature)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        queue.push(keys)
        total += loss.item()
    yield time.perf_counter()
