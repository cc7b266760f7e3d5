"""Which architecture a state_dict is of, and what is said where it is of none."""

import pytest
import torch
from torch import Tensor

from stages.core.errors import ConfigError
from stages.core.models import Classifier
from stages.core.models.architectures import alike, build
from stages.weights.matching import recognize

CLASSES = 10


def state(name: str, width: int = 64) -> dict[str, Tensor]:
    with torch.device("meta"):
        return dict(build(name, CLASSES, width).state_dict())


@pytest.mark.parametrize(
    "name",
    [
        "ours:resnet18",
        "ours:preact_resnet18",
        "cifar:resnet18",
        "cifar:resnet34",
        "cifar:resnet50",
        "cifar:preact_resnet18",
        "cifar:preact_resnet18+bn",
        "cifar:wrn_28_10",
        "cifar:wrn_34_10",
        "torchvision:resnet18",
        "torchvision:resnet18+small_stem",
        "torchvision:vgg11_bn",
    ],
)
def test_names_and_shapes_tell_the_architecture(name: str) -> None:
    fit = recognize(state(name), None, CLASSES)
    assert fit.architectures == tuple(alike(name))
    assert fit.unused == ()


@pytest.mark.parametrize("name", ["ours:resnet18", "cifar:resnet18", "cifar:preact_resnet18+bn"])
def test_a_narrow_net_is_recognized_with_its_width(name: str) -> None:
    assert recognize(state(name, 12), None, CLASSES).width == 12


def test_a_checkpoint_of_ours_is_recognized_without_its_normalization() -> None:
    own = Classifier("resnet18", width=4, classes=CLASSES).state_dict()
    plain = {name: value for name, value in own.items() if name not in ("mean", "std")}
    assert recognize(plain, "resnet18", CLASSES).architectures == ("ours:resnet18",)


def test_batch_norms_counters_may_be_missing() -> None:
    old = {name: value for name, value in state("cifar:resnet18").items() if "num_batches" not in name}
    assert recognize(old, "resnet18", CLASSES).architectures == ("cifar:resnet18",)


def test_what_trades_nets_never_run_is_left_out() -> None:
    net = state("cifar:wrn_34_10")
    beside = {
        name.replace("block1.", "sub_block1."): value for name, value in net.items() if name.startswith("block1.")
    }
    fit = recognize({**net, **beside}, None, CLASSES)
    assert fit.architectures == ("cifar:wrn_34_10",)
    assert set(fit.unused) == set(beside)


def test_an_architecture_that_is_named_outright_has_no_variants() -> None:
    assert recognize(state("cifar:preact_resnet18"), "cifar:preact_resnet18+raw", CLASSES).architectures == (
        "cifar:preact_resnet18+raw",
    )


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda net: net.pop("layer2.0.conv1.weight"), r"missing: layer2\.0\.conv1\.weight\)"),
        (lambda net: net.update(extra=torch.zeros(3)), r"unexpected: extra\)"),
        (
            lambda net: net.update({"layer1.0.conv1.weight": torch.zeros(64, 64, 5, 5)}),
            r"of another shape: layer1\.0\.conv1\.weight \(64, 64, 5, 5\) for \(64, 64, 3, 3\)\)",
        ),
    ],
)
@pytest.mark.parametrize("asked", [None, "resnet18"])
def test_the_closest_is_named_with_what_differs(change: object, said: str, asked: str | None) -> None:
    net = state("cifar:resnet18")
    change(net)  # type: ignore[operator]
    with pytest.raises(ConfigError, match=rf"the closest, cifar:resnet18, differs \({said}") as caught:
        recognize(net, asked, CLASSES)
    assert "\n" not in str(caught.value)


def test_of_many_that_differ_a_few_are_named() -> None:
    with pytest.raises(ConfigError, match=r"architecture resnet34 does not fit; .*missing: .* and \d+ more"):
        recognize(state("cifar:resnet18"), "resnet34", CLASSES)


def test_a_head_of_other_classes_is_said() -> None:
    with pytest.raises(ConfigError, match=r"linear\.weight is of 10 classes and the data set has 100"):
        recognize(state("cifar:resnet18"), None, 100)


def test_an_unknown_name_is_answered_with_the_nearest() -> None:
    with pytest.raises(ConfigError, match=r"'resnet81' is unknown \(did you mean 'resnet\d+'\?\)"):
        recognize(state("cifar:resnet18"), "resnet81", CLASSES)
