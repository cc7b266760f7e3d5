"""The artifact of pictures: what is written is read, no damaged or foreign file is believed, and no torch is loaded."""

import subprocess
import sys
from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

from stages.core.errors import ArtifactError
from stages.core.pictures import Attacked, Neighborhoods, Pictures, read_pictures, write_pictures
from tests.conftest import ROOT

DRAW = np.random.default_rng(0)
EPSILON = 8 / 255


def pixels(*shape: int) -> Any:
    return DRAW.integers(0, 256, (*shape, 3, 4, 4), dtype=np.uint8)


def pictures() -> Pictures:
    """Two methods, three anchors of two companions, and two test images."""
    perturbation = DRAW.uniform(-EPSILON, EPSILON, (2, 2, 3, 4, 4))
    near = Neighborhoods(
        ids=np.array([3, 1, 2]),
        labels=np.array([0, 1, 1]),
        images=pixels(3),
        neighbor_ids=np.array([[1, 2], [3, 0], [0, 7]]),
        neighbor_labels=np.array([[0, 0], [1, 0], [0, 0]]),
        neighbor_images=pixels(3, 2),
        distances=np.array([[0.0, 0.5], [0.25, np.nan], [1, 2]]),
        p=np.full((3, 2), 0.5, np.float32),
        q=np.full((2, 3, 2), [0.25, 0.75], np.float32),
    )
    attacked = Attacked(
        ids=np.array([0, 5]),
        labels=np.array([1, 0]),
        images=pixels(2),
        predictions=np.array([[1, 0], [0, 0]]),
        probabilities=np.full((2, 2), 0.75, np.float32),
        adversarial=pixels(2, 2),
        perturbation=perturbation.astype(np.float16),
        adversarial_predictions=np.array([[0, 0], [1, 1]]),
        adversarial_probabilities=np.full((2, 2), 0.5, np.float32),
        linf=np.full((2, 2), EPSILON, np.float32),
        l2=np.full((2, 2), 0.1, np.float32),
    )
    return Pictures(
        ("cat", "<b>dog]]>"),
        ("lsp+", "vanilla"),
        (EPSILON, 0.1),
        ("at",),
        20,
        ("good", "typical", "bad"),
        near,
        attacked,
    )


SOME = pictures()


def without_anchors() -> Pictures:
    """What is shown where there is no structure."""
    near = {
        "neighbor_ids": SOME.neighborhoods.neighbor_ids[:0, :0],
        "neighbor_labels": SOME.neighborhoods.neighbor_labels[:0, :0],
        "neighbor_images": SOME.neighborhoods.neighbor_images[:0, :0],
        "distances": SOME.neighborhoods.distances[:0, :0],
        "p": SOME.neighborhoods.p[:0, :0],
        "q": SOME.neighborhoods.q[:, :0, :0],
    }
    of_anchors = {name: getattr(SOME.neighborhoods, name)[:0] for name in ("ids", "labels", "images")}
    return replace(SOME, kinds=(), neighborhoods=Neighborhoods(**near, **of_anchors))


@pytest.mark.parametrize("content", [SOME, without_anchors()], ids=["with anchors", "without"])
def test_what_is_written_is_read_by_file_and_by_folder_and_equal_content_gives_equal_files(
    content: Pictures, tmp_path: Path
) -> None:
    path = tmp_path / "pictures.safetensors"
    write_pictures(path, content)
    first = path.read_bytes()
    for found in (read_pictures(path), read_pictures(tmp_path)):
        for field in fields(Pictures):
            mine, theirs = getattr(found, field.name), getattr(content, field.name)
            if field.name not in ("neighborhoods", "attacked"):
                assert mine == theirs
                continue
            for name, array in vars(theirs).items():
                assert getattr(mine, name).dtype == array.dtype
                np.testing.assert_array_equal(getattr(mine, name), array)
        write_pictures(path, found)
        assert path.read_bytes() == first


def test_no_changed_byte_and_no_missing_end_goes_unnoticed(tmp_path: Path) -> None:
    path = tmp_path / "pictures.safetensors"
    write_pictures(path, SOME)
    whole = path.read_bytes()
    for place in range(8, len(whole), 7):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        with pytest.raises(ArtifactError, match=r"pictures\.safetensors"):
            read_pictures(tmp_path)
    for length in (0, 7, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:length])
        with pytest.raises(ArtifactError):
            read_pictures(tmp_path)


def test_a_foreign_file_and_none_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="no such file"):
        read_pictures(tmp_path)
    for metadata in (None, {"artifact": "{}"}, {"artifact": "[1]"}, {"artifact": "not JSON"}):
        save_file({"images": SOME.attacked.images}, tmp_path / "pictures.safetensors", metadata)
        with pytest.raises(ArtifactError, match="not a readable file of pictures"):
            read_pictures(tmp_path)


def near(**changes: Any) -> Pictures:
    return replace(SOME, neighborhoods=replace(SOME.neighborhoods, **changes))


def attacked(**changes: Any) -> Pictures:
    return replace(SOME, attacked=replace(SOME.attacked, **changes))


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (lambda: near(ids=SOME.neighborhoods.ids.astype(np.int32)), r"neighborhoods\.ids must be int64 A"),
        (lambda: near(p=SOME.neighborhoods.p[:2]), r"neighborhoods\.p must be float32 A m"),
        (lambda: near(images=SOME.neighborhoods.images[:, :1]), r"neighborhoods\.images must be uint8 A 3 H W"),
        (lambda: near(q=SOME.neighborhoods.q[:1]), r"neighborhoods\.q must be float32 M A m"),
        (lambda: attacked(images=pixels(2)[..., :3]), r"attacked\.images must be uint8 E 3 H W"),
        (lambda: attacked(linf=SOME.attacked.linf[0]), r"attacked\.linf must be float32 M E"),
        (lambda: replace(SOME, epsilons=(EPSILON,)), "every method needs its epsilon"),
        (lambda: replace(SOME, kinds=("good", "ugly", "bad")), "one of the kinds"),
        (lambda: replace(SOME, classes=("cat",)), "labels and predictions name a class"),
        (lambda: near(neighbor_ids=SOME.neighborhoods.neighbor_ids - 1), "ids count from 0"),
        (lambda: near(ids=np.array([1, 4, 4])), "no anchor is its own neighbor"),
        (lambda: near(distances=-SOME.neighborhoods.distances), "distances are not negative"),
        (lambda: near(q=SOME.neighborhoods.q * np.float32(0.9)), "P_x and Q_x are shares"),
        (lambda: near(p=SOME.neighborhoods.p * np.float32(np.nan)), "P_x and Q_x are shares"),
        (lambda: attacked(probabilities=SOME.attacked.probabilities * 2), r"probabilities lie in \[0, 1\]"),
        (lambda: attacked(perturbation=SOME.attacked.perturbation * np.float16(4)), "lie in their ball"),
        (lambda: attacked(linf=SOME.attacked.linf + np.float32(1e-5)), "lie in their ball"),
    ],
)
def test_what_is_out_of_its_form_or_range_is_not_written(
    wrong: Callable[[], Pictures], said: str, tmp_path: Path
) -> None:
    with pytest.raises(ArtifactError, match=said):
        write_pictures(tmp_path / "pictures.safetensors", wrong())
    assert not list(tmp_path.iterdir())


def test_the_reader_loads_no_torch() -> None:
    script = "import sys, stages.core.pictures; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
