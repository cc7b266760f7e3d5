"""The settings of evaluation attacks."""

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal, get_args

from pydantic import (
    Field,
    SerializerFunctionWrapHandler,
    ValidationInfo,
    field_validator,
    model_serializer,
    model_validator,
)

from stages.core.config.plugins import Plugin, PluginError, constant, declares, resolve, settings_identity, settings_of
from stages.core.config.quantities import Count, NonNegative, Positive, Seed
from stages.core.config.recipe import Norm, check_scale
from stages.core.config.section import Name, Section

Subset = Annotated[
    Literal["stratified", "first"],
    Field(
        description="which of the test images, where not all are taken: stratified, classes in proportion and the same"
        " for everyone, a smaller number part of a larger; or the first of the file"
    ),
]


class Attack(Section):
    """One evaluation attack; what its function takes by keyword (step_size, steps, ...) goes under `options`."""

    ADDED: ClassVar = {"subset": "first", "epsilons": ()}
    REMOVED: ClassVar = {"bounded": True}
    kind: Name = Field(description="a file of stages/attack/attacks, by name")
    label: str = Field("", description="the column's head; default: the attack's key in capitals")
    norm: Norm = Field("linf", description="of the ball")
    epsilon: NonNegative = Field(8 / 255, description="radius of the ball; pixels are in [0, 1]")
    epsilons: tuple[Positive, ...] = Field(
        (),
        description="in the place of epsilon, several radii, each a column: an image broken at one is broken above it,"
        " and is not attacked there; options.step_size is the largest one's and shrinks with the radius",
    )
    options: dict[str, Any] = Field(default_factory=dict, description="the settings of its kind")
    images: Count | None = Field(None, description="attack this many test images; default: all")
    subset: Subset = "stratified"
    batch_size: Count = Field(
        256, description="images attacked at a time; most attacks draw random starts batch by batch"
    )

    @model_validator(mode="before")
    @classmethod
    def _reaches_the_largest(cls, values: Any) -> Any:
        """With several radii, `epsilon` is the largest."""
        radii = values.get("epsilons") if isinstance(values, Mapping) else None
        if isinstance(radii, list | tuple) and radii and "epsilon" not in values:
            return {**values, "epsilon": radii[-1]}
        return values

    @field_validator("kind")
    @classmethod
    def _has_a_file(cls, kind: str) -> str:
        settings_of("attacks", kind)
        return kind

    @field_validator("options")
    @classmethod
    def _filled_in(cls, options: dict[str, Any], info: ValidationInfo) -> dict[str, Any]:
        """An attack has all of its options, by default what its function says."""
        kind = info.data.get("kind")
        return options if kind is None else resolve("attacks", Plugin(name=kind, settings=options)).settings

    @model_validator(mode="after")
    def _possible(self) -> "Attack":
        """Refuse what the attack cannot do, and settings that have no effect beside each other."""
        check_scale(self.norm, epsilon=self.epsilon)
        norms = constant("attacks", self.kind, "NORMS") or get_args(Norm)
        if self.norm not in norms:
            cure = (
                f"one step of the L2 gradient is `kind: pgd` with `steps: 1, step_size: {self.epsilon:g}, random_start:"
                " false`"
                if self.kind == "fgsm"
                else f"`kind: autoattack` and `kind: pgd` take {self.norm}"
            )
            raise PluginError(f"norm: {self.kind} is an attack under {', '.join(norms)} alone, not {self.norm}; {cure}")
        for key in ("norm", "epsilon"):
            if not self.bounded and getattr(self, key) != type(self).model_fields[key].default:
                raise PluginError(
                    f"{key}: {self.kind} is held to no ball, it looks for the smallest perturbation; leave it out"
                )
        if self.epsilons:
            self._make_a_curve()
        options = self.options
        if options.get("restarts", 1) > 1 and not options.get("random_start", True):
            raise PluginError(
                f"options.restarts: {options['restarts']} without a random start repeat one search; set random_start:"
                " true"
            )
        check_scale(self.norm, **{"options.step_size": float(options.get("step_size", 0))})
        return self

    def _make_a_curve(self) -> None:
        """Refuse radii that do not."""
        radii = ", ".join(f"{radius:g}" for radius in self.epsilons)
        if not self.bounded:
            raise PluginError(f"epsilons: {self.kind} is held to no ball; leave {radii} out")
        if list(self.epsilons) != sorted(set(self.epsilons)):
            raise PluginError(f"epsilons: {radii} must ascend; write e.g. `epsilons: [1/255, 2/255]`")
        if len(self.rungs()) < len(self.epsilons):
            raise PluginError(f"epsilons: {radii} are told apart by four digits; let each differ in them")
        if self.epsilon != self.epsilons[-1]:
            raise PluginError(
                f"epsilon: {self.epsilon:g} stands beside epsilons, whose largest is {self.epsilons[-1]:g}; leave it"
                " out, or write the largest where another file has set it"
            )

    @model_serializer(mode="wrap")
    def _without_no_radii(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """At one radius, what was dumped before there could be several: finished jobs and published plans hold it."""
        dumped: dict[str, Any] = dump(self)
        return {key: value for key, value in dumped.items() if key != "epsilons" or value}

    @property
    def bounded(self) -> bool:
        """Whether the attack is held to epsilon; where its file declares UNBOUNDED it minimizes its size (CW)."""
        return not declares("attacks", self.kind, "UNBOUNDED")

    def rungs(self) -> dict[str, "Attack"]:
        """The attacks at one radius that this one is made of, ascending, by what their names end with.

        That is a dot and the radius, under L-infinity in 255ths.
        """
        if not self.epsilons:
            return {"": self}
        found = {}
        for radius in self.epsilons:
            step = {key: size * radius / self.epsilon for key, size in self.options.items() if key == "step_size"}
            update = {"epsilon": radius, "epsilons": (), "options": {**self.options, **step}}
            found[f".{radius * (255 if self.norm == 'linf' else 1):.4g}"] = self.model_copy(update=update)
        return found

    def identity(self) -> dict[str, Any]:
        """The canonical form; a label is no part of it, nor a subset of all."""
        form = {
            **super().identity(),
            "options": settings_identity("attacks", Plugin(name=self.kind, settings=self.options)),
            "bounded": self.bounded,
        }
        unused = {"label"} if self.images is not None else {"label", "subset"}
        return {key: value for key, value in form.items() if key not in unused}

    @classmethod
    def revived(cls, record: Mapping[str, Any]) -> "Attack":
        """The attack of a dump made by any version; options that came later have the value that it ran with."""
        kind, options = record.get("kind"), record.get("options", {})
        if isinstance(kind, str) and isinstance(options, Mapping):
            added = constant("attacks", kind, "ADDED") or {}
            record = {**record, "options": {**added, **options}}
        revived: Attack = super().revived(record)
        return revived


class AttackSettings(Section):
    """Everything the attack stage is given: attacks by id."""

    attacks: dict[str, Attack] = Field(min_length=1)
    seed: Seed = 0
