"""Components read from their files: settings, what their annotations allow, and every fault one line with its cure."""

import json
import math
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from stages.core.config import plugins
from stages.core.config.messages import validation_message
from stages.core.config.method import Method
from stages.core.config.plugins import (
    Plugin,
    PluginError,
    constant,
    declares,
    known,
    module_name,
    resolve,
    settings_of,
)
from stages.core.files import canonical_json, digest


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A place for objectives of the test's own."""
    made = tmp_path / "stages/train/objectives"
    made.mkdir(parents=True)
    (tmp_path / "stages/train/augmentations").mkdir()
    for name in ("none", "augmix"):
        source = f"def {name}(images, labels, generator): ...\n"
        (tmp_path / f"stages/train/augmentations/{name}.py").write_text(source)
    monkeypatch.setattr(plugins, "ROOT", tmp_path)
    for cached in (settings_of, constant):
        cached.cache_clear()
    return made


@pytest.fixture(autouse=True)
def _own_caches(monkeypatch: pytest.MonkeyPatch) -> Any:
    yield
    for cached in (settings_of, constant):
        cached.cache_clear()


SOURCE = """
import a_module_that_is_not_there

NEEDS_HELPER = True
ADVERSARIAL = False


def my_loss(model, batch, context, *, size: NonNegative = 8/255, rounds: Count = 3, clip: bool = True,
            way: Literal["up", "down"] = "up"):
    return None
"""


def test_a_new_file_is_a_component_whose_settings_are_its_keyword_arguments(folder: Path) -> None:
    (folder / "my_loss.py").write_text(SOURCE)
    (folder / "_shared.py").write_text("")
    assert known("objectives") == ["my_loss"]
    assert module_name("objectives", "my-loss") == "stages.train.objectives.my_loss"
    defaults = resolve("objectives", Plugin(name="my-loss")).settings
    assert defaults == {"size": float(Fraction(8, 255)), "rounds": 3, "clip": True, "way": "up"}
    given = Plugin.model_validate({"name": "my-loss", "size": "1e-1", "rounds": "4", "clip": False, "way": "down"})
    assert resolve("objectives", given).settings == {"size": 0.1, "rounds": 4, "clip": False, "way": "down"}
    assert declares("objectives", "my_loss", "NEEDS_HELPER")
    assert not declares("objectives", "my_loss", "ADVERSARIAL")
    assert not declares("objectives", "my_loss", "ABSENT")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"sise": 1}, "'sise' is no setting of my_loss (did you mean 'size'?)"),
        ({"zzz": 1}, "(known: clip, rounds, size, way)"),
        ({"size": "big"}, "size: 'big' is not a number"),
        ({"size": -1}, "size: Input should be greater than or equal to 0 (given: -1)"),
        ({"size": 10**400}, "size: must be finite"),
        ({"rounds": 1.5}, "rounds: 1.5 is not a whole number (given: 1.5)"),
        ({"rounds": 0}, "rounds: Input should be greater than or equal to 1 (given: 0)"),
        ({"rounds": True}, "rounds: a number is needed, not true or false"),
        ({"clip": 1}, "clip: Input should be a valid boolean (given: 1)"),
        ({"way": "left"}, "way: Input should be 'up' or 'down' (given: 'left')"),
    ],
)
def test_a_wrong_setting_is_refused_with_the_rule(folder: Path, given: dict[str, Any], message: str) -> None:
    (folder / "my_loss.py").write_text(SOURCE)
    with pytest.raises(PluginError) as caught:
        resolve("objectives", Plugin(name="my_loss", settings=given))
    assert message in str(caught.value)


def test_a_file_without_its_function_or_a_setting_without_default_is_refused(folder: Path) -> None:
    (folder / "empty.py").write_text("def other(): ...\n")
    (folder / "bare.py").write_text("def bare(model, batch, context, *, beta: float): ...\n")
    with pytest.raises(PluginError, match="defines no function empty"):
        settings_of("objectives", "empty")
    with pytest.raises(PluginError, match="'beta' needs a default"):
        settings_of("objectives", "bare")
    with pytest.raises(PluginError, match="did you mean 'empty'"):
        settings_of("objectives", "emty")


HEAD = "def faulty(model, batch, context"


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("def faulty(model:\n    pass\n", "faulty.py, line 1: not valid Python"),
        ("x = 1\ny = = 2\n", "faulty.py, line 2: not valid Python (invalid syntax); mend it"),
        ("x = '\0'\n", "faulty.py: not valid Python"),
        ("class faulty: ...\n", "faulty.py defines no function faulty; write `def faulty(model, batch, context, *, "),
        (
            f"{HEAD}, beta=1.0): ...\n",
            "takes 4 positional arguments, not 3; write `def faulty(model, batch, ",
        ),
        ("def faulty(model, batch): ...\n", "takes 2 positional arguments, not 3"),
        (f"{HEAD}, *more): ...\n", "takes *args or **kwargs; name every setting"),
        (f"{HEAD}, **more): ...\n", "takes *args or **kwargs; name every setting"),
        (f"{HEAD}, *, beta=1.0): ...\n", "line 1: keyword argument 'beta' needs an annotation"),
        (
            f"{HEAD}, *, beta: Tensor = 1.0): ...\n",
            "'beta': the annotation `Tensor` is none that can be checked",
        ),
        (f"{HEAD}, *, beta: open('x') = 1.0): ...\n", "the annotation `open('x')` is none that can be checked"),
        (f"{HEAD}, *, beta: Annotated[float, print()] = 1.0): ...\n", "`print()` is no Field(…)"),
        (f"{HEAD}, *, beta: float = compute()): ...\n", "the default `compute()` is no literal; write its value"),
        (f"{HEAD}, *, beta: Positive = 0.0): ...\n", "its default: Input should be greater than 0 (given: 0.0)"),
    ],
)
def test_a_faulty_file_is_one_line_with_file_and_cure(folder: Path, source: str, message: str) -> None:
    (folder / "faulty.py").write_text(source)
    with pytest.raises(ValidationError) as caught:
        Method.model_validate({"objective": "faulty"})
    line = validation_message(caught.value, Method)
    assert line.startswith("objective: stages/train/objectives/faulty.py")
    assert message in line
    assert "\n" not in line


