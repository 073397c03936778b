"""Transfer: a store of one layout, as an encoder of another takes it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import finetune.transfer as module
from finetune.config import FinetuneConfig
from finetune.predict import predict
from finetune.run import run
from finetune.transfer import mapped_store
from ssl_skel.data.clip import RawClip
from ssl_skel.data.normalize import NormalizeConfig
from ssl_skel.data.splits import load_split
from ssl_skel.data.store import Store
from ssl_skel.data.writer import StoreWriter
from ssl_skel.encoders.files import load_encoder
from ssl_skel.errors import UserError
from ssl_skel.evaluation.baselines import raw_features
from ssl_skel.evaluation.knn import knn_predict
from ssl_skel.layouts import LAYOUTS
from ssl_skel.layouts.mapping import joint_map

MakeConfig = Callable[..., FinetuneConfig]
SPLITS = {"xsub": {"train": {"subject": [1, 2]}, "test": {"subject": [3]}}}
FULL: dict[str, Any] = {"name": "full", "epochs": 1, "batch_size": 8, "crop": [1.0, 1.0], "augment": [], "save": True}


def write(path: Path, layout: str) -> Store:
    """2 classes x 3 subjects x 3 clips of random joints, of one person or two."""
    rng = np.random.default_rng(5)
    normalization = NormalizeConfig()
    with StoreWriter(path, LAYOUTS[layout], ("a", "b"), splits=SPLITS, normalization=normalization) as writer:
        for number in range(18):
            shape = (1 + number % 2, 9 + number, LAYOUTS[layout].num_joints, 3)
            joints = rng.normal(size=shape).astype(np.float32)
            writer.add(RawClip(f"c{number}", joints, label=number % 2, subject=1 + number // 6))
    return Store.open(path)


@pytest.fixture
def sbu(tmp_path: Path) -> Store:
    return write(tmp_path / "sbu", "sbu15")


@pytest.fixture
def kinect_run(tmp_path: Path, save_run) -> Path:
    return save_run(tmp_path / "kinect_run", write(tmp_path / "kinect", "kinect20"), split="xsub")


@pytest.mark.parametrize("target", ["kinect20", "ntu25", "coco17"])
def test_a_mapped_store_by_a_loop_over_clips_and_joints(
    sbu: Store, target: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_ROWS", 50)  # in several pieces
    layout = LAYOUTS[target]
    mapping, mapped = joint_map(sbu.layout, layout), mapped_store(sbu, layout)
    assert mapped.layout == layout
    assert (mapped.sha256, len(mapped)) == (sbu.sha256, len(sbu))
    for number in range(len(sbu)):
        clip, found = sbu.clip(number), mapped.clip(number)
        assert found.shape == (*clip.shape[:2], layout.num_joints, 3)
        for joint, name in enumerate(layout.joints):
            if name not in mapping.missing:
                expected = sum(mapping.weights[joint, at] * clip[:, :, at] for at in range(15))
            else:
                expected = found[:, :, layout.parents[joint]]
            np.testing.assert_allclose(found[:, :, joint], expected, atol=1e-6)


def test_baselines_are_of_the_mapped_joints_and_the_report_says_so(
    make_config: MakeConfig, sbu: Store, kinect_run: Path
) -> None:
    config = make_config(
        data={"store": str(sbu.path), "transfer": True},
        encoders={"xsub": str(kinect_run)},
        protocols=[{"name": "knn", "ks": [1]}],
    )
    report = run(config)
    mapped, split = mapped_store(sbu, LAYOUTS["kinect20"]), load_split(sbu, "xsub")
    x = raw_features(mapped)
    right = knn_predict(x[split.train], sbu.label[split.train], x[split.test], (1,))[1] == sbu.label[split.test]
    assert report.figure("xsub", "raw", "kNN, k = 1").mean == right.mean()
    assert {m.features for m in report.measurements} == {"raw", "raw (Euclidean)", "untrained", "pretrained"}
    told = report.splits[0].warnings[0]
    assert "joints of sbu15 were mapped by name to kinect20" in told
    missing = joint_map(LAYOUTS["sbu15"], LAYOUTS["kinect20"]).missing
    assert ("without counterpart" in told) == bool(missing)
    assert all(name in told for name in missing)
    assert told in report.to_markdown()


def test_missing_joints_are_named(make_config: MakeConfig, tmp_path: Path, save_run) -> None:
    ntu = save_run(tmp_path / "ntu_run", write(tmp_path / "ntu", "ntu25"), split="xsub")
    kinect = write(tmp_path / "kinect", "kinect20")
    config = make_config(
        data={"store": str(kinect.path), "transfer": True}, encoders={"xsub": str(ntu)}, baselines=["raw"]
    )
    assert (
        run(config)
        .splits[0]
        .warnings[0]
        .endswith("put in their parents' places: left_hand_tip, left_thumb, right_hand_tip, right_thumb")
    )


def test_a_classifier_trained_by_transfer_reads_recordings_of_the_store_s_layout(
    make_config: MakeConfig, sbu: Store, kinect_run: Path
) -> None:
    config = make_config(
        data={"store": str(sbu.path), "transfer": True},
        encoders={"xsub": str(kinect_run)},
        protocols=[FULL],
        baselines=[],
    )
    run(config)
    (training,) = (config.runs / config.name / "trainings").iterdir()
    assert json.loads((training / "classifier" / "head.json").read_text())["layout"]["name"] == "sbu15"
    answer = predict(config.runs / config.name, sbu.path)
    with np.load(training / "predictions.npz") as data:
        logits = dict(zip(data["name"].tolist(), data["logits"].astype(float), strict=True))
    for name, row in logits.items():
        share = np.exp(row) / np.exp(row).sum()
        np.testing.assert_allclose(answer.probability[answer.clips.index(name)], share, atol=1e-5)
    assert load_encoder(training / "classifier")[0].layout == LAYOUTS["kinect20"]
    with pytest.raises(UserError, match=r"layout: has kinect20, the encoder takes sbu15"):
        predict(config.runs / config.name, kinect_run.parent / "kinect")


def test_layouts_that_agree_change_nothing(make_config: MakeConfig, motions: Path) -> None:
    rows = [m.runs for m in run(make_config()).measurements]
    same = run(make_config(name="same", data={"store": str(motions), "transfer": True}))
    assert [m.runs for m in same.measurements] == rows
    assert same.splits[0].warnings == ()


def test_what_cannot_be_mapped_is_refused(make_config: MakeConfig, sbu: Store, kinect_run: Path, run_dir, tmp_path):
    with pytest.raises(UserError, match=r"or map the joints with data.transfer=true"):
        run(make_config(data={"store": str(sbu.path)}, encoders={"xsub": str(kinect_run)}))
    both = {"xsub": [str(kinect_run), str(run_dir)]}
    with pytest.raises(UserError, match=r"data.transfer: the encoders have several layouts \(kinect20, "):
        run(make_config(data={"store": str(sbu.path), "transfer": True}, encoders=both))
    hand = write(tmp_path / "hand", "hand21")
    with pytest.raises(UserError, match="hand21 has no joint of kinect20"):
        run(make_config(data={"store": str(hand.path), "transfer": True}, encoders={"xsub": str(kinect_run)}))
    scratch = {"splits": ["xsub"], "backbone": {"name": "mpae_net"}}
    with pytest.raises(UserError, match=r"data.transfer: maps joints to an encoder's"):
        make_config(data={"store": str(sbu.path), "transfer": True}, encoders={}, scratch=scratch)
