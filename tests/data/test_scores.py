"""Scores of 2D joints: kept as a third channel on the whole way, and never taken for a coordinate."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import raw_files
import torch
from raw_clips import read
from raw_files import points, walk
from torch import Tensor
from typer.testing import CliRunner

from finetune.transfer import mapped_store
from ssl_skel.batch import Rng
from ssl_skel.cli.app import build
from ssl_skel.data.audit.inspection import audit
from ssl_skel.data.augment import AUGMENTATIONS
from ssl_skel.data.convert import convert
from ssl_skel.data.merge import merge
from ssl_skel.data.normalize import NormalizeConfig, normalize
from ssl_skel.data.readers.estimators import follow
from ssl_skel.data.repair import RepairConfig
from ssl_skel.data.sources.open import open_reader
from ssl_skel.data.sources.recordings import read_recordings
from ssl_skel.data.store import Store
from ssl_skel.encoders.streams import STREAMS, to_stream
from ssl_skel.errors import UserError
from ssl_skel.layouts import LAYOUTS, parse_layout
from ssl_skel.layouts.mapping import joint_map
from ssl_skel.view.draw.clips import RenderableClip, pack

FLAT = LAYOUTS["coco17"]
SCORED = FLAT.with_score()


def test_a_layout_tells_of_scores() -> None:
    assert (SCORED.name, SCORED.score, FLAT.score) == ("coco17_score", True, False)
    assert parse_layout(SCORED.to_dict(), "again") == SCORED != FLAT
    assert "score" not in FLAT.to_dict()
    assert (FLAT.coordinates(3), SCORED.coordinates(3)) == (3, 2)
    with pytest.raises(UserError, match="score: is 'yes'; write true or false"):
        parse_layout(FLAT.to_dict() | {"score": "yes"}, "mine.yaml")


# Networks' input


def clips() -> tuple[Tensor, Tensor]:
    """Places (N, 2, T, V, M) and scores (N, 1, T, V, M)."""
    return torch.from_numpy(points(5, 2, 6, 17, 2)), torch.from_numpy(points(5, 1, 6, 17, 2, seed=1)).abs()


@pytest.mark.parametrize("stream", STREAMS)
def test_streams_keep_scores(stream: str) -> None:
    places, score = clips()
    present = torch.ones(len(places), places.shape[4], dtype=torch.bool)
    found = to_stream(torch.cat([places, score], 1), present, stream, SCORED)
    torch.testing.assert_close(found[:, :-1], to_stream(places, present, stream, FLAT))
    torch.testing.assert_close(found[:, -1:], score)


@pytest.mark.parametrize(("name", "options"), [*((name, {}) for name in AUGMENTATIONS), ("scale", {"per_axis": True})])
def test_augmentations_leave_scores_alone(name: str, options: dict[str, Any]) -> None:
    row, (places, score) = AUGMENTATIONS[name], clips()
    config = row.Config(name=name, **options)
    found = row(config, SCORED)(torch.cat([places, score], 1), Rng((1, 2), 5))
    if name != "jitter":  # which draws a number for each channel
        torch.testing.assert_close(found[:, :2], row(config, FLAT)(places, Rng((1, 2), 5)))
    assert not torch.equal(found[:, :2], places)
    # Scores go with their joints and frames.
    if name in ("flip", "joint_dropout", "frame_dropout", "reverse", "time_warp"):
        both = torch.cat([score, score], 1)
        if name == "flip":
            both[:, 0] = 0  # which x is not
        alone = row(config, FLAT)(both, Rng((1, 2), 5))
        torch.testing.assert_close(found[:, 2], alone[:, 1])
    else:
        torch.testing.assert_close(found[:, 2:], score)


# Conversion


@pytest.mark.parametrize("config", [{}, {"centre": "frame"}, {"scale": True}, {"centre": "none"}])
def test_normalisation_leaves_scores_alone(config: dict[str, Any]) -> None:
    joints = np.concatenate([points(2, 6, 17, 2), abs(points(2, 6, 17, 1, seed=1))], -1)
    joints[1] *= [0.1, 0.1, 1]
    joints[0, 2, 3] = joints[1, :, 5] = np.nan
    found, filled = normalize(joints, SCORED, NormalizeConfig(**config))
    expected, same = normalize(joints[..., :2], FLAT, NormalizeConfig(**config))
    np.testing.assert_array_equal(found[..., :2], expected)
    np.testing.assert_array_equal(found[..., 2], np.nan_to_num(joints[..., 2]))
    assert filled == same == 7


def test_who_moves_most_takes_the_score_along() -> None:
    joints = np.concatenate([points(2, 6, 17, 2), np.ones((2, 6, 17, 1), np.float32)], -1)
    joints[0] *= [0.1, 0.1, 7]
    found, _ = normalize(joints, SCORED, NormalizeConfig())
    assert found[..., 2].mean((1, 2)).tolist() == [1, 7]
    with pytest.raises(UserError, match="orient: clips with two coordinates have no heading"):
        normalize(joints, SCORED, NormalizeConfig(orient=True))


def flat(name: str, seed: int, **changes: Any) -> dict[str, Any]:
    rng = np.random.default_rng(seed)
    return {
        "frame_dir": name,
        "label": seed,
        "keypoint": rng.uniform(1, 900, (2, 4, 17, 2)).astype(np.float32),
        "keypoint_score": rng.uniform(0.1, 1, (2, 4, 17)).astype(np.float32),
        "img_shape": (1080, 1920),
    } | changes


def test_pyskl(tmp_path: Path) -> None:
    clip = flat("one", 0)
    clip["keypoint"][1, 2], clip["keypoint"][1, 3, 4] = 0, 5
    raw_files.pyskl(tmp_path, [clip])
    (dropped,), (kept,) = (
        read("pyskl", tmp_path, "min_score=0.5"),
        read("pyskl", tmp_path, "min_score=0.5", "score=keep"),
    )
    np.testing.assert_array_equal(kept.joints[..., :2], dropped.joints)
    known = np.isfinite(dropped.joints).all(-1)
    np.testing.assert_array_equal(kept.joints[..., 2], np.where(known, clip["keypoint_score"], np.nan))
    assert open_reader("pyskl", tmp_path, None, ["score=keep"]).layout == SCORED
    raw_files.pyskl(tmp_path, [flat("one", 0, keypoint_score=None)])
    with pytest.raises(UserError, match=r"annotations\[0\]\.keypoint_score: missing; convert with score=drop"):
        read("pyskl", tmp_path, "score=keep")
    raw_files.pyskl(tmp_path)
    with pytest.raises(UserError, match="score: the keypoints have 3 coordinates; only 2D has scores"):
        read("pyskl", tmp_path, "score=keep")


@pytest.mark.parametrize(
    ("format", "write", "score"), [("openpose", raw_files.openpose, 0.8), ("kinetics", raw_files.kinetics, 0.7)]
)
def test_openpose_and_kinetics(format: str, write: Callable[..., Path], score: float, tmp_path: Path) -> None:
    joints = 0.5 + 0.1 * walk(0, 4, 18, persons=2)[..., :2]
    joints[0, 1, 3] = joints[1, 2] = np.nan
    write(tmp_path, joints=joints)
    words = ["height=1"] if format == "openpose" else []  # the numbers are heights already
    (dropped,), (kept,) = read(format, tmp_path, *words), read(format, tmp_path, "score=keep", *words)
    np.testing.assert_array_equal(kept.joints[..., :2], dropped.joints)
    known = np.isfinite(dropped.joints).all(-1)
    assert 0 < (~known).sum() < known.sum()
    np.testing.assert_allclose(kept.joints[known][:, 2], score, rtol=1e-6)
    assert np.isnan(kept.joints[~known]).all()
    assert open_reader(format, tmp_path, None, ["score=keep"]).layout == LAYOUTS["openpose18"].with_score()


def test_persons_are_told_apart_by_place_not_by_score() -> None:
    frame = np.concatenate([np.tile(np.array([0.2, 0.3])[:, None, None], (1, 18, 2)), np.zeros((2, 18, 1))], -1)
    frame[0, :, 2], other = 0.9, frame.copy()
    other[..., 2] = frame[::-1, :, 2]
    kept, _ = follow([frame, other], 2, coordinates=2)
    np.testing.assert_array_equal(kept[:, 0, :, :2], kept[:, 1, :, :2])
    np.testing.assert_array_equal(kept[:, 0, :, 2], kept[::-1, 1, :, 2])


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """Two recordings with scores."""
    (tmp_path / "raw").mkdir()
    raw_files.pyskl(tmp_path / "raw", [flat("one", 0), flat("two", 1)])
    options: dict[str, Any] = {"normalize": NormalizeConfig(), "progress": False}
    convert("pyskl", tmp_path / "raw", tmp_path / "store", options=["score=keep"], **options)
    convert("pyskl", tmp_path / "raw", tmp_path / "dropped", **options)
    return tmp_path / "store"


def test_a_store_of_scores(store: Path) -> None:
    kept, dropped = Store.open(store), Store.open(store.parent / "dropped")
    assert (kept.layout, kept.channels, dropped.layout, dropped.channels) == (SCORED, 3, FLAT, 2)
    np.testing.assert_array_equal(kept.joints[..., :2], dropped.joints)
    assert (kept.joints[..., 2] > 0.09).all()
    again = read_recordings(store.parent / "raw", SCORED, kept.normalization, "pyskl")
    np.testing.assert_array_equal(again.joints, kept.joints)
    with pytest.raises(UserError, match="layout: has coco17, the encoder takes coco17_score"):
        read_recordings(store.parent / "dropped", SCORED, kept.normalization)


def test_on_the_command_line(store: Path) -> None:
    again = store.parent / "again"
    words = ["convert", "pyskl", str(store.parent / "raw"), str(again), "--score", "keep", "--json"]
    assert CliRunner().invoke(build(), words).exit_code == 0
    assert Store.open(again).sha256 == Store.open(store).sha256
    told = CliRunner().invoke(build(), [*words[:3], str(store.parent / "other"), "--score", "both"])
    assert "'--score': 'both' is not one of 'keep', 'drop'" in str(told.exception)


def test_an_audit_and_pictures_see_places_only(store: Path) -> None:
    found = [audit(path, progress=False).to_dict() for path in (store, store.parent / "dropped")]
    for facts in found:
        facts.pop("store")
    assert found[0] == found[1]
    clip = Store.open(store).clip(0)
    packed = [pack([RenderableClip("a", joints, layout)]) for joints, layout in ((clip, SCORED), (clip[..., :2], FLAT))]
    assert packed[0] == packed[1]


def test_merging_keeps_scores_or_refuses(store: Path, tmp_path: Path) -> None:
    merged = Store.open(merge([store], tmp_path / "merged", "common15", progress=False))
    assert (merged.layout, merged.channels) == (LAYOUTS["common15"].with_score(), 3)
    hips = [SCORED.joints.index(f"{side}_hip") for side in ("left", "right")]
    expected = Store.open(store).joints[:, hips, 2].mean(1)
    np.testing.assert_allclose(merged.joints[:, merged.layout.root, 2], expected, rtol=1e-6)
    with pytest.raises(UserError, match="different numbers of coordinates"):
        merge([store, store.parent / "dropped"], tmp_path / "both", "common15", progress=False)
    with pytest.raises(UserError, match="only one of coco17 and common15_score has scores"):
        joint_map(FLAT, LAYOUTS["common15"].with_score())
    mapped = mapped_store(Store.open(store), LAYOUTS["ntu25"].with_score())
    thumb, hand = (mapped.layout.joints.index(name) for name in ("left_thumb", "left_wrist"))
    assert (mapped.joints[:, thumb, 2] == 0).all()
    assert (mapped.joints[:, hand, 2] > 0).all()


def test_tracks_that_are_mended_take_scores_along(tmp_path: Path) -> None:
    one = flat("one", 0)
    still = np.stack([np.full((17, 2), 300.0), np.full((17, 2), 900.0)]) + np.arange(17)[:, None]
    one["keypoint"] = np.stack([still, still, still[::-1], still], 1).astype(np.float32)
    one["keypoint_score"] = np.tile(np.array([[0.9, 0.9, 0.2, 0.9], [0.2, 0.2, 0.9, 0.2]], np.float32)[..., None], 17)
    raw_files.pyskl(tmp_path, [one])
    repairs = RepairConfig(steps=("tracks",))
    convert(
        *("pyskl", tmp_path, tmp_path / "store"),
        **{"normalize": NormalizeConfig(order_persons="none"), "options": ["score=keep"], "repairs": repairs},
        progress=False,
    )
    clip = Store.open(tmp_path / "store").clip(0)
    np.testing.assert_allclose(clip[..., 2], np.broadcast_to([[[0.9]], [[0.2]]], (2, 4, 17)), rtol=1e-6)
