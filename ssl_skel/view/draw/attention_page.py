"""What a network attends to in a movement."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ssl_skel.view.draw.charts import STYLES, line_chart
from ssl_skel.view.draw.clips import RenderableClip
from ssl_skel.view.draw.html import card, document, grid
from ssl_skel.view.draw.tables import share_table

_KEY = (
    '<ul class="legend"><li><span class="dot less"></span>less than an even share</li>'
    '<li><span class="dot more"></span>more than an even share</li><li>larger: farther from it</li></ul>'
)


@dataclass(frozen=True, eq=False)
class AttentionMaps:
    """What one layer attends to in one clip.

    Attributes:
        joints: (M, Tp, V, V) attention from joint (row) to joint (column), mean over heads; rows sum to 1.
        parts: (M, Tp, P, P) the same between parts.
        excitation: (M, Tp) mean gate over channels, between 0 and 1.
    """

    joints: np.ndarray
    parts: np.ndarray
    excitation: np.ndarray

    @property
    def on_joints(self) -> np.ndarray:
        """(M, Tp, V) attention that each joint gets, mean over the attending joints; 1 is an even share."""
        return self.joints.mean(2) * self.joints.shape[-1]

    @property
    def on_parts(self) -> np.ndarray:
        """(M, Tp, P) the same for parts."""
        return self.parts.mean(2) * self.parts.shape[-1]


def attention_page(title: str, clip: RenderableClip, layers: Sequence[AttentionMaps]) -> str:
    """A clip once for each layer, its joints by how much more or less than an even share of attention they get.

    Args:
        title: of the page.
        clip: the clip shown to the network.
        layers: one per layer, from input to output.

    Returns:
        HTML text, for ``write_page``.
    """
    layout = clip.layout
    names = [f"layer {number}" for number in range(1, len(layers) + 1)]
    clips = [_warm(clip, layer) for layer in layers]
    importance = np.stack([layer.on_parts.mean((0, 1)) for layer in layers])
    body = [
        "<h2>Attention on the moving body</h2><p>One body for each layer of the network, from the first to the last. "
        "A joint that gets an even share of attention is drawn as usual. All bodies and tables have one scale: the "
        "colours are full at half an even share and at twice as much.</p>",
        _KEY,
        grid([card(at, shown, name) for at, (shown, name) in enumerate(zip(clips, names, strict=True))]),
        "<h2>Attention on body parts</h2><p>1 is an even share.</p>",
        share_table(importance, names, layout.body_names, "layer / part", numbers=True),
        "<h2>Attention on moments</h2><p>How far each layer lets a moment's features through, from 0 (not at all) to "
        "1 (fully); mean over its channels.</p>",
        *_excitation(clip.seconds, layers, names),
        "<h2>Tables</h2><p>A number shows under the pointer.</p>",
    ]
    for layer, name in zip(layers, names, strict=True):
        moments = [f"{(at + 0.5) * clip.seconds / layer.parts.shape[1]:.1f} s" for at in range(layer.parts.shape[1])]
        between = layer.joints.mean((0, 1)) * layout.num_joints
        body += [
            f"<details><summary>{name}</summary>",
            "<h3>Parts over time</h3>",
            share_table(layer.on_parts.mean(0).T, layout.body_names, moments, "part / moment"),
            "<h3>Joints over time</h3>",
            share_table(layer.on_joints.mean(0).T, layout.joints, moments, "joint / moment"),
            "<h3>From joint to joint, mean over time</h3>",
            share_table(between, layout.joints, layout.joints, "from / to"),
            "</details>",
        ]
    intro = f"What the network attends to in {clip.name}. No label says where to attend."
    return document(title, intro, "\n".join(body), clips)


def _warm(clip: RenderableClip, layer: AttentionMaps) -> RenderableClip:
    """The clip with a layer's attention on its joints: 0 for an even share, 1 for twice as much, -1 for half of it."""
    given = layer.on_joints
    at = np.arange(clip.joints.shape[1]) * given.shape[1] // clip.joints.shape[1]
    heat = np.log2(np.maximum(given, 1e-9)).clip(-1, 1)[:, at]
    facts = {"least": f"{given.min():.2f} of an even share", "most": f"{given.max():.2f}"}
    return RenderableClip(clip.name, clip.joints, clip.layout, facts, clip.fps, heat)


def _excitation(seconds: float, layers: Sequence[AttentionMaps], names: Sequence[str]) -> list[str]:
    lines = {}
    for layer, name in zip(layers, names, strict=True):
        values = layer.excitation.mean(0)
        lines[name] = [((at + 0.5) * seconds / len(values), float(value)) for at, value in enumerate(values)]
    found = []
    for at in range(0, len(names), STYLES):
        group = {name: lines[name] for name in names[at : at + STYLES]}
        found.append(line_chart(", ".join(group), group, "seconds", y_ends=(0, 1)))
    return found
