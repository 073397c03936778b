"""What a network attends to in a movement."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ssl_skel.view.draw.charts import STYLES, line_chart
from ssl_skel.view.draw.clips import RenderableClip
from ssl_skel.view.draw.html import card, document, grid, heat_table


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
    """A clip once for each layer, its joints as large as the attention they get, above tables and curves.

    Args:
        title: of the page.
        clip: what was watched.
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
        "The larger and brighter a joint, the more the others attend to it; in each layer the joint with least is "
        "drawn smallest and the one with most largest, so compare joints within a body, and its numbers between "
        "bodies.</p>",
        grid([card(at, shown, name) for at, (shown, name) in enumerate(zip(clips, names, strict=True))]),
        "<h2>Importance of body parts</h2><p>How much the other parts attend to a part; 1 is an even share.</p>",
        heat_table(importance, names, layout.body_names, texts=[[f"{v:.2f}" for v in row] for row in importance]),
        "<h2>Which moments count</h2><p>How far each layer lets a moment's features through, from 0 (not at all) to 1 "
        "(whole), mean over its channels.</p>",
        grid(_excitation(clip.seconds, layers, names), "charts"),
        "<h2>Tables</h2><p>The stronger the colour, the more, in each table for itself; a number shows under the "
        "pointer.</p>",
    ]
    for layer, name in zip(layers, names, strict=True):
        moments = [f"{(at + 0.5) * clip.seconds / layer.parts.shape[1]:.1f} s" for at in range(layer.parts.shape[1])]
        body += [
            f"<details><summary>{name}</summary>",
            "<h3>Parts over time</h3>",
            heat_table(layer.on_parts.mean(0).T, layout.body_names, moments),
            "<h3>Joints over time</h3>",
            heat_table(layer.on_joints.mean(0).T, layout.joints, moments),
            "<h3>Attention of each joint (row) to the others (column), mean over time</h3>",
            heat_table(layer.joints.mean((0, 1)), layout.joints, layout.joints),
            "</details>",
        ]
    intro = f"What the network attends to in {clip.name}. Nobody taught it where to attend."
    return document(title, intro, "\n".join(body), clips)


def _warm(clip: RenderableClip, layer: AttentionMaps) -> RenderableClip:
    """The clip with a layer's attention on its joints."""
    given = layer.on_joints
    low, high = float(given.min()), float(given.max())
    at = np.arange(clip.joints.shape[1]) * given.shape[1] // clip.joints.shape[1]
    heat = ((given - low) / max(high - low, 1e-9))[:, at]
    facts = {"least": f"{low:.2f} of an even share", "most": f"{high:.2f}"}
    return RenderableClip(clip.name, clip.joints, clip.layout, facts, clip.fps, heat)


def _excitation(seconds: float, layers: Sequence[AttentionMaps], names: Sequence[str]) -> list[str]:
    lines = {}
    for layer, name in zip(layers, names, strict=True):
        values = layer.excitation.mean(0)
        lines[name] = [((at + 0.5) * seconds / len(values), float(value)) for at, value in enumerate(values)]
    found = []
    for at in range(0, len(names), STYLES):
        group = {name: lines[name] for name in names[at : at + STYLES]}
        found.append(line_chart(f"{names[at]} to {min(at + STYLES, len(names))}", group, "seconds"))
    return found
