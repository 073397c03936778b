"""Contrast of views: InfoNCE, with the negatives of all ranks."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional


def info_nce(
    anchor: Tensor, own: Tensor, other: Tensor, *, temperature: float, start: int = 0, queue: Tensor | None = None
) -> tuple[Tensor, Tensor, Tensor]:
    """InfoNCE of one view against another: identify a clip among all others of both views.

    With ``own`` and ``other`` from the same network this is NT-Xent (SimCLR, Chen et al., ICML 2020), the
    loss of PSP Learning (Xu & Shu, arXiv 2302.02327; loss_choose.py) at one of its levels and in one
    direction; with keys of a momentum network and a queue, that of MoCo (He et al., CVPR 2020), which here has the
    other clips of the batch as negatives besides the queue.

    Args:
        anchor: (n, P) queries of this rank's clips, unit length; they are rows start ... start + n of the batch.
        own: (N, P) keys of the same view of all clips of the batch, unit length. A clip's own key is left out.
        other: (N, P) keys of the other view, unit length; a clip's own key is the positive.
        temperature: tau (PSP: 0.07).
        start: this rank's first row.
        queue: (Q, P) keys of earlier clips, unit length: further negatives.

    Returns:
        Scalars: the mean over anchors of the loss, of the positives' cosine, and of the negatives'.
    """
    row = torch.arange(len(anchor), device=anchor.device)
    mine = row + start
    keys = torch.cat([other, own] if queue is None else [other, own, queue])
    with torch.autocast(anchor.device.type, enabled=False):  # a cosine in bf16 is too coarse to divide by tau
        logits = anchor.float() @ keys.float().T
    with torch.no_grad():
        positive, total = logits[row, mine], logits.sum(1) - logits[row, mine] - logits[row, mine + len(other)]
        negative = total / max(logits.shape[1] - 2, 1)
    itself = torch.zeros_like(logits, dtype=torch.bool)
    itself[row, mine + len(other)] = True
    loss = functional.cross_entropy((logits / temperature).masked_fill(itself, -torch.inf), mine)
    return loss, positive.mean(), negative.mean()
