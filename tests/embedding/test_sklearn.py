"""``SkeletonEmbedder`` gives what a store gives, is a good scikit-learn citizen, and names a bad clip."""

from __future__ import annotations

import pickle
import textwrap
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.utils import estimator_checks

from ssl_skel.backbones.configs.mpae_net import MPAENetConfig
from ssl_skel.data.clip import RawClip
from ssl_skel.data.normalize import NormalizeConfig, normalize
from ssl_skel.data.store import Store
from ssl_skel.data.synthetic import SyntheticConfig, generate
from ssl_skel.data.writer import StoreWriter
from ssl_skel.embedding.features import extract_features, whole_clips
from ssl_skel.embedding.sklearn import SkeletonEmbedder
from ssl_skel.encoders.card import EncoderCard
from ssl_skel.encoders.encoder import build_encoder
from ssl_skel.encoders.files import load_encoder, save_encoder
from ssl_skel.errors import UserError


def save_run(folder: Path, store: Store, **normalization: Any) -> Path:
    torch.manual_seed(3)
    config = MPAENetConfig(channels=(8,), strides=(2,), heads=2)
    encoder = build_encoder(config, store.layout, channels=store.channels, num_frames=16, stream="bone")
    save_encoder(
        folder / "encoder", encoder, EncoderCard.of(encoder, normalization=normalization or store.normalization)
    )
    return folder


@pytest.fixture(scope="module")
def recordings() -> list[RawClip]:
    """Clips as a sensor gives them, with NaN; the session's store was written from the same."""
    return list(generate(SyntheticConfig(subjects=4, cameras=2, repetitions=1)))


