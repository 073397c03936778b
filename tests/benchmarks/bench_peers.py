"""Parts of ssl-skel beside the same parts of public packages, in turns in one run: CPU time of one thread.

``PACKAGES`` go into a folder of their own, since the newest mmaction2 with all its parts (1.2.0 lacks a module) wants
old versions beside it; a package that is not there is skipped::

    python -m pip install --no-deps --target peers PACKAGES
    PYTHONPATH=peers make bench

Where a package does more than the part compared (mmaction2 normalises each clip whenever it is loaded, and copies it),
that is left out, so that both sides do the same.
"""

from __future__ import annotations

import itertools
import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from ssl_skel.backbones.configs.graph import STGCNConfig
from ssl_skel.data.augment.config import RotateConfig
from ssl_skel.data.augment.pipeline import Augment
from ssl_skel.data.loader import ClipLoader
from ssl_skel.data.store import Store
from ssl_skel.encoders.encoder import build_encoder
from ssl_skel.layouts import LAYOUTS
from ssl_skel.pretexts.decorrelation import covariance, variance

PACKAGES = (
    "mmaction2==1.1.0 mmcv-lite==2.0.1 mmengine==0.10.7 opencv-python-headless addict yapf platformdirs termcolor "
    "einops torch-skeleton==0.1.2 gdown beautifulsoup4 soupsieve wget lightly==1.6.0"
)
LAYOUT, ROUNDS, BATCH, FRAMES = LAYOUTS["ntu25"], 11, 64, 100
Steps = tuple[Callable[[], object], Callable[[], object], dict[str, object]]  # the peer's, ours, what to report


def training(net: nn.Module, forward: Callable[[], Tensor]) -> Callable[[], None]:
    """A step: forward, backward, AdamW."""
    optimizer = torch.optim.AdamW(net.parameters())

    def step() -> None:
        forward().square().mean().backward()
        optimizer.step()
        optimizer.zero_grad()

    return step


def parameters(net: nn.Module) -> int:
    return sum(parameter.numel() for parameter in net.parameters())


def st_gcn(_: Store) -> Steps:
    """mmaction2's STGCN, 10 layers, 3.1 M parameters; 8 clips of two persons, 64 frames."""
    from mmaction.models.backbones import STGCN

    clips, frames, persons = 8, 64, 2
    peer = STGCN(graph_cfg={"layout": "nturgb+d", "mode": "stgcn_spatial"})
    net = build_encoder(STGCNConfig(), LAYOUT, channels=3, num_frames=frames, stream="joint")
    x = torch.randn(clips, 3, frames, 25, persons)
    present, theirs = torch.ones(clips, persons, dtype=torch.bool), x.permute(0, 4, 2, 3, 1).contiguous()
    sizes: dict[str, object] = {"parameters, peer and here": (parameters(peer), parameters(net))}
    here = training(net, lambda: net.forward_features(x, present))
    return training(peer, lambda: peer(theirs)), here, sizes


def epoch_of(store: Store, augment: Augment | None) -> Callable[[], None]:
    """All clips once, in batches; frames are drawn from the whole clip and put in order, as the peers draw theirs."""
    rows, number = range(len(store)), itertools.count()
    options: dict[str, Any] = {"num_frames": FRAMES, "batch_size": BATCH, "sampling": "sorted", "shuffle": True}
    loader = ClipLoader(store, rows, **options, augment=augment)

    def epoch() -> None:
        for _ in loader.epoch(next(number)):
            pass

    return epoch


def epoch_by_clip(store: Store, load: Callable[[np.ndarray], np.ndarray]) -> Callable[[], None]:
    """All clips once, in batches, each clip by the peer's transforms; the clips are arrays in memory."""
    clips = [np.array(store.clip(number), np.float32) for number in range(len(store))]

    def epoch() -> None:
        order = np.random.permutation(len(clips))
        for rows in np.split(order, range(BATCH, len(order), BATCH)):
            torch.stack([torch.from_numpy(load(clips[row])) for row in rows])

    return epoch


def sampled(store: Store) -> Steps:
    """mmaction2: a frame of each of 100 stretches of a clip, two persons."""
    from mmaction.datasets.transforms import FormatGCNInput, PoseDecode, UniformSampleFrames

    transforms = [UniformSampleFrames(clip_len=FRAMES), PoseDecode(), FormatGCNInput(num_person=2)]

    def load(clip: np.ndarray) -> np.ndarray:
        item: dict[str, Any] = {"keypoint": clip, "total_frames": clip.shape[1]}
        for transform in transforms:
            item = transform(item)
        return item["keypoint"]

    return epoch_by_clip(store, load), epoch_of(store, None), {"clips": len(store)}


def rotated(store: Store) -> Steps:
    """torch-skeleton: 100 frames of a clip in order, rotated about each axis, two persons."""
    from torch_skeleton.transforms import Compose, PadBodies, PadFrames, RandomRotate, SampleFrames

    transform = Compose([SampleFrames(FRAMES), PadFrames(FRAMES), PadBodies(2), RandomRotate(17.2)])
    here = epoch_of(store, Augment([RotateConfig()], LAYOUT))
    return epoch_by_clip(store, lambda clip: transform(clip.copy())), here, {"clips": len(store)}


def vicreg(_: Store) -> Steps:
    """lightly's VICReg loss of 256 clips, two views of 2,048 numbers, forward and backward."""
    from lightly.loss import VICRegLoss

    views, loss = torch.randn(2, 256, 2048, requires_grad=True), VICRegLoss()

    def here() -> Tensor:
        apart = functional.mse_loss(views[0], views[1])
        return 25 * apart + 25 * variance(views).mean() + 2 * covariance(views).mean()

    torch.testing.assert_close(loss(views[0], views[1]), here())
    return lambda: loss(views[0], views[1]).backward(), lambda: here().backward(), {}


PARTS: dict[str, tuple[str, Callable[[Store], Steps]]] = {
    "ST-GCN": ("mmaction", st_gcn),
    "frames drawn": ("mmaction", sampled),
    "frames drawn, rotated": ("torch_skeleton", rotated),
    "VICReg": ("lightly", vicreg),
}


@pytest.mark.filterwarnings("ignore")  # the peers'
@pytest.mark.usefixtures("one_thread")
@pytest.mark.parametrize("part", PARTS)
def test_beside_a_peer(benchmark: Any, ntu_like: Store, part: str) -> None:
    package, build = PARTS[part]
    pytest.importorskip(package, reason=f"pip install --no-deps --target peers {PACKAGES}; then PYTHONPATH=peers")
    torch.manual_seed(0)
    np.random.seed(0)
    *steps, info = build(ntu_like)
    seconds: list[list[float]] = [[], []]

    def each() -> None:
        for step, found in zip(steps, seconds, strict=True):
            start = time.process_time()
            step()
            found.append(time.process_time() - start)

    benchmark.pedantic(each, rounds=ROUNDS, warmup_rounds=1)
    peer, here = (statistics.median(found[1:]) for found in seconds)
    found = {"peer, s": round(peer, 4), "here, s": round(here, 4), "times as fast": round(peer / here, 2)}
    benchmark.extra_info |= info | found
    print(f"\n{part}, beside {package}: {benchmark.extra_info}")
