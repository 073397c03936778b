"""FreqMixFormer: mixed maps, the frequency operator on both axes, against loops; and the budget."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from skeletons import HAND
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from ssl_skel.backbones.configs.mixformer import FreqMixFormerConfig
from ssl_skel.backbones.freqmixformer import FreqMixFormer, FrequencyMixing
from ssl_skel.layouts import LAYOUTS

V, T, DIM_IN, DIM = 3, 4, 5, 16


def layer(**options: Any) -> FrequencyMixing:
    torch.manual_seed(0)
    mixing = FrequencyMixing(FreqMixFormerConfig(**options), HAND, DIM_IN, DIM, T)
    nn.init.normal_(mixing.graph)
    for linear in (mixing.own, mixing.cross):
        nn.init.ones_(linear.bias)
    return mixing.eval()


def cosine(length: int, coefficient: int, at: int) -> float:
    """Entry of the orthonormal transform; both numbered from 0."""
    scale = math.sqrt((1 if coefficient == 0 else 2) / length)
    return scale * math.cos(math.pi * (2 * at + 1) * coefficient / (2 * length))


def mixed_loop(mixing: FrequencyMixing, signals: list[list[Tensor]]) -> list[list[list[Tensor]]]:
    """signals[group][0 or 1] (F, V), of queries and of keys -> maps[group][i][j] as printed, weighed as released."""
    width = math.sqrt(len(signals[0][0]))

    def relate(linear: nn.Linear, query: Tensor, key: Tensor) -> list[list[Tensor]]:
        q, k = (torch.stack([(linear.weight @ row + linear.bias).relu() for row in rows]) for rows in (query, key))
        rows = [torch.stack([q[:, i].dot(k[:, j]) / width for j in range(V)]).softmax(0) for i in range(V)]
        return [list(row) for row in rows]

    own = [relate(mixing.own, query, key) for query, key in signals]
    cross = [relate(mixing.cross, signals[g + 1][0], signals[g][1]) for g in range(3)]
    maps = []
    for g in range(4):
        beside = [cross[n] for n in (g - 1, g) if 0 <= n < 3]
        maps.append([[own[g][i][j] / 2 + sum(m[i][j] for m in beside) / 4 for j in range(V)] for i in range(V)])
    return maps


def attend_loop(mixing: FrequencyMixing, x: Tensor, axis: str, phi: float, low: int) -> Tensor:
    """One clip (DIM_IN, T, V), a direction of the skeleton, channel, frame and pair of joints at a time."""
    weight, bias = mixing.values.weight[:, :, 0, 0], mixing.values.bias
    values = torch.einsum("oc,ctv->otv", weight, x) + bias[:, None, None]
    values = values.view(3, DIM, T, V)
    skeleton, gain = torch.from_numpy(HAND.directions()), [phi] * low + [1 + phi] * 64
    out, banded = torch.zeros(DIM, T, V), torch.zeros(DIM, T, V)
    for k in range(3):
        paths = [[values[k, 4 * g + 2 * h : 4 * g + 2 * h + 2].mean(0) for h in range(2)] for g in range(4)]
        still = [[path.mean(0, keepdim=True) for path in pair] for pair in paths]
        spatial = mixed_loop(mixing, still)
        if axis == "time":
            spectra = [[[sum(cosine(T, i, t) * p[t] for t in range(T)) for i in range(T)] for p in q] for q in paths]
            frequency = mixed_loop(mixing, [[torch.stack(rows) for rows in pair] for pair in spectra])
        else:
            spectra = [[[sum(cosine(V, i, j) * p[0, j] for j in range(V)) for i in range(V)] for p in q] for q in still]
            maps = mixed_loop(mixing, [[torch.stack(row)[None] for row in pair] for pair in spectra])
            frequency = [
                [[sum(cosine(V, n, j) * gain[n] * row[n] for n in range(V)) for j in range(V)] for row in rows]
                for rows in maps
            ]
        for c in range(DIM):
            for i in range(V):
                for j in range(V):
                    direct = spatial[c // 4][i][j] / 2 + skeleton[k, i, j] + mixing.graph[k, c // 2, i, j]
                    if axis == "joint":
                        direct = direct + frequency[c // 4][i][j] / 2
                    else:
                        banded[c, :, i] += frequency[c // 4][i][j] / 2 * values[k, c, :, j]
                    out[c, :, i] += direct * values[k, c, :, j]
    for i in range(T):
        coefficient = gain[i] * sum(cosine(T, i, t) * banded[:, t] for t in range(T))
        for t in range(T):
            out[:, t] += cosine(T, i, t) * coefficient
    return out


@pytest.mark.parametrize("axis", ["time", "joint"])
@pytest.mark.parametrize("phi", [0.5, 0.2])
def test_mixing_is_the_equations(axis: str, phi: float) -> None:
    mixing, x = layer(dct_axis=axis, phi=phi), torch.randn(2, DIM_IN, T, V)
    with torch.no_grad():
        told = [attend_loop(mixing, clip, axis, phi, low=2) for clip in x]  # of 4 frames, and of 3 joints
        torch.testing.assert_close(mixing.attend(x), torch.stack(told), rtol=1e-4, atol=1e-5)
        expected = (mixing.norm(mixing.gate(torch.stack(told))) + mixing.skip(x)).relu()
        torch.testing.assert_close(mixing(x), expected, rtol=1e-4, atol=1e-5)


def test_the_operator_lifts_fast_motion_above_slow() -> None:
    spectrum = layer().spectrum
    operator = spectrum.filter(T, 0.2 + spectrum.high(T))
    slow, fast = torch.ones(T), torch.tensor([cosine(T, T - 1, t) for t in range(T)])
    torch.testing.assert_close(operator @ slow, 0.2 * slow)
    torch.testing.assert_close(operator @ fast, 1.2 * fast)


def test_graphs_start_from_the_skeleton() -> None:
    mixing = FrequencyMixing(FreqMixFormerConfig(), HAND, DIM_IN, DIM, T)
    for group in range(8):
        torch.testing.assert_close(mixing.graph[:, group], torch.from_numpy(HAND.directions()))


def test_base_has_the_released_size() -> None:
    """2.07 M parameters (released code, 60 classes), within 10 %.

    Multiply-adds of two persons, 64 frames and 25 joints: 3.05 G; with the axis of the released code 2.62 G.
    """
    for axis, operations in (("time", 3.05e9), ("joint", 2.62e9)):
        net = FreqMixFormer(FreqMixFormerConfig(dct_axis=axis), LAYOUTS["ntu25"], 3, 64).to("meta")
        with FlopCounterMode(display=False) as counter:
            net(torch.empty(2, 3, 64, 25, device="meta"))
        parameters = sum(weight.numel() for weight in net.parameters()) + (net.dim + 1) * 60
        assert parameters == pytest.approx(2.07e6, rel=0.1)
        assert counter.get_total_flops() / 2 == pytest.approx(operations, rel=0.01)
