"""Before the first job: files from outside, the place of the results, room in it, and what a data set must have."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from safetensors.torch import save_file

from stages.core.models import Classifier
from tests.conftest import Project
from workflow.planning.jobs import Job, Plan
from workflow.planning.stages import ATTACK, STAGES, TRAIN
from workflow.preflight import room
from workflow.preflight.look import preflight, to_do
from workflow.preflight.room import NETS, still_made

PlanOf = Callable[..., Plan]
CIFAR10 = ("data_batch_1", "data_batch_2", "data_batch_3", "data_batch_4", "data_batch_5", "test_batch", "batches.meta")


def reading(source: str, folder: object) -> str:
    """The tiny experiment on the files of a folder."""
    return f"datasets: {{digits: {{data: {{source: {source}, folder: {folder}}}}}}}"


def write(folder: Path, **content: bytes) -> None:
    """Files below a folder; two underscores in a name are a slash, one after another part a dot."""
    for name, data in content.items():
        path = folder / name.replace("__", "/").replace("DOT", ".")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)


def parquet(path: Path) -> Path:
    """A small Parquet file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table({"label": [0, 1]}), path)
    return path


def test_an_experiment_of_bundled_images_has_no_faults_and_everything_to_do(plan_of: PlanOf, tmp_path: Path) -> None:
    plan = plan_of()
    assert preflight(plan, tmp_path) == []
    jobs = [job for stage in STAGES for job in plan.of(stage).values()]
    assert len(to_do(plan, tmp_path)) == len(jobs) + len(plan.tables) + len(plan.lists)
    assert not any(path.name.startswith(".preflight") for path in tmp_path.iterdir()), "nothing is left behind"


@pytest.mark.parametrize(
    ("source", "rule"),
    [
        ("parquet", "has no train*.parquet, test*.parquet"),
        ("image-folder", "has no train/*/*, test/*/*"),
        ("cifar10", "has no data_batch_1, data_batch_2"),
        ("svhn", "has no train_32x32.mat, test_32x32.mat (looked in svhn/ too)"),
        ("stl10", "has no train_X.bin"),
        ("tiny-imagenet", "has no tiny-imagenet-200.zip"),
    ],
)
def test_a_folder_that_is_not_there_or_empty_is_a_line_with_its_key(
    plan_of: PlanOf, tmp_path: Path, source: str, rule: str
) -> None:
    folder = tmp_path / "files"
    plan = plan_of(reading(source, folder))
    (line,) = preflight(plan, tmp_path)
    assert line == f"datasets.digits.data.folder: {folder} is no folder; name the folder that holds its files"
    folder.mkdir()
    (line,) = preflight(plan, tmp_path)
    assert line.startswith(f"datasets.digits.data.folder: {folder} {rule}")


def test_a_variable_that_is_not_set_is_named(plan_of: PlanOf, tmp_path: Path) -> None:
    (line,) = preflight(plan_of(reading("parquet", "$NO_SUCH_VARIABLE/x")), tmp_path)
    assert "'$NO_SUCH_VARIABLE/x' names $NO_SUCH_VARIABLE, which is not set" in line


def test_every_damaged_file_of_a_folder_is_a_line_and_whole_ones_are_none(plan_of: PlanOf, tmp_path: Path) -> None:
    files = tmp_path / "files"
    plan = plan_of(reading("parquet", files))
    whole = parquet(files / "train-00000-of-00001.parquet").read_bytes()
    parquet(files / "validation.parquet")
    assert preflight(plan, tmp_path) == []
    (files / "train-00000-of-00001.parquet").write_bytes(whole[:-1])
    (files / "validation.parquet").write_bytes(b"<!DOCTYPE html>")
    assert [line.partition("files/")[2] for line in preflight(plan, tmp_path)] == [
        "train-00000-of-00001.parquet does not look like a whole Parquet file; get it again",
        "validation.parquet is a web page; get it again",
    ]


def test_the_official_files_are_found_where_the_archive_unpacks_them(plan_of: PlanOf, tmp_path: Path) -> None:
    files = tmp_path / "files"
    plan = plan_of(reading("cifar10", files))
    write(files / "cifar-10-batches-py", **{name.replace(".", "DOT"): b"\x80\x02}q." for name in CIFAR10})
    assert preflight(plan, tmp_path) == []
    write(files / "cifar-10-batches-py", test_batch=b"")
    (line,) = preflight(plan, tmp_path)
    assert line.endswith("cifar-10-batches-py/test_batch is empty; get it again")
    (files / "cifar-10-batches-py/test_batch").unlink()
    (line,) = preflight(plan, tmp_path)
    assert "cifar-10-batches-py has no test_batch" in line


