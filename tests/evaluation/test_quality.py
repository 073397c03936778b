"""Measures without labels: against naive loops, at known values, and what they must not heed."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest

from ssl_skel.evaluation import quality
from ssl_skel.evaluation.quality import alignment, evenly_spaced, feature_std, rankme, uniformity

Measure = Callable[[np.ndarray], float]


def features(n: int = 23, dim: int = 6, seed: int = 0) -> np.ndarray:
    """Uneven: directions of unlike strength, about a mean that is not zero."""
    rng = np.random.default_rng(seed)
    return (rng.normal(size=(n, dim)) * np.linspace(0.2, 2, dim) + rng.normal(size=dim)).astype(np.float32)


def sphere(n: int, dim: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(n, dim))


def rotation(dim: int) -> np.ndarray:
    return np.linalg.qr(np.random.default_rng(5).normal(size=(dim, dim)))[0]


def unit(row: np.ndarray) -> list[float]:
    length = math.sqrt(sum(float(v) ** 2 for v in row))
    return [float(v) / length for v in row]


def squared_distance(a: np.ndarray, b: np.ndarray) -> float:
    return sum((p - q) ** 2 for p, q in zip(unit(a), unit(b), strict=True))


# Against naive loops


def test_feature_std_is_the_mean_over_channels_of_simsiam() -> None:
    x = features()
    rows = [unit(row) for row in x]
    stds = []
    for channel in range(6):
        column = [row[channel] for row in rows]
        mean = sum(column) / len(column)
        stds.append(math.sqrt(sum((v - mean) ** 2 for v in column) / len(column)))
    assert feature_std(x) == pytest.approx(sum(stds) / 6 * math.sqrt(6))


def test_rankme_is_the_exponential_of_the_entropy() -> None:
    x = features().astype(float)
    sigma = [math.sqrt(max(value, 0)) for value in np.linalg.eigvalsh(x.T @ x)]
    p = [value / sum(sigma) + 1e-7 for value in sigma]
    assert rankme(x) == pytest.approx(math.exp(-sum(value * math.log(value) for value in p)))


def test_the_epsilon_of_rankme_is_that_of_the_paper() -> None:
    entropy = -(1 + 1e-7) * math.log(1 + 1e-7) - 99 * 1e-7 * math.log(1e-7)
    assert rankme(np.ones((200, 100))) == pytest.approx(math.exp(entropy), abs=1e-7)


def test_uniformity_is_a_mean_over_distinct_pairs() -> None:
    x = features()
    pairs = [math.exp(-2 * squared_distance(x[i], x[j])) for i in range(len(x)) for j in range(i)]
    assert uniformity(x) == pytest.approx(math.log(sum(pairs) / len(pairs)))


def test_alignment_is_a_mean_over_clips() -> None:
    x, y = features(), features(seed=1)
    assert alignment(x, y) == pytest.approx(sum(map(squared_distance, x, y)) / len(x))


# Known values


@pytest.mark.parametrize("dim", [1, 2, 7, 64])
def test_orthonormal_features_have_full_rank(dim: int) -> None:
    x = rotation(dim)
    assert rankme(x) == pytest.approx(dim, rel=1e-4)
    assert rankme(np.repeat(x, 5, axis=0)) == pytest.approx(dim, rel=1e-4)


def test_rank_counts_the_directions_that_are_used() -> None:
    """The mean is a direction too: nothing is centred."""
    x = sphere(400, 3) @ rotation(32)[:3]
    assert 2.9 < rankme(x) < 3.01
    assert rankme(np.eye(5)[[0, 1]]) == pytest.approx(2, rel=1e-4)
    assert rankme(np.diag([3.0, 1.0])) == pytest.approx(math.exp(-(0.75 * math.log(0.75) + 0.25 * math.log(0.25))))


@pytest.mark.parametrize("row", [np.ones(16), np.arange(16.0), 1e-20 * np.ones(16), np.zeros(16)])
def test_constant_features_are_seen_as_collapsed(row: np.ndarray) -> None:
    x = np.repeat(row[None].astype(np.float32), 50, 0)
    assert feature_std(x) == pytest.approx(0, abs=1e-6)
    assert rankme(x) == pytest.approx(1, abs=1e-3)
    assert uniformity(x) == pytest.approx(0, abs=1e-6)
    assert alignment(x, x) == 0


def test_almost_constant_features_are_seen_as_collapsed_too() -> None:
    x = 1 + 1e-4 * sphere(200, 16)
    assert feature_std(x) < 1e-3
    assert rankme(x) < 1.05
    assert uniformity(x) > -1e-5


def test_features_uniform_on_the_sphere() -> None:
    """In three dimensions the cosine of a pair is uniform: E exp(-2 (2 - 2 cos)) = exp(-4) sinh(4) / 4."""
    x = sphere(3000, 3)
    assert feature_std(x) == pytest.approx(1, abs=0.01)
    assert rankme(x) == pytest.approx(3, abs=0.01)
    assert uniformity(x) == pytest.approx(-4 + math.log(math.sinh(4) / 4), abs=0.01)
    assert alignment(x, sphere(3000, 3, seed=1)) == pytest.approx(2, abs=0.1)


def test_opposite_features() -> None:
    x = np.array([[2.0, 1.0], [-4.0, -2.0]])
    assert uniformity(x) == pytest.approx(-8)
    assert alignment(x, -x) == pytest.approx(4)
    assert feature_std(np.array([[1.0, 1.0], [-1.0, -1.0]])) == pytest.approx(1)


# What they heed and what not


@pytest.mark.parametrize("measure", [feature_std, rankme, uniformity])
def test_order_and_scale_do_not_matter(measure: Measure) -> None:
    x = features()
    assert measure(x[::-1]) == pytest.approx(measure(x))
    assert measure(1000 * x) == pytest.approx(measure(x), rel=1e-5)


@pytest.mark.parametrize("measure", [rankme, uniformity])
def test_rotation_does_not_matter(measure: Measure) -> None:
    x = features().astype(float)
    assert measure(x @ rotation(6)) == pytest.approx(measure(x))


@pytest.mark.parametrize("measure", [feature_std, uniformity])
def test_the_length_of_a_feature_does_not_matter(measure: Measure) -> None:
    x = features().astype(float)
    assert measure(x * np.linspace(1, 9, len(x))[:, None]) == pytest.approx(measure(x))


def test_alignment_knows_which_views_belong_together() -> None:
    x = features()
    near = x + 0.01 * sphere(*x.shape)
    assert alignment(x, near) < 0.01 < alignment(x, near[::-1])
    assert alignment(x, near) == alignment(near, x) == pytest.approx(alignment(3 * x, near), rel=1e-5)
    with pytest.raises(ValueError, match="one shape"):
        alignment(x, x[:1])


def test_the_input_stays_as_it_was() -> None:
    x = features()
    before = x.copy()
    feature_std(x), rankme(x), uniformity(x), alignment(x, x)
    assert np.array_equal(x, before)


def test_one_clip_has_no_pair() -> None:
    assert math.isnan(uniformity(np.ones((1, 3))))


# More rows than are looked at


def test_evenly_spaced_rows_reach_both_ends() -> None:
    assert evenly_spaced(5, 9).tolist() == [0, 1, 2, 3, 4]
    assert evenly_spaced(9, 3).tolist() == [0, 4, 8]
    for count in (11, 12, 1000):
        rows = evenly_spaced(count, 10)
        assert (rows[0], rows[-1], len(np.unique(rows))) == (0, count - 1, 10)
        assert np.ptp(np.diff(rows)) <= 1


@pytest.mark.parametrize("measure", [rankme, uniformity])
def test_of_many_rows_evenly_spaced_ones_are_looked_at(measure: Measure, monkeypatch: pytest.MonkeyPatch) -> None:
    x = sphere(50, 4)
    monkeypatch.setattr(quality, "evenly_spaced", lambda count: evenly_spaced(count, 10))
    assert measure(x) == pytest.approx(measure(x[evenly_spaced(50, 10)]))
    assert measure(x) != pytest.approx(measure(x[:10]))
