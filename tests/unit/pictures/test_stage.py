"""The pictures stage: what it shows is what the artifacts before it hold, for every checkpoint alike."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from stages.core.artifacts import (
    Structure,
    read_images,
    read_neighbors,
    read_structure,
    write_images,
    write_structure,
    write_weights,
)
from stages.core.images.pixels import to_unit
from stages.core.images.subset import measured_images
from stages.core.pictures import KINDS
from tests.unit.drawing import labelled_images
from tests.unit.pictures.conftest import ARCHITECTURE, DEPTH, TRAIN, M, net
from tests.unit.pictures.pictures_command import near, run
from tests.unit.refusing import refusal


def test_neighbors_labels_distances_and_p_are_the_stored_ones(folder: Path) -> None:
    shown = run(folder, *near(folder)).neighborhoods
    train, structure = read_images(folder / "train.safetensors"), read_structure(folder / "structure.parquet")
    searched = read_neighbors(folder / "neighbors.parquet")
    assert shown.q.shape == (2, 9, M)
    for anchor, index in enumerate(shown.ids):
        ids = structure.companions[index]
        assert np.array_equal(shown.neighbor_ids[anchor], ids)
        assert np.array_equal(shown.p[anchor], structure.vectors[index])
        assert np.array_equal(shown.distances[anchor], searched.distances[index, 1 : M + 1])
        assert np.array_equal(shown.images[anchor], train.images[index])
        assert np.array_equal(shown.neighbor_images[anchor], train.images[ids])
        assert shown.labels[anchor] == train.labels[index]
        assert np.array_equal(shown.neighbor_labels[anchor], train.labels[ids])


def test_anchors_come_kind_by_kind_with_as_many_of_each_as_are_asked_for(folder: Path) -> None:
    shown = run(folder, *near(folder), anchors=2)
    assert shown.kinds == tuple(kind for kind in KINDS for _ in range(2))
    right = (shown.neighborhoods.neighbor_labels == shown.neighborhoods.labels[:, None]).sum(1)
    assert right[:2].min() >= right[2:4].max()
    assert right[2:4].min() >= right[4:].max()


def test_every_checkpoint_is_shown_the_same_test_images_each_within_its_own_radius(folder: Path) -> None:
    pictures = run(folder, images=5, epsilons={"other": "0.1"})
    shown, test = pictures.attacked, read_images(folder / "test.safetensors")
    assert np.array_equal(shown.ids, measured_images(test.labels, 5, "stratified"))
    assert np.array_equal(shown.images, test.images[shown.ids])
    assert (pictures.methods, pictures.epsilons) == (("plain", "other"), (8 / 255, 0.1))
    assert shown.linf.max(1) == pytest.approx([8 / 255, 0.1], abs=1e-6)
    for row, seed in enumerate((0, 1)):
        with torch.no_grad():
            said = net(seed)(to_unit(test.images[shown.ids])).softmax(dim=1).max(dim=1)
        assert np.array_equal(shown.predictions[row], said.indices)
        assert shown.probabilities[row] == pytest.approx(said.values.numpy(), abs=1e-6)


def test_a_checkpoint_looks_alike_whoever_is_beside_it_and_a_second_run_gives_the_same_bytes(folder: Path) -> None:
    both = run(folder, *near(folder))
    first = (folder / "pictures.safetensors").read_bytes()
    alone = run(folder, *near(folder), names=("other",))
    assert np.array_equal(both.neighborhoods.q[1], alone.neighborhoods.q[0])
    assert np.array_equal(both.attacked.perturbation[1], alone.attacked.perturbation[0])
    run(folder, *near(folder))
    assert (folder / "pictures.safetensors").read_bytes() == first


def test_a_checkpoint_that_is_not_there_is_named_and_left_out(folder: Path) -> None:
    pictures = run(folder, *near(folder), names=("gone", "plain"))
    assert (pictures.methods, pictures.missing) == (("plain",), ("gone",))
    manifest = json.loads((folder / "manifest.json").read_text())
    assert manifest["facts"]["missing"] == ["gone"]
    assert manifest["inputs"]["checkpoint gone"]["sha256"] is None


def test_without_a_structure_no_anchor_is_shown_and_the_attacks_are_the_same(folder: Path) -> None:
    whole, alone = run(folder, *near(folder)), run(folder)
    assert (alone.kinds, alone.neighborhoods.q.shape) == ((), (2, 0, 0))
    assert np.array_equal(whole.attacked.perturbation, alone.attacked.perturbation)


def test_a_companion_that_was_not_searched_has_no_distance(folder: Path) -> None:
    ids = read_neighbors(folder / "neighbors.parquet").ids
    others = [min({*range(TRAIN)} - {row, *listed}) for row, listed in enumerate(ids.tolist())]
    companions = torch.stack([torch.tensor(others), ids[:, 0]], dim=1)
    write_structure(folder / "structure.parquet", Structure(companions, torch.full((TRAIN, 2), 0.5)))
    distances = run(folder, *near(folder)).neighborhoods.distances
    assert np.isnan(distances[:, 0]).all()
    assert np.isfinite(distances[:, 1]).all()


def test_what_does_not_fit_together_is_refused(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def said(*more: str, names: tuple[str, ...] = ("plain",)) -> str:
        return refusal(capsys, run, folder, *more, names=names)[-1]

    assert "none is there" in said(names=("gone",))
    assert "'plain.safetensors' must be NAME=FILE" in said("--checkpoints", "plain.safetensors")
    write_weights(folder / "wide.safetensors", *_weights(classes=4))
    assert "has 4 classes and the images 3" in said(names=("wide",))
    write_images(folder / "train.safetensors", labelled_images(DEPTH, 1))
    assert "lists 30 images; there are 6" in said(*near(folder))
    test = read_images(folder / "test.safetensors")
    write_images(folder / "test.safetensors", replace(test, labels=torch.full_like(test.labels, -1)))
    assert "carry no labels" in said()
    assert not (folder / "pictures.safetensors").exists()


def _weights(classes: int) -> tuple[dict[str, torch.Tensor], dict[str, object]]:
    weights = net(0).state_dict()
    wider = {"head.weight": torch.zeros(classes, weights["head.weight"].shape[1]), "head.bias": torch.zeros(classes)}
    return {**weights, **wider}, {**ARCHITECTURE, "classes": classes}
