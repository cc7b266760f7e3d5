"""Weights of a file from elsewhere: found wherever they stand, without running anything that the file holds."""

from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
from torch import Tensor, nn

from stages.core.errors import ArtifactError, ConfigError
from stages.weights.reading import read_state
from tests.unit.drawing import weights_from


def net() -> nn.Module:
    with weights_from(0):
        return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(4, 2))


STATE: dict[str, Tensor] = {f"layer.{name}": value for name, value in net().state_dict().items()}


def saved(path: Path, content: Any) -> Path:
    torch.save(content, path)
    return path


def prefixed(*prefixes: str) -> dict[str, Tensor]:
    return {"".join(prefixes) + name: value for name, value in STATE.items()}


def assert_is_state(found: dict[str, Tensor]) -> None:
    assert found.keys() == STATE.keys()
    assert all(torch.equal(found[name], STATE[name]) for name in STATE)


@pytest.mark.parametrize("key", ["", "state_dict", "model", "net", "model_state_dict", "snapshot"])
@pytest.mark.parametrize("ending", ["pt", "pth", "ckpt"])
def test_a_state_dict_is_found_plain_or_under_a_key(key: str, ending: str, tmp_path: Path) -> None:
    optimizer = torch.optim.SGD(net().parameters(), lr=0.1, momentum=0.9).state_dict()
    content = {key: STATE, "optimizer": optimizer, "epoch": 7, "best": 0.5} if key else STATE
    found = read_state(saved(tmp_path / f"any.{ending}", content))
    assert_is_state(found.tensors)
    assert (found.key, found.others, found.mean, found.std) == (key, (), None, None)


def test_a_safetensors_file_is_read(tmp_path: Path) -> None:
    safetensors.torch.save_file(STATE, tmp_path / "any.safetensors")
    assert_is_state(read_state(tmp_path / "any.safetensors").tensors)


@pytest.mark.parametrize(
    "prefixes", [("module.",), ("_orig_mod.", "module."), ("model.",), ("module.", "net."), ("1.",)]
)
def test_wrappers_names_are_taken_off(prefixes: tuple[str, ...], tmp_path: Path) -> None:
    assert_is_state(read_state(saved(tmp_path / "any.pt", prefixed(*prefixes))).tensors)


def test_of_mocos_own_checkpoint_the_query_encoder_is_taken(tmp_path: Path) -> None:
    keys = {name: torch.zeros_like(value) for name, value in prefixed("module.encoder_k.").items()}
    content = {"state_dict": {**prefixed("module.encoder_q."), **keys, "module.queue": torch.zeros(2, 2)}}
    assert_is_state(read_state(saved(tmp_path / "any.pth", content)).tensors)


@pytest.mark.parametrize(("mean", "std"), [("mean", "std"), ("mu", "sigma"), ("normalize.mean", "normalize.std")])
def test_a_normalization_beside_the_net_is_taken_out(mean: str, std: str, tmp_path: Path) -> None:
    values = torch.tensor([0.1, 0.2, 0.3]).view(1, 3, 1, 1)
    content = {mean: values, std: 2 * values, **prefixed("model.")}
    found = read_state(saved(tmp_path / "any.pt", content))
    assert_is_state(found.tensors)
    assert found.mean == pytest.approx((0.1, 0.2, 0.3))
    assert found.std == pytest.approx((0.2, 0.4, 0.6))


def test_of_several_normalizations_that_differ_none_is_taken(tmp_path: Path) -> None:
    content = {**prefixed("model."), "a.mean": torch.zeros(3), "a.std": torch.ones(3)}
    content |= {"b.mean": torch.full((3,), 0.5), "b.std": torch.full((3,), 0.5)}
    found = read_state(saved(tmp_path / "any.pt", content))
    assert_is_state(found.tensors)
    assert (found.mean, found.std) == (None, None)


def test_a_normalization_of_pixels_up_to_255_is_refused(tmp_path: Path) -> None:
    content = {**STATE, "mean": torch.tensor([125.3, 123.0, 113.9]), "std": torch.tensor([63.0, 62.1, 66.7])}
    with pytest.raises(ConfigError, match="is of pixels up to 255; write mean and std"):
        read_state(saved(tmp_path / "any.pt", content))


def test_an_averaged_model_s_counter_is_no_tensor_of_the_net(tmp_path: Path) -> None:
    averaged = torch.optim.swa_utils.AveragedModel(net())
    found = read_state(saved(tmp_path / "any.pt", averaged.state_dict()))
    assert found.tensors.keys() == net().state_dict().keys()


def test_a_moving_average_is_offered_and_taken_where_it_is_asked_for(tmp_path: Path) -> None:
    averaged = {name: value + 1 for name, value in STATE.items()}
    path = saved(tmp_path / "any.pt", {"model_state_dict": STATE, "ema_model": {"module": averaged}})
    found = read_state(path)
    assert_is_state(found.tensors)
    assert found.others == ("ema_model.module",)
    asked = read_state(path, "ema_model.module")
    assert torch.equal(asked.tensors["layer.0.weight"], averaged["layer.0.weight"])
    with pytest.raises(ConfigError, match=r"weights 'ema': .* has 'model_state_dict', 'ema_model\.module'; write one"):
        read_state(path, "ema")


def test_of_several_none_of_which_is_usual_none_is_guessed(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="several state_dicts: 'teacher', 'student'"):
        read_state(saved(tmp_path / "any.pt", {"teacher": STATE, "student": STATE}))


def test_a_pickled_model_is_refused_with_the_cure(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match=r"asks to run torch\.nn\..*save the state_dict alone, by torch\.save"):
        read_state(saved(tmp_path / "any.pt", net()))


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"<!DOCTYPE html><html>Quota exceeded</html>", "is a web page, no weights"),
        (b"\n  <html>", "is a web page, no weights"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:12\nsize 44754497\n", "is a Git LFS pointer"),
        (b"", "no readable weights"),
        (b"PK\x03\x04 cut short", "no readable weights"),
        (b"404: Not Found", "no readable weights"),
        (b'{"error": 404}', "no readable weights"),
        (b"index,label\n0,1\n", "no readable weights"),
    ],
)
@pytest.mark.parametrize("ending", ["pt", "safetensors"])
def test_what_is_no_weights_is_named(content: bytes, said: str, ending: str, tmp_path: Path) -> None:
    path = tmp_path / f"any.{ending}"
    path.write_bytes(content)
    with pytest.raises(ArtifactError, match=said) as caught:
        read_state(path)
    assert "\n" not in str(caught.value)


def test_a_file_that_is_not_there_or_holds_no_state_dict_is_named(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="no such file"):
        read_state(tmp_path / "none.pt")
    with pytest.raises(ArtifactError, match="holds no state_dict"):
        read_state(saved(tmp_path / "any.pt", {"epoch": 3, "accuracy": torch.tensor(0.5)}))
