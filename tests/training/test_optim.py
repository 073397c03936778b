from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from torch import nn

from ssl_skel.errors import UserError
from ssl_skel.training.config import OptimConfig
from ssl_skel.training.optim import learning_rate, make_optimizer, set_learning_rate


def test_cosine_against_its_closed_form() -> None:
    optim = OptimConfig(lr=2.0, min_lr=0.5, warmup_epochs=2.0)
    steps, epochs = 10, 12
    rates = [learning_rate(step, steps, epochs, optim) for step in range(steps * epochs)]
    for step in range(20):
        assert rates[step] == pytest.approx(2.0 * (step + 1) / 20)
    for step in range(20, 120):
        assert rates[step] == pytest.approx(0.5 + 1.5 * math.cos(math.pi / 2 * (step - 20) / 100) ** 2)
    assert max(rates) == rates[19] == rates[20] == 2.0


def test_cosine_is_torchs() -> None:
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=0.3)
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=40, eta_min=0.01)
    for step in range(40):
        assert learning_rate(step, 8, 5, OptimConfig(lr=0.3, min_lr=0.01)) == pytest.approx(scheduler.get_last_lr()[0])
        optimizer.step()
        scheduler.step()


def test_steps_fall_at_their_epochs() -> None:
    optim = OptimConfig(name="sgd", lr=0.1, schedule="step", milestones=(35.0, 55.0), warmup_epochs=5.0)
    rate = [learning_rate(step, 7, 65, optim) for step in range(65 * 7)]
    assert rate[0] == pytest.approx(0.1 / 35)
    assert [rate[e * 7] for e in (5, 34, 35, 54, 55, 64)] == pytest.approx([0.1, 0.1, 0.01, 0.01, 0.001, 0.001])
    assert rate[35 * 7 - 1] == pytest.approx(0.1)


@given(
    st.integers(1, 50), st.integers(1, 50), st.floats(0, 80), st.sampled_from(["cosine", "step", "constant"]), st.data()
)
def test_the_rate_stays_in_bounds(steps: int, epochs: int, warmup: float, schedule: str, data: st.DataObject) -> None:
    milestones = (3.0,) if schedule == "step" else ()
    optim = OptimConfig(lr=0.5, min_lr=0.001, warmup_epochs=warmup, schedule=schedule, milestones=milestones)
    step = data.draw(st.integers(0, steps * epochs - 1))
    assert 0 < learning_rate(step, steps, epochs, optim) <= 0.5


@pytest.mark.parametrize(
    ("options", "key"),
    [
        ({"schedule": "step"}, "milestones"),
        ({"milestones": (3.0,)}, "milestones"),
        ({"betas": (0.9, 1.0)}, "betas"),
        ({"betas": (-0.1, 0.9)}, "betas"),
    ],
)
def test_options_that_would_do_nothing_or_fail_later_are_refused(options: dict[str, object], key: str) -> None:
    with pytest.raises(ValidationError, match=key):
        OptimConfig(**options)


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv1d(3, 4, 1), nn.BatchNorm1d(4)
        self.position = nn.Parameter(torch.ones(1, 4))
        self.frozen = nn.Parameter(torch.ones(2, 2), requires_grad=False)

    def no_weight_decay(self) -> set[str]:
        return {"position"}


@pytest.mark.parametrize("name", ["adamw", "sgd"])
def test_only_matrices_decay(name: str) -> None:
    net = Net()
    optimizer = make_optimizer(net, OptimConfig(name=name, weight_decay=0.2))
    decays = {id(p): group["weight_decay"] for group in optimizer.param_groups for p in group["params"]}
    assert decays == {
        id(net.conv.weight): 0.2,
        **{id(p): 0.0 for p in (net.conv.bias, net.norm.weight, net.norm.bias, net.position)},
    }


def test_options_reach_the_optimizer() -> None:
    adamw = make_optimizer(Net(), OptimConfig(betas=(0.8, 0.9)))
    assert isinstance(adamw, torch.optim.AdamW)
    assert adamw.param_groups[0]["betas"] == (0.8, 0.9)
    sgd = make_optimizer(Net(), OptimConfig(name="sgd", momentum=0.7))
    assert isinstance(sgd, torch.optim.SGD)
    assert sgd.param_groups[0]["momentum"] == 0.7
    assert sgd.param_groups[0]["nesterov"]


def test_groups_scale_the_rate() -> None:
    net = Net()
    groups = [
        {"params": [net.conv.weight], "lr_scale": 0.25, "weight_decay": 0.3},
        {"params": [net.norm.weight], "weight_decay": 0.0},
    ]
    optimizer = make_optimizer(net, OptimConfig(), groups)
    set_learning_rate(optimizer, 0.4)
    assert [group["lr"] for group in optimizer.param_groups] == [0.1, 0.4]
    assert [group["weight_decay"] for group in optimizer.param_groups] == [0.3, 0.0]


def test_nothing_to_train() -> None:
    with pytest.raises(UserError, match="Net: no parameter requires a gradient"):
        make_optimizer(Net().requires_grad_(False), OptimConfig())
