"""Whatever computes keeps to its device: a tensor left on the CPU fails here as on a GPU."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from elsewhere import Elsewhere, elsewhere

from finetune.classifiers.bottleneck import BottleneckClassifier
from finetune.classifiers.config import BottleneckConfig, MLPHeadConfig
from finetune.classifiers.linear import Classifier
from finetune.classifiers.mlp import MLPClassifier
from ssl_skel.backbones import BACKBONES
from ssl_skel.batch import Batch
from ssl_skel.config import parse_config
from ssl_skel.data.augment import AUGMENTATIONS
from ssl_skel.data.augment.pipeline import Augment
from ssl_skel.data.loader import ClipLoader
from ssl_skel.data.store import Store
from ssl_skel.embedding.features import extract_features, whole_clips
from ssl_skel.encoders.encoder import build_encoder
from ssl_skel.encoders.pooling_config import PoolingConfig
from ssl_skel.pretexts import PRETEXTS, build_pretext
from ssl_skel.task import Task
from ssl_skel.training.accelerator import make_accelerator
from ssl_skel.training.config import OptimConfig, TrainConfig
from ssl_skel.training.learner import Learner
from ssl_skel.training.meter import Meter

SMALL: dict[str, dict[str, Any]] = {
    **{name: {"size": "tiny"} for name in BACKBONES},
    "mpae_net": {"channels": [16, 16], "strides": [2, 2]},
    "skeleton_mae": {"decoder_dim": 16},
    "psp": {"projection": 16, "momentum": 0.9, "queue": 64, "neighbours": {}},
    "temporal_order": {"head": "pairwise"},
    "combined": {"parts": [{"pretext": {"name": "skeleton_mae"}}, {"pretext": {"name": "psp"}}]},
}
RECURRENT = {"man"}
TASKS = [
    *(("skeleton_mae", name) for name in BACKBONES if name not in RECURRENT),
    *((pretext, "mpae_net") for pretext in PRETEXTS if pretext != "skeleton_mae"),
]
FRAMES = 16


@pytest.fixture(scope="module")
def store(motions: Path) -> Store:
    return Store.open(motions)


def loader(store: Store, device: Any, **options: Any) -> ClipLoader:
    options = {"num_frames": FRAMES, "batch_size": 6, "resident": "always", "device": device} | options
    return ClipLoader(store, np.arange(6), **options)


def config(row: Any, name: str) -> Any:
    return parse_config(row.Config, {"name": name, **SMALL.get(name, {})}, "test")


def trained(task: Task, batch: Batch, device: Any) -> list[float]:
    """What two steps of the loop's learner log; every part of the task must be on the device afterwards."""
    accelerator = make_accelerator(TrainConfig(device="cpu"))
    accelerator.state.device = device
    learner, meter = Learner(task, OptimConfig(clip_grad=1.0), accelerator), Meter()
    learner.start(meter)
    for number in range(2):
        learner.update([batch], 1e-3, number, meter)
        learner.after_step(number + 1, 2)
    assert meter.read() == float("inf")
    assert {value.device for value in task.state_dict().values()} == {device}
    return [total / clips for total, clips in meter.totals.values()]


def compare(task: Task, store: Store, **options: Any) -> None:
    """Two steps on the CPU, and the same elsewhere."""
    again = copy.deepcopy(task)
    expected = trained(task, next(loader(store, "cpu", **options).epoch()), torch.device("cpu"))
    with elsewhere() as device:
        batch = next(loader(store, device, **options).epoch())
        assert isinstance(batch.x, Elsewhere)
        found = trained(again, batch, device)
    assert found == pytest.approx(expected, rel=1e-3, abs=1e-4)


def test_the_device_refuses_what_a_gpu_refuses() -> None:
    x = torch.arange(6.0).reshape(2, 3)
    with elsewhere() as device:
        there = x.to(device).requires_grad_()
        for mistake in (lambda: there + x, lambda: torch.cat([there, x]), lambda: there @ torch.ones(3, 1)):
            with pytest.raises(RuntimeError, match="a tensor of the CPU"):
                mistake()
        made = torch.ones(3, 1, device=device)
        (there[torch.tensor([1])] @ made * torch.tensor(2.0)).sum().backward()
        assert isinstance(there.grad, Elsewhere)
        assert there.grad.tolist() == [[0.0] * 3, [2.0] * 3]


@pytest.mark.parametrize(("pretext", "backbone"), TASKS)
def test_pretraining_keeps_to_its_device(store: Store, pretext: str, backbone: str) -> None:
    torch.manual_seed(0)
    encoder = build_encoder(
        config(BACKBONES[backbone], backbone), store.layout, channels=3, num_frames=FRAMES, stream="joint"
    )
    task = build_pretext(config(PRETEXTS[pretext], pretext), encoder)
    compare(task, store, num_views=task.num_views)


@pytest.mark.parametrize("head", ["linear", "frozen", "mlp", "bottleneck"])
def test_classifiers_keep_to_their_device(store: Store, head: str) -> None:
    torch.manual_seed(0)
    encoder = build_encoder(config(BACKBONES["tcn"], "tcn"), store.layout, channels=3, num_frames=FRAMES, stream="bone")
    classes = store.num_classes
    compare(
        {
            "linear": lambda: Classifier(encoder, classes, frozen=False, label_smoothing=0.1),
            "frozen": lambda: Classifier(encoder, classes, frozen=True),
            "mlp": lambda: MLPClassifier(encoder, classes, MLPHeadConfig(hidden=8), label_smoothing=0.0),
            "bottleneck": lambda: BottleneckClassifier(encoder, classes, BottleneckConfig(dim=8), label_smoothing=0.0),
        }[head](),
        store,
    )


def test_augmentations_keep_to_their_device(store: Store) -> None:
    for name, row in AUGMENTATIONS.items():
        augment = Augment([row.Config(name=name)], store.layout)
        batch = next(loader(store, "cpu", augment=augment).epoch())
        with elsewhere() as device:
            there = next(loader(store, device, augment=augment).epoch())
        torch.testing.assert_close(there.x.here, batch.x, msg=name)


@pytest.mark.parametrize("pooling", ["mean:4", "part", "joint"])
def test_features_keep_to_their_device(store: Store, pooling: str) -> None:
    torch.manual_seed(0)
    net = config(BACKBONES["mpae_net"], "mpae_net")
    chosen = PoolingConfig.of(pooling)
    encoder = build_encoder(net, store.layout, channels=3, num_frames=FRAMES, stream="joint", pooling=chosen)
    rows = np.arange(6)
    here = extract_features(encoder, whole_clips(store, rows, num_frames=FRAMES), progress=False)
    with elsewhere() as device:
        clips = whole_clips(store, rows, num_frames=FRAMES, device=device, resident="always")
        there = extract_features(copy.deepcopy(encoder).to(device), clips, progress=False)
    np.testing.assert_allclose(there, here, rtol=1e-4, atol=1e-6)
