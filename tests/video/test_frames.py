"""Frames of video files: which ones, what is kept of them, and files that are not what they seem."""

from __future__ import annotations

import struct
import sys
from pathlib import Path

import av
import numpy as np
import pytest

from ssl_skel.errors import UserError
from ssl_skel.video.frames import FORMATS, check_videos, find_videos, read_frames

STEP = 8


def record(path: Path, pictures: np.ndarray, codec: str = "mpeg4", title: str = "") -> Path:
    """Write (T, H, W, 3) uint8 as a video with a picture of all kinds (I, P) in it, and a title in Latin-1."""
    with av.open(str(path), "w", metadata_encoding="latin-1") as container:
        container.metadata["title"] = title
        stream = container.add_stream(codec, rate=25)
        stream.height, stream.width = pictures.shape[1:3]
        stream.pix_fmt = "yuv420p"
        stream.bit_rate = 4_000_000
        for picture in pictures:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode())
    return path


def numbered(count: int, height: int = 32, width: int = 48) -> np.ndarray:
    """Frame n is grey, STEP * n bright."""
    grey = (STEP * np.arange(count)).astype(np.uint8)[:, None, None, None]
    return np.broadcast_to(grey, (count, height, width, 3)).copy()


def numbers(frames: np.ndarray) -> list[int]:
    return np.rint(frames.mean((1, 2, 3)) / STEP).astype(int).tolist()


@pytest.mark.parametrize("ending", [".mp4", ".avi", ".mkv", ".mov"])
@pytest.mark.parametrize(("total", "count"), [(24, 6), (25, 4), (16, 16), (3, 7), (1, 2)])
def test_frames_are_the_middles_of_equal_stretches(tmp_path: Path, ending: str, total: int, count: int) -> None:
    frames = read_frames(record(tmp_path / f"clip{ending}", numbered(total)), count, 16)
    assert frames.shape == (count, 16, 16, 3)
    assert frames.dtype == np.uint8
    expected = []
    for number in range(count):
        start, stop = number * total / count, (number + 1) * total / count
        expected.append(int((start + stop) / 2))
    assert numbers(frames) == expected


def test_frames_that_depend_on_later_ones_come_in_the_order_they_are_shown(tmp_path: Path) -> None:
    path = record(tmp_path / "clip.mp4", numbered(20), "libx264")
    assert numbers(read_frames(path, 10, 16)) == list(range(1, 20, 2))


def test_a_crop_is_cut_before_the_size_is_changed(tmp_path: Path) -> None:
    pictures = np.zeros((4, 40, 80, 3), np.uint8)
    pictures[:, 20:, 20:40] = (200, 60, 120)  # the lower half of the second quarter
    path = record(tmp_path / "clip.mp4", pictures)
    whole = read_frames(path, 2, 8).astype(int)
    assert whole[:, 5:, 2:4].mean((0, 1, 2)) == pytest.approx((200, 60, 120), abs=12)
    assert whole[:, :3].mean() < 8
    cut = read_frames(path, 2, 8, (0.25, 0.5, 0.5, 1.0)).astype(int)
    assert cut.shape == (2, 8, 8, 3)
    assert cut.mean((0, 1, 2)) == pytest.approx((200, 60, 120), abs=12)
    assert np.ptp(cut[..., 0]) < 60
    assert read_frames(path, 1, 4, (0.999, 0.999, 1.0, 1.0)).shape == (1, 4, 4, 3)


@pytest.mark.parametrize("ending", [".mp4", ".avi", ".mkv", ".mov"])
def test_a_title_that_is_not_utf_8_does_not_matter(tmp_path: Path, ending: str) -> None:
    path = record(tmp_path / f"clip{ending}", numbered(4), title="Übung")
    assert b"\xdcbung" in path.read_bytes()
    assert numbers(read_frames(path, 4, 16)) == [0, 1, 2, 3]


CORNERS = np.array([[[255, 0, 0], [0, 255, 0]], [[0, 0, 255], [255, 255, 255]]], np.uint8)


@pytest.mark.parametrize(
    ("matrix", "shown"),
    [
        ((1, 0, 0, 1), CORNERS),
        ((0, 1, -1, 0), np.rot90(CORNERS, -1)),  # a phone held upright: x becomes y, y becomes -x
        ((0, -1, 1, 0), np.rot90(CORNERS)),
        ((-1, 0, 0, -1), np.rot90(CORNERS, 2)),
        ((-1, 0, 0, 1), CORNERS[:, ::-1]),
        ((1, 0, 0, -1), CORNERS[::-1]),
        ((0, 1, 1, 0), CORNERS.swapaxes(0, 1)),
        ((0, -1, -1, 0), np.rot90(CORNERS, 2).swapaxes(0, 1)),
    ],
)
def test_a_video_is_turned_as_it_says_before_it_is_cropped(
    tmp_path: Path, matrix: tuple[int, ...], shown: np.ndarray
) -> None:
    """Its track header is rewritten; four corners of different colours, wider than high."""

    def packed(a: int, b: int, c: int, d: int) -> bytes:
        return struct.pack(">9i", a << 16, b << 16, 0, c << 16, d << 16, 0, 0, 0, 1 << 30)

    path = record(tmp_path / "clip.mp4", CORNERS.repeat(16, 0).repeat(32, 1)[None].repeat(2, 0))
    content = path.read_bytes()
    at = content.index(packed(1, 0, 0, 1), content.index(b"tkhd"))
    path.write_bytes(content[:at] + packed(*matrix) + content[at + 36 :])
    whole = read_frames(path, 1, 16)[0].astype(int)
    for row in range(2):
        for column in range(2):
            corner = whole[8 * row + 2 : 8 * row + 6, 8 * column + 2 : 8 * column + 6].mean((0, 1))
            assert corner == pytest.approx(shown[row, column], abs=25)
    (cut,) = read_frames(path, 1, 8, (0.5, 0.0, 1.0, 0.5)).astype(int)
    assert cut[2:6, 2:6].mean((0, 1)) == pytest.approx(shown[0, 1], abs=25)


