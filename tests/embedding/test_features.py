"""Feature extraction: row order, modes, views, precision."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from ssl_skel.backbones.base import Backbone
from ssl_skel.backbones.configs.base import BackboneConfig
from ssl_skel.data.loader import ClipLoader
from ssl_skel.data.store import Store
from ssl_skel.embedding.features import extract_features, whole_clips
from ssl_skel.encoders.encoder import SkeletonEncoder
from ssl_skel.encoders.pooling_config import PoolingConfig


class PlainConfig(BackboneConfig):
    name: Literal["plain"] = "plain"


class Plain(Backbone):
    """Coordinates through one layer, with the two kinds of layer that behave otherwise in training."""

    Config = PlainConfig
    dim, t_stride = 5, 1

    def __init__(self, *args) -> None:
        super().__init__(*args)
        self.layer = nn.Conv2d(3, self.dim, 1)
        self.norm, self.drop = nn.BatchNorm2d(self.dim), nn.Dropout(0.5)

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        return self.drop(self.norm(self.layer(x)))

    def stages(self) -> list[nn.Module]:
        return [self]


@pytest.fixture
def store(motions: Path) -> Store:
    return Store.open(motions)


@pytest.fixture
def encoder(store: Store) -> SkeletonEncoder:
    torch.manual_seed(0)
    return SkeletonEncoder(Plain(PlainConfig(), store.layout, 3, 16), pooling=PoolingConfig(over="mean"))


def test_rows_come_in_the_order_asked_for_whatever_the_batches(store: Store, encoder: SkeletonEncoder) -> None:
    rows = np.array([7, 2, 9, 9, 0, 31])
    some = extract_features(encoder, whole_clips(store, rows, num_frames=16, batch_size=4))
    every = extract_features(encoder, whole_clips(store, num_frames=16))
    assert some.dtype == every.dtype == np.float32
    assert every.shape == (len(store), 5)
    assert np.allclose(some, every[rows], atol=1e-6)
    assert np.ptp(every, axis=0).min() > 1e-3


def test_modes_are_restored_and_nothing_learns(store: Store, encoder: SkeletonEncoder) -> None:
    encoder.train()
    encoder.backbone.norm.eval()  # a part that somebody froze
    before = {name: value.clone() for name, value in encoder.state_dict().items()}
    loader = whole_clips(store, np.arange(8), num_frames=16)
    first, second = extract_features(encoder, loader), extract_features(encoder, loader)
    assert np.array_equal(first, second)
    assert (encoder.training, encoder.backbone.drop.training, encoder.backbone.norm.training) == (True, True, False)
    assert all(torch.equal(value, before[name]) for name, value in encoder.state_dict().items())


def test_modes_are_restored_after_a_failure(store: Store, encoder: SkeletonEncoder) -> None:
    encoder.train()
    encoder.backbone.layer = nn.Conv2d(2, 5, 1)
    with pytest.raises(RuntimeError):
        extract_features(encoder, whole_clips(store, np.arange(2), num_frames=16))
    assert encoder.training
    assert encoder.backbone.drop.training


def test_several_draws_of_a_clip_are_averaged(store: Store, encoder: SkeletonEncoder) -> None:
    loader = ClipLoader(store, np.arange(6), num_frames=16, batch_size=6, crop=(0.5, 1.0), num_views=3)
    batch = next(loader.epoch())
    with torch.inference_mode():
        views = [encoder.eval()(batch.x[:, k], batch.present) for k in range(3)]
    assert np.allclose(extract_features(encoder, loader), torch.stack(views).mean(0).numpy(), atol=1e-6)


def test_bfloat16_is_close_and_comes_back_as_float32(store: Store, encoder: SkeletonEncoder) -> None:
    loader = whole_clips(store, np.arange(6), num_frames=16)
    exact, rough = (extract_features(encoder, loader, autocast=kind) for kind in (None, torch.bfloat16))
    assert rough.dtype == np.float32
    assert not np.array_equal(exact, rough)
    assert np.allclose(exact, rough, atol=0.05)
