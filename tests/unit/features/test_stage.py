"""Laws of `python -m stages.features`: pre-training, its resume, its errors, and the embedding."""

import json
import math
import re
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

import stages.features.pretrain as training
from stages.core.artifacts import ImageSet, read_embeddings, read_weights, write_images, write_weights
from stages.core.config.moco import Moco
from stages.core.models import Classifier
from stages.core.parquet import read_table
from stages.features.__main__ import main
from stages.features.network import read_encoder
from tests.unit.drawing import labelled_images, noise
from tests.unit.interrupting import signal_at
from tests.unit.refusing import refusal

TINY: dict[str, Any] = {
    "width": 2,
    "dim": 6,
    "epochs": 3,
    "batch_size": 8,
    "queue": 12,
    "splits": 2,
    "knn": 5,
    "monitor_epochs": 2,
    "blur_probability": 0.5,
}


class Folder:
    """A folder with small image sets, and the stage's commands run on them."""

    def __init__(self, root: Path) -> None:
        self.root = root
        write_images(root / "train.safetensors", labelled_images(28, 0))
        write_images(root / "test.safetensors", labelled_images(11, 1))
        write_images(
            root / "unlabelled.safetensors", ImageSet(noise(14, seed=2), torch.full((14,), -1), ("a", "b", "c"))
        )

    def pretrain(self, name: str = "run", more: tuple[str, ...] = (), **moco: Any) -> Path:
        """Pre-train with changed settings; the folder of its outputs."""
        out = self.root / name
        settings = {"moco": {**TINY, **moco}, "seed": 3}
        words = ["pretrain", "--settings", json.dumps(settings), "--device", "cpu", "--manifest", out / "manifest.json"]
        words += ["--train", self.root / "train.safetensors", "--test", self.root / "test.safetensors"]
        words += ["--encoder", out / "encoder.safetensors", "--history", out / "history.parquet"]
        main([str(word) for word in (*words, "--resume", out / "resume", *more)])
        return out

    def embed(self, settings: dict[str, Any], encoder: Path | None) -> Tensor:
        out = self.root / "embeddings.parquet"
        words = ["embed", "--settings", json.dumps(settings), "--train", self.root / "train.safetensors"]
        words += ["--embeddings", out, "--manifest", self.root / "embed.json", "--device", "cpu"]
        main([str(word) for word in (*words, *(["--encoder", encoder] if encoder else []))])
        return read_embeddings(out)


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path)


def weights(out: Path) -> dict[str, Tensor]:
    return read_weights(out / "encoder.safetensors")[0]


def history(out: Path) -> list[dict[str, Any]]:
    """Rows of the history without the seconds, nan written as a word so that rows can be compared."""
    rows = read_table(out / "history.parquet").to_pylist()
    return [
        {key: "nan" if math.isnan(value) else value for key, value in row.items() if key != "seconds"} for row in rows
    ]


def assert_same_run(first: Path, second: Path) -> None:
    ours, theirs = weights(first), weights(second)
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)
    assert history(first) == history(second)


def interrupted(folder: Folder, name: str, **moco: Any) -> None:
    """Pre-training that exits with 75 in its fifth step."""
    with pytest.MonkeyPatch.context() as patch:
        signal_at(patch, training, "train_step", 5)
        with pytest.raises(SystemExit) as ended:
            folder.pretrain(name, **moco)
    assert ended.value.code == 75


def test_an_interrupted_run_leaves_its_state_alone_and_the_next_one_finishes_it(folder: Folder) -> None:
    whole = folder.pretrain("whole")
    interrupted(folder, "parts")
    files = [path for path in (folder.root / "parts").rglob("*") if path.is_file()]
    assert files == [folder.root / "parts/resume/state.pt"]
    torch.manual_seed(99)
    parts = folder.pretrain("parts")
    assert_same_run(whole, parts)
    assert not list((parts / "resume").glob("*.pt"))


