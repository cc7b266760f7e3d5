"""A MoCo pre-training of three steps an epoch, small enough to be made again and again, and all that it results in."""

from pathlib import Path
from typing import Any

from stages.core.config.moco import Moco
from stages.features.pretrain import pretrain
from stages.features.state import PretrainState
from tests.unit.drawing import labelled_images, weights_from
from tests.unit.interrupting import plain

EPOCHS, STEPS = 3, 3
SMALL = {"width": 2, "dim": 6, "epochs": EPOCHS, "batch_size": 8, "queue": 12, "splits": 2, "knn": 5}
VARIANTS: dict[str, Moco] = {
    "split": Moco(**SMALL, blur_probability=0.5, monitor_epochs=1),
    "shuffle, symmetric": Moco(**SMALL, symmetric=True, head_layers=2, batch_norm="shuffle", monitor_epochs=2),
}


def run(settings: Moco, path: Path, initial: int = 1) -> PretrainState:
    with weights_from(initial):
        return pretrain(settings, 3, labelled_images(28, 0), labelled_images(11, 1), None, path, "this run")


def everything(state: PretrainState) -> Any:
    """All that pre-training results in, but for the time it took."""
    return plain(
        {
            "query": dict(state.query.state_dict()),
            "key": dict(state.key.state_dict()),
            "queue": (state.queue.keys, state.queue.pointer),
            "momentum": [row["momentum_buffer"] for row in state.optimizer.state.values()],
            "generator": state.generator.get_state(),
            "history": state.history,
        }
    )
