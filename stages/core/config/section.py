"""A frozen section of settings, and the canonical form that names of runs and attacks are hashed from.

Names survive growth: what came after the first runs - an option, another name of it, a knob that is gone - is declared
on its section, and the canonical form stays what it was wherever the run is what it was.
"""

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

from pydantic import BaseModel, ConfigDict, Field

NAME = r"^[A-Za-z0-9][A-Za-z0-9._-]*$"
BOUNDS = {"ge": "minimum", "gt": "exclusiveMinimum", "le": "maximum", "lt": "exclusiveMaximum"}
Name = Annotated[str, Field(pattern=NAME)]


class Section(BaseModel):
    """Settings that cannot be changed and refuse unknown keys.

    ADDED: options that came later -> the value that all earlier runs had; at that value they are left out.
    RENAMED: fields -> their first names. REMOVED: knobs that are gone -> the value that earlier runs had.
    """

    model_config = ConfigDict(
        frozen=True, extra="forbid", strict=False, validate_default=True, ser_json_inf_nan="constants"
    )
    ADDED: ClassVar[Mapping[str, Any]] = {}
    RENAMED: ClassVar[Mapping[str, str]] = {}
    REMOVED: ClassVar[Mapping[str, Any]] = {}

    def identity(self) -> dict[str, Any]:
        """The canonical form: a JSON value, equal for two sections that lead to the same result."""
        form = dict(self.REMOVED)
        dumped = self.model_dump(mode="json")
        for field in type(self).model_fields:
            value = getattr(self, field)
            if field not in self.ADDED or value != self.ADDED[field]:
                form[self.RENAMED.get(field, field)] = value.identity() if isinstance(value, Section) else dumped[field]
        return form

    @classmethod
    def model_json_schema(cls, *args: Any, **options: Any) -> dict[str, Any]:
        """Pydantic's, in which a bound that follows a validator of ours has Python's name and not JSON schema's."""
        schema: dict[str, Any] = _spelled(super().model_json_schema(*args, **options))
        return schema

    @classmethod
    def revived(cls, record: Mapping[str, Any]) -> Any:
        """The section of a dump made by any version: what a record lacks or still names differently is filled in."""
        first_names = {old: new for new, old in cls.RENAMED.items()}
        kept = {first_names.get(key, key): value for key, value in record.items() if key not in cls.REMOVED}
        return cls.model_validate({**cls.ADDED, **kept})


def _spelled(schema: Any) -> Any:
    if isinstance(schema, dict):
        return {BOUNDS.get(key, key): _spelled(value) for key, value in schema.items()}
    return [_spelled(value) for value in schema] if isinstance(schema, list) else schema
