"""The kNN classifier that watches pre-training (Wu et al., 2018), as in MoCo's CIFAR demo."""

import torch.nn.functional as F
from torch import Tensor

QUERIES_AT_ONCE = 256


def knn_accuracy(
    bank: Tensor,
    bank_labels: Tensor,
    queries: Tensor,
    labels: Tensor,
    *,
    neighbors: int,
    temperature: float,
) -> float:
    """Share of the queries whose class wins the vote of their most similar bank features, weighted exp(cos / tau).

    bank: (N, D), queries: (M, D), rows of length 1; labels: (N,) and (M,) int64; neighbors: at most N are used.
    """
    classes = int(max(bank_labels.max(), labels.max())) + 1
    correct = 0
    for features, truth in zip(queries.split(QUERIES_AT_ONCE), labels.split(QUERIES_AT_ONCE), strict=True):
        similarity, nearest = (features @ bank.T).topk(min(neighbors, len(bank)), dim=1)
        weights = (similarity / temperature).softmax(dim=1)
        votes = (weights.unsqueeze(2) * F.one_hot(bank_labels[nearest], classes)).sum(dim=1)
        correct += int((votes.argmax(dim=1) == truth).sum())
    return correct / len(labels)
