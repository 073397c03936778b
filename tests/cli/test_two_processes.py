"""Two processes on one run, evaluation, fusion, store or index: one works, the other says so in one line."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import yaml

from ssl_skel.backbones.configs.mpae_net import MPAENetConfig
from ssl_skel.cli.app import main
from ssl_skel.data.store import Store
from ssl_skel.encoders.card import EncoderCard
from ssl_skel.encoders.encoder import build_encoder
from ssl_skel.encoders.files import save_encoder

HOLD = """
import sys
from pathlib import Path
from ssl_skel.files.exclusive import only_worker
from ssl_skel.files.partial import whole_folder
kinds = {"run": only_worker, "folder": whole_folder}
with kinds[sys.argv[1]](Path(sys.argv[2])):
    print("working", flush=True)
    sys.stdin.read()
"""
VERBS = {
    "pretrain": ("run", "pretrain pretrain.yaml resume=auto"),
    "finetune": ("run", "finetune finetune.yaml"),
    "convert": ("folder", "convert npz recordings.npz out --layout ntu25"),
    "synthetic": ("folder", "synthetic out subjects=2 cameras=2 repetitions=1"),
    "merge": ("folder", "merge store -o out"),
    "index": ("folder", "index encoder store -o out"),
}


@pytest.fixture
def desk(motions: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with configs, an encoder and links to a store; all work is for ``out``."""
    store = Store.open(motions)
    (tmp_path / "store").symlink_to(motions)
    network = MPAENetConfig(channels=(8,), strides=(4,), heads=2, norm="layer")
    encoder = build_encoder(network, store.layout, channels=3, num_frames=16, stream="joint")
    save_encoder(tmp_path / "encoder", encoder, EncoderCard.of(encoder, normalization=store.normalization))
    shared = {"name": "out", "runs": ".", "data": {"store": "store"}}
    pretrain = shared | {
        "backbone": network.model_dump(mode="json"),
        "pretext": {"name": "skeleton_mae", "decoder_dim": 16},
    }
    pretrain |= {"data": {"store": "store", "num_frames": 16}, "train": {"epochs": 12, "device": "cpu"}}
    finetune = shared | {"encoders": {"xview": "encoder"}, "protocols": [{"name": "full", "epochs": 12}]}
    finetune |= {"baselines": [], "device": "cpu"}
    (tmp_path / "pretrain.yaml").write_text(yaml.safe_dump(pretrain))
    (tmp_path / "finetune.yaml").write_text(yaml.safe_dump(finetune))
    np.savez(tmp_path / "recordings.npz", joints=np.ones((1, 8, 25, 3), np.float32))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@contextmanager
def another(kind: str, path: Path) -> Iterator[None]:
    """Another process that works there."""
    command = [sys.executable, "-c", HOLD, kind, path]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "working\n"
        yield
        process.kill()


@pytest.mark.parametrize("verb", VERBS)
def test_the_second_process_is_told_before_it_works(
    desk: Path, verb: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    kind, line = VERBS[verb]
    monkeypatch.setattr(sys, "argv", ["ssl-skel", *line.split()])
    with another(kind, desk / "out"):
        before = sorted(path.name for path in desk.iterdir())
        with pytest.raises(SystemExit) as ended:
            main()
        *_, last = capsys.readouterr().err.splitlines()
        assert ended.value.code == 2
        assert last.startswith("error: ")
        assert "another process" in last
        assert sorted(path.name for path in desk.iterdir()) == before


@pytest.mark.slow
@pytest.mark.parametrize("verb", ["pretrain", "finetune", "synthetic", "index"])
def test_of_two_that_begin_at_once_one_wins(desk: Path, verb: str) -> None:
    command = [sys.executable, "-m", "ssl_skel", *VERBS[verb][1].split()]
    both = [subprocess.Popen(command, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    errors = {process.communicate()[1]: process.returncode for process in both}
    assert sorted(process.returncode for process in both) == [0, 2]
    (told,) = [text.splitlines()[-1] for text, code in errors.items() if code == 2]
    assert told.startswith("error: ")
    assert "another process" in told or "exists already" in told
    assert not [path for path in desk.rglob(".*") if path.name != ".lock"]
