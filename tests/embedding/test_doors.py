"""Every door of the project gives a clip the same vector, whether it comes from a store or from a raw file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import finetune.feature_sets
import ssl_skel.view.runs
from finetune.config import FinetuneConfig
from finetune.predict import load_classifier, predict
from finetune.run import run as evaluate
from ssl_skel.backbones.configs.mpae_net import MPAENetConfig
from ssl_skel.config import parse_config
from ssl_skel.data.convert import convert
from ssl_skel.data.normalize import NormalizeConfig
from ssl_skel.data.store import Store
from ssl_skel.data.synthetic import SyntheticConfig, generate
from ssl_skel.embedding.embedder import Embedder
from ssl_skel.embedding.features import whole_clips
from ssl_skel.embedding.sklearn import SkeletonEmbedder
from ssl_skel.embedding.table import embed
from ssl_skel.encoders.card import EncoderCard
from ssl_skel.encoders.encoder import build_encoder
from ssl_skel.encoders.files import load_encoder, save_encoder
from ssl_skel.encoders.training_data import TrainingData
from ssl_skel.errors import UserError
from ssl_skel.evaluation.knn import unit
from ssl_skel.retrieval.build import build_index
from ssl_skel.retrieval.queries import load_queries


@pytest.fixture(scope="module")
def raw(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Recordings as a sensor gives them, with gaps and a second person in some, as one npz file."""
    clips = list(generate(SyntheticConfig(subjects=2, cameras=2, repetitions=1)))
    file = tmp_path_factory.mktemp("doors") / "raw.npz"
    persons, frames = (max(clip.joints.shape[axis] for clip in clips) for axis in (0, 1))
    joints = np.full((len(clips), persons, frames, *clips[0].joints.shape[2:]), np.nan, np.float32)
    for row, clip in zip(joints, clips, strict=True):
        row[: len(clip.joints), : clip.joints.shape[1]] = clip.joints
    columns = {name: [getattr(clip, name) for clip in clips] for name in ("name", "label", "subject")}
    np.savez(file, joints=joints, frames=[clip.joints.shape[1] for clip in clips], **columns)
    file.with_suffix(".yaml").write_text("layout: ntu25")
    return file


@pytest.fixture(scope="module")
def pretrained(store: Store) -> Path:
    """A run with an encoder, "trained" on the store."""
    run = store.path.parent / "run"
    torch.manual_seed(0)
    config = MPAENetConfig(channels=(8,), strides=(2,), heads=2, norm="layer")
    encoder = build_encoder(config, store.layout, channels=3, num_frames=16, stream="bone", extent="axis")
    data = TrainingData(store=str(store.path), sha256=store.sha256, split="xsub", clips=len(store))
    save_encoder(run / "encoder", encoder, EncoderCard.of(encoder, normalization=store.normalization, data=data))
    return run


@pytest.fixture(params=[None, "mean", "part:4"], ids=["default", "mean", "part:4"])
def pooling(request: pytest.FixtureRequest) -> str | None:
    return request.param


@pytest.fixture
def expected(pretrained: Path, store: Store, pooling: str | None) -> np.ndarray:
    """(N, D), straight from the network: clip by clip, without loader or ``Embedder``."""
    encoder, _ = load_encoder(pretrained, pooling)
    encoder.eval()
    vectors = []
    with torch.inference_mode():
        for row in range(len(store)):
            (batch,) = whole_clips(store, np.array([row]), num_frames=16).epoch()
            vectors.append(encoder(batch.x[:, 0], batch.present)[0].numpy())
    return np.stack(vectors)


def arrays(raw: Path) -> list[np.ndarray]:
    """The recordings as arrays, without padding."""
    with np.load(raw) as data:
        return [clip[:, :length] for clip, length in zip(data["joints"], data["frames"], strict=True)]


def assert_same(found: np.ndarray, expected: np.ndarray) -> None:
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5 * np.abs(expected).max())


def test_the_embedder(pretrained: Path, store: Store, raw: Path, pooling: str | None, expected: np.ndarray) -> None:
    embedder = Embedder(pretrained, pooling=pooling, device="cpu")
    assert (embedder.dim, str(embedder.pooling)) == (expected.shape[1], pooling or "part")
    for source in (store, store.path, str(store.path), raw, embedder.clips(raw), arrays(raw)):
        assert_same(embedder.encode(source), expected)
    assert_same(embedder.encode(raw, np.array([5, 2])), expected[[5, 2]])
    assert Embedder(pretrained, device="cpu", batch_size=3).encode(raw).dtype == np.float32


def test_embed(pretrained: Path, store: Store, raw: Path, pooling: str | None, expected: np.ndarray, tmp_path) -> None:
    for source in (store.path, raw):
        embed(pretrained, source, tmp_path / "f.npz", pooling=pooling, device="cpu", split="xsub", overwrite=True)
        with np.load(tmp_path / "f.npz") as data:
            assert data["name"].tolist() == store.name.tolist()
            assert set(data["side"].tolist()) == {"train", "test"}
            assert_same(data["features"], expected)


