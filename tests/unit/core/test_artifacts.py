"""Artifacts: what is written is read, equal content gives equal files, and no damaged or foreign file is believed."""

from collections.abc import Callable
from dataclasses import dataclass, fields, is_dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import safetensors.torch
import torch

from stages.core.artifacts import (
    ImageSet,
    Neighbors,
    Structure,
    read_embeddings,
    read_images,
    read_neighbors,
    read_structure,
    read_weights,
    write_embeddings,
    write_images,
    write_neighbors,
    write_structure,
    write_table,
    write_weights,
)
from stages.core.errors import ArtifactError
from stages.core.outcomes import OUTCOME_SCHEMA, read_outcomes, write_outcomes

IDS = torch.tensor([[1, 2], [2, 3], [0, 1], [0, 1]])


def drawn(*shape: int) -> torch.Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(0))


def outcomes() -> pa.Table:
    row = {"attack": "pgd", "index": 0, "label": 1, "clean_prediction": 1, "adversarial_prediction": 2}
    return pa.Table.from_pylist([{**row, "robust": False, "linf": 0.5, "l2": 1.5}], schema=OUTCOME_SCHEMA)


@dataclass(frozen=True)
class Kind:
    """An artifact's writer and reader and something to write."""

    write: Callable[..., None]
    read: Callable[[Path], Any]
    content: tuple[Any, ...]


KINDS = {
    "images": Kind(
        write_images, read_images, (ImageSet((255 * drawn(6, 3, 4, 4)).byte(), IDS.view(-1)[:6], tuple("abcd")),)
    ),
    "weights": Kind(
        write_weights, read_weights, ({"w": drawn(3, 4), "n": torch.tensor(7)}, {"width": 8, "mean": [0.5]})
    ),
    "embeddings": Kind(write_embeddings, read_embeddings, (drawn(4, 3),)),
    "neighbors": Kind(write_neighbors, read_neighbors, (Neighbors(IDS, drawn(4, 2).double()),)),
    "structure": Kind(write_structure, read_structure, (Structure(IDS, drawn(4, 2).softmax(1)),)),
    "outcomes": Kind(write_outcomes, read_outcomes, (outcomes(),)),
}


def plain(value: Any) -> Any:
    """A value as lists, dtypes included, so that two can be compared."""
    if isinstance(value, torch.Tensor):
        return [str(value.dtype), value.tolist()]
    if isinstance(value, pa.Table):
        return [str(value.schema.remove_metadata()), value.to_pylist()]
    if is_dataclass(value):
        return [plain(getattr(value, field.name)) for field in fields(value)]
    if isinstance(value, tuple | list):
        return plain(value[0]) if len(value) == 1 else [plain(item) for item in value]
    return {key: plain(item) for key, item in value.items()} if isinstance(value, dict) else value


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> Kind:
    return KINDS[request.param]


def test_what_is_written_is_read(kind: Kind, tmp_path: Path) -> None:
    kind.write(tmp_path / "deep" / "file", *kind.content)
    assert plain(kind.read(tmp_path / "deep" / "file")) == plain(kind.content)
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["file"]


def test_equal_content_gives_byte_equal_files(kind: Kind, tmp_path: Path) -> None:
    for name in ("one", "two"):
        kind.write(tmp_path / name, *kind.content)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


def test_an_altered_file_is_refused_or_says_what_it_said(kind: Kind, tmp_path: Path) -> None:
    path = tmp_path / "file"
    kind.write(path, *kind.content)
    good, refused = path.read_bytes(), 0
    places = range(0, len(good), 3)
    for place in places:
        content = bytearray(good)
        content[place] ^= 0x15
        path.write_bytes(content)
        try:
            assert plain(kind.read(path)) == plain(kind.content), f"byte {place} changed the content unnoticed"
        except ArtifactError:
            refused += 1
    assert refused > len(places) / 2


@pytest.mark.parametrize("share", [0, 0.1, 0.5, 0.98])
def test_a_truncated_file_is_refused(kind: Kind, share: float, tmp_path: Path) -> None:
    path = tmp_path / "file"
    kind.write(path, *kind.content)
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
    with pytest.raises(ArtifactError, match="not a readable"):
        kind.read(path)


def test_absent_and_foreign_files_are_refused(kind: Kind, tmp_path: Path) -> None:
    path = tmp_path / "file"
    with pytest.raises(ArtifactError, match="no such file"):
        kind.read(path)
    path.mkdir()
    with pytest.raises(ArtifactError, match="no such file"):
        kind.read(path)
    path.rmdir()
    for content in (b"", b"<html>404 Not Found</html>", bytes(4096)):
        path.write_bytes(content)
        with pytest.raises(ArtifactError):
            kind.read(path)
    safetensors.torch.save_file({"images": drawn(2), "labels": drawn(2)}, path)
    with pytest.raises(ArtifactError):
        kind.read(path)
    write_table(path, pa.table({"index": [0, 1], "neighbors": [1, 0]}))
    with pytest.raises(ArtifactError):
        kind.read(path)


