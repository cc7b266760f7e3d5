"""Where the encoder comes from: this project's pre-training, or MoCo's authors; pixels need none."""

import os
from pathlib import Path

from stages.core.config.moco import Features
from stages.core.errors import ConfigError
from stages.features.network import Encoder, read_encoder
from stages.features.official import read_official


def encoder_file(settings: Features, given: Path | None) -> Path | None:
    """The file that holds the network: the one given, or the settings' checkpoint, environment variables expanded.

    None for pixels, which pass through no network.
    """
    if settings.source == "pixels":
        if given is not None:
            raise ConfigError(f"source: pixels are embedded by no network; leave out --encoder {given}")
        return None
    if given is not None:
        return given
    if settings.source == "official" and settings.checkpoint is not None:
        return Path(os.path.expandvars(settings.checkpoint)).expanduser()
    raise ConfigError("source: moco needs --encoder, the file that `python -m stages.features pretrain` writes")


def load_encoder(settings: Features, path: Path) -> Encoder:
    """The encoder of the settings' source, read from its file."""
    return read_official(path) if settings.source == "official" else read_encoder(path)
