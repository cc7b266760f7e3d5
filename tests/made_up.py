"""Files of an experiment that was never run: outcomes, histories, manifests, certificates, claims and pictures.

All numbers are drawn from generators that a file's own path seeds, so that a file does not depend on the others.
"""

import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from stages.core.files import write_json
from stages.core.outcomes import OUTCOME_DETAILS, OUTCOME_SCHEMA, write_outcomes
from stages.core.parquet import write_table
from stages.core.pictures import KINDS, Attacked, Neighborhoods, Pictures, write_pictures

ANSWERS = ("yes", "no", "undecided", "not asked")
BY, PARTLY = ("test", "sign"), (None, "yes", None)
MEMBERS = ("apgd-ce", "apgd-t", "fab-t", "square")
RADIUS = 8 / 255


def generator(path: str) -> np.random.Generator:
    """The stream of a file."""
    return np.random.default_rng(zlib.crc32(path.encode()))


def outcomes(root: Path, path: str, accuracies: Mapping[str, float], sizes: Mapping[str, int]) -> None:
    """Outcomes of some attacks, by their ids, on the first of `sizes` test images; an ensemble tells what broke them.

    An image has one difficulty: what breaks under an attack breaks under each that leaves a lower accuracy.
    """
    difficulty = generator(path).random(max(sizes.values()))
    tables = []
    for attack, accuracy in accuracies.items():
        n, ensemble = sizes[attack], attack.startswith("autoattack")
        index = np.arange(n)
        right, robust = difficulty[:n] < max(accuracies.values()), difficulty[:n] < accuracy
        labels = index % 10
        members = np.where(robust, "", np.array(MEMBERS)[np.minimum(index % 7, 3)]) if ensemble else np.full(n, "")
        columns = [
            pa.repeat(attack, n),
            index,
            labels,
            np.where(right, labels, (labels + 1) % 10),
            np.where(robust, labels, (labels + 1) % 10),
            robust,
            *(np.full(n, size, np.float32) for size in (RADIUS, 1.0)),
            *(members, *(np.where(robust, 20, 5) for _ in range(3))),
        ]
        tables.append(pa.table(columns, names=[*OUTCOME_SCHEMA.names, *OUTCOME_DETAILS.names]))
    table = pa.concat_tables(tables)
    detailed = any(attack.startswith("autoattack") for attack in accuracies)
    write_outcomes(root / path, table if detailed else table.select(OUTCOME_SCHEMA.names))


def history(root: Path, path: str, epochs: int, lsp: bool) -> None:
    """A line an epoch: losses that fall, accuracies that rise; lsp: with the LSP term."""
    noise = generator(path).normal(0, 0.02, (5, epochs))
    time = np.arange(epochs) / max(1, epochs - 1)
    term = {"lsp_term": 0.1 - 0.08 * time + abs(noise[1])} if lsp else {}
    objective = 2.3 - 1.9 * time + noise[0]
    columns = {
        "epoch": np.arange(1, epochs + 1),
        "lr": 0.1 * (1 - time),
        "loss": objective + term.get("lsp_term", 0),
        "objective_loss": objective,
        **term,
        "lsp_loss": 0.04 + (-0.03 if lsp else 0.05) * time + abs(noise[2]) / 10,
        "clean_accuracy": 0.2 + 0.6 * time + noise[3],
        "robust_accuracy": 0.1 + 0.3 * time + noise[4],
        "seconds": np.full(epochs, 12.5),
    }
    write_table(root / path, pa.table(columns))


