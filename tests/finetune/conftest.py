"""A tiny untrained encoder in a run directory, and configs that use it."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import torch

from finetune.config import FinetuneConfig
from finetune.run import run
from finetune.trainings import supervised
from ssl_skel.backbones.configs.mpae_net import MPAENetConfig
from ssl_skel.backbones.heatmaps import heat_maps
from ssl_skel.config import EntryConfig, parse_config
from ssl_skel.data.clip import RawClip
from ssl_skel.data.splits import load_split
from ssl_skel.data.store import Store
from ssl_skel.data.writer import StoreWriter
from ssl_skel.encoders.card import EncoderCard
from ssl_skel.encoders.encoder import build_encoder
from ssl_skel.encoders.files import save_encoder
from ssl_skel.encoders.training_data import TrainingData
from ssl_skel.training.loop import Interrupted

SaveRun = Callable[..., Path]
Rewrite = Callable[[Callable[[RawClip, int], Iterable[RawClip]]], Path]
SIDE, FILMED = 16, 8
"""Pixels of a film's side, and its frames."""


def draw_film(path: Path, joints: np.ndarray) -> None:
    """Draw joints (M, T, V, 3) white on black, FILMED frames of them, all persons in one picture."""
    frames = np.linspace(0, joints.shape[1] - 1, FILMED).round().astype(int)
    x = torch.from_numpy(joints[:, frames]).permute(3, 1, 0, 2).flatten(2)[None]
    pictures = heat_maps(x, None, SIDE, mirrored=True, sigma=0.8).amax(1)[0].mul(255).byte()
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=25)
        stream.height, stream.width, stream.pix_fmt = SIDE, SIDE, "yuv420p"
        for picture in pictures.numpy():
            container.mux(stream.encode(av.VideoFrame.from_ndarray(np.stack([picture] * 3, -1), format="rgb24")))
        container.mux(stream.encode())


@pytest.fixture(scope="session")
def film() -> Callable[[Path, np.ndarray], None]:
    """Draws a film of joints."""
    return draw_film


@pytest.fixture(scope="session")
def videos(motions: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A film of each clip of the store of motions; read-only."""
    folder, store = tmp_path_factory.mktemp("films"), Store.open(motions)
    for row, name in enumerate(store.name):
        draw_film(folder / f"{name}_color.mp4", store.clip(row))
    return folder


@pytest.fixture(scope="session")
def save_run() -> SaveRun:
    """Makes a run directory whose encoder claims to be pretrained on a split."""

    def save(
        path: Path,
        store: Store,
        split: str = "xview",
        seed: int = 7,
        channels: int = 8,
        net: EntryConfig | None = None,
        **changes: Any,
    ) -> Path:
        torch.manual_seed(seed)
        config = net or MPAENetConfig(channels=(channels,), strides=(2,), heads=2)
        options = {"num_frames": 4, "stream": "joint"} | changes
        encoder = build_encoder(config, store.layout, channels=store.channels, **options)
        data = TrainingData.of(store, load_split(store, split))
        card = EncoderCard.of(encoder, normalization=store.normalization, data=data)
        save_encoder(path / "encoder", encoder, card)
        return path

    return save


@pytest.fixture(scope="session")
def run_dir(motions: Path, save_run: SaveRun, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_run(tmp_path_factory.mktemp("runs") / "tiny", Store.open(motions))


@pytest.fixture
def interrupt(monkeypatch: pytest.MonkeyPatch) -> Callable[[FinetuneConfig], None]:
    """Runs an evaluation whose training gets a SIGTERM after its second epoch."""
    fit = supervised.fit

    def stopped(*args: Any, on_epoch: Callable, **options: Any) -> None:
        def look(epoch: int) -> dict[str, float]:
            if epoch == 2:
                signal.raise_signal(signal.SIGTERM)
            return on_epoch(epoch)

        fit(*args, on_epoch=look, **options)

    def interrupted(config: FinetuneConfig) -> None:
        with monkeypatch.context() as patch:
            patch.setattr(supervised, "fit", stopped)
            with pytest.raises(Interrupted):
                run(config)

    return interrupted


@pytest.fixture
def rewrite(motions: Path, tmp_path: Path) -> Rewrite:
    """Copies the store of motions; a function turns each clip, with its row, into none, one or several."""

    def write(change: Callable[[RawClip, int], Iterable[RawClip]]) -> Path:
        store = Store.open(motions)
        splits, normalization = store.splits, store.normalization
        path = tmp_path / "rewritten"
        with StoreWriter(
            path, store.layout, store.class_names, splits=splits, normalization=normalization, overwrite=True
        ) as writer:
            for row in range(len(store)):
                columns = ("label", "subject", "camera", "setup", "replication")
                numbers = {column: int(getattr(store, column)[row]) for column in columns}
                for clip in change(RawClip(str(store.name[row]), store.clip(row), **numbers), row):
                    writer.add(clip, int(store.content[row]))
        return path

    return write


@pytest.fixture
def make_config(motions: Path, run_dir: Path, tmp_path: Path) -> Callable[..., FinetuneConfig]:
    def make(**changes: Any) -> FinetuneConfig:
        data = {
            "name": "test",
            "data": {"store": str(motions)},
            "encoders": {"unseen": str(run_dir)},
            "protocols": [{"name": "knn", "ks": [1, 5]}],
            "device": "cpu",
            "runs": str(tmp_path / "runs"),
        }
        return parse_config(FinetuneConfig, data | changes, "test")

    return make
