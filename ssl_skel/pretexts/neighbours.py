"""Positives from neighbours: similar clips seen earlier replace a clip's other view."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from ssl_skel.encoders.encoder import pool_persons
from ssl_skel.encoders.streams import pose_deviation
from ssl_skel.layouts import SkeletonLayout
from ssl_skel.pretexts.configs.neighbours import NeighboursConfig

TIMES = 16
"""Frames of the poses that are compared, as of the baseline ``raw_deviation``."""


class Neighbours(nn.Module):
    """The support set of NNCLR (Dwibedi et al., ICCV 2021): keys of the newest clips, searched for the nearest.

    STARS (2024) tunes skeleton encoders this way. A clip with several points, such as one per stretch of time, has one
    neighbour, whose points take their places in order. A clip is not its own neighbour.

    Departs from print: no positive comes from a set that is not full yet; NNCLR's begins as noise.

    Args:
        config: how many are kept, and what distance is measured on.
        shape: points of a clip, and their dimensions P.
        described: A, numbers of ``describe``; not used if distance is measured on points.

    Attributes:
        matches: (R, 2) rows of the store: clips in the set, and the nearest that each had when it was added.
    """

    def __init__(self, config: NeighboursConfig, shape: tuple[int, int], described: int) -> None:
        super().__init__()
        self.config = config
        self.keys: Tensor
        self.poses: Tensor
        self.rows: Tensor
        self.nearest: Tensor
        self.oldest: Tensor
        points, dim = shape
        self.register_buffer("keys", torch.zeros(points, config.size, dim))
        self.register_buffer("poses", torch.zeros(config.size, described if config.near == "poses" else 0))
        for name in ("rows", "nearest"):
            self.register_buffer(name, torch.full((config.size,), -1))
        self.register_buffer("oldest", torch.zeros((), dtype=torch.long))

    @property
    def matches(self) -> Tensor:
        """See the class."""
        pairs = torch.stack([self.rows, self.nearest], 1)
        return pairs[(pairs >= 0).all(1)]

    @torch.no_grad()
    def find(self, keys: Tensor, poses: Tensor | None, rows: Tensor) -> Tensor | None:
        """Places in the set of each clip's nearest: (count, N) int64, the nearest first; None while it is filled.

        Args:
            keys: (points, N, P), unit length.
            poses: (N, A), see ``describe``; None if distance is measured on points.
            rows: (N,) of the store.
        """
        if bool((self.rows < 0).any()):
            return None
        if poses is None:
            near = torch.einsum("and,aqd->nq", keys.float(), self.keys)
        else:
            near = -torch.cdist(poses.float(), self.poses)
        near = near.masked_fill(self.rows == rows[:, None], -torch.inf)
        return near.topk(self.config.count, 1).indices.T

    @torch.no_grad()
    def keep(self, keys: Tensor, poses: Tensor | None, rows: Tensor, found: Tensor | None) -> None:
        """Put clips, with what ``find`` found, in place of the oldest; arguments as of ``find``."""
        newest = slice(-self.config.size, None)
        rows = rows[newest]
        at = (self.oldest + torch.arange(len(rows), device=rows.device)) % self.config.size
        nearest = torch.full_like(rows, -1) if found is None else self.rows[found[0, newest]]
        self.keys[:, at] = keys[:, newest].to(self.keys.dtype)
        if poses is not None:
            self.poses[at] = poses[newest].to(self.poses.dtype)
        self.rows[at], self.nearest[at] = rows, nearest
        self.oldest.copy_((at[-1] + 1) % self.config.size)


def describe(x: Tensor, present: Tensor, layout: SkeletonLayout) -> Tensor:
    """A description of what moves in a clip, without any network: the stream ``pose_deviation`` at a few times, the
    mean of its persons.

    Args:
        x: joints (N, C, T, V, M).
        present: (N, M) bool.
        layout: of the joints; a score beside coordinates is left out.

    Returns:
        (N, A), A = coordinates * V * at most ``TIMES``.
    """
    moves = pose_deviation(x[:, : layout.coordinates(x.shape[1])], layout)
    persons = pool_persons(moves.permute(0, 4, 1, 3, 2)[present], present)  # (N, C, V, T)
    return functional.adaptive_avg_pool1d(persons.flatten(1, 2), min(TIMES, x.shape[2])).flatten(1)
