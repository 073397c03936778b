"""MAMP's head of fine-tuning: its layers, that a config gives it, and that a saved one is as good."""

from __future__ import annotations

from pathlib import Path

import torch
import torch.nn.functional as F

from finetune.classifiers.config import MLPHeadConfig
from finetune.classifiers.mlp import MLPClassifier
from finetune.classifiers.saved import save_classifier
from finetune.predict import load_classifier
from finetune.protocols.configs.trained import FullConfig
from finetune.protocols.trained import Full
from ssl_skel.backbones.configs.st_transformer import STTransformerConfig
from ssl_skel.batch import Batch, Rng
from ssl_skel.encoders.card import EncoderCard
from ssl_skel.encoders.encoder import build_encoder
from ssl_skel.encoders.pooling_config import PoolingConfig
from ssl_skel.layouts import LAYOUTS

CONFIG = FullConfig(head=MLPHeadConfig(hidden=6), label_smoothing=0.1)


def classifier() -> MLPClassifier:
    torch.manual_seed(0)
    net, pooling = STTransformerConfig(size="tiny"), PoolingConfig.of("joint")
    encoder = build_encoder(net, LAYOUTS["sbu15"], channels=3, num_frames=8, stream="joint", pooling=pooling)
    task = Full.classifier(CONFIG, encoder, 3)
    assert isinstance(task, MLPClassifier)
    return task


def batch_of(dtype: torch.dtype = torch.float32) -> Batch:
    x, label = torch.randn(4, 1, 3, 8, 15, 2, dtype=dtype), torch.tensor([0, 2, 1, 1])
    return Batch(x, torch.ones(4, 2, dtype=torch.bool), label, torch.arange(4), Rng((0, 0), 4))


def test_it_is_two_linear_layers_around_a_norm_and_relu() -> None:
    """MAMP, model/transformer.py, ActionHeadFinetune; two persons are averaged ahead of it."""
    task, batch = classifier().double(), batch_of(torch.float64)
    persons = batch.x[:, 0].permute(0, 4, 1, 2, 3).flatten(0, 1)
    grid = task.encoder.backbone(persons).unflatten(0, (4, 2))  # (4, 2, D, T, V)
    vector = grid.mean((1, 3)).flatten(1)
    first, norm, _, last = task.head
    inner = vector @ first.weight.T + first.bias
    inner = (inner - inner.mean(0)) / (inner.var(0, unbiased=False) + norm.eps).sqrt()
    expected = (inner * norm.weight + norm.bias).relu() @ last.weight.T + last.bias
    torch.testing.assert_close(task(batch)["loss"], F.cross_entropy(expected, batch.label, label_smoothing=0.1))


def test_a_saved_one_gives_the_same_logits(tmp_path: Path) -> None:
    task, batch = classifier(), batch_of()
    task(batch)  # moves running statistics
    save_classifier(tmp_path, task, CONFIG, ["a", "b", "c"], EncoderCard.of(task.encoder))
    again = load_classifier(tmp_path).task
    assert isinstance(again, MLPClassifier)
    assert torch.equal(again.logits(batch), task.eval().logits(batch))