def manifest(root: Path, path: str, stage: str, seed: int, epochs: int, settings: Mapping[str, Any]) -> None:
    """What a job says of itself."""
    chance = generator(path)
    facts: dict[str, Any] = {}
    if stage == "train":
        attack = {"norm": "linf", "epsilon": RADIUS, "step_size": RADIUS / 4, "steps": 10}
        best = {"epoch": epochs, "clean": 0.8, "pgd": 0.4, "n": 100, "subset": "first", "attack": attack}
        facts = {"selected_epoch": max(1, epochs - int(chance.integers(0, 3))), "test_selected": best}
    told = {
        "settings": settings,
        "inputs": {},
        "outputs": {},
        "code_digests": ["0123456789abcdef"],
        "seed": seed,
        "device": "cuda (made up)" if stage in ("train", "attack") else "cpu (made up)",
        "threads": 1,
        "peak_memory_bytes": {"host": int(chance.integers(10**9, 3 * 10**9))},
        "versions": {"python": "3.11.7", "torch": "2.13.0"},
        "seconds": round(float(chance.uniform(1, 4000)), 3),
        "facts": facts,
    }
    write_json(root / path, told)


def certificate(root: Path, path: str, verdict: str) -> None:
    """A certificate of that verdict, with a check of each kind that it allows."""
    verdicts = ("pass", "warn", "fail")
    checks = [
        {
            "name": f"check {kind}",
            "verdict": kind,
            "found": "2 of 200 images",
            "rule": "at most 1",
            "advice": "look at it",
            "source": "Made & Up (2020)",
        }
        for kind in verdicts[: verdicts.index(verdict) + 1]
    ]
    accuracies = {"clean": 90.0, "noise": 89.0, "fgsm": 40.0, "pgd": 30.0, "margin": 29.0, "aa": 28.5}
    found = {"verdict": verdict, "norm": "linf", "epsilon": RADIUS, "images": 200}
    write_json(root / path, found | {"accuracies": accuracies, "transferred": {"at": 61.5}, "checks": checks})


def lipschitz(root: Path, path: str, checkpoints: Sequence[tuple[str, str, int]]) -> None:
    """The list of measured checkpoints, of (data set, row, seed) each; the first of a data set has no LSP loss."""
    chance, lines, seen = generator(path), list[dict[str, Any]](), set[str]()
    for dataset, row, seed in checkpoints:
        constant = float(chance.uniform(0.5, 2))
        lines.append(
            {
                "dataset": dataset,
                "row": row,
                "seed": seed,
                "n": 200,
                "lipschitz": constant,
                "lipschitz_low": 0.9 * constant,
                "lipschitz_high": 1.1 * constant,
                "lipschitz_median": 0.8 * constant,
                "radius": 0.3 / constant,
                "radius_low": 0.2 / constant,
                "radius_high": 0.4 / constant,
                "broken": 1.5,
                "broken_low": 0.5,
                "broken_high": 4.3,
                "lsp_loss": 0.01 * constant + float(chance.normal(0, 0.002)) if dataset in seen else None,
                "attack": row,
                "robust_accuracy": 50 - 20 * constant + float(chance.normal(0, 2)),
            }
        )
        seen.add(dataset)
    pairs = [("lsp_loss", "lipschitz"), ("lipschitz", "robust_accuracy")]
    correlations = [
        {"dataset": dataset, "x": x, "y": y, "n": 9, "rows": rows, "rho": rho, "low": rho and -0.2, "high": rho and 1.0}
        for dataset in sorted(seen)
        for (x, y), rho, rows in zip(pairs, (0.75, None), (9, 3), strict=True)
    ]
    write_json(root / path, {"checkpoints": lines, "correlations": correlations})


