"""The estimate of a classifier: held-out people, and the confidence below which the answer is "none of these"."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import ssl_skel
from finetune.held_out import estimate, groups_of
from ssl_skel.data.store import Store
from ssl_skel.data.synthetic import SyntheticConfig, write_synthetic
from ssl_skel.errors import UserError
from ssl_skel.evaluation.estimate import Estimate
from ssl_skel.evaluation.linear import linear_probe
from ssl_skel.evaluation.predictions import NONE, Predictions

NAMES = ("clap", "jump", "wave")


def clips(people: int = 4, each: int = 6, noise: float = 1.5) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Features, labels and people: each class around a point, each person shifted."""
    rng = np.random.default_rng(0)
    label, person = np.tile(np.arange(3), people * each), np.repeat(np.arange(people), 3 * each)
    shift = rng.normal(size=(people, 8))
    x = 2 * np.eye(3, 8)[label] + shift[person] + noise * rng.normal(size=(len(label), 8))
    return x.astype(np.float32), label, person


def estimated(keep: float = 0.9) -> Estimate:
    x, label, person = clips()
    return estimate(x, label, person, "people", NAMES, c=0.1, keep=keep)


def test_each_person_is_predicted_by_a_probe_of_the_others() -> None:
    x, label, person = clips()
    sure, right = np.zeros(len(label)), np.zeros(len(label), bool)
    for one in range(4):
        held, train = person == one, person != one
        probe = linear_probe(x[train], label[train], x[held], num_classes=3, groups=person[train])
        right[held] = probe.predicted == label[held]
        z = (x - x[train].mean(0)) / x[train].std(0)
        z /= np.linalg.norm(z, axis=1, keepdims=True)
        for at, best, score in zip(np.flatnonzero(held), probe.predicted, probe.scores.max(1), strict=True):
            mean = z[train & (label == best)].mean(0)
            sure[at] = np.exp(score) * max(z[at] @ mean / np.linalg.norm(mean), 0)
    found = estimated()
    assert (found.clips, found.groups, found.folds) == (72, 4, 4)
    assert found.accuracy == pytest.approx(right.mean())
    assert found.lowest == pytest.approx(min(right[person == one].mean() for one in range(4)))
    assert list(found.per_class.values()) == pytest.approx([right[label == k].mean() for k in range(3)])
    assert 0 < found.accuracy < 1
    assert found.threshold == pytest.approx(np.quantile(sure[right], 0.1, method="lower"), rel=1e-4)
    level = found.threshold * (1 - 1e-4)  # the lowest that counts, for any rounding
    assert found.kept == pytest.approx((sure[right] >= level).mean())
    assert found.refused_wrong == pytest.approx((sure[~right] < level).mean())


def test_the_threshold_keeps_the_share_of_right_answers_and_no_more_than_that() -> None:
    loose, tight = estimated(keep=0.95), estimated(keep=0.5)
    assert 0.95 <= loose.kept < 1
    assert 0.5 <= tight.kept < 0.6
    assert tight.threshold > loose.threshold
    assert tight.refused_unseen > loose.refused_unseen  # type: ignore[operator]
    assert "4 folds; lowest person" in loose.sentence()


def test_recordings_are_never_parted_and_stand_for_people_that_are_unknown(motions: Path) -> None:
    store = Store.open(motions)
    rows = np.arange(len(store))
    groups, by = groups_of(store, rows)
    assert (by, len(np.unique(groups))) == ("people", 4)
    one_recording = np.where(store.subject <= 2, 7, -1)
    joined = replace(store, sha256="", recording=one_recording)
    assert len(np.unique(groups_of(joined, rows)[0])) == 3
    unknown = replace(store, sha256="", subject=np.full(len(store), -1))
    assert groups_of(unknown, rows)[1] == "recordings"
    with pytest.raises(UserError, match="all labelled clips are of one recording"):
        groups_of(replace(unknown, recording=np.zeros(len(store), int)), rows)


def test_an_answer_below_the_threshold_is_none_of_these() -> None:
    found = Predictions(("a", "=b"), ("x", "y"), np.array([[0.9, 0.1], [0.45, 0.55]]), (), threshold=0.6)
    assert found.answers == ("x", NONE)
    assert found.as_csv().splitlines() == [
        "clip,answer,confidence,x,y",
        "a,x,0.9000,0.9000,0.1000",
        "'=b,none of these,0.5500,0.4500,0.5500",
    ]


def test_a_classifier_is_whole_or_absent_and_replaces_its_kind_alone(tmp_path: Path) -> None:
    store, made = tmp_path / "store", tmp_path / "made"
    write_synthetic(store, SyntheticConfig(subjects=2, cameras=2, repetitions=1))
    found = ssl_skel.train_classifier(store, made, device="cpu")
    assert found.groups == 2
    answers = ssl_skel.predict(made, store)
    assert (answers.estimate, answers.threshold) == (found, found.threshold)
    assert (answers.confidence < answers.probability.max(1)).all()
    assert (answers.confidence > 0).any()
    (made / "typical.safetensors").write_bytes((made / "head.safetensors").read_bytes())
    with pytest.raises(UserError, match=r"typical\.safetensors: is damaged .*; train the classifier again"):
        ssl_skel.predict(made, store)
    (made / "typical.safetensors").unlink()  # as classifiers of an evaluation, which have none
    np.testing.assert_array_equal(ssl_skel.predict(made, store).confidence, answers.probability.max(1))
    for target, told in ((made, "exists already"), (store, "exists already")):
        with pytest.raises(UserError, match=told):
            ssl_skel.train_classifier(store, target)
    with pytest.raises(UserError, match="not part of the classifier"):
        ssl_skel.train_classifier(store, store, overwrite=True)
    with pytest.raises(UserError, match="keep: 0"):
        ssl_skel.train_classifier(store, tmp_path / "new", keep=0)
    shutil.rmtree(store)
    with pytest.raises(UserError, match="no store"):
        ssl_skel.train_classifier(store, tmp_path / "new")
    assert not (tmp_path / "new").exists()
