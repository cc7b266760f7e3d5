"""`python -m stages.data`: settings in; train, test and perhaps unlabelled images out, decoded once."""

from pathlib import Path

from stages.core.artifacts import write_images
from stages.core.config.data import Data
from stages.core.config.needs import Needs
from stages.core.config.plugins import module_name
from stages.core.device import prepare
from stages.core.errors import ConfigError
from stages.core.job.stage import Job, load_settings, one_line_errors, parser, recorded
from stages.data.catalog import open_data_set
from stages.data.decode import decode, image_set_facts
from stages.data.pixels import decoder_versions

EXAMPLE = r"""--settings '{"source": "digits", "train_images": 300}' --downloads downloads \
    --train digits/train.safetensors --test digits/test.safetensors --manifest digits/data.json"""


def main(argv: list[str] | None = None) -> None:
    """Read or download the data set, verify and decode it, and write each split with a manifest."""
    arguments = parser("data", "Read or download a data set, verify it and decode it once.", Data, EXAMPLE)
    arguments.add_argument("--train", type=Path, required=True, help="where the training images go (safetensors)")
    arguments.add_argument("--test", type=Path, required=True, help="where the test images go (safetensors)")
    arguments.add_argument("--unlabelled", type=Path, help="with the setting `unlabelled`: where those images go")
    arguments.add_argument("--downloads", type=Path, required=True, help="folder that keeps official archives")
    arguments.add_argument(
        "--folder",
        default="",
        help="local folder that the files are read from; no part of --settings, so that moved files rerun nothing",
    )
    arguments.add_argument(
        "--needs",
        help="what a plan asks of the sizes (JSON): refused before images are decoded; no part of --settings",
    )
    given = arguments.parse_args(argv)
    with one_line_errors():
        settings = load_settings(given.settings, Data, {"folder": given.folder} if given.folder else {})
        needs = None if given.needs is None else load_settings(given.needs, Needs)
        if settings.unlabelled != (given.unlabelled is not None):
            raise ConfigError("--unlabelled: goes together with the setting `unlabelled: true`; give both or neither")
        device = prepare("cpu", given.threads, settings.subset_seed)  # nothing here computes on a GPU
        outputs = {"train": given.train, "test": given.test}
        if given.unlabelled is not None:
            outputs["unlabelled"] = given.unlabelled
        with recorded(
            Job(
                given.manifest,
                modules=["stages.data.__main__", module_name("sources", settings.source)],
                settings=settings.model_dump(mode="json"),
                inputs={},
                outputs=outputs,
                seed=settings.subset_seed,
                device=device,
            )
        ) as facts:
            with open_data_set(settings, given.downloads) as data:
                decoded = decode(data, settings, needs)
            for name, images in decoded.items():
                write_images(outputs[name], images)
                facts[name] = image_set_facts(images, data.splits[name].noted)
            facts["classes"] = list(decoded["train"].classes)
            facts["decoder"] = decoder_versions()


if __name__ == "__main__":
    main()
