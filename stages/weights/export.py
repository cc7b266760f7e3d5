"""`python -m stages.weights.export`: a checkpoint of ours for others, who need nothing of this project.

`model.pt` is a state_dict under the names of the robustness literature with the normalization inside, `score.py` the
plain PyTorch that loads and scores it, `entry.json` an entry of RobustBench's model zoo as far as it can be filled.
"""

import argparse
import re
from pathlib import Path

import torch
from torch import Tensor

from stages.core.artifacts import read_weights
from stages.core.errors import ConfigError
from stages.core.files import atomic, write_json, write_text
from stages.core.job.progress import log_line
from stages.core.job.stage import one_line_errors
from stages.core.manifests import read_manifest
from stages.core.models.activations import SHARPNESS
from stages.core.models.checkpoint import load_classifier
from stages.weights.entry import entry, unfilled

PLAIN = Path(__file__).with_name("plain")
BLOCKS_A_STAGE = 2
SOFTPLUS = f"torch.nn.Softplus(beta={SHARPNESS})"
WRITTEN = {"relu": "F.relu", "softplus": SOFTPLUS, "gelu": "F.gelu", "silu": "F.silu"}
NAMES = {
    r"^backbone\.stem\.0\.": "conv1.",
    r"^backbone\.stem\.1\.": "bn1.",
    r"^backbone\.stem\.weight$": "conv1.weight",
    r"^backbone\.bn\.": "bn.",
    r"^backbone\.": "",
    r"^head\.": "linear.",
    r"^(layer\d\.\d\.shortcut)\.weight$": r"\1.0.weight",
}


def main(argv: list[str] | None = None) -> None:
    """Write the three files."""
    cli = argparse.ArgumentParser(prog="python -m stages.weights.export", description=__doc__)
    cli.add_argument("--checkpoint", type=Path, required=True, help="a checkpoint of ours (safetensors)")
    cli.add_argument("--attacked", type=Path, nargs="*", default=[], help="manifests of its attacks, for the entry")
    cli.add_argument("--into", type=Path, required=True, help="the folder to write to")
    args = cli.parse_args(argv)
    with one_line_errors():
        weights, architecture = read_weights(args.checkpoint)
        if "backbone" not in architecture:
            raise ConfigError(f"{args.checkpoint} came from elsewhere; its own file is what others can read")
        load_classifier(args.checkpoint, torch.device("cpu"))  # header and tensors fit each other
        with atomic(args.into / "model.pt") as temporary:
            torch.save(renamed(weights), temporary)
        activation = architecture.get("activation", "relu")
        script = (PLAIN / f"{architecture['backbone']}.py").read_text(encoding="utf-8")
        script = script.replace(WRITTEN["relu"], WRITTEN[activation])
        write_text(args.into / "score.py", script)
        known = f"{architecture['backbone']}, width {architecture['width']}"
        known += f", {activation}" if activation != "relu" else ""
        found = {**entry(known, [read_manifest(path) for path in args.attacked]), "additional_data": False}
        write_json(args.into / "entry.json", found)
        log_line(f"export: {args.into}: model.pt, score.py, entry.json (to be filled in by you: {unfilled(found)})")


def renamed(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """Our tensors under the literature's names, mean and std among them."""
    return {_renamed(name): value for name, value in weights.items()}


def _renamed(name: str) -> str:
    if block := re.match(r"^backbone\.blocks\.(\d+)\.(.*)$", name):
        stage, place = divmod(int(block[1]), BLOCKS_A_STAGE)
        name = f"layer{stage + 1}.{place}.{block[2]}"
    for pattern, theirs in NAMES.items():
        name = re.sub(pattern, theirs, name)
    return name


if __name__ == "__main__":
    main()
