"""What the operating system refuses is one line that names the file, and the older file stays as it was."""

import contextlib
import os
import resource
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch

from stages.core.artifacts import write_embeddings, write_weights
from stages.core.config.structure import NeighborSearch
from stages.core.errors import StageError
from stages.core.files import write_json, write_text
from stages.core.job import lease, once
from stages.core.job.progress import log_line
from stages.core.job.resume import save_state
from stages.core.job.stage import Job
from stages.data.__main__ import main as data
from stages.neighbors.index import build_index, checksum_path, write_index
from tests.unit.drawing import CPU
from tests.unit.refusing import refusal
from workflow.commands import evaluate
from workflow.commands.cli import ROOT, run

NUMBERS = torch.rand(300, 300, generator=torch.Generator().manual_seed(0))
NOBODY, LIMIT = 65534, 16_384


WRITERS: dict[str, Callable[[Path], None]] = {
    "tensors": lambda path: write_weights(path, {"w": NUMBERS}, {}),
    "Parquet": lambda path: write_embeddings(path, NUMBERS),
    "JSON": lambda path: write_json(path, NUMBERS.tolist()),
    "text": lambda path: write_text(path, "text\n" * LIMIT),
    "state": lambda path: save_state(path, "key", {"w": NUMBERS}),
    "index": lambda path: write_index(path, build_index(NUMBERS, NeighborSearch(index="exact"), CPU)),
}


@contextlib.contextmanager
def limited(size: int) -> Iterator[None]:
    """Within, no file becomes larger."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 8 MB and few inodes."""
    place = tmp_path / "disk"
    place.mkdir()
    mounted = ["mount", "-t", "tmpfs", "-o", "size=8M,nr_inodes=100", "tmpfs", str(place)]
    if os.geteuid() != 0 or subprocess.run(mounted, capture_output=True, check=False).returncode:
        pytest.skip("root alone mounts a file system")
    yield place
    subprocess.run(["umount", "--lazy", str(place)], check=True)


def fill(disk: Path) -> None:
    """Leave no byte."""
    with (disk / "ballast").open("wb") as stream:
        os.posix_fallocate(stream.fileno(), 0, os.statvfs(disk).f_bavail * os.statvfs(disk).f_bsize)


def use_up(disk: Path) -> None:
    """Leave no inode."""
    (disk / "many").mkdir()
    with contextlib.suppress(OSError):
        for number in range(1000):
            (disk / "many" / str(number)).touch()


def close(disk: Path) -> None:
    """Make it read-only."""
    subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)


FAULTS: dict[str, tuple[Callable[[Path], None], str]] = {
    "full": (fill, "free some"),
    "without inodes": (use_up, "free some"),
    "read-only": (close, "read-only"),
}


