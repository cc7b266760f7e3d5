"""Lengths of time as people say them, and as tqdm writes them."""

MINUTE, HOUR, DAY = 60, 3600, 86400


def duration(seconds: float) -> str:
    """In at most two units: 45 s, 12 min, 3 h 20 min, 2 d 4 h."""
    whole = max(0, round(seconds))
    if whole < MINUTE:
        return f"{whole} s"
    if whole < HOUR:
        return f"{whole // MINUTE} min"
    if whole < DAY:
        return f"{whole // HOUR} h {whole % HOUR // MINUTE} min"
    return f"{whole // DAY} d {whole % DAY // HOUR} h"


def seconds_of(clock: str) -> float:
    """Of `12:34` or `1:02:03`."""
    total = 0
    for part in clock.split(":"):
        total = total * 60 + int(part)
    return float(total)
