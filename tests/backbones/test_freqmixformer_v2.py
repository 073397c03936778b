"""FreqMixFormerV2: its three attention blocks and the learned operator against loops; and the budget."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from ssl_skel.backbones.configs.mixformer import FreqMixFormerV2Config
from ssl_skel.backbones.freqmixformer_v2 import BandMixing, FreqMixFormerV2
from ssl_skel.backbones.mixformer import Spectrum
from ssl_skel.layouts import LAYOUTS

SBU = LAYOUTS["sbu15"]
V, T, DIM_IN, DIM = 15, 5, 4, 16


def layer(**options: Any) -> BandMixing:
    torch.manual_seed(0)
    mixing = BandMixing(FreqMixFormerV2Config(**options), SBU, DIM_IN, DIM, T)
    for weight in (mixing.graph, mixing.phi):
        nn.init.normal_(weight)
    nn.init.uniform_(mixing.gain)
    nn.init.ones_(mixing.linear.bias)
    return mixing.eval()


def attend_loop(mixing: BandMixing, x: Tensor, axis: str) -> Tensor:
    """One clip (DIM_IN, T, V), a channel group and pair of joints at a time."""
    length = T if axis == "time" else V
    basis, low = Spectrum(length, 0.5).basis(length), math.ceil(length / 2)
    values = torch.einsum("oc,ctv->otv", mixing.values.weight[:, :, 0, 0], x) + mixing.values.bias[:, None, None]
    skeleton = torch.from_numpy(SBU.directions()).sum(0)
    out = torch.zeros(DIM, T, V)
    for g in range(4):
        signals = [values[4 * g + 2 * h : 4 * g + 2 * h + 2].mean(0) for h in range(2)]  # (T, V), query and key
        if g < 2 or axis == "joint":
            signals = [signal.mean(0, keepdim=True) for signal in signals]
        if g >= 2:
            signals = [basis @ signal if axis == "time" else signal @ basis.T for signal in signals]
            phi = mixing.phi[g - 2].sigmoid()
            lifted = [n >= low if g == 2 else n < low for n in range(length)]
            gain = [phi + 1 if up else phi for up in lifted]
        query, key = (
            torch.stack([(mixing.linear.weight @ row + mixing.linear.bias).relu() for row in signal])
            for signal in signals
        )
        told = torch.zeros(4, T, V)
        for i in range(V):
            scores = [query[:, i].dot(key[:, j]) / math.sqrt(len(query)) for j in range(V)]
            row = torch.stack(scores).softmax(0)
            if g >= 2 and axis == "joint":
                row = sum(gain[n] * row[n] * basis[n] for n in range(V))
            for j in range(V):
                weight = mixing.gain[g, 0, 0] * row[j] + skeleton[i, j] + mixing.graph[g, i, j]
                told[:, :, i] += weight * values[4 * g : 4 * g + 4, :, j]
        if g >= 2 and axis == "time":
            spectrum = [gain[n] * sum(basis[n, t] * told[:, t] for t in range(T)) for n in range(T)]
            told = torch.stack([sum(basis[n, t] * spectrum[n] for n in range(T)) for t in range(T)], 1)
        out[4 * g : 4 * g + 4] = told
    return out


@pytest.mark.parametrize("axis", ["time", "joint"])
def test_blocks_are_what_the_docstring_says(axis: str) -> None:
    mixing, x = layer(dct_axis=axis), torch.randn(2, DIM_IN, T, V)
    with torch.no_grad():
        told = torch.stack([attend_loop(mixing, clip, axis) for clip in x])
        torch.testing.assert_close(mixing.attend(x), told, rtol=1e-4, atol=1e-5)
        expected = (mixing.norm(mixing.gate(told)) + mixing.skip(x)).relu()
        torch.testing.assert_close(mixing(x), expected, rtol=1e-4, atol=1e-5)


def test_each_band_is_lifted_by_its_own_block() -> None:
    """From phi 0.5: 1.5 for the block's own coefficients and 0.5 for the others."""
    mixing = BandMixing(FreqMixFormerV2Config(), SBU, DIM_IN, DIM, T)
    expected = torch.tensor([[0.5, 0.5, 0.5, 1.5, 1.5], [1.5, 1.5, 1.5, 0.5, 0.5]])
    torch.testing.assert_close(mixing.operators(T), expected)
    mixing.operators(T)[0].sum().backward()
    assert mixing.phi.grad is not None
    assert mixing.phi.grad[0] > 0
    assert mixing.phi.grad[1] == 0


def test_base_has_about_the_published_size() -> None:
    """About 60 % of FreqMixFormer's 2.07 M parameters (abstract), 60 classes, within 10 %."""
    with torch.device("meta"):
        net = FreqMixFormerV2(FreqMixFormerV2Config(), LAYOUTS["ntu25"], 3, 64)
    parameters = sum(weight.numel() for weight in net.parameters()) + (net.dim + 1) * 60
    assert parameters == pytest.approx(0.6 * 2.07e6, rel=0.1)
