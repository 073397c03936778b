"""Attention as it is drawn: the maps are those that the fused kernel applies, and hooks leave no trace."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from ssl_skel.backbones.configs.mpae_net import MPAENetConfig
from ssl_skel.backbones.mpae_net import MPAENet
from ssl_skel.backbones.position_attention import Weights, attention_maps, position_attention
from ssl_skel.data.store import Store
from ssl_skel.embedding.features import whole_clips
from ssl_skel.encoders.encoder import build_encoder
from ssl_skel.encoders.files import load_encoder
from ssl_skel.errors import UserError
from ssl_skel.layouts import LAYOUTS
from ssl_skel.view import attention as module
from ssl_skel.view.attention import attention_of, page_of_attention
from ssl_skel.view.draw.attention_page import AttentionMaps, _warm
from ssl_skel.view.draw.clips import RenderableClip


def test_maps_are_what_the_kernel_applies() -> None:
    frames, tokens, heads, width, dim = 3, 5, 2, 4, 6
    draw = torch.Generator().manual_seed(0)

    def tensor(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, dtype=torch.float64, generator=draw)

    pairs = [tensor(tokens, tokens, width) for _ in range(3)]
    weights = Weights(tensor(3 * heads * width, dim), *pairs, tensor(heads, tokens, tokens), tensor(width), tensor(1))
    x = tensor(frames, tokens, dim)
    maps = attention_maps(x, weights)
    torch.testing.assert_close(maps.sum(-1), torch.ones(frames, heads, tokens, dtype=torch.float64))
    values = (x @ weights.project.T).view(frames, tokens, 3, heads, width)[:, :, 2]  # (n, V_j, H, d)
    applied = maps + weights.graph
    expected = torch.zeros(frames, tokens, heads, width, dtype=torch.float64)
    for i in range(tokens):
        for j in range(tokens):
            expected[:, i] += applied[:, :, i, j, None] * (values[:, j] + weights.value[i, j])
    torch.testing.assert_close(position_attention(x, weights), expected.sigmoid().flatten(2))


def test_looks_have_the_shapes_of_their_layers(motions: Path) -> None:
    store = Store.open(motions)
    row = int(np.flatnonzero(store.persons == 2)[0])
    config = MPAENetConfig(channels=(8, 16), strides=(1, 2), patch=2, heads=2)
    encoder = build_encoder(config, store.layout, channels=3, num_frames=16, stream="joint")
    encoder.train()
    (batch,) = whole_clips(store, np.array([row]), num_frames=16, batch_size=1).epoch()
    found = attention_of(encoder, batch)
    assert encoder.training
    net = encoder.backbone
    assert isinstance(net, MPAENet)
    assert not any(part._forward_hooks or part._forward_pre_hooks for part in net.modules())
    for look, frames in zip(found, (8, 4), strict=True):
        assert look.joints.shape == (2, frames, 25, 25)
        assert look.parts.shape == (2, frames, 5, 5)
        assert look.excitation.shape == (2, frames)
        np.testing.assert_allclose(look.joints.sum(-1), 1, atol=1e-5)
        np.testing.assert_allclose(look.on_joints.mean(-1), 1, atol=1e-5)  # on average an even share
        assert ((look.excitation > 0) & (look.excitation < 1)).all()


def test_an_even_look_and_a_stare() -> None:
    even = np.full((1, 4, 15, 15), 1 / 15)
    stare = np.zeros_like(even)
    stare[..., 2] = 1
    clip = RenderableClip("x", np.zeros((1, 8, 15, 3)), LAYOUTS["sbu15"])
    parts, gates = np.full((1, 4, 5, 5), 0.2), np.full((1, 4), 0.5)
    heat = _warm(clip, AttentionMaps(stare, parts, gates)).heat
    assert heat is not None
    assert heat.shape == (1, 8, 15)
    np.testing.assert_array_equal(heat, np.where(np.arange(15) == 2, 1, -1) * np.ones((1, 8, 1)))
    np.testing.assert_allclose(AttentionMaps(even, parts, gates).on_joints, 1)
    moment = stare.copy()
    moment[:, 1:] = even[:, 1:]
    later = _warm(clip, AttentionMaps(moment, parts, gates)).heat
    assert later is not None
    assert later[0, :2, 2].tolist() == [1, 1]  # two frames of the clip to each of the map's
    np.testing.assert_allclose(later[0, 2:], 0, atol=1e-9)  # an even share, though another moment has more


def test_the_page_and_its_refusals(done: Path, motions: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = Store.open(motions)
    page = page_of_attention(done, str(store.name[0]))
    assert page.count("<details>") == len(load_encoder(done)[1].backbone["channels"]) == 2
    assert '"heat":"' in page
    assert all(name in page for name in (*store.layout.body_names, "layer 2", "0.5 s"))
    with pytest.raises(UserError, match=r"unknown clip 'none'"):
        page_of_attention(done, "none")
    encoder, card = load_encoder(done)
    encoder.backbone = torch.nn.Identity()  # type: ignore[assignment]
    other = card.model_copy(update={"backbone": {"name": "st_gcn"}})
    monkeypatch.setattr(module, "Embedder", lambda path, **options: SimpleNamespace(encoder=encoder, card=other))
    with pytest.raises(UserError, match=r"attention is drawn for mpae_net; this run's network is st_gcn"):
        page_of_attention(done, str(store.name[0]))
