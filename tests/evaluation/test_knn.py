"""kNN against NumPy, ties, and the answers to odd input."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ssl_skel.evaluation.knn import Metric, knn_predict, nearest


def by_hand(train_x, train_y, query, k: int, metric: Metric) -> int:
    """One query, one vote, no vectors: the rules as the module's text tells them."""
    if metric == "cosine":
        unit = [x / np.linalg.norm(x) if np.linalg.norm(x) > 0 else x for x in train_x.astype(float)]
        query = query / np.linalg.norm(query) if np.linalg.norm(query) > 0 else query
        # float32 unit vectors are what the rules compare
        near = [float(np.dot(np.float32(x).astype(float), np.float32(query).astype(float))) for x in unit]
    else:
        near = [-float(((x.astype(float) - query.astype(float)) ** 2).sum()) for x in train_x]
    first = sorted(range(len(train_x)), key=lambda row: (-round(near[row], 12), row))[:k]
    votes: dict[int, list] = {}
    for rank, row in enumerate(first):
        vote = votes.setdefault(int(train_y[row]), [0, 0.0, -rank])
        vote[0] += 1
        vote[1] += near[row]
    return max(votes, key=lambda label: (votes[label][0], round(votes[label][1], 12), votes[label][2]))


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
@pytest.mark.parametrize("seed", range(3))
def test_equals_a_naive_loop_on_random_vectors(metric: Metric, seed: int) -> None:
    rng = np.random.default_rng(seed)
    train_x = rng.normal(size=(90, 17)).astype(np.float32)
    train_x[10:20] = train_x[:10]  # copies, of other classes perhaps
    train_y = rng.integers(0, 5, 90)
    test_x = np.concatenate([rng.normal(size=(40, 17)).astype(np.float32), train_x[:5]])
    found = knn_predict(train_x, train_y, test_x, (1, 2, 5, 20), metric)
    for k, predicted in found.items():
        assert predicted.tolist() == [by_hand(train_x, train_y, query, k, metric) for query in test_x]


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 10_000), st.sampled_from(["cosine", "euclidean"]))
def test_equals_a_naive_loop_where_nearly_everything_ties(seed: int, metric: Metric) -> None:
    rng = np.random.default_rng(seed)
    axes = np.concatenate([np.eye(4), -np.eye(4), np.zeros((1, 4))]).astype(np.float32)
    train_x, test_x = axes[rng.integers(0, 9, 60)], axes[rng.integers(0, 9, 12)]
    train_y = rng.integers(0, 3, 60)
    found = knn_predict(train_x, train_y, test_x, (1, 3, 10), metric)
    for k, predicted in found.items():
        assert predicted.tolist() == [by_hand(train_x, train_y, query, k, metric) for query in test_x]


def test_ties_come_in_row_order_however_many_there_are() -> None:
    train = np.ones((500, 3), np.float32)
    rows, similarity = nearest(train, np.ones((2, 3), np.float32), 7)
    assert rows.tolist() == [list(range(7))] * 2
    assert np.ptp(similarity) == 0


def test_almost_equal_cosines_are_told_apart() -> None:
    """Untrained features crowd in one direction; float32 alone would shuffle such neighbours."""
    rng = np.random.default_rng(0)
    train = (1000 + rng.normal(size=(400, 64))).astype(np.float32)
    query = (1000 + rng.normal(size=(20, 64))).astype(np.float32)
    rows, _ = nearest(train, query, 20)
    unit = [(x / np.linalg.norm(x.astype(float), axis=1, keepdims=True)).astype(np.float32) for x in (train, query)]
    exact = np.array([[(a.astype(float) * b).sum() for a in unit[0]] for b in unit[1]])
    assert np.array_equal(rows, np.argsort(-exact, axis=1, kind="stable")[:, :20])


def test_a_tied_vote_goes_to_the_larger_similarity_then_to_the_nearer() -> None:
    axis = np.eye(3, dtype=np.float32)
    query = np.float32([[0.9, 0.3, 0.3]])
    # one vote each: the class of the nearer neighbour has the larger sum
    assert knn_predict(axis[[1, 0]], np.array([0, 1]), query, (2,))[2].tolist() == [1]
    # two votes each: class 0 holds the nearest neighbour, class 1 the larger sum
    near, middle, far = np.float32([1, 0.3, 0.3]), np.float32([1, 0, 0]), np.float32([-1, 0, 0])
    train = np.stack([near, far, middle, middle])
    assert knn_predict(train, np.array([0, 0, 1, 1]), query, (4,))[4].tolist() == [1]
    # all equal: the nearer, which is the earlier row
    assert knn_predict(axis[[0, 0, 0, 0]], np.array([2, 1, 1, 2]), query, (4,))[4].tolist() == [2]


def test_k_beyond_the_training_set_is_clamped() -> None:
    train, labels = np.eye(3, dtype=np.float32), np.array([0, 1, 1])
    found = knn_predict(train, labels, train, (1, 3, 20))
    assert found[20].tolist() == found[3].tolist() == [1, 1, 1]
    assert found[1].tolist() == [0, 1, 1]


def test_zero_vectors_neither_crash_nor_attract() -> None:
    train = np.float32([[0, 0], [1, 0], [-1, 0]])
    found = knn_predict(train, np.array([0, 1, 2]), np.float32([[0, 0], [1, 0.1], [-1, 0.1]]), (1,))
    assert found[1].tolist() == [0, 1, 2]


def test_scale_does_not_matter_for_the_cosine() -> None:
    rng = np.random.default_rng(1)
    train, query, labels = rng.normal(size=(50, 8)), rng.normal(size=(9, 8)), rng.integers(0, 4, 50)
    scaled = train * 2.0 ** rng.integers(-9, 9, (50, 1))
    one, two = (knn_predict(x.astype(np.float32), labels, query.astype(np.float32)) for x in (train, scaled))
    assert all(np.array_equal(one[k], two[k]) for k in one)


@pytest.mark.parametrize(
    ("train", "labels", "k", "message"),
    [
        (np.zeros((0, 2)), [], 1, "does not fit"),
        (np.ones((2, 2)), [0], 1, "does not fit"),
        (np.ones((2, 3)), [0, 1], 1, "does not fit"),
        (np.ones((2, 2)), [0, -1], 1, "without a label"),
        (np.ones((2, 2)), [0, 1], 0, "from 1"),
    ],
)
def test_refuses_what_makes_no_sense(train: np.ndarray, labels: list[int], k: int, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        knn_predict(train.astype(np.float32), np.array(labels, np.int64), np.ones((1, 2), np.float32), (k,))


def test_no_queries_is_fine() -> None:
    found = knn_predict(np.eye(3, dtype=np.float32), np.arange(3), np.zeros((0, 3), np.float32), (1, 2))
    assert [len(predicted) for predicted in found.values()] == [0, 0]