def test_a_zip_may_be_named_itself(plan_of: PlanOf, tmp_path: Path) -> None:
    write(tmp_path, tinyDOTzip=b"PK\x03\x04 and more")
    plan = plan_of(reading("tiny-imagenet", tmp_path / "tiny.zip"))
    assert preflight(plan, tmp_path) == []
    write(tmp_path, tinyDOTzip=b"Rar!")
    (line,) = preflight(plan, tmp_path)
    assert "tiny.zip does not look like a zip" in line


@pytest.mark.parametrize(
    ("name", "content", "rule"),
    [
        ("w.pt", b"no weights at all", "does not look like a file of torch.save"),
        ("w.pt", b"<html>", "is a web page"),
        ("w.pt", b"version https://git-lfs.github.com/spec/v1", "is a Git LFS pointer"),
        ("w.safetensors", b"\xff" * 7 + b"\x7f{}", "does not look like a safetensors file"),
        ("w.safetensors", b"", "is empty"),
    ],
)
def test_weights_of_no_such_format_are_a_line(
    plan_of: PlanOf, tmp_path: Path, name: str, content: bytes, rule: str
) -> None:
    (tmp_path / name).write_bytes(content)
    (line,) = preflight(plan_of(checkpoint(tmp_path / name)), tmp_path)
    assert line.startswith(f"checkpoints.theirs.file: {tmp_path / name} {rule}")


def checkpoint(path: Path) -> str:
    """A row of weights from elsewhere."""
    return (
        f"checkpoints: {{theirs: {{file: {path}, dataset: digits}}}}\n"
        "tables: {table1: {methods: [vanilla, theirs]}, table2: null}"
    )


@pytest.mark.parametrize("legacy", [True, False])
def test_weights_as_libraries_write_them_pass(plan_of: PlanOf, tmp_path: Path, legacy: bool) -> None:
    weights = {"w": torch.zeros(2)}
    save_file(weights, tmp_path / "w.safetensors")
    torch.save(weights, tmp_path / "w.pt", _use_new_zipfile_serialization=not legacy)
    for name in ("w.safetensors", "w.pt"):
        assert preflight(plan_of(checkpoint(tmp_path / name)), tmp_path) == []


def test_the_official_encoder_is_looked_at(plan_of: PlanOf, tmp_path: Path) -> None:
    overlay = f"datasets: {{digits: {{features: {{source: official, checkpoint: {tmp_path / 'moco.pth.tar'}}}}}}}"
    (line,) = preflight(plan_of(overlay), tmp_path)
    assert line.startswith(f"datasets.digits.features.checkpoint: {tmp_path}/moco.pth.tar cannot be read (No such file")
    torch.save({}, tmp_path / "moco.pth.tar")
    assert preflight(plan_of(overlay), tmp_path) == []


def made(root: Path, *jobs: Job) -> None:
    """The outputs of jobs, empty."""
    for job in jobs:
        for path in job.outputs().values():
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).touch()


def test_what_is_done_needs_nothing_of_its_files(plan_of: PlanOf, tmp_path: Path) -> None:
    plan = plan_of(reading("parquet", "/moved/away"))
    assert len(preflight(plan, tmp_path)) == 1
    made(tmp_path, *plan.data.values())
    assert preflight(plan, tmp_path) == []
    assert to_do(plan, tmp_path)


def test_with_every_table_made_nothing_is_asked_not_even_a_place_to_write(plan_of: PlanOf, tmp_path: Path) -> None:
    plan = plan_of(reading("parquet", "/moved/away"))
    made(tmp_path, *plan.tables.values(), *plan.lists.values())
    assert to_do(plan, tmp_path) == []
    assert preflight(plan, tmp_path) == []


def test_a_scheduler_asks_for_its_own_jobs_alone(plan_of: PlanOf, tmp_path: Path) -> None:
    plan = plan_of(reading("parquet", "/moved/away"))
    (data,) = plan.data.values()
    assert preflight(plan, tmp_path, asked=[]) == []
    assert preflight(plan, tmp_path, asked=next(iter(plan.train.values())).outputs().values()) == []
    assert len(preflight(plan, tmp_path, asked=data.outputs().values())) == 1


