"""Whether claims hold: from the tests of their comparisons to one p each, adjusted over all claims, and an answer.

A claim of k comparisons holds where all of them do: p_yes is the largest of their p-values for "as claimed"
(intersection-union, Berger, 1982). It fails where one is the other way round: p_no is k times the smallest for
"against" (Bonferroni). Of an order the ends must differ as claimed and no adjacent pair may be reversed at 5 %. The
claim's p is twice the smaller of the two. Holm's adjustment goes over all claims that have a p, for these checkpoints
and for the methods apart, claims that make the very same comparisons counting once; up to 5 % the answer is yes or no,
else undecided. A yes also takes every comparison that the claim names: of some it is undecided, and yes in part.
"""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from stages.core.config.claims import Claim, Gain, Higher, Loss
from stages.tables.claims.asked import Comparison, comparisons, lacking
from stages.tables.claims.blocks import Block
from stages.tables.claims.evidence import LEVEL, Evidence, Tails, weigh
from stages.tables.claims.measured import Measured, apart, differences, key
from stages.tables.paired import holm

Scope = Literal["checkpoints", "methods"]
SCOPES: tuple[Scope, ...] = ("checkpoints", "methods")
NOT_ASKED, UNDECIDED = "not asked", "undecided"
NO_RUN = "none of its runs can be used"
ONE_SIDE = "each of its comparisons has runs that can be used on one side at most"


@dataclass(frozen=True)
class Answer:
    """yes, no, undecided or not asked; p and Holm's p are None where there is no test.

    partly: yes where the comparisons that are judged say so and the claim names others; by: how it is found.
    """

    answer: str
    p: float | None = None
    holm: float | None = None
    partly: Literal["yes"] | None = None
    by: Literal["test", "sign"] = "test"


@dataclass(frozen=True)
class Judged:
    """A claim with its comparisons that have data, how many this experiment asks for, and how many the claim names.

    paper: what the paper's own numbers say. missing: what its comparisons lack, and why. empty: why none has data.
    """

    name: str
    claim: Claim
    own: bool
    paper: Mapping[str, Any]
    named: int
    asked: int
    found: tuple[tuple[Comparison[Measured], Evidence], ...]
    missing: tuple[str, ...]
    empty: str = ""
    answers: Mapping[Scope, Answer] = field(default_factory=dict)

    @property
    def seeds(self) -> int:
        """The fewest seeds of its comparisons."""
        return min((evidence.seeds for _, evidence in self.found), default=0)

    def tails(self, scope: Scope) -> list[tuple[Comparison[Measured], Tails]]:
        """The tests of its comparisons; none where one of them has none."""
        tested = [
            (one, evidence.checkpoints if scope == "checkpoints" else evidence.methods) for one, evidence in self.found
        ]
        known = [(one, tails) for one, tails in tested if tails is not None]
        return known if len(known) == len(tested) else []

    @property
    def is_part(self) -> bool:
        """Whether comparisons that it names are not judged."""
        return len(self.found) < self.named


def margin(claim: Claim) -> float:
    """By how much a row may fall short, in [0, 1]."""
    return claim.margin / 100 if isinstance(claim, Higher) else 0.0


def gather(
    name: str, claim: Claim, blocks: Sequence[Block[Measured]], *, own: bool, paper: Mapping[str, Any]
) -> Judged:
    """A claim and the evidence for it, still without answers."""
    asked = _distinct(comparisons(claim, blocks, own=own))
    named = len(asked) + lacking(claim, blocks, own=own)
    cells = [cell for one in asked for cell in (*one.above, *one.below)]
    missing = [gap for cell in cells for gap in cell.missing]
    filled = [block.keeping({place: cell for place, cell in block.cells.items() if cell.by_seed}) for block in blocks]
    found, unlike = [], {}
    for one in _distinct(comparisons(claim, filled, own=own)):
        if (d := differences(one)).size:
            evidence = weigh(
                d, margin=margin(claim), verdicts=not isinstance(claim, Gain), loss=isinstance(claim, Loss)
            )
            found.append((one, evidence))
        else:
            unlike[str(one)] = apart(one)
    missing += [f"{pair}: {why}" for pair, why in unlike.items()]
    whys = list(dict.fromkeys(unlike.values()))
    if not whys:
        whys = [ONE_SIDE if any(cell.by_seed for cell in cells) else NO_RUN]
    empty = "" if found or not asked else "; ".join(whys)
    return Judged(name, claim, own, paper, named, len(asked), tuple(found), tuple(dict.fromkeys(missing)), empty)


def _distinct(found: Sequence[Comparison[Measured]]) -> list[Comparison[Measured]]:
    """Each once, where two tables ask it of the same runs."""
    return list({key(one): one for one in reversed(found)}.values())[::-1]


def answer_all(claims: Sequence[Judged]) -> list[Judged]:
    """Every claim with its answers, those of the methods apart from those on these checkpoints."""
    by_scope = {scope: _answers(claims, scope) for scope in SCOPES}
    return [
        replace(judged, answers={scope: answers[place] for scope, answers in by_scope.items()})
        for place, judged in enumerate(claims)
    ]


def _answers(claims: Sequence[Judged], scope: Scope) -> list[Answer]:
    tests = family(claims, scope)
    adjusted = dict(zip(tests, holm([both.two_sided for both in tests.values()]), strict=True))
    answers = []
    for judged in claims:
        answer = _untested(judged, scope)
        if (one := _test(judged)) in tests:
            both, p = tests[one], adjusted[one]
            said = UNDECIDED if p > LEVEL else "yes" if both.above < both.below else "no"
            answer = Answer(said, both.two_sided, p)
        partly = answer.answer == "yes" and judged.is_part
        answers.append(replace(answer, answer=UNDECIDED, partly="yes") if partly else answer)
    return answers


def family(claims: Sequence[Judged], scope: Scope) -> dict[Hashable, Tails]:
    """The tests that Holm's adjustment goes over: of claims that make the very same comparisons, one."""
    return {_test(judged): weighed(tails) for judged in claims if (tails := judged.tails(scope))}


def _test(judged: Judged) -> Hashable:
    return frozenset(key(one) for one, _ in judged.found), margin(judged.claim)


def weighed(tails: Sequence[tuple[Comparison[Measured], Tails]]) -> Tails:
    """p_yes and p_no of a claim from its comparisons' one-sided p-values."""
    reversed_pairs = any(one.role == "adjacent" and each.below <= LEVEL for one, each in tails)
    above = 1.0 if reversed_pairs else max((each.above for one, each in tails if one.role != "adjacent"), default=1.0)
    return Tails(above, min(1.0, len(tails) * min(each.below for _, each in tails)))


def _untested(judged: Judged, scope: Scope) -> Answer:
    """A loss on these checkpoints is what it is, without a test; anything else is not asked or undecided."""
    if not judged.asked:
        return Answer(NOT_ASKED)
    if scope == "checkpoints" and isinstance(judged.claim, Loss) and judged.found:
        holds = all(evidence.difference > 0 for _, evidence in judged.found)
        return Answer("yes" if holds else "no", by="sign")
    return Answer(UNDECIDED)


def weakest(judged: Judged, scope: Scope) -> tuple[Comparison[Measured], Tails, Evidence] | None:
    """The comparison that says least for the claim: of an order among the ends and the pairs that are reversed."""
    tested = zip(judged.tails(scope), judged.found, strict=False)
    counting = [
        (one, tails, evidence)
        for (one, tails), (_, evidence) in tested
        if one.role != "adjacent" or tails.below <= LEVEL
    ]
    return max(counting, key=lambda each: each[1].above, default=None)
