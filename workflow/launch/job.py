"""`python -m workflow.launch.job … -- COMMAND`: become a rule's command, with a log and a GPU of its own.

Snakemake would delete the log of a failed attempt at the retry, and lets every job see every GPU; this keeps the one
and chooses the other. It ends in exec, so that the command has this process' id, gets its signals, and ends with its
own status.
"""

import argparse
import contextlib
import itertools
import os
import signal
import socket
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from stages.core.refused import one_line, refused
from workflow.launch.devices import devices
from workflow.launch.slots import hold_slot

# glibc's allocator gives large blocks back to the system and takes them anew: page faults, a third of a large step's
# time. It reads these before a process starts. One that is set already stays.
ALLOCATOR = {
    "MALLOC_MMAP_THRESHOLD_": str(8 * 2**30),
    "MALLOC_TRIM_THRESHOLD_": str(16 * 2**30),
    "MALLOC_TOP_PAD_": str(256 * 2**20),
}


def main(argv: list[str] | None = None) -> None:
    """Open the log, wait for a GPU if one is asked for, say what starts where, and start it."""
    # Ctrl-C while it waits for a GPU needs no traceback; an ignored one (nohup) stays ignored.
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    arguments = _arguments().parse_args(argv)
    terminal = os.dup(2)  # the command does not inherit it
    try:
        attempt = open_log(arguments.log)
        environ = {**ALLOCATOR, **os.environ, **gpu_environment(arguments.gpu, arguments.jobs_per_gpu)}
        os.write(2, f"{described(attempt, environ)}\n".encode())
        os.execvpe(arguments.command[0], arguments.command, environ)
    except OSError as error:  # told where Snakemake was started, as the log may be what is refused
        os.dup2(terminal, 2)
        sys.exit(f"error: {one_line(refused(error, Path(error.filename or arguments.log)))}")


def open_log(log: Path) -> int:
    """Send stdout and stderr to a new file beside `log`, and make `log` a link to it; returns the attempt's number.

    `results.log` leads to `results.1.log`, at the next attempt to `results.2.log`. Snakemake deletes a rule's log
    before it retries the job; that is the link, and every attempt's file stays.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    for number in itertools.count(1):
        path = log.with_name(f"{log.stem}.{number}{log.suffix}")
        with contextlib.suppress(FileExistsError):
            stream = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL, 0o666)
            break
    for standard in (1, 2):
        os.dup2(stream, standard)
    os.close(stream)
    link = log.with_name(f".{path.name}.link")
    link.symlink_to(path.name)
    link.replace(log)
    return number


def gpu_environment(gpus: int, jobs_per_gpu: int) -> dict[str, str]:
    """What shows the command its GPU and no other, after waiting for a slot; nothing where there is none to choose.

    Within a SLURM job a command that asks for none keeps what SLURM gave it, which may be a share of a GPU (a shard).
    """
    if gpus == 0:
        return {} if "SLURM_JOB_ID" in os.environ else {"CUDA_VISIBLE_DEVICES": ""}
    found = devices()
    if not found or (len(found) == 1 and "SLURM_JOB_ID" in os.environ):
        return {}
    return {"CUDA_VISIBLE_DEVICES": hold_slot(found, jobs_per_gpu).id}


def described(attempt: int, environ: Mapping[str, str]) -> str:
    """The line before the command's own: attempt, machine, GPU, SLURM job, time, threads, as far as there are such."""
    parts = [f"attempt {attempt} on {environ.get('SLURMD_NODENAME') or socket.gethostname()}"]
    if gpu := environ.get("CUDA_VISIBLE_DEVICES"):
        parts.append(f"GPU {gpu}")
    if array := environ.get("SLURM_ARRAY_JOB_ID"):
        parts.append(f"SLURM job {array}_{environ.get('SLURM_ARRAY_TASK_ID', '')}")
    elif job := environ.get("SLURM_JOB_ID"):
        parts.append(f"SLURM job {job}")
    parts.append(datetime.now(UTC).isoformat(timespec="seconds"))
    if threads := environ.get("OMP_NUM_THREADS"):
        parts.append(f"{threads} thread{'' if threads == '1' else 's'}")
    return ", ".join(parts)


def _arguments() -> argparse.ArgumentParser:
    cli = argparse.ArgumentParser(prog="python -m workflow.launch.job", description=__doc__)
    cli.add_argument("--log", type=Path, required=True, help="a link to the log of the newest attempt")
    cli.add_argument("--gpu", type=int, choices=(0, 1), required=True, help="1: a GPU of its own; 0: it sees none")
    cli.add_argument("--jobs-per-gpu", type=int, required=True, help="how many jobs may share a GPU")
    cli.add_argument("command", nargs="+", help="the command and its arguments, behind --")
    return cli


if __name__ == "__main__":
    main()
