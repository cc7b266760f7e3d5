"""The settings of images and of the network that classifies them: where they come from, crops, pixel statistics."""

from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field, model_validator

from stages.core.config.plugins import (
    Plugin,
    PluginError,
    file_name,
    is_bundled,
    is_downloaded,
    nearest,
    resolve,
    settings_identity,
    settings_of,
    source_names,
)
from stages.core.config.quantities import Count, NonNegative, Positive, Seed, parse_whole
from stages.core.config.section import Section


def _of_unit_pixels(values: tuple[float, float, float]) -> tuple[float, float, float]:
    for value in values:
        if value > 1:
            meant = f"{value / 255:.4g}" if value <= 255 else "a value in [0, 1]"
            raise ValueError(f"pixels are in [0, 1]; did you mean {meant}?")
    return values


Statistics = Annotated[tuple[NonNegative, NonNegative, NonNegative], AfterValidator(_of_unit_pixels)]
Deviations = Annotated[tuple[Positive, Positive, Positive], AfterValidator(_of_unit_pixels)]
# What the canonical form of every source had when settings of all sources stood in one list.
FIRST_SETTINGS = {"image_column": None, "label_column": None, "unlabelled": False}


def _source_name(value: str) -> str:
    name, names = value.replace("_", "-"), source_names()
    if name not in names:
        raise ValueError(f"no such source {nearest(value, names)}")
    return name


class Data(Section):
    """Stage data: where the images come from and how many are kept; beside these, the source's own settings."""

    model_config = ConfigDict(extra="allow", json_schema_extra=lambda schema: _complete(schema))
    source: Annotated[str, AfterValidator(_source_name)] = Field(description="a file of stages/data/sources, by name")
    title: str = Field("", description="the name shown in tables; default: the data set's key")
    folder: str | None = Field(
        None, description="read the files here (environment variables expand); no network is touched"
    )
    image_size: Annotated[int, BeforeValidator(parse_whole), Field(ge=1, le=4096)] | None = Field(
        None, description="resize to this many pixels a side; required for images of mixed sizes"
    )
    train_images: Count | None = Field(
        None, description="keep this many training images, classes in proportion; default: all"
    )
    test_images: Count | None = Field(
        None, description="keep this many test images, classes in proportion; default: all"
    )
    subset_seed: Seed = Field(0, description="of the draw of train_images and test_images")

    @model_validator(mode="before")
    @classmethod
    def _with_settings(cls, value: Any) -> Any:
        """The keys that are no fields are the source's settings: checked by its file, and filled in from there."""
        source = value.get("source") if isinstance(value, dict) else None
        if not isinstance(source, str) or source.replace("_", "-") not in source_names():
            return value
        settings = settings_of("sources", source)
        if taken := [key for key in settings if key in cls.model_fields]:
            raise PluginError(f"{file_name('sources', source)}: every source has '{taken[0]}'; name it otherwise")
        own = {key: item for key, item in value.items() if key not in cls.model_fields}
        if unknown := [key for key in own if key not in settings]:
            raise ValueError(_refused(unknown[0], source))
        return {**value, **resolve("sources", Plugin(name=source, settings=own)).settings}

    @model_validator(mode="after")
    def _has_files(self) -> "Data":
        """Refuse a source without the folder that it needs, and a folder that would have no effect."""
        bundled = is_bundled(self.source)
        if bundled and self.folder is not None:
            raise ValueError(f"folder: the images of source {self.source} come with a library; leave it out")
        if not (bundled or self.folder or is_downloaded(self.source)):
            raise ValueError(f"folder: source {self.source} needs it; name the folder that holds the files")
        return self

    @property
    def settings(self) -> dict[str, Any]:
        """The source's own settings."""
        return dict(self.model_extra or {})

    @property
    def unlabelled(self) -> bool:
        """Whether the source gives unlabelled images too: one that can has a setting of this name."""
        return self.settings.get("unlabelled") is True

    def identity(self) -> dict[str, Any]:
        """The canonical form; where files come from and titles are no part of it."""
        fields = {key: value for key, value in super().identity().items() if key not in ("title", "folder")}
        own = settings_identity("sources", Plugin(name=self.source, settings=self.settings))
        return {**FIRST_SETTINGS, **fields, **own}


def _refused(key: str, source: str) -> str:
    """Why a source does not take a key: it is another source's, or nobody's."""
    others = [name for name in source_names() if key in settings_of("sources", name)]
    if others:
        return f"{key}: a setting of {' and '.join(others)}, and source {source} has none such; leave it out"
    return f"{key}: unknown key {nearest(key, [*Data.model_fields, *settings_of('sources', source)])}"


def _complete(schema: dict[str, Any]) -> None:
    """Put the sources and their settings, read from their files, into the JSON schema."""
    properties = schema["properties"]
    own: dict[str, list[dict[str, Any]]] = {}
    for source in source_names():
        for key, setting in settings_of("sources", source).items():
            kind = setting.type.json_schema()
            told = {"default": setting.default, "description": f"{source}: {kind.get('description', key)}"}
            own.setdefault(key, []).append({**kind, **told})
    properties["source"]["enum"] = source_names()
    properties |= {key: kinds[0] if len(kinds) == 1 else {"anyOf": kinds} for key, kinds in own.items()}
    schema["additionalProperties"] = False


class Augment(Section):
    """Crop with padding, then horizontal flip, of the training images."""

    padding: Annotated[int, BeforeValidator(parse_whole), Field(ge=0, le=512)] = Field(
        4, description="zero pixels added on each side before a crop of the original size"
    )
    flip: bool = Field(True, description="half of the images are mirrored left to right")


class Model(Section):
    """The classifier."""

    ADDED: ClassVar = {"activation": "relu"}

    backbone: Literal["resnet18", "preact_resnet18"] = Field(
        "resnet18", description="a stem of 3x3 and stride 1; batch norm after the convolutions, or before them"
    )
    width: Count = Field(64, description="channels of the first stage; 64 is ResNet-18")
    mean: Statistics = Field((0.0, 0.0, 0.0), description="of the pixels, which are in [0, 1], a channel each")
    std: Deviations = Field((1.0, 1.0, 1.0), description="of the pixels, a channel each")
    activation: Literal["relu", "softplus", "gelu", "silu"] = Field(
        "relu", description="between the layers; smooth ones are softplus, log(1 + exp(10 x)) / 10, gelu and silu"
    )

    def header(self, classes: int) -> dict[str, Any]:
        """The architecture as a checkpoint's header has it: what `Classifier` is built of."""
        return {**self.identity(), "classes": classes}
