"""How much each stream counts: fixed beforehand, or fitted on validation subjects. Test clips play no part."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from scipy.optimize import minimize
from scipy.special import logsumexp

from finetune.fusion.members import Member
from finetune.trainings.predictions import load_array, load_logits
from ssl_skel.data.store import Store
from ssl_skel.errors import UserError

WEIGHTS = dict.fromkeys(("joint", "bone", "hop1", "hop2"), 0.6) | dict.fromkeys(
    ("joint_motion", "bone_motion", "hop1_motion", "hop2_motion"), 0.4
)
"""Fixed beforehand: 0.6 : 0.6 : 0.4 of AimCLR (Guo et al., AAAI 2022; joint, bone, motion), motion of bones as that of
joints; hops as 1.5 : 1 of InfoGCN (Chi et al., CVPR 2022; positions, motions), which is the same."""


def fixed_weights(members: Sequence[Member], weights: Sequence[float]) -> np.ndarray:
    """(S,) as given, or by stream.

    Raises:
        UserError: a stream has no weight of its own, or the weights given are not one per member, or are negative.
    """
    if not weights:
        unknown = [member for member in members if member.stream not in WEIGHTS]
        if unknown:
            raise UserError(
                f"{unknown[0].path}: stream {unknown[0].stream} has no weight of its own; give --weights, one per run"
            )
        weights = [WEIGHTS[member.stream] for member in members]
    if len(weights) != len(members):
        raise UserError(f"--weights: {len(weights)} for {len(members)} runs; give one per run, in their order")
    found = np.array(weights, np.float64)
    if not (np.isfinite(found).all() and (found >= 0).all() and found.any()):
        raise UserError("--weights: must not be negative, and not all zero")
    return found


def fit_on_validation(folders: Sequence[Path], store: Store) -> tuple[np.ndarray, int]:
    """Weights fitted on the clips that all trainings held out, and how many these are.

    Raises:
        UserError: a training held out none, or other clips than the first.
    """
    names = load_array(folders[0], "validation_name")
    for folder in folders:
        if not len(load_array(folder, "validation_name")):
            raise UserError(
                f"{folder}: held out no subjects; evaluate with select: validation, or fuse by fixed weights"
            )
        if set(load_array(folder, "validation_name")) != set(names):
            raise UserError(
                f"{folder}: held out other clips than {folders[0]}; evaluate both with one validation_share"
            )
    row = {name: at for at, name in enumerate(store.name.tolist())}
    label = store.label[[row[name] for name in names.tolist()]]
    logits = np.stack([load_logits(folder, "validation_", names) for folder in folders])
    return fit_weights(logits, label), len(names)


def fit_weights(logits: np.ndarray, label: np.ndarray) -> np.ndarray:
    """Weights from 0 to 10 by which the weighted sum of logits has the least cross-entropy; a convex problem.

    Paper silent: papers choose such weights on the test clips.

    Args:
        logits: (S, N, classes), of S streams.
        label: (N,) int64.

    Returns:
        (S,) float64.
    """
    logits, at = logits.astype(np.float64), np.arange(len(label))

    def loss(weights: np.ndarray) -> tuple[float, np.ndarray]:
        total = np.tensordot(weights, logits, 1)
        log_prob = total - logsumexp(total, axis=1, keepdims=True)
        residual = np.exp(log_prob)
        residual[at, label] -= 1
        return -float(log_prob[at, label].mean()), (logits * residual).sum((1, 2)) / len(label)

    start = np.full(len(logits), 1 / len(logits))
    found = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=[(0.0, 10.0)] * len(logits))
    weights: np.ndarray = found.x if found.x.sum() > 0 else start  # streams that know nothing weigh the same
    return weights
