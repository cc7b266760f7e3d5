"""The LSP term: Eq. 2, 3 and 9 by loops in Python floats, every D and reduction by its formula in float64."""

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

from stages.train.lsp import discrepancy, logit_structure, lsp_term, normalized

NAMES = ("mse", "l2", "l1", "cosine", "kl")
BATCH, COMPANIONS, CLASSES = 5, 4, 3


def drawn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def shares(seed: int) -> Tensor:
    """Structure vectors (BATCH, COMPANIONS) in float64, none of them uniform."""
    return (2 * drawn(BATCH, COMPANIONS, seed=seed)).softmax(1).double()


def loop_of_equation_3(anchors: Tensor, neighbors: Tensor) -> np.ndarray:
    """Q_x entry by entry: distance of logits over the sum of all m distances."""
    rows = []
    for anchor, around in zip(anchors.tolist(), neighbors.tolist(), strict=True):
        distances = [math.sqrt(sum((a - b) ** 2 for a, b in zip(anchor, other, strict=True))) for other in around]
        rows.append([distance / sum(distances) for distance in distances])
    return np.array(rows)


def per_anchor_formula(name: str, p: list[float], q: list[float]) -> float:
    pairs = list(zip(p, q, strict=True))
    formulas: dict[str, Callable[[], float]] = {
        "mse": lambda: math.fsum((a - b) ** 2 for a, b in pairs),
        "l2": lambda: math.sqrt(math.fsum((a - b) ** 2 for a, b in pairs)),
        "l1": lambda: math.fsum(abs(a - b) for a, b in pairs),
        "cosine": lambda: 1 - math.fsum(a * b for a, b in pairs) / (math.hypot(*p) * math.hypot(*q)),
        "kl": lambda: math.fsum(a * math.log(a / b) for a, b in pairs),
    }
    return formulas[name]()


def test_structure_vectors_equal_a_loop_over_equation_3() -> None:
    anchors, neighbors = drawn(BATCH, CLASSES), drawn(BATCH, COMPANIONS, CLASSES, seed=1)
    found = logit_structure(anchors, neighbors)
    np.testing.assert_allclose(found.numpy(), loop_of_equation_3(anchors, neighbors), rtol=1e-5)
    np.testing.assert_allclose(found.sum(1).numpy(), np.ones(BATCH), rtol=1e-6)