def test_too_little_room_and_too_few_inodes_are_a_line_each(
    plan_of: PlanOf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = plan_of()
    needed = still_made(plan, to_do(plan, tmp_path), tmp_path)
    for free, inodes, keys in (
        (needed.size, needed.files, []),
        (needed.size - 1, needed.files, ["GB are free"]),
        (0, needed.files - 1, ["GB are free", "inodes are free"]),
    ):
        monkeypatch.setattr(room.shutil, "disk_usage", lambda place, free=free: shutil._ntuple_diskusage(1, 1, free))
        counted = list(os.statvfs(tmp_path))
        counted[5], counted[7] = 10**9, inodes
        monkeypatch.setattr(room.os, "statvfs", lambda place, counted=counted: os.statvfs_result(counted))
        lines = preflight(plan, tmp_path)
        assert len(lines) == len(keys)
        assert all(key in line and "--directory" in line for key, line in zip(keys, lines, strict=True))


def test_a_place_that_cannot_be_written_is_a_line(
    plan_of: PlanOf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(30, "Read-only file system")

    plan = plan_of()
    monkeypatch.setattr(room.tempfile, "TemporaryDirectory", refuse)
    (line,) = preflight(plan, tmp_path)
    assert line.startswith(f"results: {tmp_path} cannot be written (Read-only file system); ")


@pytest.mark.parametrize("width", [1, 4, 16, 64])
def test_the_estimate_of_a_net_is_its_size(plan_of: PlanOf, width: int) -> None:
    job = next(iter(plan_of(f"datasets: {{digits: {{model: {{width: {width}}}}}}}").train.values()))
    net = Classifier(**json.loads(job.settings)["model"], classes=10)
    size = sum(value.numel() * value.element_size() for value in net.state_dict().values())
    assert size <= NETS[TRAIN](job) * 1.02
    assert NETS[TRAIN](job) <= 1.35 * size


def test_what_is_made_grows_with_what_is_asked_and_shrinks_with_what_is_done(plan_of: PlanOf, tmp_path: Path) -> None:
    few = plan_of()
    more = plan_of("seeds: [0, 1]\ndatasets: {digits: {data: {train_images: 400}}}")
    sizes = [still_made(plan, to_do(plan, tmp_path), tmp_path) for plan in (few, more)]
    assert sizes[0].size < sizes[1].size
    assert sizes[0].files < sizes[1].files
    made(tmp_path, *(job for job in few.train.values()))
    assert still_made(few, to_do(few, tmp_path), tmp_path).size < sizes[0].size


def test_images_that_are_not_counted_yet_are_counted_apart(plan_of: PlanOf, tmp_path: Path) -> None:
    plan = plan_of(reading("parquet", tmp_path).replace("}}}", ", train_images: null, test_images: null}}}", 1))
    unknown = still_made(plan, to_do(plan, tmp_path), tmp_path).unknown
    assert unknown == sum(len(plan.of(stage)) for stage in STAGES if stage in room.OF_IMAGES)
    assert unknown > len(plan.of(ATTACK))


@pytest.mark.slow
def test_the_first_job_is_not_started_and_a_dry_run_says_so_too(fresh: Project) -> None:
    overlay = reading("parquet", "/no/such")
    line = "preflight: datasets.digits.data.folder: /no/such is no folder; name the folder that holds its files"
    dry = fresh.snakemake("-n", overlay=overlay)
    assert (dry.returncode, dry.stdout.count(line)) == (0, 1)
    done = fresh.snakemake(overlay=overlay)
    assert done.returncode == 1
    assert done.stdout.splitlines()[-2:] == ["preflight: nothing is started", line]
    assert not (fresh.root / "results").exists()
    assert not (fresh.root / "logs").exists()
    unlocked = fresh.command("snakemake", "--unlock", *fresh.configfiles(overlay))
    assert unlocked.returncode == 0, unlocked.stdout
    asked = fresh.command("python", "-m", "workflow.commands.preflight", *fresh.configfiles(overlay))
    assert (asked.returncode, asked.stdout) == (1, f"{line}\n")
    free = fresh.command("python", "-m", "workflow.commands.preflight", *fresh.configfiles())
    assert free.returncode == 0
    assert free.stdout.endswith("nothing stands in their way\n")
