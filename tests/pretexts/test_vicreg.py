"""VICReg's equations against naive loops."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from batches import LAYOUT, batch_for
from torch import Tensor

from ssl_skel.backbones import BACKBONES
from ssl_skel.config import parse_config
from ssl_skel.encoders.encoder import build_encoder
from ssl_skel.errors import UserError
from ssl_skel.pretexts.configs.vicreg import VICRegConfig
from ssl_skel.pretexts.decorrelation import covariance, variance
from ssl_skel.pretexts.vicreg import VICReg


def vicreg(**options: Any) -> VICReg:
    torch.manual_seed(0)
    net = parse_config(BACKBONES["tcn"].Config, {"size": "tiny"}, "test")
    encoder = build_encoder(net, LAYOUT, channels=3, num_frames=16, stream="pose")
    return VICReg(parse_config(VICRegConfig, {"expander": 6, **options}, "test"), encoder, LAYOUT)


def naive_variance(z: Tensor) -> float:
    clips, dims = z.shape
    total = 0.0
    for d in range(dims):
        mean = float(z[:, d].sum()) / clips
        spread = sum((float(z[n, d]) - mean) ** 2 for n in range(clips)) / (clips - 1)
        total += max(0.0, 1 - (spread + 1e-4) ** 0.5)
    return total / dims


def naive_covariance(z: Tensor) -> float:
    clips, dims = z.shape
    mean = [float(z[:, d].sum()) / clips for d in range(dims)]
    total = 0.0
    for a in range(dims):
        for b in range(dims):
            if a != b:
                c = sum((float(z[n, a]) - mean[a]) * (float(z[n, b]) - mean[b]) for n in range(clips)) / (clips - 1)
                total += c * c
    return total / dims


def test_variance_and_covariance_are_the_papers() -> None:
    z = torch.randn(3, 7, 4, generator=torch.Generator().manual_seed(0)) * torch.tensor([0.1, 0.9, 1.5, 1.0])
    for one, v, c in zip(z, variance(z), covariance(z), strict=True):
        assert float(v) == pytest.approx(naive_variance(one), rel=1e-4)
        assert float(c) == pytest.approx(naive_covariance(one), rel=1e-4)


@pytest.mark.parametrize("views", [("own", "own_motion"), ("own", "own", "bone")])
def test_the_loss_is_the_mean_of_pairs_and_stretches(views: tuple[str, ...]) -> None:
    task = vicreg(views=list(views), time_bins=2, invariance=3.0, variance=5.0, covariance=7.0).eval()
    batch = batch_for(task)
    drawn = task.views(batch)
    features = [task.encoder.backbone(view.x) for view in drawn]
    owner = batch.present.nonzero()[:, 0]
    expected = []
    for half in (slice(0, 8), slice(8, 16)):
        points = []
        for feature in features:
            person = feature[:, :, half].mean((2, 3))
            clips = torch.stack([person[owner == n].mean(0) for n in range(4)])
            points.append(task.expander(clips).detach())
        for a in range(len(views)):
            for b in range(a + 1, len(views)):
                near = sum((points[a][n] - points[b][n]).square().sum() / 6 for n in range(4)) / 4
                wide = (naive_variance(points[a]) + naive_variance(points[b])) / 2
                alike = naive_covariance(points[a]) + naive_covariance(points[b])
                expected.append(3 * near + 5 * wide + 7 * alike)
    got = task.loss(batch, drawn, features)
    torch.testing.assert_close(got["loss"], torch.stack(expected).mean(), rtol=1e-4, atol=1e-5)
    assert {"loss", "invariance", "variance", "covariance"} == set(got)


def test_what_cannot_be_compared_is_refused() -> None:
    task = vicreg()
    with pytest.raises(UserError, match=r"train.batch_size: vicreg compares clips"):
        task(batch_for(task, rows=slice(0, 1)))
    with pytest.raises(UserError, match=r"pretext.time_bins: 17; features have 16 frames, give at most 16"):
        vicreg(time_bins=17)
    with pytest.raises(UserError, match=r"pretext.views: pair_distances has 15 channels"):
        vicreg(views=["own", "pair_distances"])