@pytest.mark.parametrize("scale", [1e-2, 50.0])
def test_structure_vectors_change_with_neither_scale_nor_shift_of_the_logits(scale: float) -> None:
    anchors, neighbors = drawn(BATCH, CLASSES), drawn(BATCH, COMPANIONS, CLASSES, seed=1)
    shifted = logit_structure(scale * anchors + 3, scale * neighbors + 3)
    torch.testing.assert_close(shifted, logit_structure(anchors, neighbors), rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("identical", [1, COMPANIONS])
def test_the_gradient_is_finite_where_anchor_and_neighbors_are_identical(name: str, identical: int) -> None:
    anchors = drawn(BATCH, CLASSES).requires_grad_()
    neighbors = drawn(BATCH, COMPANIONS, CLASSES, seed=1)
    neighbors[:, :identical] = anchors.detach().unsqueeze(1)
    neighbors.requires_grad_()
    lsp_term(anchors, neighbors, shares(2).float(), name=name).backward()
    assert anchors.grad is not None
    assert neighbors.grad is not None
    assert bool(anchors.grad.isfinite().all())
    assert bool(neighbors.grad.isfinite().all())


def test_neighbors_that_all_coincide_with_the_anchor_share_evenly() -> None:
    anchors = drawn(BATCH, CLASSES)
    even = logit_structure(anchors, anchors.unsqueeze(1).expand(-1, COMPANIONS, -1))
    torch.testing.assert_close(even, torch.full((BATCH, COMPANIONS), 1 / COMPANIONS))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("reduction", ["mean", "sum", "batch_sum"])
def test_each_discrepancy_and_reduction_is_its_formula(name: str, reduction: str) -> None:
    p, q = shares(3), shares(4)
    each = [per_anchor_formula(name, a, b) for a, b in zip(p.tolist(), q.tolist(), strict=True)]
    divisor = COMPANIONS if reduction == "mean" and name in ("mse", "l1", "kl") else 1
    expected = math.fsum(each) if reduction == "batch_sum" else math.fsum(each) / divisor / BATCH
    assert float(discrepancy(p, q, name=name, reduction=reduction)) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("name", NAMES)
def test_a_structure_vector_is_at_no_discrepancy_from_itself_and_at_some_from_others(name: str) -> None:
    p, q = shares(3), shares(4)
    # l2 is the root of the sum plus 1e-12, so its zero is 1e-6.
    assert abs(float(discrepancy(p, p, name=name, reduction="sum"))) <= 1.001e-6
    for row in range(BATCH):
        assert float(discrepancy(p[row : row + 1], q[row : row + 1], name=name, reduction="sum")) > 1e-4


@pytest.mark.parametrize("name", NAMES)
def test_the_batch_sum_is_the_batch_size_times_the_sum(name: str) -> None:
    p, q = shares(3), shares(4)
    whole = discrepancy(p, q, name=name, reduction="batch_sum")
    torch.testing.assert_close(whole, BATCH * discrepancy(p, q, name=name, reduction="sum"))


@pytest.mark.parametrize("name", ["mse", "l1", "kl"])
def test_the_mean_over_m_times_m_is_the_sum(name: str) -> None:
    p, q = shares(3), shares(4)
    mean, total = (discrepancy(p, q, name=name, reduction=reduction) for reduction in ("mean", "sum"))
    torch.testing.assert_close(mean * COMPANIONS, total)


def test_kl_is_finite_where_a_share_is_zero() -> None:
    p, q = torch.tensor([[0.0, 1.0]]), torch.tensor([[0.5, 0.5]])
    assert float(discrepancy(p, q, name="kl", reduction="sum")) == pytest.approx(math.log(2))
    assert math.isfinite(float(discrepancy(q, p, name="kl", reduction="sum")))


@pytest.mark.parametrize("stop_gradient", [False, True])
def test_gradient_flows_to_the_neighbors_unless_it_is_stopped(stop_gradient: bool) -> None:
    anchors = drawn(BATCH, CLASSES).requires_grad_()
    neighbors = drawn(BATCH, COMPANIONS, CLASSES, seed=1).requires_grad_()
    lsp_term(anchors, neighbors, shares(2).float(), stop_gradient=stop_gradient).backward()
    assert anchors.grad is not None
    assert float(anchors.grad.abs().sum()) > 0
    assert (neighbors.grad is None) == stop_gradient


def test_the_gradient_of_the_term_is_that_of_equation_4_by_finite_differences() -> None:
    anchors, neighbors, p = drawn(BATCH, CLASSES), drawn(BATCH, COMPANIONS, CLASSES, seed=1), shares(2)
    leaf = anchors.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(lsp_term(leaf, neighbors, p.float()), leaf)

    def equation_4(at: Tensor) -> float:
        return float(((p.numpy() - loop_of_equation_3(at, neighbors.double())) ** 2).sum(1).mean())

    step = 1e-5
    for row in range(BATCH):
        for column in range(CLASSES):
            there = torch.zeros(BATCH, CLASSES, dtype=torch.float64)
            there[row, column] = step
            slope = (equation_4(anchors.double() + there) - equation_4(anchors.double() - there)) / (2 * step)
            assert float(gradient[row, column]) == pytest.approx(slope, rel=1e-3, abs=1e-6)


NORMALIZED = ("standardized", "batch_standardized")


def formula_of_normalized(how: str, anchors: np.ndarray, neighbors: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Anchors (B, K) and neighbors (B, m, K) with mean 0 and variance 1, by NumPy."""
    if how == "standardized":
        each = [(part - part.mean(-1, keepdims=True)) / part.std(-1, keepdims=True) for part in (anchors, neighbors)]
        return each[0], each[1]
    together = np.concatenate([anchors, neighbors.reshape(-1, neighbors.shape[-1])])
    mean, spread = together.mean(0), together.std(0)
    return (anchors - mean) / spread, (neighbors - mean) / spread


@pytest.mark.parametrize("how", NORMALIZED)
def test_normalized_logits_and_their_structure_vectors_are_their_formula(how: str) -> None:
    anchors, neighbors = 3 * drawn(BATCH, CLASSES) + 1, drawn(BATCH, COMPANIONS, CLASSES, seed=1)
    expected = formula_of_normalized(how, anchors.double().numpy(), neighbors.double().numpy())
    for found, wanted in zip(normalized(anchors, neighbors, how), expected, strict=True):
        np.testing.assert_allclose(found.numpy(), wanted, rtol=1e-4, atol=1e-5)
    wanted_q = loop_of_equation_3(*map(torch.from_numpy, expected))
    p = shares(2)
    term = lsp_term(anchors, neighbors, p.float(), logits=how)
    assert float(term) == pytest.approx(float(((p.numpy() - wanted_q) ** 2).sum(1).mean()), rel=1e-4)


def test_plain_logits_are_left_as_they_are() -> None:
    anchors, neighbors = drawn(BATCH, CLASSES), drawn(BATCH, COMPANIONS, CLASSES, seed=1)
    assert all(
        torch.equal(found, given)
        for found, given in zip(normalized(anchors, neighbors, "plain"), (anchors, neighbors), strict=True)
    )


@pytest.mark.parametrize("how", NORMALIZED)
def test_normalized_logits_change_with_neither_scale_nor_shift_of_what_they_are_normalized_over(how: str) -> None:
    anchors, neighbors = drawn(BATCH, CLASSES), drawn(BATCH, COMPANIONS, CLASSES, seed=1)
    shape = {"standardized": (BATCH, COMPANIONS + 1, 1), "batch_standardized": (1, 1, CLASSES)}[how]
    scales, shifts = 0.5 + 3 * drawn(*shape, seed=5).abs(), 10 * drawn(*shape, seed=6)
    moved = torch.cat([anchors.unsqueeze(1), neighbors], 1) * scales + shifts
    found = normalized(moved[:, 0], moved[:, 1:], how)
    for one, other in zip(found, normalized(anchors, neighbors, how), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("how", ["plain", *NORMALIZED])
@pytest.mark.parametrize("name", NAMES)
def test_the_gradient_through_normalized_logits_is_exact(how: str, name: str) -> None:
    anchors = drawn(BATCH, CLASSES).double().requires_grad_()
    neighbors = drawn(BATCH, COMPANIONS, CLASSES, seed=1).double().requires_grad_()
    p = shares(2)
    assert torch.autograd.gradcheck(lambda a, n: lsp_term(a, n, p, name=name, logits=how), (anchors, neighbors))


@pytest.mark.parametrize("how", NORMALIZED)
@pytest.mark.parametrize("level", [0.0, 1e4])
def test_logits_without_any_spread_have_a_finite_term_and_gradient(how: str, level: float) -> None:
    anchors = torch.full((BATCH, CLASSES), level, requires_grad=True)
    neighbors = torch.full((BATCH, COMPANIONS, CLASSES), level, requires_grad=True)
    term = lsp_term(anchors, neighbors, shares(2).float(), logits=how)
    gradients = torch.autograd.grad(term, (anchors, neighbors))
    assert all(bool(value.isfinite().all()) for value in (term, *gradients))


@pytest.mark.parametrize("how", ["plain", *NORMALIZED])
def test_half_precision_logits_are_measured_in_float32(how: str) -> None:
    anchors, neighbors = drawn(BATCH, CLASSES).half(), drawn(BATCH, COMPANIONS, CLASSES, seed=1).half()
    term = lsp_term(300 * anchors, 300 * neighbors, shares(2).float(), logits=how)
    assert term.dtype == torch.float32
    exact = lsp_term((300 * anchors).double(), (300 * neighbors).double(), shares(2), logits=how)
    assert float(term) == pytest.approx(float(exact), rel=1e-4)


@pytest.mark.parametrize("how", NORMALIZED)
def test_a_stopped_gradient_reaches_the_neighbors_by_no_statistic(how: str) -> None:
    anchors = drawn(BATCH, CLASSES).requires_grad_()
    neighbors = drawn(BATCH, COMPANIONS, CLASSES, seed=1).requires_grad_()
    lsp_term(anchors, neighbors, shares(2).float(), logits=how, stop_gradient=True).backward()
    assert anchors.grad is not None
    assert neighbors.grad is None
