"""Config files at random: each is a plan or one line, soon; and Snakemake says of it what loading it says."""

import signal
import time
from collections.abc import Iterator
from functools import partial
from itertools import chain, count
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import HealthCheck, Phase, Verbosity, given, seed, settings

from stages.core.errors import ConfigError
from tests.conftest import ROOT, Project, checkout
from tests.faults.drawn import files
from tests.faults.suite import NotHeldError, Row, Size, Trial, in_child
from tests.faults.world import World
from workflow.planning.checks import remarks
from workflow.planning.load import load_experiment
from workflow.planning.tables import make_plan

AT_ONCE = 25
SECONDS = 2.0  # of this process, for one config
ENOUGH = 60.0  # seconds after which one is taken to go on for ever


def trials(world: World, size: Size) -> Iterator[Trial]:
    """AT_ONCE configs in a child; then real dry runs."""
    for batch in range(size.of(500, 20_000) // AT_ONCE):
        number = size.chance("fuzzed", batch).randrange(2**32)
        yield Trial("loaded and planned", f"configs of stream {number}", partial(_batch, number), AT_ONCE)
    for dry in range(size.of(4, 10)):
        number = size.chance("fuzzed", "dry", dry).randrange(2**32)
        wanted = dry % 2 == 0
        said = f"the first of stream {number} that {'plans' if wanted else 'is refused'}"
        yield Trial("planned by Snakemake", said, partial(_dry_run, world, number, wanted))


def _batch(number: int) -> None:
    with TemporaryDirectory() as name:
        in_child(lambda: [why for _, _, why in configs(number, Path(name)) if why], Path(name))


def configs(number: int, folder: Path) -> Iterator[tuple[list[Path], bool | None, str]]:
    """Config files of a stream, whether they make a plan, and what did not hold; the files last until the next."""
    drawn: list[tuple[Path, bytes, bool]] = []

    @seed(number)
    @settings(
        max_examples=AT_ONCE,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
        verbosity=Verbosity.quiet,
    )
    @given(files())
    def draw(one: tuple[Path, bytes, bool]) -> None:
        drawn.append(one)

    draw()
    for place, (base, content, over) in enumerate(drawn):
        path = folder / f"drawn{place}.yaml"
        path.write_bytes(content)
        used = [base, path] if over and base != ROOT / "config.yaml" else [path]
        yield used, *_planned(used)


def _planned(used: list[Path]) -> tuple[bool | None, str]:
    """Whether files make a plan, and what is wrong with how that was found out."""
    started, plans, why = time.process_time(), None, ""
    before = signal.signal(signal.SIGPROF, _too_long)
    signal.setitimer(signal.ITIMER_PROF, ENOUGH)
    try:
        experiment = load_experiment(used, ROOT / "config.yaml")
        make_plan(experiment, used[-1].parent)
        remarks(experiment)
        plans = True
    except ConfigError as error:
        plans = False
        if len(str(error).splitlines()) != 1:
            why = f"not one line: {error}"
    except Exception as error:
        why = f"{type(error).__name__}: {error}"
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)
    seconds = time.process_time() - started
    if not why and seconds > SECONDS:
        why = f"{seconds:.1f} s"
    return plans, why and f"{why[:300]} ({used[-1].name}: {used[-1].read_bytes()[:200]!r})"


def _too_long(*_: object) -> None:
    raise TimeoutError(f"more than {ENOUGH:.0f} s")


def _dry_run(world: World, number: int, wanted: bool) -> None:
    """Snakemake plans, or refuses in one line, what loading does."""
    with TemporaryDirectory(dir=world.scratch) as name:
        folder = Path(name)
        streams = (configs(one, folder) for one in count(number))
        used = next(used for used, plans, _ in chain.from_iterable(streams) if plans is wanted)
        project: Project = checkout(folder / "project")
        done = project.command("snakemake", "-n", "--cores", "1", "--configfile", *map(str, used))
        if done.returncode != int(not wanted):
            raise NotHeldError(f"snakemake ended with {done.returncode}: {done.stdout[-300:]}")
        _, *said = done.stdout.splitlines()
        if not wanted and (len(said) != 1 or not said[0].startswith("config error: ")):
            raise NotHeldError(f"more than one line: {done.stdout[-300:]}")


ROW = Row("fuzzed", "config files at random", trials)
