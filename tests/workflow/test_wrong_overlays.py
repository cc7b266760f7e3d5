"""Wrong overlays, as people write them: each is one line with key, value and cure, before any job starts."""

import json
from pathlib import Path

import pytest

from stages.core.errors import ConfigError
from tests.conftest import ROOT, TINY
from workflow.planning.load import load_experiment
from workflow.planning.tables import make_plan

# Each: the overlay, and what its line has to hold.
NINE = {
    "probability-2": (
        "methods: {cutmix: {augmentation: {probability: 2}}}",
        ["methods.cutmix.augmentation.probability", "(given: 2)"],
    ),
    "alpha-0": (
        "methods: {mixup: {augmentation: {alpha: 0}}}",
        ["methods.mixup.augmentation.alpha", "greater than 0", "(given: 0)"],
    ),
    "severity-50": ("methods: {augmix: {augmentation: {severity: 50}}}", ["methods.augmix", "severity", "to 10", "50"]),
    "splits": (
        "datasets: {digits: {features: {moco: {splits: 3}}}}",
        ["datasets.digits.features.moco.splits: 3", "batch of 100", "choose a divisor"],
    ),
    "parquet-without-folder": (
        "datasets: {digits: {data: {source: parquet}}}",
        ["datasets.digits.data.folder: source parquet needs it", "name the folder"],
    ),
    "unlabelled-digits": (
        "datasets: {digits: {data: {unlabelled: true}}}",
        ["datasets.digits.data.unlabelled: a setting of stl10, and source digits has none", "leave it out"],
    ),
    "restarts": (
        "attacks: {pgd: {kind: pgd, options: {restarts: 5, random_start: false}}}",
        ["attacks.pgd.options.restarts: 5 without a random start", "set random_start: true"],
    ),
    "milestones-late": (
        "recipes: {standard: {schedule: {kind: multistep, milestones: [75, 90]}}}",
        ["recipes.standard.schedule.milestones: after epoch 75 of 1"],
    ),
    "epsilon-8": ("attacks: {fgsm: {epsilon: 8}}", ["attacks.fgsm.epsilon: 8", "did you mean 8/255?"]),
}
OWN = {
    # Components.
    "steps-0": ("attacks: {pgd: {kind: pgd, options: {steps: 0}}}", ["attacks.pgd.options.steps", "(given: 0)"]),
    "steps-half": (
        "attacks: {pgd: {kind: pgd, options: {steps: 1.5}}}",
        ["attacks.pgd.options.steps", "not a whole number"],
    ),
    "step-size-negative": (
        "attacks: {pgd: {kind: pgd, options: {step_size: -1}}}",
        ["attacks.pgd.options.step_size", "-1"],
    ),
    "step-size-of-255": (
        "attacks: {pgd: {kind: pgd, options: {step_size: 2}}}",
        ["attacks.pgd.options.step_size: 2", "did you mean 2/255?"],
    ),
    "fgsm-l2": ("attacks: {fgsm: {norm: l2}}", ["attacks.fgsm.norm: fgsm", "linf alone", "`kind: pgd`"]),
    "cw-epsilon": (
        "attacks: {cw: {kind: cw, epsilon: 0.3}}",
        ["attacks.cw.epsilon: cw is held to no ball", "leave it"],
    ),
    "beta-infinite": (
        "methods: {trades: {objective: {beta: .inf}}}",
        ["methods.trades.objective.beta", "finite", "(given: inf)"],
    ),
    "random-start-a-word": (
        "attacks: {pgd: {kind: pgd, options: {random_start: 'no'}}}",
        ["attacks.pgd.options.random_start", "boolean", "(given: 'no')"],
    ),
    "width-0": ("methods: {augmix: {augmentation: {width: 0}}}", ["methods.augmix.augmentation.width", "(given: 0)"]),
    # Recipes.
    "milestones-back": (
        "recipes: {standard: {epochs: 9, schedule: {kind: multistep, milestones: [6, 3]}}}",
        ["recipes.standard.schedule.milestones: [6, 3] do not rise", "in order"],
    ),
    "milestone-twice": (
        "recipes: {standard: {epochs: 9, schedule: {milestones: [3, 3]}}}",
        ["recipes.standard.schedule.milestones: [3, 3]"],
    ),
    "momentum-1": ("recipes: {standard: {momentum: 1}}", ["recipes.standard.momentum", "less than 1", "(given: 1)"]),
    "nesterov-alone": (
        "recipes: {standard: {nesterov: true, momentum: 0}}",
        ["recipes.standard.nesterov: true needs a momentum", "set momentum"],
    ),
    "pct-start-1": ("recipes: {standard: {schedule: {pct_start: 1}}}", ["schedule.pct_start", "less than 1"]),
    "gamma-10": ("recipes: {standard: {schedule: {gamma: 10}}}", ["recipes.standard.schedule.gamma", "(given: 10)"]),
    "epochs-million": ("recipes: {standard: {epochs: 1e6}}", ["recipes.standard.epochs", "100000", "1e6"]),
    "inner-epsilon-8": (
        "recipes: {standard: {attack: {epsilon: 8}}}",
        ["recipes.standard.attack.epsilon: 8", "8/255?"],
    ),
    "inner-step-2": (
        "recipes: {standard: {attack: {step_size: 2}}}",
        ["recipes.standard.attack.step_size: 2", "2/255?"],
    ),
    "ramp": ("recipes: {standard: {attack: {ramp_epochs: 5}}}", ["recipes.standard.attack.ramp_epochs: in 1 epochs"]),
    "batch-beyond": (
        "recipes: {standard: {batch_size: 201}}",
        ["batch_size of the recipe of methods.vanilla: 201", "200 images"],
    ),
    "one-step-rise": (
        "recipes: {standard: {schedule: {kind: onecycle, pct_start: 0.5}}}",
        ["schedule.pct_start of the recipe of methods.vanilla: 0.5 of 2 steps", "change"],
    ),
    "nothing-held-out": (
        "datasets: {digits: {data: {train_images: 9}, neighbors: {depth: 8}, features: {moco: {batch_size: 4}}}}\n"
        "recipes: {standard: {batch_size: 4}, adversarial: {batch_size: 4, selection: best_robust}}",
        ["selection of the recipe of methods.trades: best_robust has none of 9", "or write last"],
    ),
    # Data sets and features.
    "images-beyond": (
        "datasets: {digits: {data: {train_images: 2000}}}",
        ["datasets.digits.data.train_images: 2000", "1437"],
    ),
    "columns-of-digits": (
        "datasets: {digits: {data: {label_column: y}}}",
        ["data.label_column: a setting of parquet, and source digits"],
    ),
    "setting-of-no-source": (
        "datasets: {digits: {data: {source: stl10, unlabeled: true}}}",
        ["datasets.digits.data.unlabeled: unknown key", "did you mean 'unlabelled'?"],
    ),
    "setting-of-a-source": (
        "datasets: {digits: {data: {source: stl10, unlabelled: 1}}}",
        ["datasets.digits.data.unlabelled", "boolean", "(given: 1)"],
    ),
    "folder-of-digits": (
        "datasets: {digits: {data: {folder: /x}}}",
        ["data.folder: the images of source digits come with a library", "leave it out"],
    ),
    "crop": (
        "datasets: {digits: {augment: {padding: 48}}}",
        ["datasets.digits.augment.padding: a crop 48", "image of 48"],
    ),
    "mean-of-255": ("datasets: {digits: {model: {mean: [125.3, 123, 113.9]}}}", ["model.mean", "did you mean 0.4914?"]),
    "std-of-255": ("datasets: {digits: {model: {std: [63, 62.1, 66.7]}}}", ["model.std", "did you mean 0.2471?"]),
    "moco-batch": (
        "datasets: {digits: {features: {moco: {batch_size: 512}}}}",
        ["features.moco.batch_size: 512", "200 images"],
    ),
    "moco-momentum": (
        "datasets: {digits: {features: {moco: {momentum: 1}}}}",
        ["features.moco.momentum", "less than 1"],
    ),
    "moco-crop-0": (
        "datasets: {digits: {features: {moco: {crop_scale: 0}}}}",
        ["features.moco.crop_scale", "greater than 0"],
    ),
    "hue": ("datasets: {digits: {features: {moco: {jitter: [1, 1, 1, 1]}}}}", ["features.moco.jitter.3", "0.5"]),
    "official": (
        "datasets: {digits: {features: {source: official}}}",
        ["features.checkpoint: source official needs it"],
    ),
    "checkpoint": ("datasets: {digits: {features: {checkpoint: x}}}", ["features.checkpoint: source moco reads none"]),
    "depth": (
        "datasets: {digits: {neighbors: {depth: 200}}}",
        ["neighbors.depth: 200 neighbors need 201 images", "lower"],
    ),
    "replaced-recipe": (
        "datasets: {digits: {recipes: {standart: adversarial}}}",
        ["'standart'", "did you mean 'standard'?"],
    ),
    "replacing-recipe": ("datasets: {digits: {recipes: {standard: slow}}}", ["datasets.digits.recipes: recipe 'slow'"]),
    "augmented-recipe": (
        "datasets: {digits: {recipe_augments: {advers: {padding: 0}}}}",
        ["datasets.digits.recipe_augments: recipe 'advers'", "did you mean 'adversarial'?"],
    ),
    # Methods and tables.
    "m-beyond-images": (
        "datasets: {digits: {data: {train_images: 9}, neighbors: {depth: 8}, features: {moco: {batch_size: 4}}}}\n"
        "recipes: {standard: {batch_size: 4}, adversarial: {batch_size: 4}}\n"
        "methods: {lsp: {lsp: {kind: global, m: 9}}}",
        ["lsp.m of methods.lsp: 9 companions need more images than the 9", "lower m"],
    ),
    "lambda": ("methods: {lsp: {lsp: {lambda: 3}}}", ["methods.lsp.lsp.lambda: unknown key", "did you mean 'weight'?"]),
    "seed-of-neighbors": ("methods: {lsp: {lsp: {seed: 3}}}", ["methods.lsp.lsp.seed: kind local", "leave it out"]),
    "monitor-seed": ("monitor: {structure: {seed: 3}}", ["monitor.structure.seed: kind local", "leave it out"]),
    "monitor-m": ("monitor: {structure: {m: 9}}", ["monitor.structure.m: 9", "depth is 8", "lower m"]),
    "unused-method": (
        "methods: {mine: {objective: {name: mart, beta: -1}}}",
        ["methods.mine.objective.beta", "(given: -1)"],
    ),
    "unused-recipe": ("methods: {mine: {preset: at, recipe: gone}}", ["recipes: 'gone' is not defined"]),
    "unused-preset": ("methods: {mine: {preset: [at]}}", ["methods.mine.preset", "(given: ['at'])"]),
    "own-of-a-data-set": (
        "datasets: {digits: {methods: {mart: {objective: {beta: x}}}}}",
        ["methods.mart.objective.beta: 'x' is not a number"],
    ),
    "helper-for-nothing": ("methods: {trades: {helper: vanilla}}", ["methods.trades.helper: objective trades asks no"]),
    "helper-chain": (
        "methods: {hat: {helper: other}, other: {objective: hat, helper: hat}}",
        ["methods.hat.helper: 'other' has a helper net of its own"],
    ),
    "helper-of-itself": ("methods: {hat: {helper: hat}}", ["methods.hat.helper: 'hat' has a helper net of its own"]),
    "varied-recipe": (
        "tables: {table1: {methods: [vanilla], vary: {recipe.lr: [0.1, 0.2]}}}",
        ["methods.vanilla.recipe: is the name of a stanza", "lr: 0.1", "`vary: {recipe: [standard, other]}`"],
    ),
    "method-recipe": ("methods: {lsp: {recipe: {lr: 0.2}}}", ["methods.lsp.recipe: is the name", "`recipes: {other:"]),
    "no-values": (
        "tables: {table1: {methods: [lsp], vary: {lsp.m: []}}}",
        ["tables.table1.vary", "at least one value"],
    ),
    "no-seeds-of-a-table": ("tables: {table1: {seeds: []}}", ["tables.table1.seeds", "at least 1 item"]),
    "value-by-another-spelling": (
        "tables: {table1: {methods: [lsp], vary: {lsp.weight: [1, 1.0, 1e0]}}}",
        ["tables.table1", "twice"],
    ),
    "vary-without-lsp": (
        "tables: {table1: {methods: [vanilla], vary: {lsp.m: [2, 4]}}}",
        ["methods.vanilla has no LSP"],
    ),
    "hold-out-of-nothing": ("methods: {vanilla: {hold_out: true}}", ["methods.vanilla.hold_out", "selection"]),
    "hold-out-twice": ("methods: {at: {hold_out: true}}", ["methods.at.hold_out", "leave it out"]),
    "compiled-twice": (
        "recipes: {standard: {precision: float32, compile: true}}\n"
        "tables: {table1: {methods: [vanilla, gradient-norm]}}",
        ["datasets.digits", "compile of the recipe: objective gradient-norm", "write compile: false"],
    ),
    "order-of-one": ("methods: {lsp: {lsp: {forward_order: neighbors_first}}}", ["methods.lsp.lsp.forward_order"]),
    "no-seeds": ("seeds: []", ["seeds: ", "at least 1"]),
    "separate": ("separate_attacks: [autoatack]", ["separate_attacks: 'autoatack'", "did you mean 'autoattack'?"]),
    "l2-of-255": (
        "attacks: {fgsm: {kind: pgd, norm: l2, epsilon: 128}}",
        ["attacks.fgsm on digits.epsilon", "128/255?"],
    ),
    "seed-64-bits": (
        "seeds: [9223372036854775808]",
        ["seeds.0: a seed has at most 63 bits", "(given: 9223372036854775808)"],
    ),
}
ALL = NINE | OWN


