"""Numbers as a config may write them - 0.1, 1e-1 (a string to YAML 1.1), 8/255 - with their bounds."""

import math
from fractions import Fraction
from typing import Annotated, Any

from pydantic import BeforeValidator, Field


def parse_number(value: Any) -> Any:
    """A number, also from '8/255' or '1e-1'; anything else goes on to be refused with its own message."""
    if isinstance(value, bool):
        raise ValueError("a number is needed, not true or false")
    if isinstance(value, str):
        try:
            value = float(Fraction(value.replace(" ", "")))
        except (ValueError, ArithmeticError) as error:
            raise ValueError(f"'{value}' is not a number; write 0.1, 1e-1 or 8/255") from error
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError("must be finite")
    return value


def parse_whole(value: Any) -> Any:
    """A whole number, also from '1e3' or 10.0."""
    number = parse_number(value)
    if isinstance(number, float):
        if not number.is_integer():
            raise ValueError(f"{number} is not a whole number")
        return int(number)
    return number


Number = Annotated[float, BeforeValidator(parse_number)]
Positive = Annotated[float, BeforeValidator(parse_number), Field(gt=0)]
NonNegative = Annotated[float, BeforeValidator(parse_number), Field(ge=0)]
Fraction01 = Annotated[float, BeforeValidator(parse_number), Field(ge=0, le=1)]
Count = Annotated[int, BeforeValidator(parse_whole), Field(ge=1)]
CountOrZero = Annotated[int, BeforeValidator(parse_whole), Field(ge=0)]
