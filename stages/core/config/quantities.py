"""Numbers as a config may write them - 0.1, 1e-1 (a string to YAML 1.1), 8/255 - with their bounds."""

import math
import re
from fractions import Fraction
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field

LEADING_ZERO = re.compile(r"[-+]?0\d")
MOST = 2**31 - 1
"""No count is larger: 2,147,483,647."""


def parse_any_number(value: Any) -> Any:
    """A number, infinite ones too, also from '8/255' or '1e-1'; anything else goes on to be refused later."""
    if isinstance(value, bool):
        raise ValueError("a number is needed, not true or false")
    if isinstance(value, str):
        word = value.replace(" ", "")
        if LEADING_ZERO.match(word):
            raise ValueError(f"'{value}' has a leading zero, which is octal to some; leave it out")
        try:
            value = float(word) if word.lstrip("+-") in ("inf", ".inf") else _quotient(word)
        except (ValueError, ArithmeticError) as error:
            raise ValueError(f"'{value}' is not a number; write 0.1, 1e-1 or 8/255") from error
    if isinstance(value, float) and math.isnan(value):
        raise ValueError("must be a number, and not NaN")
    return value


def _quotient(word: str) -> float:
    """Of '0.5/255' or '1e-1'; what stands below a line is a number without a sign."""
    above, line, below = word.partition("/")
    if "/" in above + below or below.startswith(("+", "-")):
        raise ValueError("one line, and no sign below it")
    return float(Fraction(above) / Fraction(below)) if line else float(Fraction(above))


def parse_number(value: Any) -> Any:
    """A finite number; see `parse_any_number`."""
    number = parse_any_number(value)
    try:
        finite = not isinstance(number, int | float) or math.isfinite(number)
    except OverflowError:  # a whole number beyond the largest float
        finite = False
    if not finite:
        raise ValueError("must be finite")
    return number


def parse_whole(value: Any) -> Any:
    """A whole number, also from '1e3' or 10.0."""
    number = parse_any_number(value)
    if isinstance(number, float):
        if not number.is_integer():
            raise ValueError(f"{number} is not a whole number")
        return int(number)
    return number


def within_63_bits(value: int) -> int:
    """A value that every library takes for a seed."""
    if value >= 2**63:
        raise ValueError("a seed has at most 63 bits, it is below 9223372036854775808; 0, 1, 2 do as well")
    return value


NumberOrInfinity = Annotated[float, BeforeValidator(parse_any_number)]
Number = Annotated[float, BeforeValidator(parse_number)]
Positive = Annotated[float, BeforeValidator(parse_number), Field(gt=0)]
NonNegative = Annotated[float, BeforeValidator(parse_number), Field(ge=0)]
Fraction01 = Annotated[float, BeforeValidator(parse_number), Field(ge=0, le=1)]
BelowOne = Annotated[float, BeforeValidator(parse_number), Field(ge=0, lt=1)]
Whole = Annotated[int, BeforeValidator(parse_whole)]
Count = Annotated[int, BeforeValidator(parse_whole), Field(ge=1, le=MOST)]
CountOrZero = Annotated[int, BeforeValidator(parse_whole), Field(ge=0, le=MOST)]
Seed = Annotated[int, BeforeValidator(parse_whole), Field(ge=0), AfterValidator(within_63_bits)]
