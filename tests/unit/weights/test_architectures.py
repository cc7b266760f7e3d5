"""The literature's nets under their own names: with the same weights they give the logits of the originals."""

import importlib.util
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
import torchvision
from torch import Tensor, nn

from stages.core.errors import ArtifactError, ConfigError
from stages.core.files import sha256_file
from stages.core.models.architectures import LITERATURE, alike, build, families
from stages.core.models.architectures.cifar_resnet import Basic, Bottleneck, CifarResNet, PreActivated, RawPreActivated
from stages.core.models.architectures.wide_resnet import WideResNet
from tests.unit.drawing import seeded, weights_from

# Of WideResNet-28-10 and -34-10 and the others at 10 classes, as their papers and repositories count them.
PARAMETERS = {
    "cifar:resnet18": 11_173_962,
    "cifar:resnet34": 21_282_122,
    "cifar:resnet50": 23_520_842,
    "cifar:preact_resnet18": 11_171_146,
    "cifar:preact_resnet18+bn": 11_172_170,
    "cifar:wrn_28_10": 36_479_194,
    "cifar:wrn_34_10": 46_160_474,
}


def robustbench(module: str) -> ModuleType:
    """A file of RobustBench's, which torchattacks brings along; its package would import more than is installed."""
    spec = importlib.util.find_spec("robustbench")
    assert spec is not None
    assert spec.submodule_search_locations is not None
    path = Path(spec.submodule_search_locations[0]) / f"model_zoo/architectures/{module}.py"
    found = importlib.util.spec_from_file_location(f"robustbench_{module}", path)
    assert found is not None
    assert found.loader is not None
    loaded = importlib.util.module_from_spec(found)
    found.loader.exec_module(loaded)
    return loaded


def shaken(network: nn.Module) -> nn.Module:
    """In eval mode, with statistics that no fresh net has."""
    for name, value in network.named_buffers():
        if "running" in name:
            value.copy_(torch.rand(value.shape, generator=seeded(len(name))) + 0.5)
    return network.eval()


def images(side: int = 32) -> Tensor:
    return torch.rand(4, 3, side, side, generator=seeded(0))


