"""Encoders as files of other runtimes give the encoder's own vectors, for any number of clips and persons."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pytest
import torch

from ssl_skel.backbones import BACKBONES
from ssl_skel.backbones.mpae_net import MPAENet
from ssl_skel.cli.app import main
from ssl_skel.config import parse_config
from ssl_skel.data.normalize import NormalizeConfig
from ssl_skel.embedding import export, outputs
from ssl_skel.embedding.export import DenseEncoder, export_encoder
from ssl_skel.embedding.outputs import ExportFormat
from ssl_skel.embedding.sklearn import SkeletonEmbedder
from ssl_skel.encoders.card import EncoderCard
from ssl_skel.encoders.encoder import SkeletonEncoder, build_encoder
from ssl_skel.encoders.files import save_encoder
from ssl_skel.encoders.pooling_config import PoolingConfig
from ssl_skel.errors import UserError
from ssl_skel.layouts import LAYOUTS


@pytest.fixture
def encoder(tmp_path: Path) -> SkeletonEncoder:
    """Of one narrow layer, saved as ``run`` in the test's folder."""
    torch.manual_seed(0)
    options = {"channels": [16], "strides": [2], "heads": 2, "patch": 4, "norm": "layer"}
    config = parse_config(BACKBONES["mpae_net"].Config, options, "test")
    made = build_encoder(config, LAYOUTS["sbu15"], channels=3, num_frames=16, stream="pose", extent="box").eval()
    save_encoder(tmp_path / "run", made, EncoderCard.of(made))
    return made


def clips(encoder: SkeletonEncoder, count: int, persons: int) -> tuple[torch.Tensor, torch.Tensor]:
    present = torch.arange(persons)[None] <= torch.arange(count)[:, None] % persons
    x = torch.randn(count, 3, 16, encoder.layout.num_joints, persons)
    return x * present[:, None, None, None], present


@pytest.mark.parametrize("pooling", ["mean", "mean:4", "body", "part", "joint", "part:4"])
def test_persons_side_by_side_are_read_as_packed_ones(encoder: SkeletonEncoder, pooling: str) -> None:
    encoder = encoder.with_pooling(PoolingConfig.of(pooling))
    for count, persons in ((1, 1), (5, 2), (4, 3)):
        x, present = clips(encoder, count, persons)
        torch.testing.assert_close(DenseEncoder(encoder)(x, present), encoder(x, present), atol=1e-6, rtol=1e-5)


def test_an_exported_program_takes_any_batch(encoder: SkeletonEncoder, tmp_path: Path) -> None:
    facts = export_encoder(tmp_path / "run", "torch-export", tmp_path / "out" / "e.pt2", pooling="part")
    assert facts["max_error"] < 1e-5
    with (tmp_path / "out" / "e.pt2").open("rb") as stream:
        program = torch.export.load(stream).module()
    encoder = encoder.with_pooling(PoolingConfig.of("part"))
    for count, persons in ((1, 1), (2, 2), (6, 3)):
        x, present = clips(encoder, count, persons)
        torch.testing.assert_close(program(x, present), encoder(x, present), atol=1e-5, rtol=1e-4)
    told = json.loads((tmp_path / "out" / "e.pt2.json").read_text())
    assert told["pooling"] == "part"
    assert told["card"]["layout"]["name"] == "sbu15"


@pytest.mark.filterwarnings("ignore")  # the exporters' own
@pytest.mark.parametrize("to", ["torch-export", "onnx"])
def test_distances_between_persons_are_exported(to: ExportFormat, tmp_path: Path) -> None:
    """A runtime's answers are compared for one, two and three persons where the file is written."""
    if to == "onnx":
        pytest.importorskip("onnxruntime")
        pytest.importorskip("onnxscript")
    torch.manual_seed(0)
    net = parse_config(BACKBONES["tcn"].Config, {"size": "tiny"}, "test")
    made = build_encoder(net, LAYOUTS["sbu15"], channels=3, num_frames=16, stream="pair_distances", extent="axis")
    save_encoder(tmp_path / "run", made, EncoderCard.of(made))
    out = tmp_path / ("e" + {"torch-export": ".pt2", "onnx": ".onnx"}[to])
    assert export_encoder(tmp_path / "run", to, out)["max_error"] < 1e-5


