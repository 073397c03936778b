"""Every network of the table, on every layout, keeps the contract of ``Backbone``."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from ssl_skel.backbones import BACKBONES
from ssl_skel.backbones.base import Backbone
from ssl_skel.layouts import LAYOUTS

BESIDE_TINY: dict[str, dict[str, object]] = {"mpae_net": {"patch": 2}}
"""What a row is tested with beside its size ``tiny``, which every row has."""

EVERYWHERE = [(row, layout) for row in BACKBONES for layout in LAYOUTS]
CASES = [(row, layout) for row in BACKBONES for layout in ("kinect20", "coco17")]


def build(row: str, layout: str, **options: object) -> Backbone:
    torch.manual_seed(0)
    network = BACKBONES[row]
    return network(network.Config(size="tiny", **BESIDE_TINY.get(row, {}), **options), LAYOUTS[layout], 3, 16)


def clip(net: Backbone, batch: int = 3) -> Tensor:
    return torch.randn(batch, 3, 16, net.layout.num_joints, generator=torch.Generator().manual_seed(1))


def some_hidden(net: Backbone, batch: int = 3, unit: int = 2) -> Tensor:
    """Half the units, one joint wholly, and one frame wholly."""
    mask = torch.rand(batch, 16 // unit, net.layout.num_joints, generator=torch.Generator().manual_seed(2)) < 0.5
    mask[:, :, 0], mask[:, 3] = True, True
    return mask


@pytest.fixture(params=CASES, ids="-".join)
def net(request: pytest.FixtureRequest) -> Backbone:
    return build(*request.param)


@pytest.mark.parametrize("net", EVERYWHERE, ids="-".join, indirect=True)
def test_shapes_and_finite(net: Backbone) -> None:
    out = net(clip(net))
    assert out.shape[:3] == (3, net.dim, 16 // net.t_stride)
    assert (out.shape[3] == net.layout.num_joints) == net.keeps_joints
    assert out.isfinite().all()
    assert net(clip(net), some_hidden(net)).shape == out.shape


@pytest.mark.parametrize("net", EVERYWHERE, ids="-".join, indirect=True)
def test_every_parameter_learns(net: Backbone) -> None:
    def still(*given: Tensor) -> set[str]:
        """Without a gradient in training and in eval; in training a bias ahead of a BatchNorm has but rounding."""
        found = {name for name, _ in net.named_parameters()}
        for mode in (True, False):
            net.train(mode).zero_grad()
            (net(*given) * torch.randn(3, net.dim, 1, 1)).sum().backward()
            found -= {name for name, weight in net.named_parameters() if weight.grad is not None and weight.grad.any()}
        return found

    assert not {name for name in still(clip(net)) if "token" not in name}
    assert not still(clip(net), some_hidden(net))


def test_eval_is_deterministic_and_samples_are_independent(net: Backbone) -> None:
    net.eval()
    x, mask = clip(net), some_hidden(net)
    with torch.no_grad():
        whole = net(x, mask)
        assert torch.equal(whole, net(x, mask))
        near = 1e-5 * float(whole.abs().max().clamp_min(1))  # of what is summed, not of what happens to cancel
        for row in range(3):
            torch.testing.assert_close(net(x[row : row + 1], mask[row : row + 1])[0], whole[row], rtol=1e-4, atol=near)


@pytest.mark.parametrize("train", [False, True], ids=["eval", "train"])
@pytest.mark.parametrize("unit", [1, 2, 4])
def test_hidden_input_has_no_influence(net: Backbone, train: bool, unit: int) -> None:
    """Neither on the output, nor on the running statistics, nor on gradients; even if it is not finite."""
    net.train(train)
    x, mask = clip(net), some_hidden(net, unit=unit)
    hidden = mask.repeat_interleave(unit, 1)[:, None].expand_as(x)
    start = {name: value.clone() for name, value in net.state_dict().items()}
    seen: list[list[Tensor]] = []
    for fill in (0.0, 1e3, float("nan")):
        net.load_state_dict(start)
        net.zero_grad()
        out = net(x.masked_fill(hidden, fill), mask)
        out.square().sum().backward()
        seen.append(
            [out.detach(), *net.state_dict().values(), *(p.grad for p in net.parameters() if p.grad is not None)]
        )
        seen[-1] = [value.clone() for value in seen[-1]]
    for other in seen[1:]:
        assert all(torch.equal(a, b) for a, b in zip(seen[0], other, strict=True))
    assert not torch.equal(net(x + 1, mask), seen[0][0]), "what is seen must count"


def test_nothing_hidden_is_no_mask(net: Backbone) -> None:
    x = clip(net)
    mask = torch.zeros(3, 16, net.layout.num_joints, dtype=torch.bool)
    torch.testing.assert_close(net(x, mask), net(x), rtol=1e-4, atol=1e-5)


def test_everything_hidden_is_finite(net: Backbone) -> None:
    mask = torch.ones(3, 16, net.layout.num_joints, dtype=torch.bool)
    assert net.eval()(clip(net), mask).isfinite().all()


def test_wrong_shapes_are_refused(net: Backbone) -> None:
    x, joints = clip(net), net.layout.num_joints
    with pytest.raises(ValueError, match="T must be a multiple"):
        net(x[:, :, : net.t_stride + 1] if net.t_stride > 1 else x[:, :, :0])
    with pytest.raises(ValueError, match=f"has {joints} joints, x has {joints - 1}"):
        net(x[..., 1:])
    with pytest.raises(ValueError, match="x must be"):
        net(x[:, :2])
    with pytest.raises(ValueError, match="mask must be"):
        net(x, torch.zeros(3, 16, joints - 1, dtype=torch.bool))


def test_state_dict_round_trip(net: Backbone) -> None:
    net(clip(net))  # moves running statistics
    other = type(net)(net.config, net.layout, 3, 16)
    other.load_state_dict(net.state_dict())
    assert torch.equal(other.eval()(clip(net)), net.eval()(clip(net)))


def test_stages_hold_every_parameter_once(net: Backbone) -> None:
    held = [id(weight) for stage in net.stages() for weight in stage.parameters()]
    assert len(set(held)) == len(held)
    assert set(held) == {id(weight) for weight in net.parameters()}


def test_bfloat16_is_close(net: Backbone) -> None:
    """Forward and gradient under autocast point the same way as in float32."""
    torch.manual_seed(1)
    weight = torch.randn(3, net.dim, 1, 1)
    results = []
    for enabled in (False, True):
        net.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=enabled):
            out = net(clip(net), some_hidden(net))
        (out.float() * weight).sum().backward()
        results.append(
            (out.detach().float(), torch.cat([p.grad.flatten() for p in net.parameters() if p.grad is not None]))
        )
    (full, full_grad), (half, half_grad) = results
    assert (half - full).norm() < 0.05 * full.norm()
    assert nn.functional.cosine_similarity(full_grad, half_grad, dim=0) > 0.95
