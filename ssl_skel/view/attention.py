"""Attention maps and gates of MPAE-Net on one clip, taken out of its modules while it runs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from ssl_skel.backbones.mpae_net import Layer, MPAENet, PositionAttention
from ssl_skel.backbones.position_attention import attention_maps
from ssl_skel.batch import Batch
from ssl_skel.embedding.embedder import Embedder
from ssl_skel.encoders.encoder import SkeletonEncoder
from ssl_skel.errors import UserError
from ssl_skel.view.clips import find_row, shown
from ssl_skel.view.draw.attention_page import AttentionMaps, attention_page
from ssl_skel.view.draw.clips import RenderableClip
from ssl_skel.view.runs import store_of_run


def page_of_attention(path: Path, name: str, store: Path | None = None, fps: float | None = None) -> str:
    """Page of what a run's encoder attends to in one clip.

    Args:
        path: run directory.
        name: of the clip.
        store: its present path; default: the one in the encoder's card.
        fps: frames a second of the recordings; default: see ``shown``.

    Raises:
        UserError: no such run or clip, or a network without such attention.
    """
    embedder = Embedder(path, device="cpu")
    encoder, card = embedder.encoder, embedder.card
    if not isinstance(encoder.backbone, MPAENet):
        raise UserError(f"{path}: attention is drawn for mpae_net; this run's network is {card.backbone['name']}")
    if not encoder.backbone.config.complete:
        raise UserError(f"{path}: attention is drawn for the whole mpae_net; this run's leaves out a part of it")
    opened = store_of_run(path, embedder, store)
    row = find_row(opened, name)
    (batch,) = embedder.loader(opened, np.array([row])).epoch()
    clip = shown(opened, row, fps=fps)
    return attention_page(f"{path.resolve().name}: attention", _resampled(clip, batch), attention_of(encoder, batch))


@torch.inference_mode()
def attention_of(encoder: SkeletonEncoder, batch: Batch) -> list[AttentionMaps]:
    """What each layer of an ``MPAENet`` attends to in the first draw of one clip.

    Args:
        encoder: with an ``MPAENet``; its mode is restored.
        batch: of one clip, M persons of it present.
    """
    net, training = encoder.backbone, encoder.training
    assert isinstance(net, MPAENet)
    maps: dict[nn.Module, Tensor] = {}
    handles = []
    layers = [layer for layer in net.layers if isinstance(layer, Layer)]
    for layer in layers:
        for branch in ("joint", "part"):
            handles.append(layer.mpa.get_submodule(branch).register_forward_pre_hook(_keep_maps(maps)))
        handles.append(layer.mte.get_submodule("squeeze").register_forward_hook(_keep_gate(maps)))
    try:
        encoder.eval()(batch.x[:, 0], batch.present)
    finally:
        encoder.train(training)
        for handle in handles:
            handle.remove()
    return [
        AttentionMaps(
            joints=maps[layer.mpa.get_submodule("joint")].mean(2).numpy(),
            parts=maps[layer.mpa.get_submodule("part")].mean(2).numpy(),
            excitation=maps[layer.mte.get_submodule("squeeze")].mean((2, 3)).numpy(),
        )
        for layer in layers
    ]


def _keep_maps(maps: dict[nn.Module, Tensor]) -> Callable[[nn.Module, tuple[Tensor]], None]:
    """Keeps (B, T, H, V, V) of a ``PositionAttention``."""

    def hook(module: nn.Module, given: tuple[Tensor]) -> None:
        assert isinstance(module, PositionAttention)
        (x,) = given
        found = attention_maps(x.flatten(0, 1), module.weights())
        maps[module] = found.unflatten(0, x.shape[:2]).float().cpu()

    return hook


def _keep_gate(maps: dict[nn.Module, Tensor]) -> Callable[[nn.Module, tuple[Tensor], Tensor], None]:
    """Keeps (B, T, 1, D) of ``MTE.squeeze``, as gates."""

    def hook(module: nn.Module, given: tuple[Tensor], out: Tensor) -> None:
        maps[module] = out.sigmoid().float().cpu()

    return hook


def _resampled(clip: RenderableClip, batch: Batch) -> RenderableClip:
    """The clip as the network saw it, at the network's frames."""
    joints = batch.x[0, 0].permute(3, 1, 2, 0)[batch.present[0]].numpy()
    return RenderableClip(clip.name, joints, clip.layout, clip.facts, joints.shape[1] / clip.seconds)
