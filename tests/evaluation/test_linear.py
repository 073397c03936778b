"""The closed linear probe: it learns, it converges, and it never looks at test clips."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from ssl_skel.evaluation.linear import linear_probe


def blobs(seed: int = 0, n: int = 120, dim: int = 6, classes: int = 3) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Clusters, shifted by subject; features, labels, subjects."""
    rng = np.random.default_rng(seed)
    labels, subjects = rng.integers(0, classes, n), rng.integers(0, 4, n)
    centres, shift = np.random.default_rng(9).normal(size=(classes, dim)) * 2, rng.normal(size=(4, dim)) * 0.5
    return (centres[labels] + shift[subjects] + rng.normal(size=(n, dim))).astype(np.float32), labels, subjects


def test_equals_scikit_learn_at_a_fixed_c() -> None:
    x, y, _ = blobs()
    probe = linear_probe(x[:80], y[:80], x[80:], num_classes=3, c=0.1)
    scale = StandardScaler().fit(x[:80].astype(float))
    model = LogisticRegression(C=0.1, max_iter=1000).fit(scale.transform(x[:80].astype(float)), y[:80])
    assert np.allclose(np.exp(probe.scores), model.predict_proba(scale.transform(x[80:].astype(float))), atol=1e-6)
    assert probe.predicted.tolist() == probe.scores.argmax(1).tolist()
    assert (probe.c, probe.held_out, probe.notes) == (0.1, {}, ())


def test_where_a_class_is_all_but_impossible_its_score_is_still_a_number() -> None:
    x = np.repeat(np.float32([[-5.0], [5.0], [400.0]]), 10, 0)
    far = np.float32([[1e6], [-1e6]])  # probabilities far below the smallest float64
    scores = linear_probe(x, np.repeat([0, 1, 2], 10), far, num_classes=4, c=1000.0).scores
    assert np.isfinite(scores[:, :3]).all()
    assert scores[:, :3].min() < -1000
    assert np.isneginf(scores[:, 3]).all()


def test_learns() -> None:
    x, y, subjects = blobs()
    probe = linear_probe(x[:80], y[:80], x[80:], num_classes=3, groups=subjects[:80])
    assert (probe.predicted == y[80:]).mean() > 0.9
    assert "training subjects" in probe.notes[0]


def test_c_is_chosen_on_whole_held_out_subjects() -> None:
    """A feature that names the subject tells the class too: only holding out subjects sees through it."""
    rng = np.random.default_rng(0)
    subjects = np.repeat(np.arange(8), 10)
    y = subjects % 2
    fake = np.eye(8)[subjects] * 3 + rng.normal(size=(80, 8)) * 0.01
    probe = linear_probe(fake.astype(np.float32), y, fake.astype(np.float32), num_classes=2, groups=subjects)
    assert max(probe.held_out.values()) < 0.6
    unknown = linear_probe(fake.astype(np.float32), y, fake.astype(np.float32), num_classes=2)
    assert max(unknown.held_out.values()) == 1.0
    assert "subjects unknown" in unknown.notes[0]


def test_equally_good_values_give_the_smallest_c() -> None:
    x = np.repeat(np.float32([[-5.0], [5.0]]), 10, 0)
    probe = linear_probe(x, np.repeat([0, 1], 10), x, num_classes=2, grid=(1.0, 0.1, 10.0))
    assert probe.c == 0.1


def test_a_class_without_training_clips_is_never_predicted() -> None:
    x, y, _ = blobs()
    probe = linear_probe(x[y != 1], y[y != 1], x, num_classes=4, c=1.0)
    assert set(probe.predicted.tolist()) == {0, 2}
    assert np.isneginf(probe.scores[:, [1, 3]]).all()


def test_what_does_not_converge_is_said_and_is_no_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    x, y, _ = blobs()
    monkeypatch.setattr(
        "ssl_skel.evaluation.linear.LogisticRegression",
        lambda **options: LogisticRegression(**options | {"max_iter": 1}),
    )
    assert "before it converged" in linear_probe(x, y, x, num_classes=3, c=1.0).notes[-1]


def test_constant_features_are_fine() -> None:
    x, y, _ = blobs()
    x[:, 0] = 7
    probe = linear_probe(x, y, x, num_classes=3, c=1.0)
    assert np.isfinite(probe.scores).all()
    assert (probe.predicted == y).mean() > 0.9


@pytest.mark.parametrize("labels", [[0, 0, 0], [0, 1, -1]])
def test_refuses_one_class_and_unlabelled_clips(labels: list[int]) -> None:
    with pytest.raises(ValueError, match="two classes"):
        linear_probe(np.ones((3, 2), np.float32), np.array(labels), np.ones((1, 2), np.float32), num_classes=2)