def assert_same_logits(ours: nn.Module, theirs: nn.Module) -> None:
    ours.load_state_dict(shaken(theirs).state_dict())
    with torch.no_grad():
        torch.testing.assert_close(ours.eval()(images()), theirs(images()), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(("name", "count"), PARAMETERS.items())
def test_sizes_are_the_published_ones(name: str, count: int) -> None:
    with torch.device("meta"):
        assert sum(parameter.numel() for parameter in build(name, 10).parameters()) == count


@pytest.mark.parametrize(
    ("block", "theirs", "options"),
    [
        (Basic, "BasicBlock", None),
        (Bottleneck, "Bottleneck", None),
        (PreActivated, "PreActBlock", {"out_shortcut": True}),
        (RawPreActivated, "PreActBlock", {}),
        (PreActivated, "PreActBlock", {"out_shortcut": True, "bn_before_fc": True}),
        (RawPreActivated, "PreActBlock", {"bn_before_fc": True}),
    ],
)
def test_a_cifar_resnet_is_robustbench_s(block: Any, theirs: str, options: dict[str, bool] | None) -> None:
    original = robustbench("resnet")
    last_norm = bool(options and options.get("bn_before_fc"))
    with weights_from(0):
        net = original.ResNet if options is None else original.PreActResNet
        built = net(getattr(original, theirs), [1, 2, 1, 1], num_classes=7, **(options or {}))
    assert_same_logits(CifarResNet(block, (1, 2, 1, 1), 7, last_norm=last_norm), built)


def test_a_wide_resnet_is_trades_() -> None:
    with weights_from(0):
        theirs = robustbench("wide_resnet").WideResNet(depth=16, widen_factor=2, num_classes=7)
    assert_same_logits(WideResNet(16, 2, 7), theirs)


@pytest.mark.parametrize("name", ["resnet18", "resnet50"])
def test_a_torchvision_resnet_with_a_small_stem_is_the_literature_s_net(name: str) -> None:
    with weights_from(0):
        ours = shaken(build(f"cifar:{name}", 10))
    theirs = build(f"torchvision:{name}+small_stem", 10)
    spelled = {"shortcut": "downsample", "linear": "fc"}
    weights = {}
    for key, value in ours.state_dict().items():
        weights[".".join(spelled.get(part, part) for part in key.split("."))] = value
    theirs.load_state_dict(weights)
    with torch.no_grad():
        torch.testing.assert_close(theirs.eval()(images()), ours(images()), rtol=1e-4, atol=1e-4)


def test_alike_are_those_of_the_same_names_and_shapes_and_no_others() -> None:
    shapes: dict[str, dict[str, tuple[int, ...]]] = {}
    for name in [*LITERATURE, "torchvision:resnet18", "torchvision:resnet18+small_stem"]:
        with torch.device("meta"):
            shapes |= {other: shape_of(build(other, 10)) for other in alike(name)}
    for name in shapes:
        same = {other for other in shapes if shapes[other] == shapes[name]}
        assert same == next({*alike(one)} for one in same if len(alike(one)) == len(same))


def shape_of(network: nn.Module) -> dict[str, tuple[int, ...]]:
    return {key: tuple(value.shape) for key, value in network.state_dict().items()}


def test_every_name_of_a_family_can_be_built() -> None:
    known = families()
    assert known["resnet18"] == [
        "ours:resnet18",
        "cifar:resnet18",
        "torchvision:resnet18+small_stem",
        "torchvision:resnet18",
    ]
    assert set(torchvision.models.list_models(torchvision.models)) <= set(known)
    with torch.device("meta"):
        for name in ("resnet18", "preact_resnet18", "wrn_28_10", "vgg11", "mobilenet_v2"):
            for architecture in known[name]:
                assert build(architecture, 10)(torch.zeros(2, 3, 64, 64, device="meta")).shape == (2, 10)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("resnet18", "unknown; write a family"),
        ("ours:resnet19", "unknown; write a family"),
        ("torchvision:resnet19", "torchvision has no model 'resnet19'"),
        ("timm:resnet18", "needs timm|has no model"),
        ("nowhere.py:net", "no such Python file"),
    ],
)
def test_a_name_that_is_nobody_s_is_refused(name: str, said: str) -> None:
    if name.startswith("timm") and importlib.util.find_spec("timm"):
        pytest.skip("timm is installed")
    with pytest.raises(ConfigError, match=said):
        build(name, 10)


def test_code_of_the_user_s_is_run_and_must_return_a_module(tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    file.write_text("import torch\ndef net():\n    return torch.nn.Linear(3, 2)\ndef text():\n    return 'net'\n")
    assert isinstance(build(f"{file}:net", 2), nn.Linear)
    with pytest.raises(ConfigError, match=r"returned str; return a torch\.nn\.Module"):
        build(f"{file}:text", 2)
    with pytest.raises(ConfigError, match=r"mine\.py:other fails: AttributeError: "):
        build(f"{file}:other", 2)


def test_code_of_the_user_s_imports_what_lies_beside_it_and_is_held_to_its_hash(tmp_path: Path) -> None:
    (tmp_path / "beside_mine.py").write_text("SIZE = 3\n")
    file = tmp_path / "mine.py"
    file.write_text("import torch\nfrom beside_mine import SIZE\ndef net():\n    return torch.nn.Linear(SIZE, 2)\n")
    code = sha256_file(file)
    assert isinstance(build(f"{file}:net", 2, code=code), nn.Linear)
    file.write_text(file.read_text() + "# changed\n")
    with pytest.raises(ArtifactError, match="is not the file that the weights were read with"):
        build(f"{file}:net", 2, code=code)
