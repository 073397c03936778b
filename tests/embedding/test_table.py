"""Features as a table: those that evaluation sees, with what is known of each clip."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from ssl_skel.backbones.configs.mpae_net import MPAENetConfig
from ssl_skel.data.store import Store
from ssl_skel.data.synthetic import SyntheticConfig, write_synthetic
from ssl_skel.embedding import outputs
from ssl_skel.embedding.features import extract_features, whole_clips
from ssl_skel.embedding.table import embed
from ssl_skel.encoders.card import EncoderCard
from ssl_skel.encoders.encoder import SkeletonEncoder, build_encoder
from ssl_skel.encoders.files import save_encoder
from ssl_skel.encoders.pooling_config import PoolingConfig
from ssl_skel.errors import UserError
from ssl_skel.layouts import LAYOUTS


@pytest.fixture
def store(tmp_path: Path) -> Store:
    write_synthetic(tmp_path / "store", SyntheticConfig(subjects=2, cameras=2, repetitions=1))
    return Store.open(tmp_path / "store")


@pytest.fixture
def encoder(store: Store, tmp_path: Path) -> SkeletonEncoder:
    made = build_encoder(MPAENetConfig(size="tiny"), store.layout, channels=3, num_frames=16, stream="joint")
    save_encoder(tmp_path / "run", made, EncoderCard.of(made, normalization=store.normalization))
    return made


def test_the_table_holds_the_features_that_evaluation_sees(
    store: Store, encoder: SkeletonEncoder, tmp_path: Path
) -> None:
    split = next(iter(store.splits))
    facts = embed(tmp_path / "run", store.path, tmp_path / "f.npz", pooling="part", split=split, batch_size=7)
    encoder = encoder.with_pooling(PoolingConfig.of("part"))
    want = extract_features(encoder, whole_clips(store, num_frames=16))
    with np.load(tmp_path / "f.npz", allow_pickle=False) as data:
        assert np.allclose(data["features"], want, atol=1e-5)
        for column in ("name", "label", "subject", "camera"):
            assert np.array_equal(data[column], getattr(store, column))
        assert set(data["side"]) <= {"train", "test", ""}
        assert {"train", "test"} <= set(data["side"])
        assert json.loads(str(data["meta"]))["sha256"] == store.sha256
    assert (facts["clips"], facts["dim"]) == want.shape


def test_a_split_of_raw_recordings(store: Store, encoder: SkeletonEncoder, tmp_path: Path) -> None:
    clips = np.stack([store.clip(0)[0, :9], store.clip(1)[0, :9]])
    np.savez(tmp_path / "mine.npz", joints=clips, split=["train", "test"])
    (tmp_path / "mine.yaml").write_text(f"layout: {store.layout.name}\n")
    with pytest.raises(UserError, match=r"mine\.npz: unknown split 'xview'; known: all, given"):
        embed(tmp_path / "run", tmp_path / "mine.npz", tmp_path / "f.npz", split="xview")
    embed(tmp_path / "run", tmp_path / "mine.npz", tmp_path / "f.npz", split="given")
    with np.load(tmp_path / "f.npz", allow_pickle=False) as data:
        assert data["side"].tolist() == ["train", "test"]


def test_parquet_holds_the_same(store: Store, encoder: SkeletonEncoder, tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    for out in ("f.npz", "f.parquet"):
        embed(tmp_path / "run", store.path, tmp_path / out)
    table = parquet.read_table(tmp_path / "f.parquet")
    with np.load(tmp_path / "f.npz", allow_pickle=False) as data:
        assert np.array_equal(np.array(table["features"].to_pylist(), np.float32), data["features"])
        assert table["name"].to_pylist() == data["name"].tolist()
        assert table.schema.metadata[b"ssl_skel"].decode() == str(data["meta"])


def test_a_folder_of_parts_is_one_table(store: Store, encoder: SkeletonEncoder, tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    (tmp_path / "parts").mkdir()
    split, count = next(iter(store.splits)), 3
    embed(tmp_path / "run", store.path, tmp_path / "whole.parquet", split=split)
    for part in range(1, count + 1):
        out = tmp_path / "parts" / f"{part}.parquet"
        embed(tmp_path / "run", store.path, out, split=split, shard=(part, count))
        meta = json.loads(parquet.read_table(out).schema.metadata[b"ssl_skel"])
        assert (meta["part"], meta["sha256"]) == (f"{part}/{count}", store.sha256)
    whole, parts = parquet.read_table(tmp_path / "whole.parquet"), parquet.read_table(tmp_path / "parts")
    for name in ("name", "label", "side"):
        assert parts[name].to_pylist() == whole[name].to_pylist()
    vectors = [np.array(table["features"].to_pylist(), np.float32) for table in (parts, whole)]
    assert np.allclose(*vectors, atol=1e-5)


def test_bfloat16_stays_near(store: Store, encoder: SkeletonEncoder, tmp_path: Path) -> None:
    for out, precision in (("f.npz", "no"), ("g.npz", "bf16")):
        embed(tmp_path / "run", store.path, tmp_path / out, precision=precision)
    with np.load(tmp_path / "f.npz") as full, np.load(tmp_path / "g.npz") as half:
        a, b = torch.from_numpy(full["features"]), torch.from_numpy(half["features"])
    assert torch.cosine_similarity(a, b).min() > 0.99
    assert not torch.equal(a, b)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"out": "f.csv"}, "f.csv: give a name that ends in .npz or .parquet"),
        ({"out": "taken.npz"}, "taken.npz: exists"),
        ({"split": "xwiev"}, "xwiev"),
        ({"source": "gone"}, "gone: does not exist"),
        ({"shard": (3, 2)}, "--shard 3/2: counts parts from 1"),
        ({"shard": (500, 500)}, "--shard 500/500: is empty; "),
    ],
)
def test_what_does_not_fit_is_refused(
    store: Store, encoder: SkeletonEncoder, tmp_path: Path, change: dict, message: str
) -> None:
    (tmp_path / "taken.npz").write_bytes(b"mine")
    options = {"source": "store", "out": "f.npz"} | change
    source, out = (tmp_path / options.pop(name) for name in ("source", "out"))
    with pytest.raises(UserError, match=message):
        embed(tmp_path / "run", source, out, **options)
    assert not (tmp_path / "f.npz").exists()
    assert (tmp_path / "taken.npz").read_bytes() == b"mine"


def test_another_layout_is_refused(store: Store, tmp_path: Path) -> None:
    other = next(layout for layout in LAYOUTS.values() if layout != store.layout)
    made = build_encoder(MPAENetConfig(size="tiny"), other, channels=3, num_frames=16, stream="joint")
    save_encoder(tmp_path / "other", made, EncoderCard.of(made, normalization=store.normalization))
    with pytest.raises(UserError, match=f"has {store.layout.name}, the encoder takes {other.name}"):
        embed(tmp_path / "other", store.path, tmp_path / "f.npz")


def test_a_missing_package_is_told_with_its_remedy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outputs, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"pip install 'ssl-skel\[tables\]'"):
        embed(tmp_path / "run", tmp_path / "store", tmp_path / "f.parquet")
