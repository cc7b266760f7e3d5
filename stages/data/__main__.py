"""`python -m stages.data`: settings in; train, test and perhaps unlabelled images out, decoded once."""

import json
from pathlib import Path

from stages.core.artifacts import write_images
from stages.core.config.data import Data
from stages.core.config.plugins import module_name
from stages.core.device import prepare
from stages.core.errors import ConfigError
from stages.core.job.stage import load_settings, one_line_errors, parser, recorded
from stages.data.catalog import open_data_set
from stages.data.decode import decode, image_set_facts
from stages.data.pixels import decoder_versions


def main(argv: list[str] | None = None) -> None:
    """Read or download the data set, verify and decode it, and write each split with a manifest."""
    arguments = parser("data", "Read or download a data set, verify it and decode it once.")
    arguments.add_argument("--train", type=Path, required=True, help="where the training images go (safetensors)")
    arguments.add_argument("--test", type=Path, required=True, help="where the test images go (safetensors)")
    arguments.add_argument("--unlabelled", type=Path, help="with the setting `unlabelled`: where those images go")
    arguments.add_argument("--downloads", type=Path, required=True, help="folder that keeps official archives")
    arguments.add_argument(
        "--locations",
        default="{}",
        help="JSON: `folder` by the name of the folder that --train is in; the workflow keeps them out of"
        " --settings, so that moved files rerun nothing",
    )
    given = arguments.parse_args(argv)
    with one_line_errors():
        moved = json.loads(given.locations).get(given.train.resolve().parent.name, {})
        settings = load_settings(given.settings, Data, moved)
        if settings.unlabelled != (given.unlabelled is not None):
            raise ConfigError("--unlabelled: goes together with the setting `unlabelled: true`; give both or neither")
        device = prepare("cpu", given.threads, settings.subset_seed)  # nothing here computes on a GPU
        outputs = {"train": given.train, "test": given.test}
        if given.unlabelled is not None:
            outputs["unlabelled"] = given.unlabelled
        with recorded(
            given.manifest,
            modules=["stages.data.__main__", module_name("sources", settings.source)],
            settings=settings.model_dump(mode="json"),
            inputs={},
            outputs=outputs,
            seed=settings.subset_seed,
            device=device,
        ) as facts:
            with open_data_set(settings, given.downloads) as data:
                decoded = decode(data, settings)
            for name, images in decoded.items():
                write_images(outputs[name], images)
                facts[name] = image_set_facts(images, data.splits[name].noted)
            facts["classes"] = list(decoded["train"].classes)
            facts["decoder"] = decoder_versions()


if __name__ == "__main__":
    main()
