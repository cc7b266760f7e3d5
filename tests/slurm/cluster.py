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

    def __init__(self, folder: Path, settings: Mapping[str, Any] | None = None, main: Mapping[str, Any] | None = None):
        self.folder = folder.resolve()
        self.settings, self.main = settings or {}, main or {}

    def start(self) -> None:
        """Start the daemons and wait until the node is idle; what an abandoned cluster left is ended first."""
        _check_machine()
        earlier = current()
        if earlier is not None:
            if earlier.is_up() and not earlier.is_abandoned():
                raise ClusterError(
                    f"a cluster runs below {earlier.folder}: `python -m tests.slurm.cluster stop` ends it"
                )
            earlier.stop()
        self.stop()
        configuration.write(self.folder, self.settings, self.main)
        LINK.parent.mkdir(exist_ok=True)
        LINK.symlink_to(self._conf)
        etc, run, log = self.folder / "etc", self.folder / "run", self.folder / "log"
        files = {"key": etc / "munge.key", "pid": run / "munged.pid", "log": log / "munged.log", "seed": run / "seed"}
        socket = f"--socket={configuration.munge_socket(self.folder)}"
        self._daemon("munged", "--force", socket, *(f"--{name}-file={path}" for name, path in files.items()))
        self._daemon("slurmctld", "-i", "-f", str(self._conf))
        self._daemon("slurmd", "-N", "n1", "-f", str(self._conf))
        self.wait(lambda: self.ask("sinfo", "-h", "-N", "-o", "%T", check=False).startswith("idle"), "an idle node", 30)

    def stop(self) -> None:
        """End daemons, job steps and jobs of this cluster, also of one that only half started; its logs stay."""
        for name in DAEMONS:
            self._ended(functools.partial(self.daemons, name))
        self._ended(self._orphans, patience=2)
        if _is_ours(LINK) and Path(os.readlink(LINK)) == self._conf:
            LINK.unlink()
        for name in configuration.FOLDERS:
            if name != "log":
                shutil.rmtree(self.folder / name, ignore_errors=True)

    def is_up(self) -> bool:
        """Whether every daemon runs."""
        return all(self.daemons(name) for name in DAEMONS)

    def is_abandoned(self) -> bool:
        """Whether it was started by `running` in a process that has been killed since."""
        try:
            with (self.folder / "run/owner").open() as owner:
                fcntl.flock(owner, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:  # started by hand, so nobody's; or its owner lives
            return False
        return True

    def daemons(self, name: str) -> list[Process]:
        """The processes of a daemon that were started with this cluster's files."""
        mine = {str(self._conf), f"--socket={configuration.munge_socket(self.folder)}"}
        return [process for process in processes() if process.name == name and mine & set(process.words)]

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
                queue = self.ask("squeue", "--states=all", check=False)
                raise ClusterError(f"waited {seconds:g} s in vain for {what}\n{queue}{self._last_lines()}")
            time.sleep(0.1)
        return value

    @property
    def _conf(self) -> Path:
        return self.folder / "etc/slurm.conf"

    def _daemon(self, name: str, *words: str) -> None:
        """Start what sends itself to the background; its own log tells more than what it prints."""
        program = shutil.which(name, path=SEARCH) or name
        done = subprocess.run([program, *words], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise ClusterError(f"{name} does not start: {done.stderr.strip()}\n{self._last_lines()}")

    def _ended(self, named: Callable[[], list[Process]], patience: float = 10) -> None:
        if survivors := end(named, patience):
            raise ClusterError(f"still alive after SIGKILL: {survivors}")

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
    cluster.start()
    try:
        with (cluster.folder / "run/owner").open("w") as owner:
            fcntl.flock(owner, fcntl.LOCK_EX)
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
    """Whether it is a link to a file of ours, or to one that is gone: then nothing can be lost."""
    if not link.is_symlink():
        return False
    return not link.exists() or link.read_text().startswith(configuration.MARK)


def _status() -> None:
    cluster = current()
    if cluster is None:
        print("no cluster")
        return
    for name in DAEMONS:
        print(name, *(str(process.pid) for process in cluster.daemons(name)))
    print(cluster.folder, cluster.ask("squeue", "--states=all", check=False), sep="\n")


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
        print(cluster.folder)
    elif asked.command == "stop":
        running_now = current()
        if running_now is not None:
            running_now.stop()
    else:
        _status()


if __name__ == "__main__":
    try:
        main()
    except ClusterError as error:
        sys.exit(f"cluster: {error}")
