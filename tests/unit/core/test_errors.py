"""The errors that a user can cure are one line each."""

import pytest

from stages.core.errors import ArtifactError, ConfigError, StageError


@pytest.mark.parametrize("error", [StageError, ConfigError, ArtifactError])
@pytest.mark.parametrize("letter", ["\n", "\r", "\v", "\x1c", "\x85", "\u2028", "\x1b", "\u202e"])
def test_a_message_is_one_line_of_what_prints_whatever_it_names(error: type[StageError], letter: str) -> None:
    said = str(error(f"datasets.a{letter}b: unknown key"))
    assert said == f"datasets.a{letter.encode('unicode_escape').decode()}b: unknown key"
    assert len(said.splitlines()) == 1


def test_letters_that_print_stay_as_they_are() -> None:
    assert str(StageError("ε = 0.15 (L∞); “Größe” …")) == "ε = 0.15 (L∞); “Größe” …"
