"""Label propagation against its closed form, and by what it must do on clusters."""

from __future__ import annotations

import numpy as np
import pytest

from ssl_skel.evaluation.class_means import class_mean_predict
from ssl_skel.evaluation.propagation import SHARPNESS, neighbour_graph, propagate, spread


def cloud(seed: int, vectors: int = 30, dims: int = 4) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(vectors, dims))


def graph_by_hand(x: np.ndarray, neighbours: int) -> np.ndarray:
    x = x / np.linalg.norm(x, axis=1, keepdims=True)
    count = len(x)
    directed = np.zeros((count, count))
    for i in range(count):
        others = sorted((j for j in range(count) if j != i), key=lambda j: -(x[i] @ x[j]))
        for j in others[:neighbours]:
            directed[i, j] = max(0.0, x[i] @ x[j]) ** SHARPNESS
    both = directed + directed.T
    found = np.zeros_like(both)
    for i, j in np.argwhere(both):
        found[i, j] = both[i, j] / np.sqrt(both[i].sum() * both[j].sum())
    return found


@pytest.mark.parametrize("neighbours", [1, 5, 99])
def test_the_graph_equals_a_naive_loop(neighbours: int) -> None:
    x = cloud(0)
    assert np.allclose(neighbour_graph(x, neighbours).toarray(), graph_by_hand(x, neighbours), atol=1e-5)


@pytest.mark.parametrize("alpha", [0.05, 0.5, 0.99])
def test_labels_spread_as_the_closed_form_says(alpha: float) -> None:
    graph = neighbour_graph(cloud(1), 5)
    label = np.full(30, -1)
    label[[3, 4, 9, 20]] = [0, 2, 2, 3]
    given = np.zeros((30, 4))
    given[[3, 4, 9, 20], [0, 2, 2, 3]] = 1
    found = np.linalg.solve(np.eye(30) - alpha * graph.toarray(), given)
    for column, labels in ((0, 1), (2, 2), (3, 1)):
        found[:, column] *= labels / found[:, column].sum()
    found /= found.sum(1, keepdims=True)
    assert np.allclose(spread(graph, label, 4, alpha), found, atol=1e-5)


def arcs() -> tuple[np.ndarray, np.ndarray]:
    """Directions on two arcs, the first of which comes nearer to where the second begins than to its own begin."""
    angle = np.concatenate([np.linspace(0, 80, 41), np.linspace(100, 180, 41)])
    return np.stack([np.cos(np.radians(angle)), np.sin(np.radians(angle))], 1), np.repeat([0, 1], 41)


def test_labels_follow_the_arcs_where_the_nearest_exemplar_errs() -> None:
    x, truth = arcs()
    begins, asked = [0, 41], [35, 40, 60, 81]
    label = np.full(len(x), -1)
    label[begins] = [0, 1]
    found = propagate(neighbour_graph(x, 4), x, label, 3 * x[asked], neighbours=4, alpha=0.95)
    assert found.tolist() == truth[asked].tolist() == [0, 0, 1, 1]
    assert class_mean_predict(x[begins], truth[begins], x[asked]).tolist() == [1, 1, 1, 1]


def test_queries_do_not_serve_each_other() -> None:
    x, queries = cloud(2), cloud(3)
    label = np.where(np.arange(30) % 5 == 0, np.arange(30) % 3, -1)
    graph = neighbour_graph(x, 3)
    together = propagate(graph, x, label, queries, neighbours=3, alpha=0.9)
    alone = [propagate(graph, x, label, query[None], neighbours=3, alpha=0.9)[0] for query in queries]
    assert together.tolist() == alone
    assert len(set(alone)) > 1


def test_where_no_label_reaches_the_nearest_exemplar_decides() -> None:
    x, truth = arcs()
    label = np.full(len(x), -1)
    label[[39, 40]] = [0, 2]  # none on the second arc
    graph = neighbour_graph(x, 2)
    assert not spread(graph, label, 3, 0.9)[truth == 1].any()
    assert propagate(graph, x, label, x[truth == 1], neighbours=2, alpha=0.9).tolist() == [2] * 41


def test_copies_and_zero_vectors_are_no_trouble() -> None:
    x = np.concatenate([np.zeros((3, 4)), np.ones((6, 4)), cloud(4)])
    graph = neighbour_graph(x, 3)
    dense = graph.toarray()
    assert np.isfinite(dense).all()
    assert not dense.diagonal().any()
    assert not dense[:3].any()
    assert np.allclose(dense, dense.T)
    label = np.full(len(x), -1)
    label[3] = 1
    assert np.isfinite(spread(graph, label, 2, 0.95)).all()


def test_without_any_label_it_is_refused() -> None:
    x = cloud(5)
    with pytest.raises(ValueError, match="no label to spread"):
        propagate(neighbour_graph(x, 3), x, np.full(30, -1), x, neighbours=3, alpha=0.9)


def test_a_class_mean_is_of_unit_vectors() -> None:
    """A long vector weighs no more than a short one; classes need not be consecutive."""
    train, label = np.array([[100.0, 0], [0, 1], [-1, 0]]), np.array([4, 4, 1])
    query = np.array([[1.0, 1], [-3, 1], [-0.1, 1]])
    assert class_mean_predict(train, label, query).tolist() == [4, 1, 4]
    with pytest.raises(ValueError, match="without a label"):
        class_mean_predict(train, np.array([4, -1, 1]), query)