def told_by_a_child(work: Callable[[], object]) -> str:
    """The line that work of another user, who may write nowhere, ends in; as root may write everywhere."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            if os.geteuid() == 0:
                os.setgid(NOBODY)
                os.setuid(NOBODY)
            work()
        except BaseException as error:
            os.write(writing, f"{type(error).__name__}: {error}".encode())
        finally:
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as stream:
        said = stream.read()
    os.waitpid(child, 0)
    return said


@pytest.mark.parametrize("writer", WRITERS)
def test_a_limit_on_file_sizes_is_one_line_that_names_the_file(writer: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("old")
    with limited(LIMIT), pytest.raises(StageError, match=r"/file: files may not .*`ulimit -f`") as caught:
        WRITERS[writer](tmp_path / "file")
    assert len(str(caught.value).splitlines()) == 1
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("file", "old")]


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("writer", [*WRITERS, "lease"])
def test_a_disk_that_takes_nothing_is_one_line_that_names_the_file(writer: str, fault: str, disk: Path) -> None:
    (disk / "file").write_text("old")
    spoil, said = FAULTS[fault]
    spoil(disk)

    def leased(path: Path) -> None:
        with lease.leased(path.with_name("run")):
            pytest.fail("the lease was taken")

    with pytest.raises(StageError, match=rf"/(file|run): .*{said}") as caught:
        (leased if writer == "lease" else WRITERS[writer])(disk / "file")
    assert len(str(caught.value).splitlines()) == 1
    assert (disk / "file").read_text() == "old"
    assert {path.name for path in disk.iterdir()} <= {"file", "ballast", "many", "run"}
    assert not list(disk.glob("run/**/*.json"))


@pytest.mark.parametrize("writer", WRITERS)
def test_no_permission_is_one_line_that_names_the_file(writer: str, tmp_path: Path) -> None:
    tmp_path.chmod(0o555)
    line = told_by_a_child(lambda: WRITERS[writer](tmp_path / "file"))
    assert line == f"StageError: {tmp_path}/file: permission denied; allow it, or run in a folder of your own"


def test_names_too_long_and_files_for_folders_are_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("old")
    with pytest.raises(StageError, match="too long"):
        write_text(tmp_path / ("x" * 250), "text")
    for path in (tmp_path / "file/below", tmp_path / "file/far/below"):
        with pytest.raises(StageError, match=r"below: .*path"):
            write_text(path, "text")
    (tmp_path / "folder").mkdir()
    with pytest.raises(StageError, match="folder: is a folder"):
        write_text(tmp_path / "folder", "text")
    assert (tmp_path / "file").read_text() == "old"


@pytest.mark.parametrize("fault", FAULTS)
def test_a_stage_by_hand_ends_with_one_line(fault: str, disk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    outputs = [f"--{name}={disk / name}" for name in ("train", "test", "manifest")]
    FAULTS[fault][0](disk)
    words = ["--settings", '{"source": "digits", "train_images": 20, "test_images": 20}', "--downloads", str(disk)]
    assert FAULTS[fault][1] in refusal(capsys, data, [*words, *outputs])[-1]
    assert {path.name for path in disk.iterdir()} <= {"ballast", "many"}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_job_s_launch_tells_it_where_snakemake_was_started(fault: str, disk: Path) -> None:
    FAULTS[fault][0](disk)
    command = ["--log", str(disk / "logs/some.log"), "--gpu", "0", "--jobs-per-gpu", "1", "--", "true"]
    done = subprocess.run(
        [sys.executable, "-m", "workflow.launch.job", *command], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"error: {disk}/logs")
    assert FAULTS[fault][1] in line


def test_a_job_s_launch_with_a_limit_on_file_sizes_ends_with_one_line_and_not_by_the_signal(tmp_path: Path) -> None:
    command = f"ulimit -f 0; {sys.executable} -m workflow.launch.job --log {tmp_path}/some.log --gpu 0"
    done = subprocess.run(
        f"{command} --jobs-per-gpu 1 -- true", shell=True, cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert (done.returncode, len(done.stderr.splitlines())) == (1, 1)
    assert done.stderr.startswith(f"error: {tmp_path}/some.log: ")
    assert "ulimit -f" in done.stderr


@pytest.mark.parametrize("fault", FAULTS)
def test_a_command_of_the_workflow_ends_with_one_line(fault: str, disk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    FAULTS[fault][0](disk)
    monkeypatch.chdir(disk)
    with pytest.raises(SystemExit, match=f"error: .*experiment.yaml: .*{FAULTS[fault][1]}"):
        run(lambda: evaluate.main(["--checkpoint", "some.pt", "--dataset", "digits"]))


def test_a_command_that_another_one_failed_for_ends_with_its_status_and_adds_nothing() -> None:
    def failing() -> None:
        subprocess.run([sys.executable, "-c", "import sys; sys.exit(3)"], check=True)

    with pytest.raises(SystemExit) as ended:
        run(failing)
    assert ended.value.code == 3


def test_a_log_that_takes_nothing_stops_no_work(monkeypatch: pytest.MonkeyPatch) -> None:
    with open("/dev/full", "w") as full:
        monkeypatch.setattr(sys, "stderr", full)
        log_line("a line")
        with pytest.raises(OSError, match="No space left"):  # else the line was taken
            full.flush()
        monkeypatch.undo()
        with contextlib.suppress(OSError):
            full.close()


def test_outputs_that_cannot_be_kept_for_another_process_are_valid_all_the_same(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "resume").mkdir()
    (tmp_path / "resume/finished").write_text("in the way")
    job = Job(tmp_path / "manifest", ["stages.train.schedule"], {}, {}, {"one": tmp_path / "one"}, 0, CPU)

    def work() -> None:
        for path in job.files().values():
            path.write_text("made")

    once.once(job, tmp_path / "resume", 0.0, work)
    assert "warning: " in capsys.readouterr().err
    assert {path.name: path.read_text() for path in job.files().values()} == {"one": "made", "manifest": "made"}


def test_writers_write_where_nothing_is_refused(tmp_path: Path) -> None:
    for name, write in WRITERS.items():
        write(tmp_path / name)
        assert (tmp_path / name).stat().st_size > LIMIT
    assert checksum_path(tmp_path / "index").is_file()