def line_of(overlay: Path, results: Path) -> str:
    """The line that an overlay on the tiny experiment ends in, with those outcomes."""
    with pytest.raises(ConfigError) as caught:
        make_plan(load_experiment([TINY, overlay], ROOT / "config.yaml"), results)
    return str(caught.value)


@pytest.mark.parametrize("wrong", ALL)
def test_a_wrong_overlay_is_one_line_before_any_job(wrong: str, tmp_path: Path) -> None:
    text, parts = ALL[wrong]
    (tmp_path / "overlay.yaml").write_text(text)
    line = line_of(tmp_path / "overlay.yaml", tmp_path)
    assert [part for part in parts if part not in line] == [], line
    assert len(line.splitlines()) == 1
    assert len(line) < 600


def test_the_classes_of_prepared_images_are_held_against_the_attack(tmp_path: Path) -> None:
    overlay = tmp_path / "overlay.yaml"
    overlay.write_text(
        "datasets: {digits: {data: {source: parquet, folder: /x}}}\nattacks: {fgsm: {kind: autoattack, epsilon: 0.1}}"
    )
    results = tmp_path / "results"
    plan = make_plan(load_experiment([TINY, overlay], ROOT / "config.yaml"), results)
    manifest = tmp_path / next(iter(plan.data.values())).file("manifest")
    manifest.parent.mkdir(parents=True)
    counted = {"images": 200, "shape": [3, 48, 48], "class_counts": [100, 100]}
    manifest.write_text(json.dumps({"facts": {"train": counted, "test": counted}}))
    assert "autoattack needs 4 classes or more and the data set has 2" in line_of(overlay, results)
