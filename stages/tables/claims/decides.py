"""Why a claim is undecided, and how many images or seeds would decide it.

Of the comparison that says least for the claim: the number with which its test, two-sided at 5 % and for this
comparison alone, finds the difference that is seen with a power of 80 %, if variances stay as they are.
"""

from collections.abc import Mapping
from math import ceil, log10, sqrt

from scipy import stats

from stages.tables.claims.asked import Comparison
from stages.tables.claims.evidence import LEAST_SEEDS, LEVEL, Evidence, Spread, freedom
from stages.tables.claims.judge import UNDECIDED, Judged, Scope, margin, weakest
from stages.tables.claims.measured import Measured

POWER = 0.8
ENOUGH = float(stats.norm.ppf(1 - LEVEL / 2) + stats.norm.ppf(POWER))
MOST_SEEDS = 1000
WORDS: dict[Scope, str] = {"checkpoints": "on these checkpoints", "methods": "about methods"}


def reason(judged: Judged, claims: Mapping[Scope, int]) -> str:
    """Why answers are not yes, in a line. claims: how many Holm's adjustment goes over."""
    if not judged.asked:
        return "no table of this experiment has its rows and columns"
    if not judged.found:
        return judged.empty
    said = [part for scope in WORDS if (part := _why(judged, scope, claims[scope]))]
    if judged.is_part and not any(answer.partly for answer in judged.answers.values()):
        said.insert(0, f"judged on {_of_named(judged)}")
    return "; ".join(said)


def _why(judged: Judged, scope: Scope, claims: int) -> str:
    answer, words = judged.answers[scope], WORDS[scope]
    if answer.partly:
        how = "judged" if len(judged.found) < judged.asked else "asked"
        return f"{words}, as far as it is {how}: yes ({_of_named(judged)})"
    if answer.answer == "no":
        # By the sign of a loss the one that is furthest from it, else the one whose test says most against the claim.
        tested = judged.tails(scope)
        one = min(tested, key=lambda each: each[1].below)[0] if tested else _lowest(judged)
        return f"{words}: not as claimed ({one})"
    if scope == "methods" and judged.seeds < LEAST_SEEDS:
        counted = "one seed" if judged.seeds == 1 else f"{judged.seeds} seeds"
        return f"{words}: {counted} of the three that it takes"
    if answer.answer == UNDECIDED and (least := weakest(judged, scope)) is not None:
        one, tails, _ = least
        several = f"its {len(judged.found)} comparisons and " if len(judged.found) > 1 else ""
        among = f"{several}{claims} claims"
        told = "not told apart" if tails.two_sided > LEVEL else f"told apart alone, not among {among}"
        return f"{words}: {told}, p = {answer.p:.2g} ({one})"
    return ""


def _lowest(judged: Judged) -> Comparison[Measured]:
    return min(judged.found, key=lambda each: each[1].difference)[0]


def _of_named(judged: Judged) -> str:
    return f"{len(judged.found)} of {judged.named} comparisons"


def decides(judged: Judged) -> str:
    """What would decide it, for each of the two answers that is open; '' where none is."""
    if not judged.found:
        return ""
    said = []
    undecided = [scope for scope in WORDS if judged.answers[scope].answer == UNDECIDED]
    for scope in undecided:
        if judged.answers[scope].partly:
            continue
        if scope == "methods" and judged.seeds < LEAST_SEEDS:
            said.append(f"{WORDS[scope]}: three seeds at least")
        elif (least := weakest(judged, scope)) is not None:
            one, _, evidence = least
            needed = (images if scope == "checkpoints" else seeds)(evidence, margin(judged.claim))
            said.append(f"{WORDS[scope]}: {needed} ({one})")
    if undecided and judged.is_part:
        more = judged.named - len(judged.found)
        said.append(f"for a yes: {more} more comparison{'s' if more > 1 else ''}")
    return "; ".join(said)


def images(evidence: Evidence, short: float) -> str:
    """How many images, with the checkpoints as they are. short: the claim's margin."""
    found = abs(evidence.difference + short)
    if not found:
        return "none: no difference is seen"
    needed = (ENOUGH * evidence.deviation / found) ** 2
    if needed <= evidence.n:
        return f"its {evidence.n:,} images are enough for it alone"
    return f"about {_rounded(needed)} images"


def seeds(evidence: Evidence, short: float) -> str:
    """How many seeds, on the images as they are; where no number is enough, how many images are too few."""
    spread, found = evidence.spread, abs(evidence.difference + short)
    if not found or spread is None:
        return "none: no difference is seen"
    if not spread.seeds + spread.images:
        return "none: its seeds all say the same"
    if spread.images and found < ENOUGH * sqrt(spread.images):
        needed = evidence.n * (ENOUGH / found) ** 2 * spread.images
        return f"no number of seeds: the images are too few, about {_rounded(needed)} images"
    number = next((count for count in range(LEAST_SEEDS, MOST_SEEDS + 1) if _tells(spread, found, count)), None)
    if number is None:
        return f"more than {MOST_SEEDS:,} seeds"
    if number <= evidence.seeds:
        return f"its {evidence.seeds} seeds are enough for it alone"
    return f"about {number:,} seeds"


def _tells(spread: Spread, found: float, seeds: int) -> bool:
    """Whether so many seeds tell a difference apart, by the test that `evidence.seeds_test` is."""
    total = spread.seeds / seeds + spread.images
    df = freedom(spread.seeds, spread.images, seeds)
    return found >= float(stats.t.ppf(1 - LEVEL / 2, df) + stats.t.ppf(POWER, df)) * sqrt(total)


def _rounded(number: float) -> str:
    """Up, to two digits."""
    step = 10 ** max(0, int(log10(number)) - 1)
    return f"{ceil(number / step) * step:,}"
