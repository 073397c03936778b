"""Frame rates: read where files say them, kept with each clip, and made alike on request."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from raw_files import bvh
from typer.testing import CliRunner

from ssl_skel.cli.app import build
from ssl_skel.data.convert import convert, describe
from ssl_skel.data.frame_rate import rate_of_interval, resample
from ssl_skel.data.normalize import NormalizeConfig
from ssl_skel.data.store import Store
from ssl_skel.errors import UserError

AS_READ = NormalizeConfig(centre="none", order_persons="none")


def walk(frames: int, fps: float) -> np.ndarray:
    """(1, T, 25, 3): a body that moves on at 1 m/s, each joint at its own height."""
    joints = np.zeros((1, frames, 25, 3))
    joints[..., 0] = np.arange(frames)[:, None] / fps
    joints[..., 1] = np.arange(25) / 20
    joints[..., 2] = 3
    return joints


@pytest.mark.parametrize(
    ("text", "rate"),
    [
        ("0.0083333", 120),
        ("0.00833333", 120),
        (".0333333", 30),
        ("0.033", 30),
        ("0.04", 25),
        ("0.016683", 1 / 0.016683),  # 59.94
        ("1e-2", 100),
        ("2", 0.5),
        ("0", 0),
        ("-1", 0),
        ("1e-320", 0),
        ("nan", 0),
        ("fast", 0),
    ],
)
def test_the_rate_that_a_printed_interval_means(text: str, rate: float) -> None:
    assert rate_of_interval(text) == pytest.approx(rate, rel=1e-12)


@pytest.mark.parametrize(("fps", "rate"), [(120, 30), (24, 30), (25, 10), (30, 29.97)])
def test_resampling_keeps_places_in_time(fps: float, rate: float) -> None:
    found = resample(walk(61, fps), fps, rate)
    if (fps, rate) == (30, 29.97):  # one rate, but for its name
        assert np.array_equal(found, walk(61, fps))
        return
    last = 60 / fps
    assert found.shape[1] == int(last * rate + 1e-6) + 1
    np.testing.assert_allclose(found, walk(found.shape[1], rate), atol=1e-12)


def test_resampling_crosses_what_was_seen_and_leaves_gaps_open() -> None:
    joints = walk(13, 10)
    joints[0, 3:8, 4] = np.nan  # a gap
    joints[0, 0, 5] = np.nan  # not yet seen
    joints[0, :, 6] = np.nan  # never seen
    found = resample(joints, 10, 15)
    recorded = np.arange(found.shape[1]) * 10 / 15
    within = (np.floor(recorded + 1e-9) >= 3) & (np.ceil(recorded - 1e-9) <= 7)
    for joint, unseen in ((4, within), (5, recorded == 0), (6, recorded >= 0), (7, recorded < 0)):
        assert np.array_equal(np.isnan(found[0, :, joint]).all(-1), unseen)
    kept = np.isfinite(found[0, :, 4, 0])
    np.testing.assert_allclose(found[0, kept, 4, 0], recorded[kept] / 10, atol=1e-12)
    # before it is first seen a joint is held, as gaps' ends are
    np.testing.assert_allclose(found[0, 1, 5], joints[0, 1, 5], atol=1e-12)


@pytest.mark.parametrize("fps", [1e-9, 5e-324])
def test_an_absurd_rate_fills_no_memory(fps: float) -> None:
    with pytest.raises(UserError, match=rf"rate: 30 is over 100 times its own {fps:.4g} frames a second; give"):
        resample(np.zeros((1, 4, 2, 3), np.float32), fps, 30)


def test_a_person_seen_between_the_new_frames_only_is_no_clip() -> None:
    joints = walk(9, 120)
    joints[0, ::4] = np.nan
    with pytest.raises(UserError, match="no tracked joint is left at 30"):
        resample(joints, 120, 30)


def npz(folder: Path, **members: object) -> Path:
    folder.mkdir(exist_ok=True)
    joints = np.concatenate([walk(24, 24)[0], walk(60, 60)[0]])
    np.savez(folder / "mine.npz", joints=joints, frames=[24, 60], **members)
    (folder / "mine.yaml").write_text("layout: ntu25")
    return folder / "mine.npz"


def converted(source: Path, format: str = "npz", **options: object) -> Store:
    path = source.parent / "store"
    convert(format, source, path, normalize=AS_READ, overwrite=True, progress=False, **options)
    return Store.open(path)


def test_npz_says_the_rate_of_all_or_of_each_clip_and_an_option_wins(tmp_path: Path) -> None:
    assert converted(npz(tmp_path)).fps.tolist() == [0, 0]
    assert converted(npz(tmp_path, fps=50)).fps.tolist() == [50, 50]
    source = npz(tmp_path, fps=[24.0, np.nan])
    assert converted(source).fps.tolist() == [24, 0]
    assert describe(tmp_path / "store")["fps"] == {"24": 1, "unknown": 1}
    source.with_suffix(".yaml").write_text("{layout: ntu25, fps: 48}")
    assert converted(source).fps.tolist() == [48, 48]
    assert converted(source, options=["fps=12.5"]).fps.tolist() == [12.5, 12.5]
    with pytest.raises(UserError, match=r"fps: has shape \(3,\) of int64; expected one number, or one per clip"):
        converted(npz(tmp_path, fps=[1, 2, 3]))


def test_clips_of_unlike_rates_are_brought_to_one(tmp_path: Path) -> None:
    store = converted(npz(tmp_path, fps=[24, 60]), rate=30.0)
    assert (store.fps.tolist(), store.frames.tolist()) == ([30, 30], [29, 30])
    assert store.conversions[0].rate == 30
    for row in range(2):
        np.testing.assert_allclose(store.clip(row), walk(int(store.frames[row]), 30), atol=1e-5)


def test_a_rate_needs_the_recordings_own(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"mine.npz: clip 'mine_000000': rate: its own frame rate is unknown; give fps"):
        converted(npz(tmp_path), rate=30.0)
    with pytest.raises(UserError, match="rate: must be above 0, got -30"):
        converted(npz(tmp_path, fps=60), rate=-30.0)
    assert converted(npz(tmp_path), rate=30.0, options=["fps=60"]).frames.tolist() == [12, 30]


def test_bvh_says_its_rate(tmp_path: Path) -> None:
    text = bvh(tmp_path / "mocap", "a").read_text()
    (tmp_path / "mocap" / "b.bvh").write_text(text.replace("Frame Time: 0.0333333", "Frame Time: 0.00833333"))
    assert converted(tmp_path / "mocap", "bvh").fps.tolist() == [30, 120]


def test_a_merge_of_unlike_rates_says_so(tmp_path: Path) -> None:
    for name, fps in (("slow", 24), ("fast", 60)):
        source = npz(tmp_path / name, fps=fps)
        converted(source)
        (tmp_path / name / "store").rename(tmp_path / f"store_{name}")
    args = ["merge", str(tmp_path / "store_slow"), str(tmp_path / "store_fast"), "-o", str(tmp_path / "all")]
    said = CliRunner().invoke(build(), args).output
    assert "frame rates differ: 24 (2 clips), 60 (2 clips); convert with --rate to give all stores one rate" in said
    assert sorted(set(Store.open(tmp_path / "all").fps.tolist())) == [24, 60]
    alone = CliRunner().invoke(build(), [*args[:2], "-o", str(tmp_path / "one")]).output
    assert "frame rates" not in alone