def test_a_container_that_promises_too_much_is_sampled_over_what_it_has(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = record(tmp_path / "clip.mp4", numbered(12))
    monkeypatch.setattr("ssl_skel.video.frames._count", lambda av, path: 24)
    assert numbers(read_frames(path, 4, 16)) == [1, 4, 7, 10]


def test_videos_are_found_by_name_and_suffix(tmp_path: Path) -> None:
    for name in ("a_color.avi", "b_color.MP4", "b_depth.mp4", "c_color.txt", "a_color.wav"):
        (tmp_path / name).touch()
    assert find_videos(tmp_path, ["b", "a"], "_color") == [tmp_path / "b_color.MP4", tmp_path / "a_color.avi"]
    with pytest.raises(UserError, match=r"clip c has no video c_color with one of the endings .mp4, .*; add it"):
        find_videos(tmp_path, ["a", "c"], "_color")
    (tmp_path / "a_color.mp4").touch()
    with pytest.raises(UserError, match=r"clip a has a_color.avi and a_color.mp4; keep one"):
        find_videos(tmp_path, ["a"], "_color")
    assert find_videos(tmp_path, ["b"], "_color") == [tmp_path / "b_color.MP4"]
    with pytest.raises(UserError, match="none: No such file or directory; give the folder"):
        find_videos(tmp_path / "none", ["a"])


@pytest.mark.parametrize("name", ["../secret", "sub/../../secret", "/secret"])
def test_a_clips_name_cannot_leave_the_folder(tmp_path: Path, name: str) -> None:
    (tmp_path / "videos").mkdir()
    (tmp_path / "secret.mp4").touch()
    with pytest.raises(UserError, match="has no video"):
        find_videos(tmp_path / "videos", [name])


def test_damaged_files_are_told_in_one_line(tmp_path: Path) -> None:
    whole = record(tmp_path / "whole.mp4", numbered(10)).read_bytes()
    for name, content in {"empty": b"", "noise": b"\x00\x01video" * 50, "half": whole[: len(whole) // 2]}.items():
        path = tmp_path / f"{name}.mp4"
        path.write_bytes(content)
        with pytest.raises(UserError, match=f"{name}.mp4: cannot be decoded .*; convert the video") as told:
            read_frames(path, 2, 8)
        assert "\n" not in str(told.value)


def test_all_that_cannot_be_decoded_are_named_at_once(tmp_path: Path) -> None:
    good, empty = record(tmp_path / "good.mp4", numbered(3)), tmp_path / "empty.mp4"
    half = tmp_path / "half.mp4"
    half.write_bytes(good.read_bytes()[:200])
    empty.touch()
    check_videos([good])
    with pytest.raises(UserError, match=r"empty.mp4, .*half.mp4: cannot be decoded \(.*\); convert these") as told:
        check_videos([empty, good, half, tmp_path / "good.mp4"])
    assert "\n" not in str(told.value)
    assert "good" not in str(told.value)


def test_sound_alone_is_no_video(tmp_path: Path) -> None:
    with av.open(str(tmp_path / "clip.mkv"), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=8000)
        sound = av.AudioFrame.from_ndarray(np.zeros((1, 800), np.int16), format="s16", layout="mono")
        sound.sample_rate = 8000
        container.mux(stream.encode(sound))
        container.mux(stream.encode())
    with pytest.raises(UserError, match=r"clip.mkv: cannot be decoded"):
        read_frames(tmp_path / "clip.mkv", 2, 8)


@pytest.mark.parametrize("ending", sorted(FORMATS))
def test_a_playlist_under_a_videos_name_leads_nowhere(tmp_path: Path, ending: str) -> None:
    """FFmpeg would guess what a file is by its content, and open the files that a playlist names."""
    record(tmp_path / "other.mp4", numbered(5))
    (tmp_path / f"clip{ending}").write_text("ffconcat version 1.0\nfile other.mp4\n")
    with av.open(str(tmp_path / f"clip{ending}")) as container:
        assert len(list(container.decode(video=0))) == 5
    with pytest.raises(UserError, match="cannot be decoded"):
        read_frames(tmp_path / f"clip{ending}", 2, 8)


def test_without_pyav_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(UserError, match=r"pip install 'ssl-skel\[video\]'"):
        read_frames(tmp_path / "clip.mp4", 2, 8)
