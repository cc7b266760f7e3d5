"""Laws of the official MoCo v2 checkpoint's reader, on random weights in the same layout."""

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.models import resnet50
from torchvision.transforms import v2

from stages.core.config.moco import Features
from stages.core.errors import ArtifactError
from stages.features.embed import embed
from stages.features.official import read_official
from stages.features.source import encoder_file
from tests.unit.drawing import CPU, noise

State = dict[str, Any]


@pytest.fixture(scope="module")
def network() -> nn.Module:
    """ResNet-50 with MoCo v2's head, random, with batch-norm statistics of its own."""
    torch.manual_seed(0)
    built = resnet50(weights=None)
    built.fc = nn.Sequential(nn.Linear(2048, 2048), nn.ReLU(), nn.Linear(2048, 128))
    for name, buffer in built.named_buffers():
        if name.endswith("running_mean"):
            nn.init.normal_(buffer, std=0.1)
    return built.eval()


@pytest.fixture(scope="module")
def state(network: nn.Module) -> State:
    query = {f"module.encoder_q.{name}": value for name, value in network.state_dict().items()}
    return {**query, "module.encoder_k.conv1.weight": torch.zeros(1), "module.queue": torch.zeros(128, 4)}


def write(folder: Path, record: object) -> Path:
    path = folder / "moco_v2_800ep_pretrain.pth.tar"
    torch.save(record, path, _use_new_zipfile_serialization=False)
    return path


@torch.no_grad()
def test_official_embeddings_equal_torchvisions_network_on_its_own_preprocessing(
    tmp_path: Path, network: nn.Module, state: State
) -> None:
    encoder = read_official(write(tmp_path, {"epoch": 800, "arch": "resnet50", "state_dict": state}))
    images = noise(2, seed=1, side=32)
    prepare = v2.Compose(
        [
            v2.ToDtype(torch.float32, scale=True),
            v2.Resize((224, 224), antialias=True),
            v2.Normalize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
        ]
    )
    shown = prepare(images)
    on_cpu: dict[str, Any] = {"batch_size": 2, "device": CPU}
    expected = F.normalize(network(shown), dim=1)
    torch.testing.assert_close(embed(encoder, images, embedding="head", **on_cpu), expected, atol=1e-4, rtol=1e-3)
    body = nn.Sequential(*list(network.children())[:-1], nn.Flatten())
    pooled = embed(encoder, images, embedding="backbone", **on_cpu)
    assert pooled.shape == (2, 2048)
    torch.testing.assert_close(pooled, body(shown), atol=1e-4, rtol=1e-3)


class RunsCode:
    """What a hostile pickle does: opening it creates a file."""

    def __init__(self, victim: Path) -> None:
        self.victim = victim

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return Path.touch, (self.victim,)


@pytest.mark.parametrize("plain_pickle", [False, True])
def test_a_checkpoint_that_would_run_code_is_refused_and_does_not_run_it(
    tmp_path: Path, state: State, plain_pickle: bool
) -> None:
    victim = tmp_path / "code-ran"
    path = write(tmp_path, {"state_dict": {}, "payload": RunsCode(victim)})
    if plain_pickle:
        path.write_bytes(pickle.dumps(RunsCode(victim)))
    with pytest.raises(ArtifactError, match="could run code") as refusal:
        read_official(path)
    assert "\n" not in str(refusal.value)
    assert not victim.exists()
    torch.load(path, weights_only=False) if not plain_pickle else pickle.loads(path.read_bytes())
    assert victim.exists(), "the file must be one that does run code when it is trusted"


def without(state: State, name: str) -> State:
    return {key: value for key, value in state.items() if key != f"module.encoder_q.{name}"}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda state: without(state, "layer1.0.conv1.weight"), r"lacks layer1.0.conv1.weight \(1 in all\)"),
        (lambda state: {**state, "module.encoder_q.extra": torch.zeros(1)}, r"also holds extra"),
        (lambda state: {**state, "module.encoder_q.fc.2.weight": torch.zeros(64, 2048)}, r"another shape fc.2.weight"),
        (lambda state: {"conv1.weight": torch.zeros(1)}, "no tensors under module.encoder_q."),
        (lambda state: {**state, "module.encoder_q.fc.2.bias": 3}, "no tensors under"),
    ],
)
def test_a_checkpoint_of_another_network_is_refused_in_one_line(
    tmp_path: Path, state: State, change: Callable[[State], State], message: str
) -> None:
    with pytest.raises(ArtifactError, match=message) as refusal:
        read_official(write(tmp_path, {"state_dict": change(state)}))
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("record", [{"weights": {}}, [1, 2], {"state_dict": 3}])
def test_a_checkpoint_without_a_state_dict_is_refused(tmp_path: Path, record: object) -> None:
    with pytest.raises(ArtifactError, match="holds no `state_dict`"):
        read_official(write(tmp_path, record))


@pytest.mark.parametrize("content", [b"", b"<html>not found</html>", b"PK\x03\x04 cut off"])
def test_a_damaged_or_missing_checkpoint_is_refused_in_one_line(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "moco.pth.tar"
    with pytest.raises(ArtifactError, match="no such file"):
        read_official(path)
    path.write_bytes(content)
    with pytest.raises(ArtifactError) as refusal:
        read_official(path)
    assert "\n" not in str(refusal.value)


def test_batch_counters_are_not_asked_of_a_checkpoint(tmp_path: Path, state: State) -> None:
    old: dict[str, Tensor] = {key: value for key, value in state.items() if not key.endswith("num_batches_tracked")}
    assert read_official(write(tmp_path, {"state_dict": old})).size == 224


def test_the_checkpoints_path_may_name_environment_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WEIGHTS", "/somewhere")
    settings = Features(source="official", checkpoint="$WEIGHTS/moco.pth.tar")
    assert encoder_file(settings, None) == Path("/somewhere/moco.pth.tar")
    assert encoder_file(settings, Path("given.pth.tar")) == Path("given.pth.tar")
