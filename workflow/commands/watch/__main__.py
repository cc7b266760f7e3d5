"""`python -m workflow.commands.watch`: an experiment's stages, running jobs and failures, until all is done.

It reads files alone, so it works beside SLURM jobs on a shared file system and over ssh. On a terminal it refreshes in
place, and Ctrl-C ends it; elsewhere it prints a line a minute. It ends with status 0 when all is done; where it prints
lines also with 1, when something has failed and nothing runs any more. Jobs run on whatever becomes of it.
A job is done once its output is there, also one that edited code or settings would have Snakemake make again.
"""

import argparse
import signal
import sys
import time

from rich.console import Console, RenderableType
from rich.live import Live

from workflow.commands.cli import command_line, given_by, run
from workflow.commands.watch.look import Observer
from workflow.commands.watch.view import failures, frame, line
from workflow.planning.tables import make_plan

ON_A_TERMINAL, IN_A_PIPE = 2.0, 60.0  # seconds between looks
STOPPED = 128 + signal.SIGINT


def main(argv: list[str] | None = None) -> None:
    """Watch the experiment that --configfile names."""
    cli = command_line("watch", __doc__ or "")
    cli.add_argument(
        "--interval", type=_seconds, help=f"seconds between looks (default: {ON_A_TERMINAL:g}; in a pipe {IN_A_PIPE:g})"
    )
    arguments = cli.parse_args(argv)
    experiment = given_by(arguments).experiment()
    observer, console = Observer(make_plan(experiment)), Console()
    interval: float | None = arguments.interval
    try:
        if console.is_terminal and not console.is_dumb_terminal:
            signal.signal(signal.SIGTERM, signal.default_int_handler)  # which leaves the terminal as it was
            on_a_terminal(experiment.place, observer, console, interval or ON_A_TERMINAL)
        else:
            signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # `| head` ends it without a traceback
            sys.exit(in_a_pipe(observer, interval or IN_A_PIPE))
    except KeyboardInterrupt:
        sys.exit(STOPPED)


def on_a_terminal(place: str, observer: Observer, console: Console, interval: float) -> None:
    """Show each look in the place of the last one until all is done or Ctrl-C; the last one stays."""
    shown: RenderableType = ""
    try:
        with Live(console=console, auto_refresh=False, screen=True) as live:
            while True:
                look = observer.look(time.time())
                shown = frame(place, look, console.width, console.height)
                live.update(shown, refresh=True)
                if look.done:
                    return
                time.sleep(interval)
    finally:
        console.print(shown)


def in_a_pipe(observer: Observer, interval: float) -> int:
    """Print a line a look; the exit status: 0 when all is done, 1 when something failed and nothing runs any more."""
    while True:
        look = observer.look(time.time())
        print(line(look), flush=True)
        if look.done:
            return 0
        if look.given_up:
            print("\n".join(failures(look)), flush=True)
            return 1
        time.sleep(interval)


def _seconds(text: str) -> float:
    seconds = float(text)
    if not 0 < seconds < float("inf"):
        raise argparse.ArgumentTypeError(f"{text}: seconds are needed, more than 0")
    return seconds


if __name__ == "__main__":
    run(main)
