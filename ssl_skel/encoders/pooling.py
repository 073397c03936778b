"""From a person's grid of features to one vector."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ssl_skel.encoders.pooling_config import PoolingConfig
from ssl_skel.layouts import SkeletonLayout


class Pooling(nn.Module):
    """Means over time bins and groups of joints, concatenated. It has no weights and saves nothing.

    Args:
        config: which means.
        layout: defines the groups of joints.
        dim: D, features of a cell of the grid.

    Attributes:
        config: as given; another pooling is another module.
        dim: length of the vector: D times the groups times the time bins.
    """

    weights: Tensor | None
    """(P, V): weight of each joint in the mean of each group; None for one mean over all joints."""

    def __init__(self, config: PoolingConfig, layout: SkeletonLayout, dim: int) -> None:
        super().__init__()
        self.config = config
        weights, groups = None, 1
        if config.over != "mean":
            member = torch.from_numpy(layout.membership(config.over))
            weights, groups = member / member.sum(1, keepdim=True), len(member)
        self.register_buffer("weights", weights, persistent=False)
        self.dim = dim * groups * config.time_bins

    def forward(self, grid: Tensor) -> Tensor:
        """(B, D, Tp, Vp) -> (B, dim), ordered by feature, then time bin, then group.

        Where Tp is not a multiple of the time bins, neighbours share a step.
        """
        steps, bins = grid.shape[2], self.config.time_bins
        stretches = [slice(k * steps // bins, -(-(k + 1) * steps // bins)) for k in range(bins)]
        means = torch.stack([grid[:, :, stretch].mean(2) for stretch in stretches], 2)  # (B, D, bins, Vp)
        if self.weights is None:
            return means.mean(3).flatten(1)
        return (means @ self.weights.to(means).T).flatten(1)
