"""The lease on a folder, between real processes that wait, are killed, stand still and come back."""

import errno
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from stages.core.job import lease
from stages.core.job.interrupt import EXIT_STATUS, Interrupted, interruptible
from stages.core.job.lease import leased
from tests.conftest import ROOT
from tests.unit.interrupting import signal_at

LONG = 3600.0  # seconds that no test waits for
PATIENCE = 60  # seconds until a test gives up a process that hangs

# Ten at a time come in again and again; each is killed inside at the end, and another takes its place.
CROWD = """
import os, signal, sys, time
from pathlib import Path
from stages.core.job.lease import leased

folder, log = Path(sys.argv[1]), os.open(sys.argv[2], os.O_CREAT | os.O_APPEND | os.O_WRONLY)

def tell(word):
    os.write(log, f"{word} {os.getpid()}\\n".encode())

def contend():
    for round in range(3):
        with leased(folder, beat=0.005, stale=3600):
            tell("begin")
            time.sleep(0.001)
            if round == 2:
                tell("killed")
                os.kill(os.getpid(), signal.SIGKILL)
            tell("end")

for number in range(60):
    if number >= 10:
        os.wait()
    if os.fork() == 0:
        contend()
while True:
    try:
        os.wait()
    except ChildProcessError:
        break
"""

# Holds the lease and writes a line when its work is done; the second argument is the name of its machine.
HOLDER = """
import socket, sys, time
from pathlib import Path
from stages.core.job.lease import leased

folder, host, steps = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
if host:
    socket.gethostname = lambda: host
with leased(folder, beat=0.1, stale=3600):
    print("in", flush=True)
    for step in range(steps):
        time.sleep(0.02)
    print("done", flush=True)
"""


def start(program: str, *words: Any) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", program, *map(str, words)]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, cwd=ROOT, stdout=pipe, stderr=pipe, text=True)


@contextmanager
def holding(folder: Path, host: str = "", steps: int = 10**6) -> Iterator[subprocess.Popen[str]]:
    """A process that holds the lease; whatever it waits for, it is killed at the end."""
    process = start(HOLDER, folder, host, steps)
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "in\n", process.communicate()
        yield process
    finally:
        process.kill()
        process.communicate()


def foreign(folder: Path) -> Path:
    """The lease of a process on another machine, as this one sees it."""
    held = folder / "lease" / "0.json"
    held.parent.mkdir(parents=True)
    held.write_text(json.dumps({"host": "elsewhere", "boot": "b", "processes": "p", "pid": os.getpid()}))
    return held


def test_two_processes_are_never_inside_at_once_and_one_killed_inside_keeps_nobody_out(tmp_path: Path) -> None:
    crowd = start(CROWD, tmp_path / "run", tmp_path / "log")
    _, said = crowd.communicate(timeout=PATIENCE)
    assert crowd.returncode == 0, said
    lines = [line.split() for line in (tmp_path / "log").read_text().splitlines()]
    inside = ""
    for word, process in lines:
        assert inside == ("" if word == "begin" else process), f"{word} {process} while {inside or 'nobody'} is inside"
        inside = process if word == "begin" else ""
    words = [word for word, _ in lines]
    assert (words.count("end"), words.count("killed")) == (120, 60)


def test_a_holder_killed_on_this_machine_hands_over_however_fresh_its_lease(tmp_path: Path) -> None:
    with holding(tmp_path) as holder:
        holder.kill()  # not waited for: a dead process that is not buried is gone too
        waiting = start(HOLDER, tmp_path, "", 0)
        said = waiting.communicate(timeout=PATIENCE)
    assert said[0] == "in\ndone\n"
    assert f"taken over from process {holder.pid}" in said[1]


