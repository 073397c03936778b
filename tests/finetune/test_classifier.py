"""The classifier: what is frozen stays, what is not learns."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import torch.nn.functional as F

from finetune.classifiers.config import LinearHeadConfig
from finetune.classifiers.linear import Classifier
from finetune.classifiers.saved import save_classifier
from finetune.predict import load_classifier
from finetune.protocols.configs.trained import FullConfig
from finetune.protocols.trained import Full
from ssl_skel.batch import Batch
from ssl_skel.data.loader import ClipLoader
from ssl_skel.data.store import Store
from ssl_skel.encoders.card import EncoderCard
from ssl_skel.encoders.encoder import SkeletonEncoder
from ssl_skel.encoders.files import load_encoder


@pytest.fixture
def encoder(run_dir: Path) -> SkeletonEncoder:
    return load_encoder(run_dir)[0]


@pytest.fixture
def batch(motions: Path) -> Batch:
    store = Store.open(motions)
    return next(ClipLoader(store, range(16), num_frames=4, batch_size=16).epoch())


def test_the_head_is_batch_norm_without_scale_then_a_layer(encoder: SkeletonEncoder, batch: Batch) -> None:
    task = Classifier(encoder, 12, frozen=True).train()
    features = encoder.eval()(batch.x[:, 0], batch.present)
    normed = (features - features.mean(0)) / (features.var(0, unbiased=False) + 1e-6).sqrt()
    logits = normed @ task.head[1].weight.T + task.head[1].bias
    out = task(batch)
    assert torch.allclose(out["loss"], F.cross_entropy(logits, batch.label), atol=1e-5)
    assert out["accuracy"] == (logits.argmax(1) == batch.label).float().mean()


def test_a_head_without_norm_is_the_layer_alone(encoder: SkeletonEncoder, batch: Batch, tmp_path: Path) -> None:
    config = FullConfig(head=LinearHeadConfig(norm=False), label_smoothing=0.1)
    task = Full.classifier(config, encoder, 12)
    logits = F.linear(encoder.eval()(batch.x[:, 0], batch.present), task.head[0].weight, task.head[0].bias)
    torch.testing.assert_close(task.eval()(batch)["loss"], F.cross_entropy(logits, batch.label, label_smoothing=0.1))
    save_classifier(tmp_path, task, config, [str(label) for label in range(12)], EncoderCard.of(encoder))
    assert torch.equal(load_classifier(tmp_path).task.logits(batch), task.logits(batch))


@pytest.mark.parametrize("frozen", [True, False])
def test_only_what_is_not_frozen_learns(encoder: SkeletonEncoder, batch: Batch, frozen: bool) -> None:
    task = Classifier(encoder, 12, frozen=frozen).train()
    before = {name: value.clone() for name, value in encoder.state_dict().items()}
    torch.optim.SGD([p for p in task.parameters() if p.requires_grad], 0.1).zero_grad()
    task(batch)["loss"].backward()
    torch.optim.SGD([p for p in task.parameters() if p.requires_grad], 0.1).step()
    same = [torch.equal(value, before[name]) for name, value in encoder.state_dict().items()]
    assert all(same) == frozen
    assert encoder.training != frozen
    assert task.head.training
    assert task.head[1].weight.grad.abs().sum() > 0