ANNOTATED = f"""ADVERSARIAL = False

{HEAD}, *, word: str = "a b", shift: float = -0.5, turns: int = -2, edge: NumberOrInfinity = float("inf"),
           low: NumberOrInfinity = -math.inf, part: Annotated[float, Field(gt=0, le=1/2)] = 0.25,
           cut: Positive | None = None, pair: tuple[float, Count] = (1.5, 2)):
    ...
"""


def test_settings_may_be_words_negative_infinite_or_absent_where_the_annotation_says_so(folder: Path) -> None:
    (folder / "faulty.py").write_text(ANNOTATED)
    chosen = Plugin(name="faulty")
    assert resolve("objectives", chosen).settings == {
        "word": "a b",
        "shift": -0.5,
        "turns": -2,
        "edge": math.inf,
        "low": -math.inf,
        "part": 0.25,
        "cut": None,
        "pair": (1.5, 2),
    }
    for key, value, meant in (
        ("word", "8/255", "8/255"),
        ("shift", "-1e-1", -0.1),
        ("turns", "-1e1", -10),
        ("edge", "-inf", -math.inf),
        ("edge", 3, 3.0),
        ("part", "1/2", 0.5),
        ("cut", "1/4", 0.25),
        ("pair", ["1e-1", 3.0], (0.1, 3)),
    ):
        assert resolve("objectives", Plugin(name="faulty", settings={key: value})).settings[key] == meant
    for key, wrong in (
        ("word", 3),
        ("shift", math.inf),
        ("shift", "nan"),
        ("turns", 0.5),
        ("edge", math.nan),
        ("part", 0.6),
        ("cut", -1),
        ("pair", [1]),
    ):
        with pytest.raises(PluginError, match=f"^{key}: .*given: "):
            resolve("objectives", Plugin(name="faulty", settings={key: wrong}))


def test_an_infinite_setting_survives_the_way_to_its_stage(folder: Path) -> None:
    (folder / "faulty.py").write_text(ANNOTATED)
    method = Method.model_validate({"objective": {"name": "faulty", "edge": "-inf"}})
    sent = json.loads(canonical_json(method.model_dump(mode="json")))
    received = Method.model_validate(sent)
    assert received == method
    assert received.objective.settings["edge"] == -math.inf
    assert digest(method.identity()) == digest(received.identity())


@pytest.mark.parametrize("said", ["", "ADVERSARIAL = 1\n", "ADVERSERIAL = True\n"])
def test_an_objective_that_does_not_say_whether_it_is_adversarial_is_refused(folder: Path, said: str) -> None:
    (folder / "faulty.py").write_text(f"{said}{HEAD}): return perturb(model)\n")
    with pytest.raises(ValidationError, match=r"faulty\.py does not say .* `ADVERSARIAL = True`"):
        Method.model_validate({"objective": "faulty"})


@pytest.mark.parametrize("said", [True, False])
@pytest.mark.parametrize("form", ["ADVERSARIAL = {}", "ADVERSARIAL: bool = {}"])
def test_an_objective_says_it_in_either_form(folder: Path, form: str, said: bool) -> None:
    (folder / "faulty.py").write_text(f"{form.format(said)}\n{HEAD}): ...\n")
    assert Method.model_validate({"objective": "faulty"}).adversarial() is said


@pytest.mark.parametrize("returned", ["Scored(loss, logits, None)", "Scored(loss, logits, extra_logits=None)"])
@pytest.mark.parametrize("method", [{"lsp": {}}, {"augmentation": "augmix"}])
def test_an_objective_without_extra_logits_is_refused_where_they_are_needed(
    folder: Path, returned: str, method: dict[str, Any]
) -> None:
    (folder / "faulty.py").write_text(f"ADVERSARIAL = False\n{HEAD}): return {returned}\n")
    assert Method.model_validate({"objective": "faulty"})
    with pytest.raises(ValidationError, match=r"faulty\.py returns no extra logits, .* `forwards"):
        Method.model_validate({"objective": "faulty", **method})


@pytest.mark.parametrize("written", ["trades", {"name": "trades", "beta": 6.0}])
def test_a_component_is_written_flat_and_comes_back_flat(written: Any) -> None:
    chosen = resolve("objectives", Plugin.model_validate(written))
    assert chosen.model_dump() == {"name": "trades", "beta": 6.0}
    assert Plugin.model_validate(chosen.model_dump()) == chosen