def test_one_kind_s_file_is_refused_as_another(tmp_path: Path) -> None:
    for name, kind in KINDS.items():
        kind.write(tmp_path / name, *kind.content)
    for name in KINDS:
        for other, reading in KINDS.items():
            # A structure holds neighbor ids too; its distances are missing.
            if other != name:
                with pytest.raises(ArtifactError):
                    reading.read(tmp_path / name)


@pytest.mark.parametrize("labels", [[0, 1, 2], [-1, 0, 1], [0, 0, -2]])
def test_labels_out_of_range_are_refused(labels: list[int], tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match=r"labels must lie in \[0, 2\)"):
        write_images(tmp_path / "file", ImageSet(torch.zeros(3, 3, 2, 2).byte(), torch.tensor(labels), ("a", "b")))
    assert not list(tmp_path.iterdir())


def test_images_all_unlabelled_are_legal(tmp_path: Path) -> None:
    write_images(tmp_path / "file", ImageSet(torch.zeros(3, 3, 2, 2).byte(), torch.full((3,), -1), ()))
    assert read_images(tmp_path / "file").labels.tolist() == [-1] * 3


@pytest.mark.parametrize(
    ("images", "labels"),
    [
        (torch.zeros(2, 3, 4, 4), torch.zeros(2).long()),
        (torch.zeros(2, 1, 4, 4).byte(), torch.zeros(2).long()),
        (torch.zeros(0, 3, 4, 4).byte(), torch.zeros(0).long()),
        (torch.zeros(2, 3, 4, 4).byte(), torch.zeros(2).int()),
        (torch.zeros(2, 3, 4, 4).byte(), torch.zeros(3).long()),
    ],
)
def test_images_of_another_type_or_shape_are_refused(
    images: torch.Tensor, labels: torch.Tensor, tmp_path: Path
) -> None:
    with pytest.raises(ArtifactError, match="must be"):
        write_images(tmp_path / "file", ImageSet(images, labels, ("a",)))


def test_the_content_hash_is_of_pixels_and_labels_alone() -> None:
    images, labels = torch.zeros(2, 3, 2, 2).byte(), torch.tensor([0, 1])
    same = {ImageSet(images, labels, names).content_hash() for names in (("a", "b"), ("x", "y"))}
    other = {ImageSet(images + 1, labels, ("a", "b")).content_hash(), ImageSet(images, 1 - labels, ()).content_hash()}
    assert len(same) == 1
    assert len(same | other) == 3


def test_neighbor_ids_out_of_range_or_an_anchor_s_own_are_refused(tmp_path: Path) -> None:
    for ids, message in (([[1], [2]], "must lie in"), ([[1], [-1]], "must lie in"), ([[1], [1]], "lists itself")):
        wrong = torch.tensor(ids)
        with pytest.raises(ArtifactError, match=message):
            write_neighbors(tmp_path / "file", Neighbors(wrong, torch.zeros(2, 1).double()))
        with pytest.raises(ArtifactError, match=message):
            write_structure(tmp_path / "file", Structure(wrong, torch.ones(2, 1)))


@pytest.mark.parametrize("shares", [[[0.5, 0.6]], [[-0.5, 1.5]], [[float("nan"), 0.5]], [[1.0]]])
def test_structure_vectors_that_are_no_shares_are_refused(shares: list[list[float]], tmp_path: Path) -> None:
    with pytest.raises(ArtifactError):
        write_structure(tmp_path / "file", Structure(IDS, torch.tensor(shares * 4)))


def test_embeddings_that_are_not_finite_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="not finite"):
        write_embeddings(tmp_path / "file", torch.tensor([[1.0, float("nan")]]))


def test_columns_of_another_type_or_with_holes_are_refused(tmp_path: Path) -> None:
    path, index = tmp_path / "file", pa.array([0, 1])
    for numbers in (pa.array([1.0, 2.0, 3.0, 4.0], pa.float64()), pa.array([1.0, None, 3.0, 4.0], pa.float32())):
        pq.write_table(pa.table({"index": index, "embedding": pa.FixedSizeListArray.from_arrays(numbers, 2)}), path)
        with pytest.raises(ArtifactError, match="must hold float and no nulls"):
            read_embeddings(path)
    holes = pa.array([[1.0, 2.0], None], pa.list_(pa.float32(), 2))
    pq.write_table(pa.table({"index": index, "embedding": holes}), path)
    with pytest.raises(ArtifactError, match="no nulls"):
        read_embeddings(path)


def test_rows_out_of_order_are_refused(tmp_path: Path) -> None:
    write_embeddings(tmp_path / "file", drawn(3, 2))
    table = pq.read_table(tmp_path / "file")
    pq.write_table(table.take([1, 0, 2]), tmp_path / "file")
    with pytest.raises(ArtifactError, match="must count from 0"):
        read_embeddings(tmp_path / "file")


def test_a_header_altered_with_its_tensors_untouched_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "file"
    write_weights(path, {"w": drawn(2)}, {"mean": [0.25]})
    content = path.read_bytes()
    assert content.count(b"0.25") == 1
    path.write_bytes(content.replace(b"0.25", b"0.75"))
    with pytest.raises(ArtifactError, match="differs from its checksum"):
        read_weights(path)
