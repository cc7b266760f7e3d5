"""An attack at several radii, and one that searches in bfloat16, as columns of a table."""

from collections.abc import Callable

from workflow.planning.jobs import Plan

OVERLAY = """
attacks:
  curve: {kind: pgd, label: PGD, epsilons: [0.5/255, 8/255]}
  fast: {kind: autoattack-engine, label: AA, options: {precision: bfloat16}}
  slow: {kind: autoattack-engine}
tables: {mine: {datasets: [digits], methods: [vanilla], attacks: [clean, curve, fast, slow]}}
"""


def test_each_radius_is_a_column_of_one_job(plan_of: Callable[..., Plan]) -> None:
    plan = plan_of(OVERLAY)
    table = plan.tables["mine"].plan
    heads = [column.label for column in table.columns]
    assert heads == ["Clean", "PGD ε = 0.5/255", "PGD ε = 8/255", "AA (bfloat16 search)", "SLOW"]
    outcomes = table.rows[0].runs[0].outcomes
    low, high = outcomes["curve.0.5"], outcomes["curve.8"]
    assert low.path == high.path
    assert (low.attack.removesuffix(".0.5"), high.attack.removesuffix(".8")) == (low.attack[:-4], low.attack[:-4])
    radii = [column.settings.epsilon for column in table.columns[1:3] if column.settings is not None]
    assert radii == [0.5 / 255, 8 / 255]


def test_each_run_of_the_engine_is_a_job_of_its_own(plan_of: Callable[..., Plan]) -> None:
    plan = plan_of(OVERLAY)
    engines = [job for job in plan.attack.values() if "autoattack-engine" in job.key]
    assert len(engines) == 2
    assert {job.resources for job in engines} == {"autoattack"}
