"""An encoder for merged corpora takes clips of every layout by every door; any other encoder takes its own alone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from finetune.config import FinetuneConfig
from finetune.predict import predict
from finetune.run import run as evaluate
from ssl_skel.backbones.configs.tcn import TCNConfig
from ssl_skel.config import parse_config
from ssl_skel.data.clip import RawClip
from ssl_skel.data.convert import convert
from ssl_skel.data.normalize import NormalizeConfig, normalize
from ssl_skel.data.store import Store
from ssl_skel.data.synthetic import SyntheticConfig, generate
from ssl_skel.data.writer import StoreWriter
from ssl_skel.embedding.embedder import Embedder
from ssl_skel.encoders.card import EncoderCard
from ssl_skel.encoders.encoder import build_encoder
from ssl_skel.encoders.files import save_encoder
from ssl_skel.errors import UserError
from ssl_skel.layouts import LAYOUTS
from ssl_skel.layouts.mapping import joint_map
from ssl_skel.retrieval.build import build_index
from ssl_skel.retrieval.queries import load_queries

COMMON, OWN = LAYOUTS["common15"], LAYOUTS["ntu25"]
WANT = NormalizeConfig(orient=True)


@pytest.fixture(scope="module")
def raw(tmp_path_factory: pytest.TempPathFactory) -> Path:
    clips = list(generate(SyntheticConfig(subjects=2, cameras=2, repetitions=1)))[:30]
    file = tmp_path_factory.mktemp("any") / "raw.npz"
    frames = max(clip.joints.shape[1] for clip in clips)
    joints = np.full((len(clips), frames, 25, 3), np.nan, np.float32)
    for row, clip in zip(joints, clips, strict=True):
        row[: clip.joints.shape[1]] = clip.joints[0]
    np.savez(file, joints=joints, label=[clip.label % 3 for clip in clips], subject=[i % 2 + 1 for i in range(30)])
    file.with_suffix(".yaml").write_text("layout: ntu25")
    return file


def saved(folder: Path, layout: str = "common15") -> Path:
    torch.manual_seed(0)
    encoder = build_encoder(
        TCNConfig(size="tiny"), LAYOUTS[layout], channels=3, num_frames=16, stream="pose", extent="box"
    )
    save_encoder(folder, encoder, EncoderCard.of(encoder, normalization=WANT))
    return folder


@pytest.fixture(scope="module")
def encoder(raw: Path) -> Path:
    return saved(raw.parent / "encoder")


@pytest.fixture(scope="module")
def expected(store: Store, encoder: Path) -> np.ndarray:
    """Vectors of clips that were mapped, and then normalised, one by one."""
    take = joint_map(OWN, COMMON)
    clips = [normalize(take(store.clip(i)), COMMON, WANT)[0] for i in range(len(store))]
    folder = encoder.parent / "mapped"
    with StoreWriter(folder, COMMON, (), normalization=WANT) as writer:
        for i, clip in enumerate(clips):
            writer.add(RawClip(str(i), clip))
    return Embedder(encoder).encode(folder)


def test_a_store_and_a_raw_file_of_another_layout(raw, store, encoder, expected):
    np.testing.assert_allclose(Embedder(encoder).encode(store.path), expected, atol=1e-5)
    np.testing.assert_allclose(Embedder(encoder).encode(raw), expected, atol=1e-5)


def test_what_is_oriented_already_stays_as_it_is(raw, encoder, expected):
    convert("npz", raw, raw.parent / "oriented", normalize=WANT)
    np.testing.assert_allclose(Embedder(encoder).encode(raw.parent / "oriented"), expected, atol=0.02)


def test_an_index_its_windows_and_a_raw_query(raw, store, encoder, expected, tmp_path):
    index = build_index(encoder, store.path, tmp_path / "index", windows=[20])
    whole = index.rows["length"] == index.rows["frames"]
    for row in range(0, len(index), 7):
        joints = index.joints(row, store)
        assert joints.shape[1:] == (index.rows["length"][row], 15, 3)
        np.testing.assert_allclose(joints[0, 0, COMMON.centre], 0, atol=1e-6)
    assert not whole.all()
    queries = load_queries(index, raw, clip=str(store.name[3]))
    np.testing.assert_allclose(queries[0].vector, expected[3], atol=1e-5)
    assert queries[0].joints.shape[2] == 15


def test_evaluation_and_prediction(raw, store, encoder, tmp_path):
    options = {
        "name": "any",
        "data": {"store": str(store.path)},
        "encoders": {"xsub": str(encoder)},
        "protocols": [{"name": "linear", "mode": "cached", "c": 1.0, "save": True}],
        "runs": str(tmp_path),
    }
    report = evaluate(parse_config(FinetuneConfig, options, "config"))
    assert any("ntu25 were mapped by name to common15" in line for fact in report.splits for line in fact.warnings)
    by_store, by_file = predict(tmp_path / "any", store.path), predict(tmp_path / "any", raw)
    np.testing.assert_allclose(by_store.probability, by_file.probability, atol=1e-5)


def test_more_than_the_encoder_wants_is_refused(raw, encoder):
    convert("npz", raw, raw.parent / "scaled", normalize=NormalizeConfig(scale=True))
    with pytest.raises(UserError, match="normalization: scale is True, the encoder's clips had False, and what was"):
        Embedder(encoder).encode(raw.parent / "scaled")


def test_any_other_encoder_takes_its_own_layout_alone(raw, store, tmp_path):
    with pytest.raises(UserError, match="layout: has ntu25, the encoder takes kinect20"):
        Embedder(saved(tmp_path / "other", "kinect20")).encode(store.path)
