"""A real SLURM of one node, thrown away after the tests; no systemd, cgroups or accounting, but root.

    python -m tests.slurm.cluster install | start [folder] | stop | status

Everything lies below one folder, but for /etc/slurm/slurm.conf: a link of ours, since Snakemake's SLURM jobs drop the
variable SLURM_CONF. So there is one cluster at a time, and the link tells where.
"""

import argparse
import contextlib
import fcntl
import functools
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

from tests.slurm import configuration
from tests.slurm.processes import Process, end, processes

T = TypeVar("T")
PACKAGES = ("slurmctld", "slurmd", "slurm-client", "munge")
DAEMONS = ("slurmctld", "slurmd", "munged")  # as they are stopped: without munged, the others wait
SEARCH = f"{os.environ['PATH']}:/usr/sbin"
LINK = Path("/etc/slurm/slurm.conf")
JOB = {"id": "%i", "raw_id": "%A", "name": "%j", "comment": "%k", "state": "%T", "partition": "%P", "reason": "%r"}


class ClusterError(Exception):
    """The cluster cannot do what was asked."""


class Cluster:
    """The cluster below a folder; `settings` and `main` replace lines of slurm.conf and of its partition `main`."""

    def __init__(
        self, folder: Path, settings: Mapping[str, Any] | None = None, main: Mapping[str, Any] | None = None
    ) -> None:
        self.folder = folder.resolve()
        self.settings, self.main = settings or {}, main or {}

    def start(self) -> None:
        """Start the daemons and wait until the node is idle; what a crashed cluster left is ended first."""
        with _alone():
            self._start(mortal=False)

    def _start(self, mortal: bool) -> None:
        if earlier := current():
            if earlier.is_up() and not earlier._mortal.exists():
                raise ClusterError(f"one runs below {earlier.folder}: `python -m tests.slurm.cluster stop` ends it")
            earlier.stop()
        self.stop()
        configuration.write(self.folder, self.settings, self.main)
        if mortal:
            self._mortal.touch()
        LINK.symlink_to(self._conf)
        etc, run, log = self.folder / "etc", self.folder / "run", self.folder / "log"
        files = [f"--key-file={etc}/munge.key", f"--pid-file={run}/munged.pid", f"--log-file={log}/munged.log"]
        socket = configuration.munge_socket(self.folder)
        self._daemon("munged", "--force", f"--socket={socket}", *files, f"--seed-file={run}/seed")
        self._daemon("slurmctld", "-i", "-f", str(self._conf))
        self._daemon("slurmd", "-N", "n1", "-f", str(self._conf))
        self.wait(lambda: self.ask("sinfo", "-h", "-N", "-o", "%T", check=False).startswith("idle"), "an idle node", 30)

    def stop(self) -> None:
        """End daemons, job steps and jobs of this cluster, also of one that only half started; its logs stay."""
        daemons: list[Callable[[], list[Process]]] = [functools.partial(self.daemons, name) for name in DAEMONS]
        for named in (*daemons, self._orphans):
            if survivors := end(named, patience=3):
                raise ClusterError(f"still alive after SIGKILL: {survivors}")
        if _is_ours(LINK) and Path(os.readlink(LINK)) == self._conf:
            LINK.unlink()
        if self._conf.exists():
            for name in set(configuration.FOLDERS) - {"log"}:
                shutil.rmtree(self.folder / name)

    def is_up(self) -> bool:
        """Whether every daemon runs."""
        return all(self.daemons(name) for name in DAEMONS)

    def status(self) -> str:
        """Folder, daemons and queue, for people."""
        daemons = [f"{process.name} {process.pid}" for name in DAEMONS for process in self.daemons(name)]
        return "\n".join([str(self.folder), *daemons, self.ask("squeue", "--states=all", check=False)])

    def daemons(self, name: str) -> list[Process]:
        """The processes of a daemon that were started with this cluster's files."""
        named = (process for process in processes() if process.name == name)
        return [process for process in named if any(f"{self.folder}/" in word for word in process.words)]

    def ask(self, *words: str, check: bool = True, seconds: float = 30) -> str:
        """What a SLURM command prints: squeue, scontrol, scancel, sbatch; ClusterError if it fails."""
        done = subprocess.run(words, capture_output=True, text=True, timeout=seconds, check=False)
        if check and done.returncode != 0:
            raise ClusterError(f"`{' '.join(words)}` failed with status {done.returncode}: {done.stderr.strip()}")
        return done.stdout

    def sbatch(self, command: str, *options: str) -> str:
        """Submit a shell command; its job's id."""
        return self.ask("sbatch", "--parsable", "--output=/dev/null", *options, f"--wrap={command}").strip()

    def jobs(self) -> list[dict[str, str]]:
        """What SLURM still knows of each job, and of each task of an array that has started: see JOB."""
        lines = self.ask("squeue", "-h", "--states=all", "-o", "\t".join(JOB.values())).splitlines()
        return [dict(zip(JOB, line.split("\t"), strict=True)) for line in lines]

    def details(self, job: str) -> dict[str, str]:
        """What `scontrol show job` tells of a job, as {key: value}."""
        words = self.ask("scontrol", "-o", "show", "job", job).split()
        return {name: value for name, equals, value in (word.partition("=") for word in words) if equals}

    def processes(self, raw_id: str, pattern: str) -> list[Process]:
        """The processes of a job whose command line contains a pattern, its shells and Snakemakes among them."""
        mine = {f"SLURM_JOB_ID={raw_id}", f"SLURM_CLUSTER_NAME={configuration.cluster_name(self.folder)}"}
        found = [process for process in processes() if pattern in " ".join(process.words)]
        return [process for process in found if mine <= process.variables]

    def wait(self, condition: Callable[[], T], what: str, seconds: float = 60) -> T:
        """What `condition` returns as soon as it is true; ClusterError with queue and logs after `seconds`."""
        limit = time.monotonic() + seconds
        while not (value := condition()):
            if time.monotonic() > limit:
                raise ClusterError(f"waited {seconds:g} s in vain for {what}\n{self.status()}{self._last_lines()}")
            time.sleep(0.1)
        return value

    @property
    def _mortal(self) -> Path:
        """Lies there if the cluster is to end with the process that started it, as one started by hand is not."""
        return self.folder / "run/mortal"

    @property
    def _conf(self) -> Path:
        return self.folder / configuration.CONF

    def _daemon(self, name: str, *words: str) -> None:
        """Start what sends itself to the background; its own log tells more than what it prints."""
        program = shutil.which(name, path=SEARCH) or name
        done = subprocess.run([program, *words], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise ClusterError(f"{name} does not start: {done.stderr.strip()}\n{self._last_lines()}")

    def _orphans(self) -> list[Process]:
        """slurmstepd and the jobs' processes are nobody's children and outlive slurmd."""
        marks = {f"SLURM_CONF={self._conf}", f"SLURM_CLUSTER_NAME={configuration.cluster_name(self.folder)}"}
        found = [(process, process.variables) for process in processes()]
        return [
            process
            for process, its in found
            if marks & its and (process.name == "slurmstepd" or any(word.startswith("SLURM_JOB_ID=") for word in its))
        ]

    def _last_lines(self) -> str:
        logs = sorted((self.folder / "log").glob("*.log"))
        return "\n".join(line for log in logs for line in [f"-- {log.name}", *log.read_text().splitlines()[-15:]])


@contextlib.contextmanager
def running(folder: Path, **changes: Mapping[str, Any]) -> Iterator[Cluster]:
    """A cluster while the block runs; if this process is killed, the next start ends it."""
    cluster = Cluster(folder, **changes)
    with _alone():
        try:
            cluster._start(mortal=True)
            yield cluster
        finally:
            cluster.stop()


def current() -> Cluster | None:
    """The cluster that the link leads to, whole or not."""
    return Cluster(Path(os.readlink(LINK)).parents[1]) if _is_ours(LINK) else None


def missing() -> list[str]:
    """The daemons that are not installed."""
    return [name for name in DAEMONS if shutil.which(name, path=SEARCH) is None]


def install() -> None:
    """The daemons from the machine's packages, where they are missing."""
    if missing():
        subprocess.run(["apt-get", "update", "-qq"], check=True)
        quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        words = ["apt-get", "install", "-y", "-qq", "--no-install-recommends", *PACKAGES]
        subprocess.run(words, check=True, env=quiet)


@contextlib.contextmanager
def _alone() -> Iterator[None]:
    """Of all processes, one at a time is in such a block; when it ends, however, the kernel frees the lock."""
    _check_machine()
    LINK.parent.mkdir(exist_ok=True)
    lock = os.open(LINK.parent, os.O_RDONLY)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        raise ClusterError("another process runs a cluster on this machine: wait for its end") from None
    try:
        yield
    finally:
        os.close(lock)


def _check_machine() -> None:
    if os.geteuid() != 0:
        raise ClusterError("only root can start a cluster: its daemons start jobs in the name of others")
    if missing():
        raise ClusterError(f"{', '.join(missing())} not found: `python -m tests.slurm.cluster install` installs them")
    if "SLURM_CONF" in os.environ:
        raise ClusterError(f"SLURM_CONF={os.environ['SLURM_CONF']} leads commands to another cluster: unset it")
    if os.path.lexists(LINK) and not _is_ours(LINK):
        raise ClusterError(f"{LINK} is of another cluster: start ours on a machine without one")


def _is_ours(link: Path) -> bool:
    """Whether it is a link to a file of ours, also to one that is gone."""
    return link.is_symlink() and os.readlink(link).endswith(f"/{configuration.CONF}")


def main() -> None:
    """The command line."""
    cli = argparse.ArgumentParser(prog="python -m tests.slurm.cluster", description=__doc__.splitlines()[0])
    cli.add_argument("command", choices=["install", "start", "stop", "status"])
    cli.add_argument("folder", nargs="?", type=Path, help="where `start` puts everything; default: a temporary folder")
    asked = cli.parse_args()
    if asked.command == "install":
        install()
    elif asked.command == "start":
        cluster = Cluster(asked.folder or Path(tempfile.mkdtemp(prefix="slurm-")))
        cluster.start()
        print(cluster.status())
    elif (found := current()) is None:
        print("no cluster")
    elif asked.command == "stop":
        found.stop()
    else:
        print(found.status())


if __name__ == "__main__":
    try:
        main()
    except ClusterError as error:
        sys.exit(f"cluster: {error}")
