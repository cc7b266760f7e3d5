"""Commands as processes of their own, killed alone or with all they started, and what such a kill leaves running."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from tests.conftest import Project
from tests.faults.suite import NotHeldError
from tests.faults.world import CONFIG, CORES

SNAKEMAKE = ("snakemake", "--cores", CORES, "--configfile", CONFIG)
LONGEST = 300.0
SAID = "said.txt"


def start(project: Project, *words: str, into: str = SAID) -> subprocess.Popen[str]:
    """Start a command at the head of a process group; what it says goes to a file in the project."""
    with (project.root / into).open("w") as told:
        return subprocess.Popen(
            words, cwd=project.root, env=project.environment(), stdout=told, stderr=told, text=True, process_group=0
        )


def said(project: Project, file: str = SAID) -> str:
    """What the last command said that told it to this file."""
    return (project.root / file).read_text(errors="replace")


def killed(project: Project, words: tuple[str, ...], when: float | Callable[[], bool], *, alone: bool) -> bool:
    """Start a command and kill it after so many seconds or when something is so; whether the kill came before its end.

    alone: its jobs are left running.
    """
    running = start(project, *words)
    until = time.monotonic() + (LONGEST if callable(when) else when)
    while running.poll() is None and time.monotonic() < until and not (callable(when) and when()):
        time.sleep(0.02)
    if running.poll() is None:
        os.kill(running.pid, signal.SIGKILL) if alone else os.killpg(running.pid, signal.SIGKILL)
    return running.wait() == -signal.SIGKILL


def finished(project: Project, *words: str) -> str:
    """What a command says that ends well; NotHeldError for one that does not."""
    running = start(project, *words)
    try:
        status = running.wait(LONGEST)
    except subprocess.TimeoutExpired:
        os.killpg(running.pid, signal.SIGKILL)
        raise NotHeldError(f"`{' '.join(words)}` has no end after {LONGEST:.0f} s") from None
    if status:
        raise NotHeldError(f"`{' '.join(words)}` ends with status {status}: {said(project).strip()[-300:]}")
    return said(project)


def run_again(project: Project, *words: str) -> str:
    """Run a command after a kill, in a folder that is unlocked once no Snakemake is at work there, as docs say."""
    if any((project.root / ".snakemake/locks").glob("*")):
        wait(lambda: any(b"snakemake" in _command_line(pid) for pid in left_running(project.root)))
        finished(project, *SNAKEMAKE, "--unlock")
    return finished(project, *words)


def wait(going: Callable[[], bool]) -> None:
    """Wait while something goes on, but not for ever."""
    until = time.monotonic() + LONGEST
    while going() and time.monotonic() < until:
        time.sleep(0.1)


def _command_line(pid: int) -> bytes:
    with suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    return b""


def left_running(folder: Path) -> list[int]:
    """The processes at work in a folder."""
    found = []
    for entry in Path("/proc").iterdir():
        with suppress(OSError):
            if entry.name.isdigit() and Path(os.readlink(entry / "cwd")).is_relative_to(folder):
                found.append(int(entry.name))
    return [pid for pid in found if pid != os.getpid()]


def end(folder: Path) -> None:
    """Kill what is at work in a trial's folder, and wait for its end."""
    until = time.monotonic() + 10
    while (left := left_running(folder)) and time.monotonic() < until:
        for pid in left:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.05)


def python(module: str, *words: str) -> tuple[str, ...]:
    """`python -m module …`."""
    return (sys.executable, "-m", module, *words)
