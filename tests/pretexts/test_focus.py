"""AMR's weights by motion energy, and predictions of several cells at once, against loops."""

from __future__ import annotations

import pytest
import torch
from batches import batch_for
from test_decoders import cross_block_loop, features, mae, some
from torch import nn

from ssl_skel.config import parse_config
from ssl_skel.errors import UserError
from ssl_skel.pretexts.configs.focus import FocusConfig
from ssl_skel.pretexts.configs.skeleton_mae import SkeletonMAEConfig
from ssl_skel.pretexts.decoders import CrossDecoder
from ssl_skel.pretexts.focus import focus_weights


def test_weights_are_the_summarys_equation() -> None:
    x = torch.randn(2, 3, 10, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0)).cumsum(2)
    x[:, :, :, 3] = 1.0  # a joint that stays
    got = focus_weights(x, FocusConfig(windows=(4, 3), k=0.5))
    for b in range(2):
        expected = torch.zeros(10, 4, dtype=torch.float64)
        for n in (4, 3):
            windows = [range(start, min(start + n, 10)) for start in range(0, 10, n)]
            energy = {}
            for w, frames in enumerate(windows):
                for v in range(4):
                    mean = sum(x[b, :, t, v] for t in frames) / len(frames)
                    energy[w, v] = sum(float(((x[b, :, t, v] - mean) ** 2).sum()) for t in frames) / len(frames)
            threshold = sum(energy.values()) / len(energy)
            for (w, v), value in energy.items():
                for t in windows[w]:
                    expected[t, v] += 1 / (1 + 0.5 * threshold / (value + 1e-8)) / 2
        torch.testing.assert_close(got[b], expected)
    assert got[:, :, 3].max() < 1e-6


@torch.no_grad()
def test_one_query_predicts_the_cells_of_its_span() -> None:
    torch.manual_seed(0)
    made = CrossDecoder(6, 8, 2, 2, (4, 5), 3, token=True, span=2).double().eval()
    for weight in made.parameters():
        nn.init.normal_(weight, std=0.4)
    x, hidden, wanted = features(), some(2), some(3) & some(4)
    out = made(x, hidden, wanted)
    for b in range(2):
        seen = [(t, v) for t in range(4) for v in range(5) if not hidden[b, t, v]]
        context = [made.enter(x[b, :, t, v]) + made.time[t, 0] + made.joint[v] for t, v in seen]
        for k in range(2):
            for v in range(5):
                token = made.token + (made.time[2 * k, 0] + made.time[2 * k + 1, 0]) / 2 + made.joint[v]
                for block in made.blocks:
                    token = cross_block_loop(block, token, context)
                both = made.leave(made.norm(token)) if wanted[b, 2 * k : 2 * k + 2, v].any() else torch.zeros(6)
                torch.testing.assert_close(out[b, 2 * k : 2 * k + 2, v].flatten(), both.double())


@torch.no_grad()
def test_errors_are_weighted_value_by_value() -> None:
    options = {"decoder": "cross", "decoder_input": "visible", "loss_on": "all", "normalize": False}
    task = mae("tcn", decoder_span=4, focus={"windows": [4], "k": 1.0}, **options).eval()
    batch = batch_for(task)
    (view,) = task.views(batch)
    weights = focus_weights(view.x, FocusConfig(windows=(4,), k=1.0))
    prediction = task.predict(view.x, view.mask)  # units of 4 frames
    owner, person = batch.present.nonzero()[:, 0], []
    for b in range(len(view.x)):
        found = [
            float(weights[b, t, v] * (prediction[b, t // 4, v, t % 4 * 3 + c] - view.x[b, c, t, v]) ** 2)
            for c in range(3) for t in range(16) for v in range(view.x.shape[3])
        ]  # fmt: skip
        person.append(sum(found) / len(found))
    clips = [[p for p, n in zip(person, owner, strict=True) if n == clip] for clip in range(4)]
    expected = sum(sum(clip) / len(clip) for clip in clips) / 4
    assert float(task.loss(batch, [view], [task.encoder.backbone(view.x, view.mask)])["loss"]) == pytest.approx(
        expected, rel=1e-4
    )


def test_what_does_not_go_together_is_refused() -> None:
    for options, message in (
        ({"focus": {}, "error": "cosine"}, "focus: weights squared errors"),
        ({"decoder_span": 2}, "decoder_span: axial predicts cell by cell"),
    ):
        with pytest.raises(UserError, match=message):
            parse_config(SkeletonMAEConfig, options, "test")
    with pytest.raises(UserError, match="decoder_span: 3 does not divide the features' 16 frames"):
        mae("tcn", decoder="cross", decoder_input="visible", decoder_span=3)
