"""Joints drawn as pictures: one Gaussian heat-map per joint and frame, made on the joints' device."""

from __future__ import annotations

import torch
from torch import Tensor

SMALLEST_BOX = 1e-6
"""Half a side of a box, at least: a person who is one point, or not seen at all, has none of their own."""


def box(points: Tensor, hidden: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Centre and half the side of the smallest square that holds the visible points of each clip.

    PoseConv3D (Duan et al., CVPR 2022; PYSKL, MMCompact with ``hw_ratio=1``), which EPAM-Net's data preparation uses.

    Args:
        points: (B, T, V, 2); hidden ones may be anything, NaN too.
        hidden: (B, T, V) bool, True = HIDDEN; None: all are visible.

    Returns:
        Centre (B, 1, 1, 2), 0 where nothing is visible, and half side (B, 1, 1, 1), ``SMALLEST_BOX`` or more.
    """
    low = high = points
    if hidden is not None:
        low, high = (points.masked_fill(hidden[..., None], end) for end in (torch.inf, -torch.inf))
    low, high = low.amin((1, 2), keepdim=True), high.amax((1, 2), keepdim=True)
    seen = low <= high
    centre = torch.where(seen, (low + high) / 2, 0.0)
    half = torch.where(seen, (high - low) / 2, 0.0)
    return centre, half.amax(3, keepdim=True).clamp(min=SMALLEST_BOX)


def heat_maps(
    x: Tensor,
    hidden: Tensor | None,
    side: int,
    *,
    mirrored: bool,
    stride: int = 1,
    sigma: float = 0.6,
    padding: float = 0.25,
) -> Tensor:
    """Draw every joint as a Gaussian of peak 1 inside its clip's box.

    EPAM-Net (Abdelkawy, Ali & Farag, Neurocomputing 2025; released code, dataPrep), after PoseConv3D. A Gaussian on a
    grid is the outer product of two along its sides, so only 2 x side exponentials per joint are computed.

    Departs from print: one person per picture, in a box of their own, where the paper draws all into one. Joints are
    not weighted by scores. The tail is not cut at 3 sigma, where it is 0.01.
    Paper silent: coordinates in space. They are seen along z. In a store y goes up, and someone who faces the camera
    has the left side at smaller x: pictures of a Kinect, which are a mirror's, show it so. All other pictures, such as
    those that 2D and MediaPipe's joints were found in, are turned by half a turn in a store and are turned back.

    Args:
        x: joints (B, C, T, V), any unit; the first two channels, x and y, are drawn.
        hidden: (B, T, V) bool, True = HIDDEN, or None. Hidden joints are not drawn, and the box disregards them.
        side: pixels of a side.
        mirrored: the pictures are a mirror's, x goes right; otherwise left.
        stride: one in this many frames is drawn; the box holds all.
        sigma: of the Gaussian, pixels (paper: 0.6).
        padding: of the box, share of its size that is added around (paper: 0.25).

    Returns:
        (B, V, T / stride, side, side) float32; rows go down, columns right. In memory V comes last.
    """
    plane = x[:, :2].permute(0, 2, 3, 1).float()
    points = plane * plane.new_tensor([1.0 if mirrored else -1.0, -1.0])
    centre, half = box(points, hidden)
    points = points[:, ::stride]
    at = ((points - centre) / (half * (1 + padding)) + 1) * (side / 2)  # pixels from the picture's corner
    middle = torch.arange(side, device=x.device) + 0.5
    lines = torch.exp(-0.5 * ((middle[:, None, None] - at[:, :, None]) / sigma).square())  # (B, T, side, V, 2)
    if hidden is not None:
        lines = lines.masked_fill(hidden[:, ::stride, None, :, None], 0.0)
    columns, rows = lines.unbind(-1)
    return (rows[:, :, :, None] * columns[:, :, None]).permute(0, 4, 1, 2, 3)
