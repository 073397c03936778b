"""What keeps features from collapsing, without negatives: each dimension varies, and no two vary together."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional

from ssl_skel.errors import UserError

FLOOR = 1e-4
"""Added to a variance before its root is taken (VICReg: 1e-4)."""


def variance(points: Tensor) -> Tensor:
    """How far each dimension's deviation over the clips is below 1, on average: (..., N, P) -> (...).

    VICReg (Bardes, Ponce & LeCun, ICLR 2022), equations 1 and 2.
    """
    return functional.relu(1 - (points.var(-2) + FLOOR).sqrt()).mean(-1)


def covariance(points: Tensor) -> Tensor:
    """Squared covariances of different dimensions over the clips, their sum per dimension: (..., N, P) -> (...).

    VICReg, equations 3 and 4.
    """
    centred = points - points.mean(-2, keepdim=True)
    found = centred.mT @ centred / (points.shape[-2] - 1)
    others = found.square().sum((-2, -1)) - found.diagonal(dim1=-2, dim2=-1).square().sum(-1)
    return others / points.shape[-1]


def expander(dim: int, width: int, out: int) -> nn.Sequential:
    """Three layers with BatchNorm and ReLU between them, as in VICReg: (N, dim) -> (N, out)."""
    return nn.Sequential(
        *(nn.Linear(dim, width), nn.BatchNorm1d(width), nn.ReLU()),
        *(nn.Linear(width, width), nn.BatchNorm1d(width), nn.ReLU()),
        nn.Linear(width, out),
    )


def check_clips(present: Tensor, pretext: str) -> None:
    """Refuse a single clip (N, M), which has no variance.

    Raises:
        UserError: naming the options to change.
    """
    if len(present) < 2:
        what = f"{pretext} compares clips, and a micro-batch holds one"
        raise UserError(f"train.batch_size: {what}; raise it, or lower train.accumulate")
