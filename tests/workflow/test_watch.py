"""`make watch`: what a reader sees of an experiment in every state it can be in, from made-up logs and outputs."""

import re
from collections.abc import Callable

import pytest

from tests.workflow.made_up import EPOCHS, NOW, Made, first
from workflow.commands.watch.look import SILENT, Observer
from workflow.commands.watch.view import line


@pytest.mark.parametrize(
    ("text", "age", "heartbeat", "state"),
    [
        (EPOCHS, 5, None, "running"),
        (EPOCHS, SILENT + 60, None, "silent"),
        (EPOCHS, SILENT + 60, 9, "running"),
        (EPOCHS, SILENT + 60, SILENT + 60, "silent"),
        (EPOCHS + "error: loss is nan\n", 5, None, "failed"),
        ("Traceback (most recent call last):\n  File\nKeyError: 'a'\n", 5000, None, "failed"),
        (EPOCHS + "interrupted by SIGTERM; run the job again\n", 5, None, "stopped"),
        ("", 5, None, "running"),
    ],
)
def test_a_job_s_state_follows_from_its_log_and_its_signs_of_life(
    made: Callable[..., Made], text: str, age: float, heartbeat: float | None, state: str
) -> None:
    state_of = made()
    job = first(state_of.plan.train)
    assert state_of.seen(job).state == "missing"
    state_of.log(job, text, age)
    if heartbeat is not None:
        state_of.heartbeat(job, heartbeat)
    assert state_of.seen(job).state == state
    state_of.finish(job)
    assert state_of.seen(job).state == "done"


def test_nothing_started_is_all_missing_and_tells_no_time(made: Callable[..., Made]) -> None:
    look = made().look()
    assert look.count("missing") == sum(map(len, look.stages.values())) > 10
    assert (look.begun, look.done, look.given_up) == (None, False, False)
    assert "unknown" in line(look)
    assert "since the first" not in line(look)


def test_a_frame_tells_failures_with_their_error_and_log_and_what_runs_with_its_numbers(
    made: Callable[..., Made],
) -> None:
    state = made("recipes: {standard: {epochs: 10}}")
    running, failed, silent = list(state.plan.train.values())[:3]
    state.log(running, EPOCHS, age=10)
    state.log(failed, EPOCHS + "error: loss is nan at [red]epoch[/red] 2 :bomb:\n", age=400)
    state.log(silent, EPOCHS, age=12 * 60)
    for width in (80, 200):
        text = state.shown(width)
        assert all(len(shown) <= width for shown in text.splitlines())
        assert re.search(r"^train .* 0/3 +1 +1 +1", text, re.MULTILINE)
        assert f"failed  train {failed.key}\n  error: loss is nan at [red]epoch[/red] 2 :bomb:\n  {failed.log}" in text
        assert f"silent for 12 min  train {silent.key}" in text
        assert re.search(f"running  train {running.key} +4 min left", text)  # 9 epochs of 30 s, less 10 s
        assert "1 of 10 epochs, loss 2.3, clean 25.0 %, robust 10.0 %, 30.0 s an epoch" in text
        assert "10 min since the first began" in text


def test_of_two_hundred_running_jobs_as_many_are_shown_as_fit(made: Callable[..., Made]) -> None:
    state = made(f"seeds: {list(range(200))}\nmethods: {{lsp: {{title: LSP}}}}")
    jobs = list(state.plan.train.values())
    for job in jobs[:200]:
        state.log(job, EPOCHS)
    for job in jobs[200:210]:
        state.log(job, "error: no\n")
    for width, height in ((80, 24), (80, 50), (200, 50)):
        text = state.shown(width, height)
        assert len(text.splitlines()) < height
        assert all(len(shown) <= width for shown in text.splitlines())
        shown = {what: text.count(f"{what}  train ") for what in ("running", "failed")}
        assert f"and {200 - shown['running']} more running" in text
        assert f"and {10 - shown['failed']} more failed" in text
        assert min(shown.values()) > 0


def test_a_name_that_is_too_long_keeps_both_ends(made: Callable[..., Made]) -> None:
    state = made(
        f"methods: {{{'long' * 30}: {{title: Long}}}}\ntables: {{table1: {{methods: [{'long' * 30}]}}, table2: null}}"
    )
    (job,) = state.plan.train.values()
    state.log(job, EPOCHS)
    (named,) = [shown for shown in state.shown(80).splitlines() if shown.startswith("running")]
    assert re.match(r"running  train digits/long.*….*/seed0(  |$)", named)
    assert len(named) <= 80


def test_a_failed_index_is_told_in_the_place_of_the_neighbors_that_wait_for_it(made: Callable[..., Made]) -> None:
    state = made()
    index = first(state.plan.index)
    state.log(index, "error: too large\n")
    assert [seen.job for seen in state.look().stages["neighbors"] if seen.state == "failed"] == [index]
    assert f"failed  index {index.key}\n  error: too large\n  {index.log}" in state.shown()


def test_a_silent_log_under_a_beating_heart_is_running_and_says_how_long_it_has_been_silent(
    made: Callable[..., Made],
) -> None:
    state = made()
    job = first(state.plan.attack)
    state.log(job, "attack fgsm: 3/40 in 30 s\n", age=720)
    state.heartbeat(job, 5)
    assert "(no line for 12 min)" in state.shown(200)


def test_what_is_left_is_known_from_running_logs_and_other_seeds_and_else_unknown(made: Callable[..., Made]) -> None:
    state = made(
        "seeds: [0, 1]\nrecipes: {standard: {epochs: 10}}\n"
        "tables: {table1: {methods: [vanilla], attacks: [clean]}, table2: null}"
    )
    zero, one = state.plan.train.values()
    of_zero, of_one = state.plan.attack.values()
    state.finish(*state.plan.pretrain.values(), seconds=5)
    state.finish(zero, seconds=300)
    assert (state.look().left.jobs, state.look().left.unknown, state.look().left.seconds) == (3, 2, 300)
    state.finish(of_zero, seconds=20)
    state.log(one, EPOCHS, age=10)
    left = state.look().left
    assert (left.jobs, left.unknown, left.seconds, left.longest) == (2, 0, 9 * 30 - 10 + 20, 9 * 30 - 10)
    assert "left: about 4 min, with 1 running at a time" in line(state.look())
    state.log(one, "", begun=NOW - 100)  # nothing said yet: what the other seed took, less what has passed
    assert state.look().left.longest == 200
    state.finish(one, of_one)
    assert state.look().left.jobs == 0


def test_a_second_look_sees_what_has_changed_since(made: Callable[..., Made]) -> None:
    state = made("recipes: {standard: {epochs: 10}}")
    observer, job = Observer(state.plan, state.root), first(state.plan.train)
    state.log(job, EPOCHS, age=50)
    assert "1 of 10 epochs" in observer.look(NOW).of("running")[0].said.where
    state.log(job, EPOCHS + EPOCHS.replace("1/10", "2/10"), age=20)
    assert "2 of 10 epochs" in observer.look(NOW).of("running")[0].said.where
    state.finish(job)
    assert [seen.job for seen in observer.look(NOW).of("done")] == [job]
    (state.root / job.file("checkpoint")).unlink()  # a rerun: Snakemake deletes outputs and log first
    (state.root / job.log).unlink()
    assert observer.look(NOW).count("done") == 0