def test_a_finished_job_is_taken_by_an_attempt_planned_before_and_done_again_by_a_later_one(
    folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = folder.pretrain()
    first = {path.name: path.read_bytes() for path in out.iterdir() if path.is_file()}
    for name in first:
        (out / name).unlink()
    with monkeypatch.context() as patch:
        patch.setattr(training, "train_step", None)  # nothing is trained
        folder.pretrain(more=("--planned-at", "0"))
    assert {path.name: path.read_bytes() for path in out.iterdir() if path.is_file()} == first
    folder.pretrain()
    again = (out / "history.parquet").read_bytes(), (out / "encoder.safetensors").read_bytes()
    assert again[0] != first["history.parquet"], "an attempt that was planned later measures its own seconds"
    assert again[1] == first["encoder.safetensors"]


@pytest.mark.parametrize("stale", ["other settings", "other images", "damaged"])
def test_a_stale_resume_state_is_left_aside_with_a_line(
    folder: Folder, capsys: pytest.CaptureFixture[str], stale: str
) -> None:
    interrupted(folder, "stale", lr=0.5 if stale == "other settings" else 0.06)
    if stale == "other images":
        write_images(folder.root / "train.safetensors", labelled_images(28, 9))
    if stale == "damaged":
        state = folder.root / "stale/resume/state.pt"
        state.write_bytes(state.read_bytes()[:1000])
    assert_same_run(folder.pretrain("fresh"), folder.pretrain("stale"))
    assert "starting over" in capsys.readouterr().err


def test_history_holds_the_cosine_schedule_and_the_accuracy_of_monitored_epochs_and_the_last(folder: Folder) -> None:
    rows = history(folder.pretrain())
    assert [row["epoch"] for row in rows] == [1, 2, 3]
    assert [row["lr"] for row in rows] == pytest.approx([0.06 * (1 + math.cos(math.pi * e / 3)) / 2 for e in range(3)])
    assert rows[0]["knn_accuracy"] == "nan"
    assert all(0 <= float(row["knn_accuracy"]) <= 1 for row in rows[1:])


def test_the_queue_is_cut_to_half_the_images_with_a_line_and_unlabelled_images_count(
    folder: Folder, capsys: pytest.CaptureFixture[str]
) -> None:
    out = folder.pretrain(queue=4096, epochs=1)
    facts = json.loads((out / "manifest.json").read_text())["facts"]
    assert (facts["images"], facts["queue"]) == (28, 14)
    assert "cut to 14" in capsys.readouterr().err
    out = folder.pretrain(queue=4096, epochs=1, more=("--unlabelled", str(folder.root / "unlabelled.safetensors")))
    facts = json.loads((out / "manifest.json").read_text())["facts"]
    assert (facts["images"], facts["queue"]) == (42, 21)


def test_an_epoch_uses_no_image_twice_and_drops_the_incomplete_batch(tmp_path: Path) -> None:
    settings = Moco(**{**TINY, "jitter_probability": 0.0, "epochs": 1})
    images = labelled_images(28, 0)
    seen: list[Tensor] = []

    def recorded(_chosen: Moco, _state: object, batch: Tensor) -> Tensor:
        seen.append(batch)
        return torch.zeros(())

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(training, "train_step", recorded)
        training.pretrain(settings, 0, images, images, None, tmp_path / "state.pt", "run")
    assert [len(batch) for batch in seen] == [8, 8, 8]
    assert len(torch.cat(seen).flatten(1).unique(dim=0)) == 24


@pytest.mark.parametrize(("symmetric", "keys"), [(False, 8), (True, 16)])
def test_a_step_queues_one_key_an_image_or_two_when_symmetric_and_leaves_the_key_encoder_no_gradient(
    symmetric: bool, keys: int
) -> None:
    settings = Moco(**{**TINY, "symmetric": symmetric, "queue": 20})
    images = labelled_images(40, 0).images
    state = training.begin(settings, 0, images)
    before = state.queue.keys.clone()
    training.train_step(settings, state, images[:8].float() / 255)
    assert state.queue.pointer == keys
    assert torch.equal(state.queue.keys[keys:], before[keys:])
    assert not (state.queue.keys[:keys] == before[:keys]).all(dim=1).any()
    assert all(parameter.grad is None for parameter in state.key.parameters())


@pytest.mark.parametrize(
    ("moco", "message"),
    [
        ({"batch_size": 32}, "moco.batch_size: 32 is more than the 28 images"),
        ({"splits": 3}, "moco.splits: 3 groups"),
        ({"splits": 8}, "moco.splits: 8 groups"),
        ({"temperature": 1e-40}, r"at MoCo epoch 1 step \d .*lower moco.lr"),
        ({"batchsize": 8}, "moco.batchsize: unknown key"),
    ],
)
def test_what_a_user_can_cure_ends_with_one_line_and_no_outputs(
    folder: Folder, capsys: pytest.CaptureFixture[str], moco: dict[str, Any], message: str
) -> None:
    *_, line = refusal(capsys, folder.pretrain, **moco)
    assert re.search(message, line)
    assert not list((folder.root / "run").glob("*.*"))


def test_embeddings_are_those_of_the_written_encoder_row_by_row_in_any_batch_size(folder: Folder) -> None:
    encoder = folder.pretrain() / "encoder.safetensors"
    images = labelled_images(28, 0).images.float() / 255
    network = read_encoder(encoder).eval()
    with torch.no_grad():
        pooled = network.backbone((images - network.mean) / network.std)
        head = F.normalize(network.head(pooled), dim=1)
    for size in (5, 512):
        settings = {"batch_size": size, "embedding": "head"}
        torch.testing.assert_close(folder.embed(settings, encoder), head, atol=1e-5, rtol=1e-5)
        settings["embedding"] = "backbone"
        torch.testing.assert_close(folder.embed(settings, encoder), pooled, atol=1e-5, rtol=1e-5)


def test_embedding_without_an_encoder_or_with_another_network_is_refused(
    folder: Folder, capsys: pytest.CaptureFixture[str]
) -> None:
    other = folder.root / "classifier.safetensors"
    write_weights(other, Classifier("resnet18", width=2, classes=3).state_dict(), {"backbone": "resnet18"})
    for encoder, message in ((None, "needs --encoder"), (other, "not an encoder of")):
        assert message in refusal(capsys, folder.embed, {}, encoder)[-1]


def test_official_weights_have_nothing_to_pretrain(folder: Folder, capsys: pytest.CaptureFixture[str]) -> None:
    settings = json.dumps({"source": "official", "checkpoint": "x.pth.tar"})
    paths = [
        item for name in ("manifest", "train", "test", "encoder", "history", "resume") for item in (f"--{name}", "x")
    ]
    (line,) = refusal(capsys, main, ["pretrain", "--settings", settings, *paths])
    assert "nothing to pre-train" in line
