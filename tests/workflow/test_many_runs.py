"""As many runs as a plan of some seconds allows, and a line for more."""

import time

import pytest

from stages.core.errors import ConfigError
from tests.conftest import ROOT, TINY
from workflow.planning.load import load_experiment


def test_a_hundred_thousand_seeds_are_refused_in_seconds_and_as_many_as_a_config_allows_are_not() -> None:
    begun = time.process_time()
    with pytest.raises(ConfigError) as caught:
        load_experiment([TINY], ROOT / "config.yaml", {"seeds": list(range(100_000))})
    assert str(caught.value) == (
        "seeds: 100000 of them make 400000 rows times seeds, more than most_runs allows, 10000; name fewer seeds or"
        " rows, or raise most_runs"
    )
    assert time.process_time() - begun < 5
    for most, seeds in ((10_000, 2500), (4, 1)):
        load_experiment([TINY], ROOT / "config.yaml", {"seeds": list(range(seeds)), "most_runs": most})
        with pytest.raises(ConfigError, match="more than most_runs allows"):
            load_experiment([TINY], ROOT / "config.yaml", {"seeds": list(range(seeds + 1)), "most_runs": most})


def test_how_many_runs_are_allowed_is_no_part_of_an_experiments_name() -> None:
    assert load_experiment([TINY], ROOT / "config.yaml", {"most_runs": 4}).place == "tiny"
