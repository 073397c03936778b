"""Decoded frames on disk: once, within bounds, and gone on with after an interruption."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from ssl_skel.errors import UserError
from ssl_skel.video import cache as module
from ssl_skel.video.cache import FrameCache
from ssl_skel.video.frames import check_videos

COUNT, SIDE = 2, 4
CLIP = COUNT * SIDE * SIDE * 3


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the videos read; frames are random numbers by name. All that are there can be decoded."""
    seen: list[str] = []

    def read(path: Path, count: int, side: int, crop: Any) -> np.ndarray:
        seen.append(path.stem)
        return picture(path.stem)

    monkeypatch.setattr(module, "read_frames", read)
    monkeypatch.setattr(module, "check_videos", lambda videos: None)
    return seen


def picture(name: str) -> np.ndarray:
    rng = np.random.default_rng(list(name.encode()))
    return rng.integers(0, 256, (COUNT, SIDE, SIDE, 3), np.uint8)


@pytest.fixture
def videos(tmp_path: Path) -> list[Path]:
    paths = [tmp_path / f"{name}.mp4" for name in "abcd"]
    for number, path in enumerate(paths):
        path.write_bytes(b"x" * number)
    return paths


def make(tmp_path: Path, videos: list[Path], **changes: Any) -> FrameCache:
    options = {"count": COUNT, "side": SIDE, "crop": (0.0, 0.0, 1.0, 1.0), "limit": 10**6} | changes
    return FrameCache(tmp_path / "frames", [7, 3, 9, 4], videos, **options)


def test_rows_get_their_frames_and_nothing_is_decoded_twice(
    tmp_path: Path, videos: list[Path], reads: list[str]
) -> None:
    make(tmp_path, videos).fill()
    again = make(tmp_path, videos)
    again.fill()
    assert reads == list("abcd")
    assert [path.name for path in (tmp_path / "frames").iterdir()] == [again.path.name]
    frames = again.frames(torch.tensor([9, 7, 9]))
    assert frames.shape == (3, 3, COUNT, SIDE, SIDE)
    assert frames.dtype == torch.uint8
    for got, name in zip(frames, "cac", strict=True):
        assert torch.equal(got.permute(1, 2, 3, 0), torch.from_numpy(picture(name)))
    assert again.path.stat().st_size == 4 * CLIP + len(again._header())


@pytest.mark.parametrize("left", [0, 5, 200, 128 + CLIP - 1, 128 + 2 * CLIP, 128 + 2 * CLIP + 1])
def test_an_interrupted_decoding_goes_on_after_the_last_whole_clip(
    tmp_path: Path, videos: list[Path], reads: list[str], left: int
) -> None:
    one = make(tmp_path, videos)
    one.fill()
    whole = one.path.read_bytes()
    one.path.unlink()
    (tmp_path / "frames" / f".{one.path.stem}.part").write_bytes(whole[:left])
    reads.clear()
    two = make(tmp_path, videos)
    two.fill()
    assert two.path.read_bytes() == whole
    assert reads == list("abcd")[max(0, left - 128) // CLIP :]
    assert len(two._header()) == 128


def test_a_bad_video_is_told_before_any_is_decoded(
    tmp_path: Path, videos: list[Path], reads: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "check_videos", check_videos)
    one = make(tmp_path, videos)
    with pytest.raises(UserError, match=r"a.mp4, .*b.mp4, .*c.mp4, .*d.mp4: cannot be decoded"):
        one.fill()
    assert not reads
    partial = tmp_path / "frames" / f".{one.path.stem}.part"
    partial.write_bytes(one._header() + bytes(2 * CLIP))
    with pytest.raises(UserError, match=r"^\S*c.mp4, \S*d.mp4: cannot be decoded"):
        one.fill()
    assert partial.stat().st_size == len(one._header()) + 2 * CLIP, "what was decoded stays"


def test_what_was_begun_for_other_videos_goes(tmp_path: Path, videos: list[Path], reads: list[str]) -> None:
    other = make(tmp_path, videos, side=8)
    (tmp_path / "frames").mkdir()
    (tmp_path / "frames" / f".{other.path.stem}.part").write_bytes(b"half")
    other.path.write_bytes(b"whole")
    one = make(tmp_path, videos)
    one.fill()
    assert {path.name for path in (tmp_path / "frames").iterdir()} == {one.path.name, other.path.name}


def test_frames_of_another_reading_are_another_file(
    tmp_path: Path, videos: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    before = make(tmp_path, videos).digest
    monkeypatch.setattr(module, "READING", module.READING + 1)
    assert make(tmp_path, videos).digest != before


def test_other_videos_or_options_are_another_file(tmp_path: Path, videos: list[Path]) -> None:
    found = {make(tmp_path, videos).digest, make(tmp_path, videos[::-1]).digest}
    for change in ({"count": 3}, {"side": 8}, {"crop": (0.1, 0.0, 1.0, 1.0)}):
        found.add(make(tmp_path, videos, **change).digest)
    videos[1].write_bytes(b"another")
    found.add(make(tmp_path, videos).digest)
    assert len(found) == 6


def test_more_than_the_limit_is_refused_ahead_of_all_work(tmp_path: Path, videos: list[Path]) -> None:
    make(tmp_path, videos, limit=4 * CLIP)
    message = r"cache_gb: 4 clips of 2 frames take 3.84e-07 GB on the disk, more than the 3.83e-07 allowed; allow more"
    with pytest.raises(UserError, match=message):
        make(tmp_path, videos, limit=4 * CLIP - 1)
    assert not (tmp_path / "frames").exists()


def test_a_video_that_went_away_and_a_folder_that_cannot_be_made_are_told(
    tmp_path: Path, videos: list[Path], reads: list[str]
) -> None:
    with pytest.raises(UserError, match=r"e.mp4: No such file or directory; is the video still there"):
        FrameCache(tmp_path, [1], [tmp_path / "e.mp4"], count=1, side=4, crop=(0, 0, 1, 1), limit=10**6)
    (tmp_path / "frames").write_text("a file")
    with pytest.raises(UserError, match=r"frames: cannot be written: .*; make room"):
        make(tmp_path, videos).fill()