def test_an_index_and_its_queries(
    pretrained: Path, store: Store, raw: Path, pooling: str | None, expected: np.ndarray, tmp_path: Path
) -> None:
    index = build_index(pretrained, store.path, tmp_path / "index", pooling=pooling, device="cpu", batch_size=7)
    assert_same(np.asarray(index.vectors), unit(expected))
    for source in (store.path, raw):
        queries = load_queries(index, str(source))
        assert [query.name for query in queries] == store.name.tolist()
        assert_same(np.stack([query.vector for query in queries]), expected)
    rows, near = index.search(arrays(raw)[4], 1)
    assert (rows.tolist(), near.tolist()) == ([4], [pytest.approx(1)])


def test_the_scikit_learn_transformer(pretrained: Path, raw: Path, pooling: str | None, expected: np.ndarray) -> None:
    assert_same(SkeletonEmbedder(pretrained, device="cpu", pooling=pooling).fit_transform(arrays(raw)), expected)


@pytest.mark.parametrize("from_raw", [False, True])
def test_the_page_of_a_run(
    pretrained: Path,
    raw: Path,
    pooling: str | None,
    expected: np.ndarray,
    from_raw: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen, nearest = [], ssl_skel.view.runs.nearest

    def spy(gallery: np.ndarray, queries: np.ndarray, *more: Any) -> Any:
        seen.extend([*gallery, *queries])
        return nearest(gallery, queries, *more)

    monkeypatch.setattr(ssl_skel.view.runs, "nearest", spy)
    ssl_skel.view.runs.figure_of_run(pretrained, raw if from_raw else None, pooling)
    order = np.lexsort(np.stack(seen).T), np.lexsort(expected.T)
    assert_same(np.stack(seen)[order[0]], expected[order[1]])


def test_an_evaluation_and_its_classifier(
    pretrained: Path,
    store: Store,
    raw: Path,
    pooling: str | None,
    expected: np.ndarray,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made: dict[str, np.ndarray] = {}
    feature_set = finetune.feature_sets.FeatureSet

    def spy(name: str, features: tuple[np.ndarray, ...], *more: Any) -> Any:
        made[name] = features[0]
        return feature_set(name, features, *more)

    monkeypatch.setattr(finetune.feature_sets, "FeatureSet", spy)
    config = {
        "name": "evaluation",
        "data": {"store": str(store.path)},
        "encoders": {"xsub": str(pretrained)},
        "protocols": [{"name": "linear", "c": 0.1, "save": True}],
        "baselines": [],
        "device": "cpu",
        "runs": str(tmp_path),
        **({} if pooling is None else {"pooling": pooling}),
    }
    evaluate(parse_config(FinetuneConfig, config, "test"))
    assert_same(made["pretrained"], expected)

    (folder,) = (tmp_path / "evaluation" / "trainings").glob("*_linear_*")
    saved = load_classifier(folder)
    assert_same(Embedder.of(saved.task.encoder, saved.card).encode(raw), expected)
    with torch.inference_mode():
        probability = saved.task.head(torch.from_numpy(expected)).double().softmax(1).numpy()
    for source in (store.path, raw):
        found = predict(tmp_path / "evaluation", source).probability
        np.testing.assert_allclose(found, probability, rtol=1e-4, atol=1e-6)


def test_what_does_not_fit_is_one_message_at_every_door(pretrained: Path, store: Store, tmp_path: Path) -> None:
    convert("npz", store.path.parent / "raw.npz", tmp_path / "oriented", normalize=NormalizeConfig(orient=True))
    np.savez(tmp_path / "flat.npz", joints=np.random.default_rng(0).normal(size=(2, 9, 25, 2)))
    (tmp_path / "flat.yaml").write_text("layout: ntu25")
    index = build_index(pretrained, store.path, tmp_path / "index", device="cpu")
    for source, words in (
        (tmp_path / "oriented", "normalization: is .*, the encoder's clips had .*; convert with the same options"),
        (tmp_path / "flat.npz", "channels: has 2, the encoder takes 3"),
    ):
        for door in (
            lambda source=source: Embedder(pretrained, device="cpu").encode(source),
            lambda source=source: embed(pretrained, source, tmp_path / "f.npz", device="cpu"),
            lambda source=source: load_queries(index, str(source)),
            lambda source=source: ssl_skel.view.runs.figure_of_run(pretrained, source),
        ):
            with pytest.raises(UserError, match=words):
                door()
    for clips, words in (
        ([np.ones((9, 25, 2))], r"clip 0: has shape \(9, 25, 2\); this encoder takes \(T, 25, 3\)"),
        ([], "there are no clips"),
    ):
        with pytest.raises(UserError, match=words):
            Embedder(pretrained, device="cpu").encode(clips)
    with pytest.raises(UserError, match="pooling: unknown 'hand'"):
        Embedder(pretrained, pooling="hand")
