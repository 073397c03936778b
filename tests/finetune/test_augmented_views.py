"""Augmented views in the cached probe, and splits that train alike."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from finetune.config import FinetuneConfig
from finetune.protocols import linear as module
from finetune.run import run
from ssl_skel.data.augment.config import RotateConfig
from ssl_skel.data.augment.pipeline import Augment
from ssl_skel.data.loader import ClipLoader
from ssl_skel.data.splits import load_split
from ssl_skel.data.store import Store
from ssl_skel.encoders.files import load_encoder
from ssl_skel.evaluation.baseline_names import RawBaseline
from ssl_skel.evaluation.baselines import BASELINES, raw_draws, raw_features
from ssl_skel.evaluation.linear import linear_probe

MakeConfig = Callable[..., FinetuneConfig]
VIEWS = {"name": "linear", "augmented_views": 2, "c": 0.01, "batch_size": 7}


def blobs() -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Features (60, 5) in three clusters, two noisy views of each, labels, subjects."""
    rng = np.random.default_rng(0)
    y, subject = rng.integers(0, 3, 60), rng.integers(0, 3, 60)
    x = (rng.normal(size=(3, 5))[y] + rng.normal(size=(60, 5))).astype(np.float32)
    return x, (x + rng.normal(size=(2, 60, 5)) * 0.5).astype(np.float32), y, subject


def test_a_clip_and_its_views_weigh_as_much_as_a_clip() -> None:
    x, views, y, _ = blobs()
    probe = linear_probe(x, y, x, num_classes=3, augmented_views=views, c=0.3)
    rows = np.concatenate([x, *views]).astype(float)
    scale = StandardScaler().fit(rows)
    model = LogisticRegression(C=0.3, max_iter=1000, tol=1e-6)
    model.fit(scale.transform(rows), np.tile(y, 3), sample_weight=np.full(180, 1 / 3))
    assert np.allclose(np.exp(probe.scores), model.predict_proba(scale.transform(x.astype(float))), atol=1e-3)
    twins = linear_probe(x, y, x, num_classes=3, augmented_views=np.stack([x, x]), c=0.3)
    assert np.allclose(twins.scores, linear_probe(x, y, x, num_classes=3, c=0.3).scores, atol=2e-3)


def test_views_of_a_held_out_clip_are_fitted_nowhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each row carries its clip's number: fitted and judged ones are disjoint, views come along with their clips."""
    import ssl_skel.evaluation.linear as probe_module

    x, _, y, subject = blobs()
    number = np.arange(60)
    x[:, 0] = number
    views = np.stack([x, x])
    fitted: list[np.ndarray] = []
    judged: list[np.ndarray] = []

    class Spy(LogisticRegression):
        def fit(self, x, y):
            fitted.append(x[:, 0])
            return super().fit(x, y)

        def predict(self, x):
            judged.append(x[:, 0])
            return super().predict(x)

    monkeypatch.setattr(probe_module, "LogisticRegression", Spy)
    for groups in (subject, None, np.zeros(60, int)):
        fitted.clear(), judged.clear()
        linear_probe(x, y, x, num_classes=3, groups=groups, augmented_views=views, grid=(0.1,))
        for fit, held in zip(fitted, judged, strict=False):  # the last fit is that of the chosen C
            values, counts = np.unique(fit, return_counts=True)
            assert not np.isin(values, held).any()
            assert set(counts) == {3}
            assert len(values) + len(held) == 60


def test_the_probe_is_fitted_on_what_a_plain_loop_embeds(make_config: MakeConfig, motions: Path, run_dir: Path) -> None:
    report = run(make_config(protocols=[VIEWS], seeds=[5], baselines=["raw"]))
    store = Store.open(motions)
    split = load_split(store, "unseen")
    loader = ClipLoader(
        store,
        split.train,
        num_frames=4,
        batch_size=7,
        crop=(0.5, 1.0),
        augment=Augment([RotateConfig()], store.layout),
        seed=5,
    )
    encoder = load_encoder(run_dir)[0].eval()
    with torch.no_grad():
        views = [torch.cat([encoder(b.x[:, 0], b.present) for b in loader.epoch(k)]).numpy() for k in range(2)]
        whole = ClipLoader(store, range(len(store)), num_frames=4, batch_size=64)
        x = torch.cat([encoder(b.x[:, 0], b.present) for b in whole.epoch()]).numpy()
    assert np.abs(views[0] - views[1]).max() > 1e-3
    probe = linear_probe(
        x[split.train],
        store.label[split.train],
        x[split.test],
        num_classes=store.num_classes,
        augmented_views=np.stack(views),
        c=0.01,
    )
    expected = float((probe.predicted == store.label[split.test]).mean())
    assert report.figure("unseen", "pretrained", "linear, cached, 2 augmented views").mean == expected
    assert [m.features for m in report.measurements] == ["raw", "pretrained"]
    plain = run(make_config(name="plain", protocols=[VIEWS | {"augmented_views": 0}], seeds=[5], baselines=["raw"]))
    assert [m.runs for m in plain.measurements] != [m.runs for m in report.measurements]


@pytest.mark.parametrize("name", BASELINES)
def test_raw_draws_of_the_whole_clip_are_the_raw_features(motions: Path, name: RawBaseline) -> None:
    store, frames = Store.open(motions), BASELINES[name].frames
    rows = np.flatnonzero(store.frames > 2 * frames)
    drawn = raw_draws(ClipLoader(store, rows, num_frames=frames, batch_size=16), name=name)
    plain = raw_features(store, rows, name)
    assert drawn.shape == plain.shape
    alike = 0.9 if name == "raw_deviation" else 0.99  # half a frame changes how limbs move more than where they are
    assert np.corrcoef(drawn.ravel(), plain.ravel())[0, 1] > alike
    if name == "raw_pairs":
        return
    second = drawn.reshape(len(rows), store.max_persons, -1)[:, 1]
    assert np.array_equal(second.any(1), store.persons[rows] > 1)
    first = drawn.reshape(len(rows), store.max_persons, frames, store.layout.num_joints, 3)[:, 0, 0]
    assert first[:, store.layout.centre].any() == (name == "raw_box")


def test_splits_that_train_alike_are_fitted_once(
    make_config: MakeConfig, run_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[int] = []
    probe, fit = module.linear_probe, module.fit
    monkeypatch.setattr(module, "linear_probe", lambda *a, **k: calls.append(1) or probe(*a, **k))
    monkeypatch.setattr(module, "fit", lambda *a, **k: calls.append(2) or fit(*a, **k))
    row = {"name": "linear", "mode": "both", "c": 0.01, "epochs": 1, "batch_size": 16}
    encoders = dict.fromkeys(("xview", "xview_dedup", "unseen"), str(run_dir))
    report = run(make_config(protocols=[row], encoders=encoders, baselines=["raw"]))
    assert sorted(calls) == [1, 1, 1, 1, 2, 2]  # raw and pretrained, xview and unseen
    by_hand = run(make_config(name="alone", protocols=[row], encoders={"xview_dedup": str(run_dir)}, baselines=[]))
    for measure in ("linear, cached", "linear, trained"):
        for figure in ("accuracy", "top5"):
            alone = by_hand.figure("xview_dedup", "pretrained", measure, figure)
            assert report.figure("xview_dedup", "pretrained", measure, figure) == alone
