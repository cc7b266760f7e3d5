"""The paper's claims on the paper's own numbers: all are found there, and these hold and these do not."""

import json
from pathlib import Path

import pytest

from stages.core.config.claims import Higher, Loss
from stages.tables.claims.__main__ import read_claims
from stages.tables.claims.asked import comparisons
from stages.tables.claims.blocks import published_blocks
from stages.tables.claims.paper import on_paper
from stages.tables.paper import read_paper

# Claim: its answer on the paper's own numbers, how many of its comparisons are against it, and of how many.
ANSWERS = {
    "mixing-helps-against-fgsm": ("yes", 0, 12),
    "mixup-hurts-under-pgd": ("yes", 0, 2),
    "cutmix-hurts-under-cw": ("yes", 0, 2),
    "augmix-hurts-under-cw-and-pgd": ("yes", 0, 2),
    "mixup-and-cutmix-hurt-under-aa": ("yes", 0, 8),
    "augmix-hurts-under-aa": ("yes", 0, 1),
    "lsp-beats-vanilla": ("yes", 0, 16),
    "lsp-beats-mixing": ("yes", 0, 48),
    "lsp-gains-most-under-cw": ("no", 3, 12),
    "objective-loss-falls": (None, 0, 0),
    "lsp-loss-rises": (None, 0, 0),
    "mixup-has-a-smaller-lsp-loss": (None, 0, 0),
    "lsp-plus-leads-under-aa": ("yes", 0, 12),
    "lsp-plus-beats-at": ("yes", 0, 15),
    "lsp-plus-gains-under-aa-on-svhn": ("yes", 0, 1),
    "lsp-plus-keeps-clean-accuracy": ("yes", 0, 12),
    "lsp-plus-is-competitive": ("no", 1, 36),
    "local-beats-global": ("yes", 0, 2),
    "every-discrepancy-helps": ("no", 1, 8),
    "l2-is-the-best-discrepancy": ("yes", 0, 6),
    "more-neighbors-help": ("no", 1, 10),
    "small-weights-are-too-weak": ("yes", 0, 6),
    "large-weights-cost-clean-accuracy": ("yes", 0, 4),
    "large-weights-cost-robust-accuracy": ("yes", 0, 4),
    "weight-1-is-the-best": ("no", 1, 10),
    "lsp-leads-in-pgd-l2": ("yes", 0, 4),
}
AGAINST = {
    "lsp-gains-most-under-cw": [
        f"STL-10, CW less {column}: LSP less VANILLA −{points}"
        for column, points in (("FGSM", "3.21"), ("PGD", "1.74"), ("AA", "1.80"))
    ],
    "lsp-plus-is-competitive": ["CIFAR-10, PGD: LSP+ 53.53, MART 55.29"],
    "every-discrepancy-helps": ["CIFAR-10, PGD: K-L 5.35, VANILLA 6.26"],
    "more-neighbors-help": ["CIFAR-10, CW: m = 4 54.26, m = 2 54.86"],
    "weight-1-is-the-best": ["CIFAR-10, CW: λ = 1 62.53, λ = 2 65.93"],
}


def test_the_papers_answers_are_these() -> None:
    blocks = published_blocks(read_paper())
    found = {name: on_paper(claim, blocks) for name, claim in read_claims().items()}
    assert {name: (one["answer"], len(one["against"]), one["asked"]) for name, one in found.items()} == ANSWERS
    assert {name: one["against"] for name, one in found.items() if one["against"]} == AGAINST


def test_every_word_of_a_claim_finds_its_row_column_and_data_set_in_the_paper() -> None:
    """No comparison is lost to a misspelling: there are as many as the words have combinations."""
    blocks = published_blocks(read_paper())
    for name, claim in read_claims().items():
        if isinstance(claim, Loss):
            continue
        here = [block for block in blocks if block.number == claim.table]
        sets = len(claim.datasets) or len(here)
        asked = comparisons(claim, blocks, own=False)
        if isinstance(claim, Higher):
            expected = sets * len(claim.better) * len(claim.than) * len(claim.columns)
        elif claim.kind == "order":
            expected = sets * len(claim.columns) * len(claim.rows)
        else:
            expected = sets * len(claim.columns) * len(claim.than_columns)
        assert len(asked) == expected, name


def test_equal_is_not_above_and_a_margin_is_what_may_be_lacking(tmp_path: Path) -> None:
    table = tmp_path / "paper.csv"
    table.write_text("table,dataset,row,column,paper\n3,X,a,PGD,5.00\n3,X,b,PGD,5.00\n3,X,c,PGD,5.50\n")
    blocks = published_blocks(read_paper(table))

    def answer(better: str, than: str, margin: float = 0.0) -> str:
        claim = Higher(kind="higher", text="t", table=3, better=[better], than=[than], columns=["pgd"], margin=margin)
        said: str = on_paper(claim, blocks)["answer"]
        return said

    assert [answer("a", "b"), answer("c", "b"), answer("a", "c")] == ["no", "yes", "no"]
    assert [answer("a", "c", 0.5), answer("a", "c", 0.51), answer("a", "b", 0.01)] == ["no", "yes", "yes"]


@pytest.mark.parametrize("claim", read_claims().values(), ids=list(read_claims()))
def test_a_claim_says_where_the_paper_makes_it(claim: Higher) -> None:
    where = json.dumps(claim.source)
    assert "Section" in where
    assert f"Table {claim.table}" in where or "Tables 4 and 1" in where or "Figure 3" in where
