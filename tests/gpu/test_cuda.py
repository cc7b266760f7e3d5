"""What must hold on a GPU as it does on the CPU. Skipped where no GPU is visible."""

import pytest
import torch
import torch.nn.functional as F

from stages.attack.engine.draws import Draws
from stages.core.artifacts import ImageSet, Structure
from stages.core.config.method import Method, TrainSettings
from stages.core.config.recipe import Precision
from stages.core.device import prepare
from stages.core.images.perturb import perturb
from stages.core.images.pixels import to_unit
from stages.core.images.search import Search
from stages.core.images.threat import Threat
from stages.core.models import Classifier
from stages.train import loop
from stages.train.batch import Augmented, Context, Targets
from stages.train.compose import Neighborhood, method_loss
from stages.train.schedule import build_optimizer, build_schedule
from stages.train.state import Epoch, TrainState
from stages.train.streams import RandomStreams
from stages.train.trained import trained
from tests.benchmarks.engine import engine
from tests.benchmarks.regimes import Points
from tests.unit.drawing import seeded, weights_from

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device is visible"),
]

METHODS = {
    "lsp": {"lsp": {"m": 4}},
    "at": {"objective": "at"},
    "trades": {"objective": "trades"},
    "mart": {"objective": "mart"},
    "lsp+": {"objective": "at", "lsp": {"m": 4}},
}


def _loss(method: Method, device: torch.device) -> float:
    torch.manual_seed(0)
    model = Classifier("resnet18", width=8, classes=10).to(device).train()
    generator = torch.Generator().manual_seed(1)
    images = torch.rand(16, 3, 16, 16, generator=generator)
    labels = torch.randint(10, (16,), generator=generator)
    neighbors = torch.rand(16, 4, 3, 16, 16, generator=generator)
    structure = torch.rand(16, 4, generator=generator)
    structure /= structure.sum(1, keepdim=True)
    hood = Neighborhood(neighbors.flatten(0, 1).to(device), structure.to(device)) if method.lsp else None
    context = Context(Threat("linf", 8 / 255), Search(2 / 255, 3), torch.Generator().manual_seed(2))
    augmented = Augmented(images.to(device), Targets(labels.to(device)))
    return float(method_loss(model, augmented, hood, method, context)[0].detach())


@pytest.mark.parametrize("name", METHODS)
def test_a_method_s_loss_on_cuda_is_the_cpu_s(name: str) -> None:
    method = Method.model_validate(METHODS[name])
    device = prepare("cuda", 0, 0)
    assert _loss(method, device) == pytest.approx(_loss(method, torch.device("cpu")), rel=2e-3)


def test_tf32_is_off_after_prepare() -> None:
    prepare("cuda", 0, 0)
    assert not torch.backends.cuda.matmul.allow_tf32
    assert not torch.backends.cudnn.allow_tf32


def test_perturb_stays_in_ball_and_box_on_cuda() -> None:
    device = prepare("cuda", 0, 0)
    model = Classifier("resnet18", width=8, classes=10).to(device)
    images, labels = torch.rand(32, 3, 32, 32, device=device), torch.randint(10, (32,), device=device)
    threat, search = Threat("linf", 8 / 255), Search(2 / 255, 10)
    generator = torch.Generator(device=device).manual_seed(0)
    x_adv = perturb(model, images, lambda z: F.cross_entropy(z, labels, reduction="none"), threat, search, generator)
    assert float((x_adv - images).abs().max()) <= 8 / 255 + 1e-6
    assert float(x_adv.min()) >= 0
    assert float(x_adv.max()) <= 1


def test_streams_on_cuda_go_on_where_they_were_saved() -> None:
    device = torch.device("cuda")
    streams, other = RandomStreams.seeded(0, device), RandomStreams.seeded(1, device)
    state = streams.state()
    drawn = torch.rand(5, generator=streams.attack, device=device)
    other.restore(state)
    assert torch.equal(drawn, torch.rand(5, generator=other.attack, device=device))


def test_the_engines_verdicts_are_the_cpus() -> None:
    with weights_from(0):
        model = Classifier("resnet18", width=8, classes=10).eval().requires_grad_(False)
    images = torch.rand(24, 3, 16, 16, generator=seeded(0))
    model.head.bias.data -= model(images).mean(dim=0)  # or one class has all of them, by far
    labels = model(images).argmax(dim=1)
    found = {}
    for device in ("cpu", "cuda"):
        prepare(device, 1, 0)
        points = Points(model.to(device), images.to(device), labels.to(device), torch.arange(24), "")
        found[device] = [bool(broken) for broken in engine(points, 2e-3, seed=0)]
    assert 8 <= sum(found["cpu"]) <= 16
    same = sum(one == two for one, two in zip(found["cpu"], found["cuda"], strict=True))
    assert same >= 23  # one of them may lie within float noise of the boundary


def test_a_points_random_numbers_are_the_same_bits_on_the_gpu() -> None:
    indices = torch.arange(300) * 7919
    draws = Draws(1, "square")
    assert torch.equal(draws.sequence(indices, 3, 4, 9), draws.sequence(indices.cuda(), 3, 4, 9).cpu())


@pytest.mark.parametrize("precision", ["exact", "float32", "bfloat16"])
@pytest.mark.parametrize("name", [*METHODS, "mixup", "cutmix", "augmix", "neighborhoods"])
def test_a_step_waits_for_nothing(name: str, precision: Precision) -> None:
    device = prepare("cuda", 0, 0)
    augmented = {"augmentation": name} if name in ("mixup", "cutmix", "augmix") else {}
    method = {"lsp": {"m": 4, "batches": "neighborhoods"}} if name == "neighborhoods" else METHODS.get(name, augmented)
    recipe = {"precision": precision, "batch_size": 16}
    chosen = TrainSettings.model_validate(
        {"method": method, "recipe": recipe, "model": {}, "augment": {"padding": 1}, "monitor": {}}
    )
    pictures = torch.randint(256, (64, 3, 16, 16), dtype=torch.uint8).to(device)
    images = ImageSet(pictures, torch.arange(64, device=device) % 10, tuple("abcdefghij"))
    near = (torch.arange(64)[:, None] + torch.arange(1, 5)) % 64
    structure = Structure(near.to(device), torch.full((64, 4), 0.25, device=device)) if chosen.method.lsp else None
    bank = loop._bank(chosen, loop.Inputs(images, images, structure, None, None), torch.zeros(64, dtype=torch.bool))
    model = Classifier("resnet18", width=8, classes=10).to(device).train()
    shown = trained(model, precision, to_unit(pictures[:8]))
    optimizer = build_optimizer(model, chosen.recipe)
    schedule, _ = build_schedule(optimizer, chosen.recipe, 4)
    state = TrainState(model, optimizer, schedule, RandomStreams.seeded(0, device))
    context = Context(Threat("linf", 8 / 255), Search(2 / 255, 3), state.streams.attack)
    epoch = Epoch(bank.order(state.streams), 4, lr=0.1)
    shared = bank.shared(epoch.order, 16)
    for step in range(4):
        torch.cuda.set_sync_debug_mode("error" if step else "default")  # the first may load kernels
        try:
            loop._step(state, shown, epoch, bank, shared[step], chosen, context)
        finally:
            torch.cuda.set_sync_debug_mode("default")
        epoch.step += 1
    assert epoch.diverged() is None
