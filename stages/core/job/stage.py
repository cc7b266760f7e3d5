"""What every stage's entry does: settings in, errors as one line, a manifest beside the outputs.

Outputs are declared up front, so that an error leaves either those of before, all of them, or none.
"""

import argparse
import contextlib
import platform
import sys
import time
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import pydantic

from stages.core import host
from stages.core.ceilings import read_below
from stages.core.code import code_digest
from stages.core.config.help import settings_help
from stages.core.config.messages import validation_message
from stages.core.errors import ConfigError, StageError
from stages.core.files import digest, sha256_file, unpacked_json
from stages.core.job.interrupt import EXIT_STATUS, Interrupted, interruptible
from stages.core.job.progress import log_line
from stages.core.leftovers import sweep
from stages.core.manifests import write_manifest
from stages.core.refused import one_line, refused

if TYPE_CHECKING:
    import torch

Settings = TypeVar("Settings", bound=pydantic.BaseModel)
REPORTED_PACKAGES = (
    "torch",
    "torchvision",
    "faiss-gpu",
    "faiss-cpu",
    "torchattacks",
    "pyautoattack",
    "numpy",
    "scipy",
    "scikit-learn",
    "pandas",
    "pyarrow",
    "pillow",
)


def parser(
    stage: str, description: str, model: type[pydantic.BaseModel], example: str, *, gpu: bool = True
) -> argparse.ArgumentParser:
    """The argument parser every stage shares: --settings, --device, --threads, --manifest; gpu: it can use one.

    Its help lists the model's settings and ends with the example, the arguments of a command that runs.
    """
    command = f"python -m stages.{stage}"
    last = f"example, after those of the stages before:\n  {command} {example}"
    built = argparse.ArgumentParser(
        prog=command,
        description=description,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog=f"settings:\n{settings_help(model)}\n\n{last}",
    )
    built.add_argument("--settings", required=True, help="the stage's settings: a JSON object, or @file.json")
    built.add_argument(
        "--device",
        default="auto",
        choices=None if gpu else ("auto", "cpu"),
        help="auto, cpu, cuda or cuda:1 (default: auto, the GPU if there is one)" if gpu else "nothing here uses a GPU",
    )
    built.add_argument("--threads", type=int, default=0, help="CPU threads (default: torch's own choice)")
    built.add_argument("--manifest", type=Path, required=True, help="where the manifest (JSON) goes")
    return built


def load_settings(text: str, model: type[Settings], moved: Mapping[str, Any] | None = None) -> Settings:
    """Settings from a JSON object or @file; ConfigError names the key, the value and the rule.

    moved: values that lie over them, kept apart as they are no part of what the result depends on.
    """
    try:
        raw = unpacked_json(read_below(Path(text[1:])).decode() if text.startswith("@") else text)
        return model.model_validate({**raw, **moved} if isinstance(raw, dict) and moved else raw)
    except pydantic.ValidationError as error:
        raise ConfigError(validation_message(error, model)) from error
    except (OSError, ValueError, RecursionError, zlib.error) as error:
        raise ConfigError(f"--settings is neither a JSON object nor @file.json: {error}") from error


@dataclass(frozen=True)
class Job:
    """What a stage is asked to do once: what goes in and decides the result, and what comes out.

    modules: whose import closures decide the result; outputs: without the manifest, which says all of this; device:
    None where torch has no part in it, whose import takes seconds.
    """

    manifest: Path
    modules: list[str]
    settings: Mapping[str, Any]
    inputs: Mapping[str, Path]
    outputs: Mapping[str, Path]
    seed: int
    device: "torch.device | None"

    @cached_property
    def hashes(self) -> dict[str, str]:
        """SHA-256 of each input that is there, as it was when it was first asked for."""
        return {name: sha256_file(path) for name, path in self.inputs.items() if path.is_file()}

    @cached_property
    def key(self) -> str:
        """What its result hangs on, in one word; of the device its kind, as random streams differ between kinds."""
        code = code_digest(self.modules)
        return digest([self.settings, self.hashes, code, self.seed, self.device.type if self.device else "cpu"], 32)

    def files(self) -> dict[str, Path]:
        """All that it writes, by name."""
        return {**self.outputs, "manifest": self.manifest}


@contextlib.contextmanager
def recorded(job: Job) -> Iterator[dict[str, Any]]:
    """Run a stage's body; then write its manifest.

    An error before the first output was replaced leaves those of before as they were; after that all are removed, for
    old and new do not go together. What a killed attempt left half-written goes first.
    Yields a dict for facts worth keeping (duplicates, recall, ...); it lands in the manifest as `facts`.
    """
    started = time.monotonic()
    facts: dict[str, Any] = {}
    hashes, files = job.hashes, job.files().values()
    sweep(files)
    before = {path: _version(path) for path in files}
    try:
        yield facts
        outputs = job.outputs.items()
        record = {
            "settings": job.settings,
            "inputs": {name: {"path": _shown(path), "sha256": hashes.get(name)} for name, path in job.inputs.items()},
            "outputs": {name: {"path": _shown(path), "sha256": sha256_file(path)} for name, path in outputs},
            "code_digests": [code_digest(job.modules)],
            "seed": job.seed,
            **_computed_on(job),
            "versions": versions(),
            "seconds": round(time.monotonic() - started, 3),
            "facts": facts,
        }
        write_manifest(job.manifest, record)
    except BaseException:
        if any(_version(path) != version for path, version in before.items()):
            for path in files:
                path.unlink(missing_ok=True)
        raise


def _version(path: Path) -> tuple[int, ...] | None:
    """What tells a file from the one that replaces it; None where there is none."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_ino, status.st_size, status.st_mtime_ns


def _computed_on(job: Job) -> dict[str, Any]:
    """Device, threads and peak memory, for the manifest."""
    if job.device is None:
        return host.computed_on()
    from stages.core.device import computed_on  # a job with a device has loaded torch

    return computed_on(job.device)


def _shown(path: Path) -> str:
    """A path as a manifest names it: without the folder of the checkout, which differs from machine to machine."""
    return str(path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path)


def versions() -> dict[str, str]:
    """Versions of Python and of the packages a number can depend on."""
    found = {"python": platform.python_version()}
    for name in REPORTED_PACKAGES:
        with contextlib.suppress(metadata.PackageNotFoundError):
            found[name] = metadata.version(name)
    return found


@contextlib.contextmanager
def one_line_errors() -> Iterator[None]:
    """End the process with one clear line: status 1 for what a user can cure, 75 (EX_TEMPFAIL) for SIGTERM and Ctrl-C.

    What the operating system refuses is cured by the user too. Other errors keep their traceback.
    """
    try:
        with interruptible():
            yield
    except Interrupted as interrupted:
        log_line(f"interrupted by {interrupted}; run the job again")
        sys.exit(EXIT_STATUS)
    except StageError as error:
        log_line(f"error: {one_line(error)}")
        sys.exit(1)
    except OSError as error:
        if error.errno is None:  # a library's own
            raise
        log_line(f"error: {one_line(refused(error))}")
        sys.exit(1)
    except RuntimeError as error:
        if type(error).__name__ != "OutOfMemoryError":  # torch's, which not every stage has loaded
            raise
        log_line("error: out of GPU memory; lower batch_size, or give the job a GPU of its own")
        sys.exit(1)
