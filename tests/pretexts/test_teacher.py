"""Averages of networks, and centred, sharpened outputs, against plain arithmetic."""

from __future__ import annotations

import math

import pytest
import torch
from batches import FRAMES, LAYOUT, batch_for
from torch import nn

from ssl_skel.backbones import BACKBONES
from ssl_skel.config import parse_config
from ssl_skel.encoders.encoder import build_encoder
from ssl_skel.errors import UserError
from ssl_skel.pretexts.configs.s_jepa import SJEPAConfig
from ssl_skel.pretexts.s_jepa import SJEPA
from ssl_skel.pretexts.teacher import Centre, average_of, cross_entropy, follow, rising


def s_jepa(backbone: str) -> SJEPA:
    torch.manual_seed(0)
    options = {"channels": [16, 16], "strides": [2, 2], "norm": "layer"} if backbone == "mpae_net" else {"size": "tiny"}
    net = parse_config(BACKBONES[backbone].Config, options, "test")
    encoder = build_encoder(net, LAYOUT, channels=3, num_frames=FRAMES, stream="joint")
    return SJEPA(parse_config(SJEPAConfig, {"predictor_dim": 8, "momentum": 0.75}, "test"), encoder, LAYOUT)


def test_an_average_follows_parameters_and_statistics() -> None:
    net = nn.BatchNorm1d(2)
    average = average_of(net=net)
    with torch.no_grad():
        net.weight.fill_(5.0)
        net.running_mean.fill_(8.0)
        net.num_batches_tracked.fill_(3)
    follow(average, (net,), 0.75)
    copied = average["net"]
    assert copied.weight.tolist() == [2.0, 2.0]  # 0.75 * 1 + 0.25 * 5
    assert copied.running_mean.tolist() == [2.0, 2.0]
    assert copied.num_batches_tracked == 3
    assert not copied.weight.requires_grad


def test_momentum_rises_to_one() -> None:
    assert rising(0.9, 0.0) == pytest.approx(0.9)
    assert rising(0.9, 0.5) == pytest.approx(0.95)
    assert rising(0.9, 1.0) == 1.0


def test_outputs_are_centred_sharpened_and_matched() -> None:
    centre, outputs = Centre(3), torch.randn(3, 2, 3, generator=torch.Generator().manual_seed(0))
    present = torch.tensor([[True, True], [True, False]])
    centre.update(outputs, present)
    clips = [(outputs[0].mean(0) + outputs[1].mean(0)) / 2, outputs[2].mean(0)]
    torch.testing.assert_close(centre.mean, 0.1 * (clips[0] + clips[1]) / 2)
    values = [math.exp(float(outputs[0, 1, k] - centre.mean[k]) / 0.5) for k in range(3)]
    wanted = centre.sharpened(outputs, 0.5)
    assert wanted[0, 1].tolist() == pytest.approx([value / sum(values) for value in values], rel=1e-4)
    scores = [math.exp(float(outputs[2, 0, k]) / 0.2) for k in range(3)]
    expected = -sum(float(wanted[0, 1, k]) * math.log(scores[k] / sum(scores)) for k in range(3))
    assert float(cross_entropy(outputs[2, 0], wanted[0, 1], 0.2)) == pytest.approx(expected, rel=1e-4)
    before = centre.mean.clone()
    centre.eval().update(outputs, present)
    assert torch.equal(centre.mean, before)


@torch.no_grad()
@pytest.mark.parametrize("backbone", ["mpae_net", "tcn"])
def test_s_jepa_predicts_the_teachers_features_of_what_is_hidden(backbone: str) -> None:
    task = s_jepa(backbone).eval()
    batch = batch_for(task)
    (view,) = task.views(batch)
    assert view.mask is not None
    feature, whole = task.encoder.backbone(view.x, view.mask), task.teacher["backbone"](view.x)
    keeps = task.encoder.backbone.keeps_joints
    hidden = view.mask.repeat_interleave(4, 1)  # frames
    times, joints = feature.shape[2], LAYOUT.num_joints if keeps else 1
    step = FRAMES // times
    cells = hidden.unflatten(1, (times, step))
    found = task.predictor(feature, cells.all(2) if keeps else None)
    owner, person = batch.present.nonzero()[:, 0], []
    for b in range(len(view.x)):
        errors = []
        for t in range(times):
            for v in range(joints):
                if not (cells[b, t, :, v] if keeps else cells[b, t]).any():
                    continue
                target = whole[b, :, t, v]
                target = (target - target.mean()) / (target.var(correction=0) + 1e-5).sqrt()
                wanted = (target / 0.06).softmax(0)
                errors.append(-float((wanted * (found[b, t, v] / 0.1).log_softmax(0)).sum()))
        person.append(sum(errors) / len(errors))
    clips = [[p for p, n in zip(person, owner, strict=True) if n == clip] for clip in range(4)]
    expected = sum(sum(clip) / len(clip) for clip in clips) / 4
    assert float(task.loss(batch, [view], [feature])["loss"]) == pytest.approx(expected, rel=1e-4)


def test_the_teacher_of_s_jepa_moves_after_each_step() -> None:
    task = s_jepa("tcn")
    student, teacher = (net.state_dict() for net in (task.encoder.backbone, task.teacher["backbone"]))
    student["blocks.0.convs.0.weight"].add_(1.0)
    before = teacher["blocks.0.convs.0.weight"].clone()
    task.after_step(0.0)
    torch.testing.assert_close(teacher["blocks.0.convs.0.weight"], before + 0.25)


def test_frames_that_the_unit_does_not_divide_are_refused() -> None:
    task = s_jepa("tcn")
    config = task.config.model_copy(update={"unit": 3})
    with pytest.raises(UserError, match=r"pretext.unit: 16 frames are not a multiple of 3"):
        SJEPA(config, task.encoder, LAYOUT)
