"""The information-bottleneck head: its loss against loops, its noise, its ranks, and that saved ones are as good."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import torch
import torch.nn.functional as F
from scipy.special import softmax

from finetune.classifiers.bottleneck import Bottleneck, BottleneckClassifier
from finetune.classifiers.config import BottleneckConfig
from finetune.classifiers.linear import Classifier
from finetune.config import FinetuneConfig
from finetune.fusion.run import fuse
from finetune.predict import predict
from finetune.protocols.configs.trained import FullConfig, SemiConfig
from finetune.protocols.trained import Full, Semi
from finetune.run import run
from ssl_skel.backbones.configs.mpae_net import MPAENetConfig
from ssl_skel.batch import Batch, Rng
from ssl_skel.data.store import Store
from ssl_skel.encoders.encoder import build_encoder
from ssl_skel.errors import UserError
from ssl_skel.layouts import LAYOUTS

MakeConfig = Callable[..., FinetuneConfig]
CLASSES, CLIPS = 5, 8
LAYOUT = LAYOUTS["sbu15"]
QUICK: dict[str, Any] = {"epochs": 1, "batch_size": 8, "eval_every": 1, "crop": [1.0, 1.0], "augment": [], "save": True}
QUICK |= {"optim": {"lr": 1e-2, "warmup_epochs": 1}, "head": {"name": "bottleneck", "dim": 8}}


def classifier(**options: Any) -> BottleneckClassifier:
    torch.manual_seed(0)
    net = MPAENetConfig(channels=(8,), strides=(2,), heads=2, norm="layer")
    encoder = build_encoder(net, LAYOUT, channels=3, num_frames=4, stream="joint")
    config = BottleneckConfig(**{"dim": 6, **options})
    return BottleneckClassifier(encoder, CLASSES, config, label_smoothing=0.1)


def batch_for(rows: slice = slice(0, CLIPS), step: int = 0) -> Batch:
    x = torch.randn(CLIPS, 1, 3, 4, LAYOUT.num_joints, 1, generator=torch.Generator().manual_seed(1))
    present, label = torch.ones(CLIPS, 1, dtype=torch.bool), torch.tensor([0, 1, 1, 3, 3, 0, 3, 1])
    index = torch.arange(CLIPS)
    rng = Rng((0, step), len(index[rows]), start=rows.start, total=CLIPS)
    return Batch(x[rows], present[rows], label[rows], index[rows], rng)


def test_divergence_is_the_equations() -> None:
    """Mean code of each class that is there against its prior; the mean of all codes against zero."""
    head = classifier().head
    codes, label = torch.randn(CLIPS, 6), batch_for().label
    square, numbers = 0.0, 0
    for one in set(label.tolist()):
        mine = [codes[n] for n in range(CLIPS) if label[n] == one]
        for d in range(6):
            square += float(sum(code[d] for code in mine) / len(mine) - head.prior[one, d]) ** 2
            numbers += 1
    total = [float(sum(code[d] for code in codes)) / CLIPS for d in range(6)]
    conditional, marginal = head.divergence(codes, label)
    assert float(conditional) == pytest.approx(square / numbers, rel=1e-5)
    assert float(marginal) == pytest.approx(sum(value**2 for value in total) ** 0.5, rel=1e-5)


def test_codes_are_drawn_with_their_variance_from_the_batch() -> None:
    head = classifier(noise=0.25).head
    features = torch.randn(CLIPS, head.hidden[0].in_features)
    hidden = head.hidden(features)
    deviation = (0.25 * head.log_variance(hidden)).exp()
    draw = Rng((3,), CLIPS).normal(6)
    torch.testing.assert_close(head.sample(features, Rng((3,), CLIPS)), head.mean(hidden) + draw * deviation)
    torch.nn.init.constant_(head.log_variance.bias, 1e4)
    torch.testing.assert_close(head.sample(features, Rng((3,), CLIPS)), head.mean(hidden) + draw * 100)


@pytest.mark.parametrize("classes", [3, 9])
def test_priors_stand_at_right_angles_and_stay(classes: int) -> None:
    head = Bottleneck(BottleneckConfig(dim=6, prior_gain=2.0), 8, classes)
    few = head.prior if classes < 6 else head.prior.T
    torch.testing.assert_close(few @ few.T, 4 * torch.eye(len(few)))
    assert "prior" not in dict(head.named_parameters())
    other = Bottleneck(BottleneckConfig(dim=6), 8, classes)
    other.load_state_dict(head.state_dict())
    assert torch.equal(other.prior, head.prior)


def test_the_loss_is_the_weighted_sum() -> None:
    task, batch = classifier(conditional=0.5, marginal=0.25), batch_for()
    out = task(batch)
    codes = task.head.sample(task.encoder(batch.x[:, 0], batch.present), batch_for().rng)
    logits = task.head.decoder(codes)
    conditional, marginal = task.head.divergence(codes, batch.label)
    cross_entropy = F.cross_entropy(logits, batch.label, label_smoothing=0.1)
    torch.testing.assert_close(out["loss"], cross_entropy + 0.5 * conditional + 0.25 * marginal)
    assert out["accuracy"] == (logits.argmax(1) == batch.label).float().mean()
    assert {*out} == {"loss", "cross_entropy", "conditional", "marginal", "accuracy"}


def test_at_test_the_code_is_its_mean() -> None:
    task = classifier().eval()
    hidden = task.head.hidden(task.encoder(batch_for().x[:, 0], batch_for().present))
    expected = task.head.decoder(task.head.mean(hidden))
    for step in range(2):
        torch.testing.assert_close(task.logits(batch_for(step=step)), expected)


def test_global_random_numbers_are_not_used_and_steps_draw_their_own() -> None:
    task = classifier()
    state = torch.get_rng_state()
    losses = [task(batch_for(step=step))["loss"].item() for step in (0, 0, 1)]
    assert torch.equal(state, torch.get_rng_state())
    assert losses[0] == losses[1] != losses[2]


def test_codes_move_to_their_priors() -> None:
    """Down the slope of the first distance, the mean code of each class that is there ends on its prior."""
    head, label = classifier().head, batch_for().label
    codes = torch.randn(CLIPS, 6, requires_grad=True)
    for _ in range(60):
        (slope,) = torch.autograd.grad(head.divergence(codes, label)[0], codes)
        codes = (codes - 9 * slope).detach().requires_grad_()
    for one in (0, 1, 3):
        torch.testing.assert_close(codes[label == one].mean(0), head.prior[one], rtol=1e-3, atol=1e-3)


OTHER = """
import sys
sys.path.insert(0, sys.argv[1])
from test_bottleneck import as_rank
as_rank(1, sys.argv[2])
"""


def as_rank(rank: int, meet: str) -> dict[str, Any]:
    """What one of two processes has of the step."""
    options = {"rank": rank, "world_size": 2, "timeout": timedelta(seconds=60)}
    torch.distributed.init_process_group("gloo", init_method=f"file://{meet}", **options)
    try:
        return step_of(slice(4 * rank, 4 * rank + 4))
    finally:
        torch.distributed.destroy_process_group()


def step_of(rows: slice) -> dict[str, Any]:
    """Scalars, and the gradient of the mean loss over ranks."""
    task = classifier(conditional=0.5, marginal=0.25)
    scalars = task(batch_for(rows))
    scalars["loss"].backward()
    gradients = {name: value.grad for name, value in task.named_parameters() if value.grad is not None}
    if torch.distributed.is_initialized():
        for value in gradients.values():
            torch.distributed.all_reduce(value)
            value /= torch.distributed.get_world_size()
    return {"scalars": {name: value.detach() for name, value in scalars.items()}, "gradients": gradients}


def test_two_processes_have_the_loss_of_one(tmp_path: Path) -> None:
    meet = str(tmp_path / "meet")
    with subprocess.Popen(
        [sys.executable, "-W", "error", "-c", OTHER, str(Path(__file__).parent), meet],
        env={**os.environ, "OMP_NUM_THREADS": "1"}, stderr=subprocess.PIPE, text=True,
    ) as other:  # fmt: skip
        try:
            shared = as_rank(0, meet)
            _, told = other.communicate(timeout=60)
        finally:
            other.kill()
    assert other.returncode == 0, told
    torch.testing.assert_close(shared, step_of(slice(0, CLIPS)), rtol=1e-4, atol=1e-6)


def test_saved_ones_predict_and_fuse_as_they_were_evaluated(
    make_config: MakeConfig, motions: Path, save_run: Callable[..., Path], tmp_path: Path
) -> None:
    store, paths, scores = Store.open(motions), [], []
    for stream in ("hop2", "hop2_motion"):
        encoder = save_run(tmp_path / stream, store, stream=stream)
        row = {"name": "semi", "fractions": [], "per_class": [2]} | QUICK
        config = make_config(name=stream, encoders={"unseen": str(encoder)}, protocols=[row], baselines=[])
        run(config)
        paths.append(config.runs / config.name)
        (training,) = (paths[-1] / "trainings").iterdir()
        weights = safetensors.torch.load_file(training / "classifier" / "head.safetensors")
        assert weights["prior"].shape == (store.num_classes, 8)
        with np.load(training / "predictions.npz") as data:
            known = dict(zip(data["name"].tolist(), data["logits"], strict=True))
        answer = predict(training, motions)
        for name, logits in known.items():
            found = answer.probability[answer.clips.index(name)]
            np.testing.assert_allclose(found, softmax(logits.astype(float)), atol=1e-5)
        scores.append(known)
    (row,) = fuse(paths, "both", command="").measurements
    assert row.measure.endswith("fused hop2 + hop2_motion by 0.6 : 0.4")
    truth = dict(zip(store.name.tolist(), store.label.tolist(), strict=True))
    right = [(0.6 * one + 0.4 * scores[1][name]).argmax() == truth[name] for name, one in scores[0].items()]
    assert row.figures["accuracy"].mean == pytest.approx(np.mean(right))


def test_the_head_is_the_configs(make_config: MakeConfig) -> None:
    encoder = classifier().encoder
    told = {"name": "bottleneck", "dim": 4}
    for protocol, options in ((Full, FullConfig), (Semi, SemiConfig)):
        task = protocol.classifier(options(head=BottleneckConfig(dim=4), label_smoothing=0.2), encoder, 3)
        assert isinstance(task, BottleneckClassifier)
        assert (task.head.prior.shape, task.label_smoothing, task.config.dim) == ((3, 4), 0.2, 4)
        assert type(protocol.classifier(options(), encoder, 3)) is Classifier
    assert make_config(protocols=[{"name": "full", "head": told}]).protocols[0].head == BottleneckConfig(dim=4)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"name": "full", "head": {"name": "bottelneck"}}, r"head\.name: unknown 'bottelneck'; did you mean 'bottlen"),
        ({"name": "full", "head": {"name": "bottleneck", "dims": 8}}, "head.*dims: unknown key; did you mean 'dim'"),
        ({"name": "full", "head": {"name": "linear", "dim": 8}}, "dim: unknown key"),
        ({"name": "semi", "head": {"name": "bottleneck", "noise": -1}}, "noise"),
        ({"name": "psp", "head": {"name": "bottleneck"}}, "head: unknown key"),
    ],
)
def test_mistakes_are_one_line(make_config: MakeConfig, row: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message) as caught:
        make_config(protocols=[row])
    assert "\n" not in str(caught.value)