@pytest.mark.parametrize("pooling", ["mean", "part:4"])
@pytest.mark.filterwarnings("ignore")  # the exporter's own
def test_onnx_takes_any_batch(encoder: SkeletonEncoder, tmp_path: Path, pooling: str) -> None:
    runtime = pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    facts = export_encoder(tmp_path / "run", "onnx", tmp_path / "e.onnx", pooling=pooling)
    assert facts["max_error"] < 1e-5
    encoder = encoder.with_pooling(PoolingConfig.of(pooling))
    session = runtime.InferenceSession((tmp_path / "e.onnx").read_bytes(), providers=["CPUExecutionProvider"])
    for count, persons in ((1, 1), (2, 2), (6, 3)):
        x, present = clips(encoder, count, persons)
        (got,) = session.run(None, {"x": x.numpy(), "present": present.numpy()})
        torch.testing.assert_close(torch.from_numpy(got), encoder(x, present), atol=1e-5, rtol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("row", BACKBONES)
@pytest.mark.parametrize("to", ["torch-export", "onnx"])
@pytest.mark.filterwarnings("ignore")  # the exporters' own
def test_every_network_can_be_exported(row: str, to: str, tmp_path: Path) -> None:
    config = parse_config(BACKBONES[row].Config, {"size": "tiny"}, "test")
    made = build_encoder(config, LAYOUTS["sbu15"], channels=3, num_frames=16, stream="joint").eval()
    save_encoder(tmp_path / "run", made, EncoderCard.of(made))
    ending = {"torch-export": "pt2", "onnx": "onnx"}[to]
    if row == "slim_vit":  # timm's rotary attention looks at the number of clips
        with pytest.raises(UserError, match="slim_vit cannot be exported"):
            export_encoder(tmp_path / "run", to, tmp_path / f"e.{ending}")
        return
    facts = export_encoder(tmp_path / "run", to, tmp_path / f"e.{ending}")
    size = float(made(*clips(made, 5, 2)).abs().max())  # STTFormer's fresh weights make large numbers
    assert facts["max_error"] < 1e-4 * max(1.0, size)
    assert (tmp_path / f"e.{ending}").stat().st_size > 0


def test_a_file_that_answers_otherwise_is_not_written(
    encoder: SkeletonEncoder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export, "_program", lambda _: None)

    def answers_otherwise(_: None, file: BinaryIO) -> Callable[..., torch.Tensor]:
        file.write(b"program")
        return lambda x, present: encoder(x, present).detach() * 1.01

    monkeypatch.setattr(export, "_write_torch", answers_otherwise)
    with pytest.raises(UserError, match="outputs differ by"):
        export_encoder(tmp_path / "run", "torch-export", tmp_path / "e.pt2")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["run"]


@pytest.mark.parametrize(
    ("out", "to", "message"),
    [
        ("e.bin", "onnx", "e.bin: --to onnx writes .onnx files"),
        ("taken.pt2", "torch-export", "taken.pt2: exists"),
    ],
)
def test_what_cannot_be_written_is_refused(
    encoder: SkeletonEncoder, tmp_path: Path, out: str, to: ExportFormat, message: str
) -> None:
    (tmp_path / "taken.pt2").write_bytes(b"mine")
    with pytest.raises(UserError, match=message):
        export_encoder(tmp_path / "run", to, tmp_path / out)
    assert (tmp_path / "taken.pt2").read_bytes() == b"mine"


def test_a_card_of_another_file_is_not_replaced(encoder: SkeletonEncoder, tmp_path: Path) -> None:
    (tmp_path / "e.pt2.json").write_text("mine")
    with pytest.raises(UserError, match=r"e.pt2.json: exists already; choose another path"):
        export_encoder(tmp_path / "run", "torch-export", tmp_path / "e.pt2")
    assert (tmp_path / "e.pt2.json").read_text() == "mine"
    export_encoder(tmp_path / "run", "torch-export", tmp_path / "e.pt2", overwrite=True)
    assert json.loads((tmp_path / "e.pt2.json").read_text())["pooling"] == "part"


def test_a_card_that_cannot_be_written_leaves_no_file(encoder: SkeletonEncoder, tmp_path: Path) -> None:
    (tmp_path / "e.pt2.json").mkdir()
    with pytest.raises(UserError, match=r"e.pt2.json: cannot be written: Is a directory"):
        export_encoder(tmp_path / "run", "torch-export", tmp_path / "e.pt2", overwrite=True)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["e.pt2.json", "run"]


def test_merged_joints_have_no_groups_to_read_even_where_they_are_as_many(
    encoder: SkeletonEncoder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(MPAENet, "keeps_joints", False)
    encoder = encoder.with_pooling(PoolingConfig(over="mean"))
    save_encoder(tmp_path / "run", encoder, EncoderCard.of(encoder, normalization=NormalizeConfig()))
    line = "pooling: part needs joints, and mpae_net merges them; use mean"
    with pytest.raises(UserError, match=f"^{line}$"):
        SkeletonEmbedder(tmp_path / "run", pooling="part").transform([np.random.default_rng(0).normal(size=(9, 15, 3))])
    np.savez(tmp_path / "joints.npz", joints=np.random.default_rng(0).normal(size=(2, 9, 15, 3)).astype(np.float32))
    (tmp_path / "joints.yaml").write_text("layout: sbu15")
    run, out = str(tmp_path / "run"), str(tmp_path / "out")
    for words in (
        ["embed", run, str(tmp_path / "joints.npz"), "-o", f"{out}.npz"],
        ["export", run, "--to", "torch-export", "-o", f"{out}.pt2"],
    ):
        monkeypatch.setattr("sys.argv", ["ssl-skel", *words, "--pooling", "part"])
        with pytest.raises(SystemExit) as left:
            main()
        assert left.value.code == 2
        assert line in " ".join(capsys.readouterr().err.split())


def test_a_missing_package_is_told_with_its_remedy(
    encoder: SkeletonEncoder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outputs, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"pip install 'ssl-skel\[onnx\]'"):
        export_encoder(tmp_path / "run", "onnx", tmp_path / "e.onnx")


@pytest.mark.slow
@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_a_full_disk_is_one_line(encoder: SkeletonEncoder, tmp_path: Path) -> None:
    (tmp_path / "e.pt2").symlink_to("/dev/full")
    with pytest.raises(UserError, match="cannot be written: No space left on device"):
        export_encoder(tmp_path / "run", "torch-export", tmp_path / "e.pt2", overwrite=True)