@pytest.fixture(scope="module")
def run(motions: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_run(tmp_path_factory.mktemp("embedder") / "tiny", Store.open(motions))


def through_store(store: Store, run: Path, pooling: str | None = None) -> np.ndarray:
    encoder, _ = load_encoder(run, pooling)
    return extract_features(encoder, whole_clips(store, num_frames=16))


@pytest.mark.parametrize("pooling", [None, "mean", "part:4"])
def test_vectors_are_those_of_the_store(
    motions: Path, run: Path, recordings: list[RawClip], pooling: str | None
) -> None:
    store = Store.open(motions)
    assert [clip.name for clip in recordings] == store.name.tolist()
    assert any(np.isnan(clip.joints).any() for clip in recordings)
    assert store.max_persons > 1
    vectors = SkeletonEmbedder(run, device="cpu", pooling=pooling).fit_transform([clip.joints for clip in recordings])
    assert vectors.dtype == np.float32
    np.testing.assert_array_equal(vectors, through_store(store, run, pooling))


def test_the_cards_normalisation_is_applied(motions: Path, recordings: list[RawClip], tmp_path: Path) -> None:
    how, told = NormalizeConfig(centre="frame", orient=True, scale=True), Store.open(motions)
    with StoreWriter(tmp_path / "store", told.layout, told.class_names, normalization=how) as writer:
        for clip in recordings[:20]:
            writer.add(RawClip(clip.name, normalize(clip.joints, told.layout, how)[0]))
    store = Store.open(tmp_path / "store")
    run, plain = save_run(tmp_path / "run", store), save_run(tmp_path / "plain", told)
    clips = [clip.joints for clip in recordings[:20]]
    vectors = SkeletonEmbedder(run, device="cpu").transform(clips)
    np.testing.assert_array_equal(vectors, through_store(store, run))
    assert not np.allclose(vectors, SkeletonEmbedder(plain, device="cpu").transform(clips))


def test_batch_size_one_person_and_empty_persons_change_nothing(run: Path, recordings: list[RawClip]) -> None:
    single = [clip.joints for clip in recordings if len(clip.joints) == 1][:5]
    vectors = SkeletonEmbedder(run, device="cpu").transform(single)
    without_persons = SkeletonEmbedder(run, device="cpu", batch_size=2).transform([clip[0] for clip in single])
    np.testing.assert_allclose(without_persons, vectors, atol=1e-6)
    padded = [
        np.concatenate([clip, np.full_like(clip, fill)])
        for clip, fill in zip(single, [0, np.nan, 0, np.nan, 0], strict=True)
    ]
    np.testing.assert_allclose(SkeletonEmbedder(run, device="cpu").transform(padded), vectors, atol=1e-6)


def test_the_docstrings_example_runs(run: Path, recordings: list[RawClip]) -> None:
    assert SkeletonEmbedder.__doc__ is not None
    lines = SkeletonEmbedder.__doc__.split("::\n", 1)[1].splitlines()
    example = textwrap.dedent("\n".join(lines[: next(i for i, line in enumerate(lines) if line.startswith("    Of"))]))
    clips, labels = [clip.joints for clip in recordings], [clip.label for clip in recordings]
    names: dict[str, Any] = {"run": run, "clips": clips, "labels": labels, "new_clips": clips[:7]}
    exec(example, names)
    guesses = names["model"].predict(clips)
    assert guesses.shape == (len(clips),)
    assert (guesses == np.array(labels)).mean() > 2 / 13


def test_a_pickle_holds_no_weights_and_a_clone_no_encoder(run: Path, recordings: list[RawClip]) -> None:
    embedder = SkeletonEmbedder(run, batch_size=3, device="cpu", pooling="part")
    clips = [clip.joints for clip in recordings[:4]]
    vectors = embedder.transform(clips)
    text = pickle.dumps(embedder)
    assert len(text) < 1000
    again = pickle.loads(text)
    assert again.get_params() == embedder.get_params() == clone(embedder).get_params()
    np.testing.assert_array_equal(again.transform(clips), vectors)


def test_parameters_may_change_between_calls(motions: Path, run: Path, recordings: list[RawClip], tmp_path) -> None:
    embedder = SkeletonEmbedder(run, device="cpu")
    clips = [clip.joints for clip in recordings[:3]]
    parts = embedder.transform(clips)
    assert embedder.set_params(pooling="part:4").transform(clips).shape[1] == 4 * parts.shape[1]
    store = Store.open(motions)
    torch.manual_seed(9)
    config = MPAENetConfig(channels=(12,), strides=(2,), heads=2)
    wide = build_encoder(config, store.layout, channels=3, num_frames=16, stream="joint")
    save_encoder(tmp_path, wide, EncoderCard.of(wide, normalization=store.normalization))
    assert embedder.set_params(run=tmp_path, pooling="mean").transform(clips).shape == (3, 12)


def test_feature_names(run: Path, recordings: list[RawClip]) -> None:
    embedder = SkeletonEmbedder(run, device="cpu")
    names = embedder.get_feature_names_out()
    assert names[0] == "skeletonembedder0"
    assert len(names) == embedder.transform([recordings[0].joints]).shape[1]


CHECKS = [
    "check_estimator_cloneable",
    "check_estimator_repr",
    "check_no_attributes_set_in_init",
    "check_get_params_invariance",
    "check_set_params",
    "check_estimator_tags_renamed",
    "check_valid_tag_types",
    "check_mixin_order",
    "check_do_not_raise_errors_in_init_or_set_params",
]


@pytest.mark.parametrize("check", CHECKS)
def test_checks_of_scikit_learn_that_need_no_table(check: str, run: Path) -> None:
    getattr(estimator_checks, check)("SkeletonEmbedder", SkeletonEmbedder(str(run)))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda clip: clip[:, :, :20], "clip 1: has shape .* takes \\(T, 25, 3\\)"),
        (lambda clip: clip[..., :2], "clip 1: has shape .* takes \\(T, 25, 3\\)"),
        (lambda clip: clip[0, 0], "clip 1: has shape"),
        (lambda clip: clip[:, :0], "clip 1: has no frames"),
        (lambda clip: clip[:0], "clip 1: has no frames"),
        (lambda clip: clip * np.nan, "clip 1: has no tracked joint"),
        (lambda clip: "walk", "clip 1: is not an array of numbers"),
    ],
)
def test_a_bad_clip_is_named(run: Path, recordings: list[RawClip], change: Any, words: str) -> None:
    clips = [recordings[0].joints, change(recordings[1].joints)]
    for method in ("fit", "transform"):
        with pytest.raises(UserError, match=words):
            getattr(SkeletonEmbedder(run, device="cpu"), method)(clips)


@pytest.mark.parametrize(
    ("params", "words"),
    [
        ({"batch_size": 0}, "batch_size"),
        ({"pooling": "arm"}, "pooling: unknown 'arm'; known: mean"),
        ({"device": "abacus"}, "device: 'abacus'"),
        ({"run": "nowhere"}, "nowhere"),
    ],
)
def test_bad_parameters(run: Path, recordings: list[RawClip], params: dict[str, Any], words: str) -> None:
    with pytest.raises(UserError, match=words):
        SkeletonEmbedder(run).set_params(**params).fit([recordings[0].joints])


def test_no_clips_and_a_card_without_normalisation(motions: Path, run: Path, recordings, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no clips"):
        SkeletonEmbedder(run, device="cpu").transform([])
    silent = save_run(tmp_path, Store.open(motions), units="metres")
    with pytest.raises(UserError, match="nothing is recorded"):
        SkeletonEmbedder(silent).fit([recordings[0].joints])
