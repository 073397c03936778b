"""Which units of a person's motion a masked pretext hides.

A unit is one joint over u consecutive frames; a person has U = T / u by V of them. Everything here is
drawn for the whole batch at once and for every person slot, present or not, so that a clip's mask does not depend on
its neighbours or on the number of ranks. Counts are exact: each person has the same number of hidden units.

One idea serves all masks: units with equal scores are hidden together. A *tube* is one joint over
several consecutive units, a *block* is several consecutive frames, a *group* is a set of joints of the
layout; each gets one random score, and the highest scores are hidden. Long tubes and whole groups
matter: one hidden frame between two visible ones can be filled in by a straight line.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from ssl_skel.backbones.layers import hidden_frames
from ssl_skel.batch import Rng


def segments(rng: Rng, persons: int, units: int, length: int) -> Tensor:
    """Cut the time axis into runs of ``length`` units; each person's first cut falls at random.

    Returns:
        (N, M, U) int64, number of the run of each unit.
    """
    phase = rng.uniform(persons, 1, high=length).long().clamp(max=length - 1)
    return (torch.arange(units, device=phase.device) + phase).div(length, rounding_mode="floor")


def hide_highest(scores: Tensor, count: int) -> Tensor:
    """True at the ``count`` highest scores of the last axis; among equal ones the first. Same shape."""
    order = scores.argsort(stable=True, dim=-1, descending=True)
    return torch.zeros_like(scores, dtype=torch.bool).scatter_(-1, order[..., :count], True)


def frame_mask(rng: Rng, persons: int, units: int, joints: int, *, count: int, block: int = 1) -> Tensor:
    """Hide ``count`` frame units, all joints of them, in blocks of consecutive ones.

    The last block is cut short where ``count`` is not a multiple of ``block``.

    Returns:
        (N, M, U, V) bool, True = HIDDEN.
    """
    run = segments(rng, persons, units, block)
    scores = rng.uniform(persons, units).gather(2, run)
    return hide_highest(scores, count).unsqueeze(-1).repeat(1, 1, 1, joints)


def joint_mask(rng: Rng, persons: int, units: int, groups: Tensor, *, count: int, tube: int = 1) -> Tensor:
    """Hide ``count`` joints in every frame unit; the same ones over ``tube`` units.

    Args:
        groups: (V,) number of each joint's group; joints of a group are hidden together, the last group only in part if
            ``count`` requires it.

    Returns:
        (N, M, U, V) bool, True = HIDDEN.
    """
    run = segments(rng, persons, units, tube)
    scores = rng.uniform(persons, units, int(groups.max()) + 1)[..., groups]
    return hide_highest(_at(scores, run), count)


def token_mask(
    rng: Rng,
    persons: int,
    units: int,
    groups: Tensor,
    *,
    count: int,
    tube: int = 1,
    motion: Tensor | None = None,
    temperature: float = 0.8,
) -> Tensor:
    """Hide ``count`` of a person's U * V units, anywhere; more likely where there is motion, if given.

    With motion g, the score of a unit is the logarithm of softmax(g / (temperature * max g)) plus
    Gumbel noise (MAMP, Mao et al., ICCV 2023; ``model_mamp/transformer.py``); the normaliser of the
    softmax is the same for all units of a person and is left out. A tube or group has one noise value
    and the mean motion of its units.

    Args:
        groups: (V,) number of each joint's group.
        motion: (N, M, U, V), not negative, or None for uniform chances.

    Returns:
        (N, M, U, V) bool, True = HIDDEN.
    """
    run = segments(rng, persons, units, tube)
    scores = rng.uniform(persons, units, int(groups.max()) + 1)
    if motion is not None:
        peak = motion.amax((2, 3), keepdim=True).clamp(min=torch.finfo(motion.dtype).tiny)
        strength = _mean_per_tube(motion / peak, run, groups, scores.shape[2:])
        scores = strength / temperature - torch.log(-torch.log(scores))
    tubes = _at(scores[..., groups], run)  # (N, M, U, V)
    # Joint-major, so that a tube which is hidden only in part is hidden from its start on.
    flat = hide_highest(tubes.transpose(2, 3).flatten(2), count)
    return torch.unflatten(flat, 2, (groups.numel(), units)).transpose(2, 3)


def motion_per_unit(x: Tensor, unit: int) -> Tensor:
    """Mean absolute change of the coordinates from one unit to the next; the first copies the second.

    MAMP (Mao et al., ICCV 2023), ``model_mamp/transformer.py``.

    Args:
        x: joints (N, C, T, V, M).
        unit: u, frames per unit.

    Returns:
        (N, M, U, V).
    """
    patches = torch.unflatten(x, 2, (-1, unit))  # (N, C, U, u, V, M)
    change = torch.zeros_like(patches)
    change[:, :, 1:] = (patches[:, :, 1:] - patches[:, :, :-1]).abs()
    change[:, :, 0] = change[:, :, min(1, change.shape[2] - 1)]
    return change.mean((1, 3)).permute(0, 3, 1, 2)


def wholly_hidden(mask: Tensor, frames: int, times: int) -> Tensor:
    """Cells of a grid of features of which no frame is seen: (B, U, V) bool of units -> (B, ``times``, V) bool.

    Args:
        mask: True = HIDDEN.
        frames: T, of the input.
        times: Tp, of the features; divides T.
    """
    return hidden_frames(mask, frames).unflatten(1, (times, -1)).all(2)


def cells_with_hidden(mask: Tensor, frames: int, grid: Sequence[int]) -> Tensor:
    """Cells of which something is hidden: (B, U, V) bool of units -> (B, *grid) bool.

    Args:
        mask: True = HIDDEN.
        frames: T, of the input.
        grid: (Tp, V), or (Tp, 1) where a cell holds all joints.
    """
    found = ~wholly_hidden(~mask, frames, grid[0])
    return found if grid[1] == found.shape[2] else found.any(2, keepdim=True)


def _at(scores: Tensor, run: Tensor) -> Tensor:
    """Scores (N, M, S, V) per run of units -> (N, M, U, V) per unit."""
    return scores.gather(2, run.unsqueeze(-1).expand(-1, -1, -1, scores.shape[3]))


def _mean_per_tube(motion: Tensor, run: Tensor, groups: Tensor, shape: torch.Size) -> Tensor:
    """Mean of (N, M, U, V) over the units of each run and group: (N, M, S, G); 0 where there are none."""
    runs = torch.nn.functional.one_hot(run, shape[0]).to(motion.dtype)  # (N, M, U, S)
    members = torch.nn.functional.one_hot(groups, shape[1]).to(motion.dtype)  # (V, G)
    total = torch.einsum("nmus,nmuv,vg->nmsg", runs, motion, members)
    return total / torch.einsum("nmus,vg->nmsg", runs, members).clamp(min=1)