def claims(root: Path, path: str, texts: tuple[str, ...]) -> None:
    """A claim of each text, with answers such that every one stands in each column."""
    found = []
    for place, text in enumerate(texts):
        here, methods = ANSWERS[place % 4], ANSWERS[(place + place // 4) % 4]
        p = {"yes": 0.004, "no": 0.02, "undecided": 0.5}
        compared = {
            "table": "table1",
            "dataset": text,
            "column": text,
            "a": text,
            "b": "Vanilla",
            "seeds": 3,
            "n": 500,
            "difference": -1.25,
            "low": None if place % 3 else -3.5,
            "high": None if place % 3 else 1.0,
            "p_checkpoints": p.get(here),
            "p_methods": p.get(methods),
        }
        found.append(
            {
                "name": f"claim-{place}",
                "text": text,
                "source": "Section 4.2.1, Table 1",
                "own": place % 2 == 1,
                "kind": "higher",
                "margin": 0.5 * (place % 3 == 0),
                "paper": {
                    "answer": ("yes", "no", None)[place % 3],
                    "asked": 4,
                    "against": [f"{text}: 54.26 against 54.86"] if place % 3 == 1 else [],
                },
                "named": 0 if here == "not asked" else 6,
                "asked": 0 if here == "not asked" else 4,
                "judged": 0 if here == "not asked" else 3,
                "seeds": 3,
                "missing": [text] if place % 2 else [],
                "checkpoints": {"answer": here, "p": p.get(here), "holm": p.get(here), "by": BY[place % 2]},
                "methods": {
                    "answer": methods,
                    "p": p.get(methods),
                    "holm": p.get(methods),
                    "partly": PARTLY[place % 3],
                },
                "reason": f"methods: {text}",
                "decides": "about 2,400 images",
                "comparisons": [] if here == "not asked" else [compared] * 3,
            }
        )
    write_json(root / path, {"experiment": "made up", "level": 0.05, "claims": found})


def pictures(
    root: Path, path: str, side: int, methods: tuple[str, ...], classes: tuple[str, ...], each: int = 3, m: int = 8
) -> None:
    """Pictures of side x side pixels; the last method is missing.

    each: anchors of each kind, with m neighbors, and twice as many test images under attack.
    """
    chance = generator(path)
    kinds = tuple(kind for kind in KINDS for _ in range(each))
    shown = methods[:-1] or methods
    anchors, tested, count = len(kinds), 2 * each, len(classes)

    def image(*shape: int) -> np.ndarray[Any, np.dtype[np.uint8]]:
        """Smooth with some noise, as photographs are: WebP and PNG then weigh what theirs do."""
        waves = chance.uniform(0, 6, (*shape, 3, 1, 1)) + np.linspace(0, 5, side)
        noise = chance.normal(0, 12, (*shape, 3, side, side))
        return np.clip(128 + 90 * np.sin(waves + np.linspace(0, 3, side)[:, None]) + noise, 0, 255).astype(np.uint8)

    def shares(*shape: int) -> np.ndarray[Any, np.dtype[np.float32]]:
        drawn = chance.uniform(0.1, 1, shape)
        return (drawn / drawn.sum(-1, keepdims=True)).astype(np.float32)

    labels = np.arange(anchors) % count
    images = image(tested)
    changes = chance.choice([-RADIUS, RADIUS], (len(shown), tested, 3, side, side))
    adversarial = np.clip(images / 255 + changes, 0, 1)
    changes = adversarial - images / 255
    predicted = np.tile(np.arange(tested) % count, (len(shown), 1))
    probabilities = chance.uniform(0.5, 1, (2, len(shown), tested)).astype(np.float32)
    same = chance.random((anchors, m)) < 0.7
    near = Neighborhoods(
        ids=3 * np.arange(anchors),
        labels=labels,
        images=image(anchors),
        neighbor_ids=chance.integers(100, 200, (anchors, m)),
        neighbor_labels=np.where(same, labels[:, None], chance.integers(0, count, (anchors, m))),
        neighbor_images=image(anchors, m),
        distances=np.sort(chance.random((anchors, m)), -1),
        p=shares(anchors, m),
        q=shares(len(shown), anchors, m),
    )
    attacked = Attacked(
        ids=7 * np.arange(tested),
        labels=np.arange(tested) % count,
        images=images,
        predictions=predicted,
        probabilities=probabilities[0],
        adversarial=np.round(adversarial * 255).astype(np.uint8),
        perturbation=changes.astype(np.float16),
        adversarial_predictions=(predicted + (np.arange(tested) % 2)) % count,
        adversarial_probabilities=probabilities[1],
        linf=np.abs(changes).max((2, 3, 4)).astype(np.float32),
        l2=np.sqrt((changes**2).sum((2, 3, 4))).astype(np.float32),
    )
    missing = () if shown == methods else methods[-1:]
    write_pictures(root / path, Pictures(classes, shown, (RADIUS,) * len(shown), missing, 20, kinds, near, attacked))
