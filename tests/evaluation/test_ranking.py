"""Figures of ranked lists against naive loops, the exclusion of own sources, and lists cut short."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, ndcg_score

from ssl_skel.evaluation.knn import nearest
from ssl_skel.evaluation.ranking import MEASURES, full_rankings, grade, ranking_scores


def by_hand(relevant: list[bool], total: int) -> dict[str, float]:
    """Each figure from its definition, rank by rank."""
    hits, precisions, gained = 0, [], 0.0
    for rank, hit in enumerate(relevant, 1):
        if hit:
            hits += 1
            precisions.append(hits / rank)
            gained += 1 / math.log2(rank + 1) if rank <= 10 else 0.0
    ideal = sum(1 / math.log2(rank + 1) for rank in range(1, min(total, 10) + 1))
    recall = {f"R@{k}": float(any(relevant[:k])) for k in (1, 5, 10)}
    return recall | {"mAP": sum(precisions) / total, "nDCG@10": gained / ideal}


@settings(deadline=None, max_examples=200)
@given(st.lists(st.booleans(), max_size=40), st.integers(0, 5))
def test_grade_equals_a_naive_loop(relevant: list[bool], missing: int) -> None:
    total = sum(relevant) + missing
    if total:
        found = grade(np.array(relevant, bool), total)
        assert list(found) == list(MEASURES)
        assert found == pytest.approx(by_hand(relevant, total))


def test_grade_equals_scikit_learn_on_whole_lists() -> None:
    rng = np.random.default_rng(0)
    for _ in range(20):
        relevant = rng.random(30) < 0.3
        relevant[0] |= not relevant.any()
        order = -np.arange(30.0)
        found = grade(relevant, int(relevant.sum()))
        assert found["mAP"] == pytest.approx(average_precision_score(relevant, order))
        assert found["nDCG@10"] == pytest.approx(ndcg_score(relevant[None], order[None], k=10))


def data(seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    gallery, queries = rng.normal(size=(60, 9)).astype("f4"), rng.normal(size=(20, 9)).astype("f4")
    gallery[30:40] = gallery[:10]  # ties
    return gallery, rng.integers(0, 4, 60), queries, rng.integers(0, 4, 20)


def test_full_rankings_go_on_as_the_nearest_begin(monkeypatch: pytest.MonkeyPatch) -> None:
    gallery, _, queries, _ = data()
    listed = np.stack(list(full_rankings(gallery, queries)))
    assert np.array_equal(np.sort(listed, axis=1), np.tile(np.arange(60), (20, 1)))
    assert np.array_equal(listed, nearest(gallery, queries, 60)[0])
    assert np.array_equal(listed[:, :7], nearest(gallery, queries, 7)[0])
    monkeypatch.setattr("ssl_skel.evaluation.ranking._NUMBERS", 1)
    assert np.array_equal(listed, np.stack(list(full_rankings(gallery, queries))))


def test_scores_equal_a_naive_loop_without_own_sources() -> None:
    gallery, label, queries, truth = data()
    rng = np.random.default_rng(1)
    source, own = rng.integers(0, 12, 60), rng.integers(0, 12, 20)
    scores, first = ranking_scores(
        full_rankings(gallery, queries), label, truth, 5, gallery_source=source, query_source=own
    )
    expected, excluded = [], 0
    for query, listed in enumerate(nearest(gallery, queries, 60)[0]):
        kept = [row for row in listed if source[row] != own[query]]
        excluded += 60 - len(kept)
        relevant = [bool(label[row] == truth[query]) for row in kept]
        expected.append(by_hand(relevant, sum(relevant)))
        assert first[query] == label[kept[0]]
    for name in MEASURES:
        assert scores.figures[name] == pytest.approx(np.mean([row[name] for row in expected]))
        for number in range(4):
            mine = [row[name] for row, of in zip(expected, truth, strict=True) if of == number]
            assert (scores.per_class[number] or {})[name] == pytest.approx(np.mean(mine))
    assert scores.per_class[4] is None
    assert (scores.queries, scores.without, scores.excluded) == (20, 0, excluded)


def test_leaving_each_query_out_of_its_own_gallery() -> None:
    gallery, label = (part[:30] for part in data()[:2])
    alone, _ = ranking_scores(full_rankings(gallery, gallery), label, label, 4)
    assert alone.figures["R@1"] == 1.0  # each finds itself
    number = np.arange(30)
    scores, _ = ranking_scores(
        full_rankings(gallery, gallery), label, label, 4, gallery_source=number, query_source=number
    )
    assert scores.figures["R@1"] < 1
    assert scores.excluded == 30


def test_a_query_with_nothing_to_find_is_left_out_and_counted() -> None:
    gallery, queries = np.eye(3, dtype="f4"), np.eye(3, dtype="f4")[:2]
    scores, first = ranking_scores(full_rankings(gallery, queries), np.array([0, 0, 1]), np.array([0, 2]), 3)
    assert (scores.queries, scores.without) == (1, 1)
    assert first.tolist() == [0, -1]
    assert scores.figures == dict.fromkeys(MEASURES, 1.0)
    nothing, _ = ranking_scores(full_rankings(gallery, queries), np.array([0, 0, 1]), np.array([2, 2]), 3)
    assert nothing.figures == {}
    assert nothing.per_class == (None, None, None)


def test_lists_cut_short_have_no_mean_average_precision_and_otherwise_the_same_figures() -> None:
    gallery, label, queries, truth = data()
    whole, _ = ranking_scores(full_rankings(gallery, queries), label, truth, 4)
    rows = nearest(gallery, queries, 12)[0]
    padded = np.hstack([rows, np.full((20, 3), -1)])
    for lists in (rows, padded):
        short, _ = ranking_scores(lists, label, truth, 4)
        assert short.figures == {name: value for name, value in whole.figures.items() if name != "mAP"}
