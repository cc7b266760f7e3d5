"""What the paper's own numbers say of a claim of the paper: by their signs alone, for they come without a spread."""

from collections.abc import Sequence
from typing import Any

from stages.core.config.claims import Claim, Higher
from stages.tables.claims.asked import Comparison, comparisons
from stages.tables.claims.blocks import Block
from stages.tables.paper import Published


def on_paper(claim: Claim, blocks: Sequence[Block[Published]]) -> dict[str, Any]:
    """The answer, of how many comparisons, and those that are not as claimed; no answer without a number."""
    asked = comparisons(claim, blocks, own=False)
    against = [_shown(one) for one in asked if not _holds(claim, one)]
    return {"answer": None if not asked else "no" if against else "yes", "asked": len(asked), "against": against}


def _holds(claim: Claim, one: Comparison[Published]) -> bool:
    """Above is above; equal is not, but no reversal of an order either."""
    if one.role == "adjacent":
        return _difference(one) >= 0
    return _difference(one) > (-claim.margin if isinstance(claim, Higher) else 0)


def _difference(one: Comparison[Published]) -> float:
    """In percentage points; exact, for the numbers are decimals until then."""
    return float(sum(number.paper for number in one.above) - sum(number.paper for number in one.below))


def _shown(one: Comparison[Published]) -> str:
    where = f"{one.dataset}, {one.column}"
    if len(one.above) > 1:
        return f"{where}: {one.a} less {one.b} " + f"{_difference(one):+.2f}".replace("-", "−")
    return f"{where}: {one.a} {one.above[0].paper}, {one.b} {one.below[0].paper}"
