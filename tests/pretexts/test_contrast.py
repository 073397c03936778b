"""InfoNCE against its equation, pair by pair."""

from __future__ import annotations

import math

import pytest
import torch
from torch.nn import functional

from ssl_skel.distributed import gather
from ssl_skel.pretexts.contrast import info_nce


def unit(*shape: int, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return functional.normalize(torch.randn(*shape, generator=generator, dtype=torch.float64), dim=-1).requires_grad_()


def naive(anchor, own, other, temperature, start, queue):
    """Every similarity by itself; returns loss, positive and negative means."""
    losses, positives, negatives = [], [], []
    for i in range(len(anchor)):
        me = start + i
        positive = sum(a * b for a, b in zip(anchor[i], other[me], strict=True))
        others = []
        for n in range(len(own)):
            if n != me:
                others += [(anchor[i] * own[n]).sum(), (anchor[i] * other[n]).sum()]
        others += [(anchor[i] * key).sum() for key in ([] if queue is None else queue)]
        total = sum((similarity / temperature).exp() for similarity in [positive, *others])
        losses.append(-(positive / temperature) + total.log())
        positives.append(positive)
        negatives += others
    return tuple(sum(values) / len(values) for values in (losses, positives, negatives))


@pytest.mark.parametrize(("rows", "start", "queued"), [(5, 0, 0), (3, 2, 0), (5, 0, 7), (2, 1, 3)])
def test_info_nce_is_the_equation_and_so_is_its_gradient(rows: int, start: int, queued: int) -> None:
    own, other = unit(5, 4, seed=1), unit(5, 4, seed=2)
    anchor = own[start : start + rows]
    queue = unit(queued, 4, seed=3).detach() if queued else None
    ours = info_nce(anchor, own, other, temperature=0.3, start=start, queue=queue)
    theirs = naive(anchor, own, other, 0.3, start, queue)
    torch.testing.assert_close([x.double() for x in ours], list(theirs), rtol=1e-5, atol=1e-6)
    gradients = [torch.autograd.grad(loss, (own, other), retain_graph=True) for loss in (ours[0], theirs[0])]
    torch.testing.assert_close(*gradients, rtol=1e-4, atol=1e-5)


def test_both_directions_are_nt_xent() -> None:
    """The textbook form: one softmax over the 2N - 1 others of each of 2N points, averaged."""
    a, b = unit(6, 3, seed=4), unit(6, 3, seed=5)
    both = torch.cat([a, b])
    logits = (both @ both.T / 0.07).fill_diagonal_(-torch.inf)
    expected = functional.cross_entropy(logits, (torch.arange(12) + 6) % 12)
    ours = (info_nce(a, a, b, temperature=0.07)[0] + info_nce(b, b, a, temperature=0.07)[0]) / 2
    torch.testing.assert_close(ours.double(), expected, rtol=1e-5, atol=1e-6)


def test_a_full_queue_is_a_larger_batch() -> None:
    """Clips of the queue count as those of the batch do, when what is queued are their keys."""
    a, b = unit(6, 3, seed=6), unit(6, 3, seed=7)
    whole = info_nce(a[:4], a, b, temperature=0.2)[0]
    queue = torch.cat([a[4:], b[4:]])
    torch.testing.assert_close(info_nce(a[:4], a[:4], b[:4], temperature=0.2, queue=queue)[0], whole)


def test_known_values() -> None:
    same = unit(1, 3).expand(4, 3)
    assert info_nce(same, same, same, temperature=0.07)[0].item() == pytest.approx(math.log(7), rel=1e-5)
    loss, positive, negative = info_nce(torch.eye(4), torch.eye(4), torch.eye(4), temperature=0.07)
    assert (positive, negative) == (1, 0)
    assert loss.item() == pytest.approx(math.log(1 + 6 * math.exp(-1 / 0.07)), rel=1e-3, abs=1e-6)


def test_half_precision_regions_do_not_blur_it() -> None:
    a, b = unit(8, 16, seed=8).float(), unit(8, 16, seed=9).float()
    exact = info_nce(a, a, b, temperature=0.07)[0]
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(info_nce(a, a, b, temperature=0.07)[0], exact)


def test_one_process_gathers_itself() -> None:
    x = unit(3, 2)
    assert gather(x)[0] is x
    assert gather(x)[1] == 0
