"""Signals end a stage between its steps, once, and the state is saved before."""

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import pytest

from stages.core.job import interrupt
from stages.core.job.interrupt import EXIT_STATUS, SIGNALS, Interrupted, interruptible, uninterrupted
from stages.core.job.saving import saving
from stages.core.job.stage import one_line_errors
from tests.unit.interrupting import signal_at_line


def send(number: signal.Signals = signal.SIGTERM) -> None:
    os.kill(os.getpid(), number)


@contextmanager
def interrupted(name: str) -> Iterator[None]:
    """A signal of this name ends the block."""
    with pytest.raises(Interrupted, match=name), interruptible():
        yield


@pytest.fixture
def elsewhere() -> Iterator[list[int]]:
    """The signals that came to the handlers which were there before."""
    came: list[int] = []
    before = {number: signal.signal(number, lambda number, _: came.append(number)) for number in SIGNALS}
    yield came
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_outside_a_block_raises_at_once_and_no_library_takes_it_for_an_error(number: signal.Signals) -> None:
    after = False
    with interrupted(number.name):
        with suppress(Exception):
            send(number)
        after = True
    assert not after


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_inside_waits_for_the_end_of_the_outermost_block(number: signal.Signals) -> None:
    done = []
    with interrupted(number.name):
        with uninterrupted():
            with uninterrupted():
                send(number)
                send(signal.SIGTERM)
                done.append("inner")
            done.append("outer")
        done.append("after")
    assert done == ["inner", "outer"]


def begin_and_end(done: list[str]) -> None:
    for _ in range(2):
        with uninterrupted():
            done.append("begin")
            with uninterrupted():
                done.append("middle")
            done.append("end")
        done.append("between")


def test_before_whatever_line_a_signal_comes_no_block_is_cut_and_it_is_never_lost() -> None:
    whole: list[str] = []
    begin_and_end(whole)
    with interruptible(), signal_at_line(0, interrupt, sys.modules[__name__]) as lines:
        begin_and_end([])
    assert len(lines) > len(whole)
    for number in range(1, len(lines) + 1):
        done: list[str] = []
        with interrupted("SIGTERM"), signal_at_line(number, interrupt, sys.modules[__name__]):
            begin_and_end(done)
        assert done == whole[: len(done)]
        assert done[-1:] not in (["begin"], ["middle"]), f"cut before {lines[number - 1]}"


def test_an_error_inside_a_block_comes_through_although_a_signal_waits() -> None:
    def step() -> None:
        with uninterrupted():
            send()
            raise ValueError("wrong")

    with pytest.raises(ValueError, match="wrong"), interruptible():
        step()


def test_a_block_that_an_error_ended_holds_no_signal_back() -> None:
    after = False
    with interrupted("SIGTERM"):
        with suppress(ValueError), uninterrupted():
            raise ValueError
        send()
        after = True
    assert not after


def test_after_the_first_signal_others_are_ignored_while_the_state_is_saved() -> None:
    saved = []
    with interrupted("SIGTERM"):
        try:
            send()
        except Interrupted:
            send(signal.SIGINT)
            send()
            saved.append("saved")
            raise
    assert saved == ["saved"]


def test_a_signal_that_a_library_hid_is_raised_again_at_the_end_of_the_next_block() -> None:
    done = []
    with interrupted("SIGTERM"):
        with suppress(BaseException):
            send()
        with uninterrupted():
            done.append("block")
        done.append("after")
    assert done == ["block"]


@pytest.mark.parametrize("error", [None, ValueError, Interrupted])
def test_the_handlers_are_afterwards_what_they_were(error: type[BaseException] | None, elsewhere: list[int]) -> None:
    with suppress(ValueError, Interrupted), interruptible():
        if error is Interrupted:
            send()
        if error:
            raise error
    for number in SIGNALS:
        send(number)
    assert elsewhere == list(SIGNALS)
    with uninterrupted():
        send()
    assert len(elsewhere) == 3


def test_a_signal_as_the_handlers_are_put_in_or_taken_out_leaves_none_behind(
    elsewhere: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    replace = signal.signal
    for call in range(1, 5):
        made = 0

        def replacing(number: int, handler: Any, call: int = call) -> Any:
            nonlocal made
            made += 1
            if made == call:
                send(signal.SIGINT)
                send()
            return replace(number, handler)

        monkeypatch.setattr(signal, "signal", replacing)
        with suppress(Interrupted), interruptible():
            pass
        monkeypatch.undo()
        elsewhere.clear()
        for number in SIGNALS:
            send(number)
        assert elsewhere == list(SIGNALS)


def test_a_signal_after_the_work_is_done_does_not_undo_it(
    elsewhere: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    replace = signal.signal

    def replacing(number: int, handler: Any) -> Any:
        if handler is not interrupt._on_signal:
            send(signal.SIGINT)
        return replace(number, handler)

    before = [signal.getsignal(number) for number in SIGNALS]
    monkeypatch.setattr(signal, "signal", replacing)
    with interruptible():
        pass
    assert [signal.getsignal(number) for number in SIGNALS] == before


def test_in_another_thread_nothing_changes() -> None:
    before = [signal.getsignal(number) for number in SIGNALS]
    seen: list[Any] = []

    def work() -> None:
        with interruptible(), uninterrupted():
            seen.extend(signal.getsignal(number) for number in SIGNALS)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == before


@pytest.mark.parametrize("number", SIGNALS)
def test_a_stage_that_a_signal_ends_says_so_in_one_line_and_ends_with_status_75(
    number: signal.Signals, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended, one_line_errors():
        send(number)
    said = capsys.readouterr().err
    assert (ended.value.code, EXIT_STATUS) == (75, 75)
    assert said.count("\n") == 1
    assert number.name in said


def test_an_interruption_saves_once_whatever_comes_while_it_saves(capsys: pytest.CaptureFixture[str]) -> None:
    saved = []

    def save() -> None:
        send(signal.SIGINT)
        saved.append("state")

    with interrupted("SIGTERM"), saving(save, lambda: "at step 3"):
        send()
    assert saved == ["state"]
    assert "interrupted by SIGTERM at step 3: state saved" in capsys.readouterr().err


def test_an_error_saves_nothing() -> None:
    with pytest.raises(ValueError, match="diverged"), saving(lambda: pytest.fail("saved"), str):
        raise ValueError("diverged")


def test_in_between_the_state_is_saved_when_it_is_due_and_a_signal_then_does_not_cut_it() -> None:
    saved: list[str] = []
    with saving(lambda: saved.append("early"), str, every=3600.0) as save_if_due:
        save_if_due()
    assert saved == []

    def save() -> None:
        send()
        saved.append("due")

    with suppress(Interrupted), interruptible(), saving(lambda: saved.append("end"), str, every=-1.0):
        pass
    with interrupted("SIGTERM"), saving(save, str, every=-1.0) as save_if_due:
        save_if_due()
        saved.append("after")
    assert saved == ["due", "due"]
