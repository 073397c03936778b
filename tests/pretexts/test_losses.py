"""Losses against loops over clips, persons and units."""

from __future__ import annotations

import torch

from ssl_skel.pretexts.losses import masked_cosine, masked_mse, normalize_patches, to_patches


def test_patches_hold_the_frames_of_one_joint():
    x = torch.randn(2, 3, 8, 5)
    patches = to_patches(x, 4)
    assert patches.shape == (2, 2, 5, 12)
    for t in range(8):
        for v in range(5):
            assert torch.equal(patches[:, t // 4, v, t % 4 * 3 : t % 4 * 3 + 3], x[:, :, t, v])


def test_normalised_patches_have_their_own_mean_and_deviation():
    patches = 5 + 3 * torch.randn(2, 3, 4, 12, dtype=torch.float64)
    normal = normalize_patches(patches)
    for patch, out in zip(patches.view(-1, 12), normal.view(-1, 12), strict=True):
        mean = sum(patch) / 12
        variance = sum((value - mean) ** 2 for value in patch) / 11
        assert torch.allclose(out, (patch - mean) / (variance + 1e-6) ** 0.5)


def test_a_still_patch_stays_finite():
    assert normalize_patches(torch.full((1, 1, 1, 12), 0.7)).abs().max() < 1e-3


def squared(one, other):
    return ((one - other) ** 2).mean()


def naive(prediction, target, mask, present, error=squared):
    clips, person = [], 0
    for n in range(len(present)):
        losses = []
        for m in range(present.shape[1]):
            if not present[n, m]:
                continue
            units = [
                error(prediction[person, t, v], target[person, t, v])
                for t in range(mask.shape[1])
                for v in range(mask.shape[2])
                if mask[person, t, v]
            ]
            losses.append(sum(units) / len(units))
            person += 1
        clips.append(sum(losses) / len(losses))
    return sum(clips) / len(clips)


def test_masked_mse_and_its_gradient_against_a_loop():
    present = torch.tensor([[True, True], [True, False], [False, True]])
    prediction = torch.randn(4, 3, 5, 6, dtype=torch.float64, requires_grad=True)
    target, mask = torch.randn(4, 3, 5, 6, dtype=torch.float64), torch.rand(4, 3, 5) < 0.5
    mask[:, 0, 0] = True
    fast, slow = masked_mse(prediction, target, mask, present), naive(prediction, target, mask, present)
    assert torch.allclose(fast, slow)
    (fast_grad,) = torch.autograd.grad(fast, prediction)
    (slow_grad,) = torch.autograd.grad(slow, prediction)
    assert torch.allclose(fast_grad, slow_grad)
    assert not fast_grad[~mask].any()


def test_masked_cosine_and_its_gradient_against_a_loop():
    """Of units that are right, opposite and zero too."""

    def away(one, other):
        lengths = (one @ one).sqrt() * (other @ other).sqrt()
        return (1 - (one @ other / lengths if lengths else lengths * 0)).clamp(min=0) ** 1.5

    present = torch.tensor([[True, True], [True, False], [False, True]])
    prediction, target = torch.randn(2, 4, 3, 5, 6, dtype=torch.float64)
    mask = torch.rand(4, 3, 5) < 0.5
    mask[:, 0, 0] = mask[:, 1, 1] = mask[:, 2, 2] = True
    prediction[:, 0, 0], prediction[:, 1, 1], target[:, 2, 2] = 3 * target[:, 0, 0], -target[:, 1, 1], 0
    prediction.requires_grad_()
    fast, slow = masked_cosine(prediction, target, mask, present, 1.5), naive(prediction, target, mask, present, away)
    assert torch.allclose(fast, slow)
    (fast_grad,) = torch.autograd.grad(fast, prediction)
    assert fast_grad.isfinite().all()
    assert not fast_grad[~mask].any()


def test_a_clip_counts_once_however_many_persons_it_holds():
    present = torch.tensor([[True, True], [True, False]])
    target, mask = torch.zeros(3, 1, 1, 2), torch.ones(3, 1, 1, dtype=torch.bool)
    prediction = torch.tensor([1.0, 3.0, 2.0]).sqrt().view(3, 1, 1, 1).expand(3, 1, 1, 2)
    assert masked_mse(prediction, target, mask, present).item() == torch.tensor(2.0).item()
