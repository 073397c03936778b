"""Label propagation: few labels spread along a graph of nearest neighbours to the clips without one.

Zhou et al., "Learning with Local and Global Consistency", NIPS 2003, on the graph of Iscen et al., "Label Propagation
for Deep Semi-supervised Learning", CVPR 2019. Departs from print: scores are normalised by class, as in Zhu et al.,
ICML 2003, section 4, and a query is not a vertex: it is classified by the scores of its nearest training vectors, so
that what is known about one query never serves another.

scikit-learn's ``LabelSpreading`` has the same iteration, but rebuilds its graph for each set of labels, from
Euclidean distances, with each vertex as its own neighbour, and does not normalise by class.
"""

from __future__ import annotations

import math

import numpy as np
from scipy import sparse

from ssl_skel.evaluation.knn import knn_predict, nearest

SHARPNESS = 3
"""Power of the cosine that weights an edge (gamma of Iscen et al.)."""
_REST = 1e-8  # share of the sum over all path lengths that may be left out


def neighbour_graph(x: np.ndarray, neighbours: int) -> sparse.csr_array:
    """S = D^-1/2 W D^-1/2, W = A + A^T, A_ij = max(0, cos(x_i, x_j))^3 where j is among the nearest of i.

    Zhou et al., steps 1 and 2 of their algorithm; A as Iscen et al. have it. No vertex is its own neighbour. One
    without an edge of positive weight has a row of zeros.

    Args:
        x: (N, D), at least two.
        neighbours: of each vertex; at most N - 1 are taken.

    Returns:
        (N, N) float64, symmetric.
    """
    k = min(neighbours, len(x) - 1)
    rows, cosine = nearest(x, x, k + 1)
    other = rows != np.arange(len(x))[:, None]
    other[other.all(1), -1] = False  # k + 1 copies stand before the vertex itself
    weight = np.clip(cosine[other], 0, None) ** SHARPNESS
    start = np.arange(0, len(weight) + 1, k)
    directed = sparse.csr_array((weight, rows[other], start), shape=(len(x), len(x)))
    both = (directed + directed.T).tocsr()
    degree = both.sum(1)
    scale = sparse.diags_array(1 / np.sqrt(np.where(degree > 0, degree, 1)))
    return (scale @ both @ scale).tocsr()


def spread(graph: sparse.csr_array, label: np.ndarray, num_classes: int, alpha: float) -> np.ndarray:
    """How much each vertex belongs to each class.

    F = sum over t of alpha^t S^t Y, that is (I - alpha S)^-1 Y, the limit of Zhou et al.'s algorithm; summed until the
    rest is negligible. Each class is then scaled so that its sum over all vertices is its share of the labels, and each
    vertex so that its classes sum to 1.

    Args:
        graph: of ``neighbour_graph``.
        label: (N,) int64, -1 where there is none.
        num_classes: columns.
        alpha: between 0 and 1; the larger, the farther a label reaches.

    Returns:
        (N, num_classes) float64; zero where no label reaches.
    """
    given = np.zeros((len(label), num_classes))
    given[label >= 0, label[label >= 0]] = 1
    found = given
    for _ in range(math.ceil(math.log(_REST) / math.log(alpha))):
        found = alpha * (graph @ found) + given
    mass = found.sum(0)
    found = found * np.divide(given.sum(0), mass, out=np.zeros_like(mass), where=mass > 0)
    total = found.sum(1, keepdims=True)
    return np.divide(found, total, out=np.zeros_like(found), where=total > 0)


def propagate(
    graph: sparse.csr_array,
    train_x: np.ndarray,
    label: np.ndarray,
    test_x: np.ndarray,
    *,
    neighbours: int,
    alpha: float,
) -> np.ndarray:
    """Classes of test vectors: the largest sum of what their nearest training vectors were given by ``spread``.

    Args:
        graph: of ``train_x``.
        train_x: (N, D).
        label: (N,) int64, -1 where there is none; at least one has one.
        test_x: (Q, D); they do not enter the graph.
        neighbours: training vectors that vote, by cosine; if no label has reached any of them, the nearest labelled one
            decides.
        alpha: as for ``spread``.

    Returns:
        (Q,) int64.

    Raises:
        ValueError: no training vector has a label.
    """
    known = label >= 0
    if not known.any():
        raise ValueError("no label to spread")
    rows, _ = nearest(train_x, test_x, min(neighbours, len(train_x)))
    scores = spread(graph, label, int(label.max()) + 1, alpha)[rows].sum(1)
    found = scores.argmax(1)
    lost = ~scores.any(1)
    if lost.any():
        found[lost] = knn_predict(train_x[known], label[known], test_x[lost], (1,))[1]
    return found
