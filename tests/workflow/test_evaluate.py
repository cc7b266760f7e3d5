"""`make evaluate`: one command from somebody's weights to a table, every image's outcome and an entry."""

import json
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import pytest
import torch
import yaml

from stages.core.artifacts import read_images
from stages.core.errors import ConfigError
from stages.core.images.pixels import to_unit
from tests.conftest import ROOT, TINY, Project
from workflow.commands.evaluate import command_line, experiment, main, stanza
from workflow.planning.load import load_experiment
from workflow.planning.tables import make_plan


@pytest.mark.parametrize("asked", ["digits", "cifar10", "cifar10-jpeg", "tiny-imagenet", str(TINY)])
def test_a_data_set_is_found_by_its_key_or_in_a_file_and_all_of_its_test_images_are_taken(asked: str) -> None:
    key, data = stanza(asked)
    assert key == ("digits" if asked == str(TINY) else asked)
    assert "source" in data
    assert "test_images" not in data


@pytest.mark.parametrize("text", ["datasets:", "datasets: {mine: {augment: {padding: 4}}}", "datasets: {mine: null}"])
def test_a_file_without_a_data_set_is_answered(text: str, tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text(text)
    with pytest.raises(ConfigError, match=r"DATASET: '\S+mine.yaml' is no data set .*no file with one"):
        stanza(str(tmp_path / "mine.yaml"))


@pytest.mark.parametrize(
    ("said", "answer"),
    [
        (["--checkpoint", ""], "CHECKPOINT: name the file"),
        (["--checkpoint", "trades.pt"], "NAME: 'trades' is a method's name; write NAME=my-trades"),
        (["--checkpoint", "a.pt", "--epsilon", "abc"], "EPSILON: 'abc' is no radius"),
        (["--checkpoint", "a.pt", "--epsilon", "inf"], "EPSILON: 'inf' is no radius"),
        (["--checkpoint", "a.pt", "--epsilon", "4/255"], "NAME: .*a/experiment.yaml is of another evaluation"),
        (["--checkpoint", "elsewhere/a.pt"], "NAME: .*a/experiment.yaml is of another evaluation"),
    ],
)
def test_what_cannot_be_is_answered_before_anything_is_written(
    said: list[str], answer: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    there = tmp_path / "results/evaluate/a/experiment.yaml"
    there.parent.mkdir(parents=True)
    arguments, _ = command_line(["--checkpoint", "a.pt", "--dataset", "digits"])
    there.write_text(yaml.safe_dump(experiment("a", arguments), sort_keys=False))
    before = there.read_bytes()
    with pytest.raises(ConfigError, match=answer):
        main([*said, "--dataset", "digits"])
    assert there.read_bytes() == before
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == [there]


@pytest.mark.parametrize(
    ("asked", "said"), [("cifra10", "did you mean 'cifar10'"), ("nowhere.yaml", "no such config file")]
)
def test_a_data_set_that_is_none_is_answered(asked: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        stanza(asked)


def test_what_is_given_stands_in_the_experiment_and_plans(tmp_path: Path) -> None:
    (tmp_path / "my.pt").touch()
    said = ["--checkpoint", str(tmp_path / "my.pt"), "--dataset", "digits", "--architecture", "resnet18"]
    said += ["--mean", "0.5", "0.5", "0.5", "--std", "0.5", "0.5", "0.5", "--epsilon", "4/255", "--images", "50"]
    arguments, passed_on = command_line([*said, "--", "--cores", "2", "--profile", "there"])
    assert passed_on == ["--cores", "2", "--profile", "there"]
    assert command_line(said)[1] == ["--cores", "all"]
    content = experiment("mine", arguments)
    (tmp_path / "any.yaml").write_text(json.dumps(content))
    plan = make_plan(load_experiment([tmp_path / "any.yaml"], ROOT / "config.yaml"))
    assert not plan.train
    (weights,) = plan.weights.values()
    assert json.loads(weights.settings)["mean"] == [0.5, 0.5, 0.5]
    columns = {column.label: column.settings for column in plan.tables["evaluation"].plan.columns}
    assert list(columns) == ["Clean", "FGSM", "PGD-20", "margin-PGD", "AA (engine)"]
    for label, attack in columns.items():
        assert attack is not None
        assert (attack.images, attack.epsilon) == ((None, 8 / 255) if label == "Clean" else (50, 4 / 255))
    assert columns["PGD-20"].options["step_size"] == pytest.approx(1 / 255)  # type: ignore[union-attr]


@pytest.mark.slow
def test_one_command_ends_in_a_table_outcomes_and_an_entry(project: Project) -> None:
    """Of a linear classifier, fitted by least squares, whose code is the user's own."""
    (project.root / "net.py").write_text(
        "from torch import nn\ndef net():\n    return nn.Sequential(nn.Flatten(), nn.Linear(3 * 48 * 48, 10))\n"
    )
    train = read_images(project.only("data/digits-*/train.safetensors"))
    pixels = to_unit(train.images).flatten(1)
    kernel = pixels @ pixels.T + 10 * torch.eye(len(pixels))
    weight = (pixels.T @ torch.linalg.solve(kernel, torch.nn.functional.one_hot(train.labels, 10) - 0.1)).T
    torch.save({"1.weight": 30 * weight, "1.bias": torch.zeros(10)}, project.root / "my.pt")
    words = ["--checkpoint", "my.pt", "--dataset", "tiny.yaml", "--epsilon", "0.1", "--images", "2"]
    words += ["--architecture", "net.py:net", "--mean", "0", "0", "0", "--std", "1", "1", "1"]
    done = project.command("python", "-m", "workflow.commands.evaluate", *words, "--", "--cores", "2")
    assert done.returncode == 0, done.stdout
    folder = project.root / "results/evaluate/my"
    table = pd.read_csv(folder / "evaluation.csv")
    assert table["n"].tolist() == [360, 2, 2, 2, 2]
    assert (folder / "evaluation.txt").read_text() in done.stdout
    outcomes = pq.read_table(folder / "outcomes.parquet").to_pandas()
    assert outcomes.groupby("attack").size().tolist().count(2) == 4
    entry = json.loads((folder / "entry.json").read_text())
    certificate = json.loads((folder / "certificate.json").read_text())
    assert (certificate["images"], certificate["epsilon"]) == (2, 0.1)
    assert f"# Certificate: {certificate['verdict']}" in (folder / "certificate.md").read_text()
    assert entry["unreliable"] == (certificate["verdict"] == "fail")
    assert (entry["dataset"], entry["architecture"], entry["eps"]) == ("digits", "net.py:net", "25.5/255")
    clean = table[table["column"] == "Clean"]["accuracy"].item()
    assert float(entry["clean_acc"]) == pytest.approx(clean, abs=0.01)
    assert clean > 50
    again = project.command("python", "-m", "workflow.commands.evaluate", *words, "--", "--cores", "2")
    assert again.returncode == 0
    assert "Nothing to be done" in again.stdout
    assert ("job-hours" in done.stdout, "job-hours" in again.stdout) == (True, False)


@pytest.mark.slow
def test_what_goes_wrong_is_one_line_and_a_status(project: Project) -> None:
    (project.root / "page.pt").write_text("<html>")
    words = ["--checkpoint", "page.pt", "--dataset", "tiny.yaml"]
    done = project.command("python", "-m", "workflow.commands.evaluate", *words, "--", "--cores", "2")
    assert done.returncode == 1
    assert "page.pt is a web page; get it again" in done.stdout
    done = project.command(
        "python", "-m", "workflow.commands.evaluate", "--checkpoint", "my.pt", "--dataset", "nothing"
    )
    assert done.returncode == 1
    assert done.stdout.startswith("error: DATASET: 'nothing' is no data set")
