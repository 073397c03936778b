"""A tiny untrained encoder, indexes of the built-in motions, the verbs as a command; and ``long_recordings`` found."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import typer
from typer.testing import CliRunner, Result

from ssl_skel.backbones.configs.mpae_net import MPAENetConfig
from ssl_skel.cli.index import evaluate_retrieval, merge_index
from ssl_skel.cli.index import index as index_command
from ssl_skel.cli.search import search
from ssl_skel.data.store import Store
from ssl_skel.encoders.card import EncoderCard
from ssl_skel.encoders.encoder import build_encoder
from ssl_skel.encoders.files import save_encoder
from ssl_skel.retrieval.build import build_index
from ssl_skel.retrieval.index import MotionIndex

sys.path.insert(0, str(Path(__file__).parent))

Call = Callable[..., Result]
Damage = Callable[..., Path]


def save_run(path: Path, store: Store, seed: int = 3) -> Path:
    torch.manual_seed(seed)
    config = MPAENetConfig(channels=(8,), strides=(2,), heads=2, norm="layer")
    encoder = build_encoder(config, store.layout, channels=3, num_frames=16, stream="pose")
    save_encoder(path / "encoder", encoder, EncoderCard.of(encoder, normalization=store.normalization))
    return path


@pytest.fixture(scope="session")
def store(motions: Path) -> Store:
    return Store.open(motions)


@pytest.fixture(scope="session")
def run_dir(store: Store, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_run(tmp_path_factory.mktemp("runs") / "tiny", store)


@pytest.fixture(scope="session")
def other_run(store: Store, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_run(tmp_path_factory.mktemp("runs") / "other", store, seed=4)


@pytest.fixture(scope="session")
def index(run_dir: Path, store: Store, tmp_path_factory: pytest.TempPathFactory) -> MotionIndex:
    """Of whole clips, read out by parts."""
    return build_index(run_dir, store.path, tmp_path_factory.mktemp("index") / "clips", pooling="part")


@pytest.fixture(scope="session")
def windowed(run_dir: Path, store: Store, tmp_path_factory: pytest.TempPathFactory) -> MotionIndex:
    """Of windows of 30 frames, 8 apart."""
    path = tmp_path_factory.mktemp("index") / "windows"
    return build_index(run_dir, store.path, path, windows=(30,), stride=8)


@pytest.fixture(scope="session")
def call() -> Call:
    """Runs a verb with words; mistakes come as they are raised."""
    app = typer.Typer()
    app.command("index")(index_command)
    app.command("merge-index")(merge_index)
    app.command("search")(search)
    app.command("evaluate-retrieval")(evaluate_retrieval)
    return lambda *words: CliRunner().invoke(app, [str(word) for word in words], catch_exceptions=False)


@pytest.fixture
def damaged(index: MotionIndex, tmp_path: Path) -> Damage:
    """Copies the index; a function damages it, or fields of meta.json are changed."""

    def damage(change: Callable[[Path], Any] | None = None, **meta: Any) -> Path:
        path = Path(shutil.copytree(index.path, tmp_path / "damaged"))
        if meta:
            told = json.loads((path / "meta.json").read_text("utf-8"))
            (path / "meta.json").write_text(json.dumps(told | meta), "utf-8")
        if change:
            change(path)
        return path

    return damage