def test_a_holder_seen_to_live_is_waited_for_however_long_it_stands_still(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with holding(tmp_path) as holder:
        holder.send_signal(signal.SIGSTOP)
        killing = threading.Timer(1.0, holder.kill)
        killing.start()
        with leased(tmp_path, beat=0.02, stale=0.1):
            assert holder.poll() == -signal.SIGKILL
        killing.join()
    assert f"waiting for process {holder.pid}" in capsys.readouterr().err


def test_a_holder_out_of_sight_is_given_up_only_when_its_heartbeat_is_stale(tmp_path: Path) -> None:
    held, stale, renewed = foreign(tmp_path), 0.5, [time.monotonic()]

    def renew() -> None:
        for _ in range(30):
            time.sleep(0.05)
            now = time.monotonic()
            with suppress(FileNotFoundError):
                os.utime(held)
                renewed.append(now)

    renewing = threading.Thread(target=renew)
    renewing.start()
    with leased(tmp_path, beat=0.02, stale=stale):
        entered = time.monotonic()
    renewing.join()
    assert entered - renewed[-1] > stale
    assert len(renewed) > 1


NOTHING = [b"", b"{", b"[]", b"{}", b"\xff\xfe", b"[" * 10_000, b'{"pid": "x", "started": ""}', b'{"pid": 1}']
NOTHING += [b'{"pid": -1, "started": ""}', b'{"pid": 99999999999, "started": ""}', b'{"pid": 1, "started": 3}']


@pytest.mark.parametrize("record", NOTHING)
def test_a_record_that_says_nothing_is_given_up_when_its_date_stood_still(record: bytes, tmp_path: Path) -> None:
    foreign(tmp_path).write_bytes(record)
    with leased(tmp_path, beat=0.02, stale=0.1):
        pass
    assert not list(tmp_path.iterdir())


def test_a_process_number_given_to_another_process_is_not_the_holder(tmp_path: Path) -> None:
    with holding(tmp_path) as holder:
        (held,) = (tmp_path / "lease").iterdir()
        record = json.loads(held.read_text())
        holder.kill()
    held.write_text(json.dumps(record | {"pid": os.getpid()}))
    with leased(tmp_path, stale=LONG):
        assert [path.name for path in (tmp_path / "lease").iterdir()] != [held.name]


def test_a_holder_whose_lease_was_taken_while_it_stood_still_ends_when_it_wakes_and_leaves_the_lease(
    tmp_path: Path,
) -> None:
    with holding(tmp_path, host="elsewhere", steps=200) as holder:
        holder.send_signal(signal.SIGSTOP)
        with leased(tmp_path, beat=0.02, stale=0.3):
            mine = list((tmp_path / "lease").iterdir())
            holder.send_signal(signal.SIGCONT)
            written, said = holder.communicate(timeout=PATIENCE)
            assert holder.returncode == EXIT_STATUS
            assert written == ""
            assert "its lease is gone" in said
            assert list((tmp_path / "lease").iterdir()) == mine


def test_a_holder_keeps_the_lease_through_a_file_system_that_fails_for_a_while(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    renew, failures = os.utime, iter([errno.EIO, errno.ESTALE, errno.EACCES])
    renewed = threading.Event()

    def failing(path: Path) -> None:
        for number in failures:
            raise OSError(number, os.strerror(number))
        renew(path)
        renewed.set()

    monkeypatch.setattr(lease.os, "utime", failing)
    with leased(tmp_path, beat=0.01):
        assert renewed.wait(PATIENCE)


@pytest.mark.parametrize("error", [None, ValueError, KeyboardInterrupt, Interrupted])
def test_nothing_of_the_lease_is_left_at_the_end(error: type[BaseException] | None, tmp_path: Path) -> None:
    with suppress(ValueError, KeyboardInterrupt, Interrupted), leased(tmp_path / "deep" / "run"):
        assert len(list((tmp_path / "deep" / "run" / "lease").iterdir())) == 1
        if error:
            raise error
    assert not list((tmp_path / "deep" / "run").iterdir())


def test_a_signal_while_the_lease_is_given_back_waits_until_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    signal_at(monkeypatch, threading.Thread, "join", 1)
    with interruptible(), pytest.raises(Interrupted), leased(tmp_path):
        pass
    assert not list(tmp_path.iterdir())


def test_a_process_interrupted_while_it_waits_leaves_the_holder_its_lease(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = foreign(tmp_path)
    signal_at(monkeypatch, time, "sleep", 1)
    with interruptible(), pytest.raises(Interrupted), leased(tmp_path, beat=0.02, stale=LONG):
        pytest.fail("came in")
    assert list(tmp_path.rglob("*")) == [held.parent, held]
