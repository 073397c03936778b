"""Pictures for papers: right formats, right lengths, something drawn, left and right not confused."""

from __future__ import annotations

import builtins
import io
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from ssl_skel.errors import UserError
from ssl_skel.layouts import LAYOUTS
from ssl_skel.view.draw.clips import RenderableClip
from ssl_skel.view.draw.pictures import compared_figure, film_strip, gif, mp4
from ssl_skel.view.draw.run_pages import Compared

Image = pytest.importorskip("PIL.Image")


def opened(content: bytes) -> Any:
    return Image.open(io.BytesIO(content))


def short(clip: RenderableClip, frames: int = 5) -> RenderableClip:
    return replace(clip, joints=np.array(clip.joints[:, :frames]))


def test_a_film_strip_grows_with_its_moments(shown: list[RenderableClip]) -> None:
    two, four = (opened(film_strip(shown[0], count)) for count in (2, 4))
    assert two.format == "PNG"
    assert (four.width, four.height) == (2 * two.width, two.height)
    assert opened(film_strip(short(shown[0], 1), 4)).width * 2 == two.width


def test_titles_are_above_every_head(shown: list[RenderableClip]) -> None:
    for draw in (gif, lambda clip: film_strip(clip, 2)):
        picture = np.asarray(opened(draw(short(shown[0], 2))).convert("RGB")).astype(int)
        limbs = np.flatnonzero((np.ptp(picture, 2) > 60).any(1))
        above = np.flatnonzero((picture < 100).all(2)[: limbs.min()].any(1))  # the title, and a head without colour
        assert above.min() < 0.06 * len(picture)
        assert np.diff(above).max() > 5  # white between title and head


def test_an_animation_lasts_as_long_as_its_clip(shown: list[RenderableClip]) -> None:
    clip = replace(short(shown[1], 6), fps=12.0)
    film = opened(gif(clip))
    assert (film.format, film.n_frames, film.info["loop"]) == ("GIF", 6, 0)
    assert film.info["duration"] == pytest.approx(1000 / 12, abs=5)


def test_a_video_has_every_frame(shown: list[RenderableClip]) -> None:
    av = pytest.importorskip("av")
    with av.open(io.BytesIO(mp4(short(shown[0], 4)))) as video:
        stream = video.streams.video[0]
        assert (stream.codec_context.name, float(stream.average_rate)) == ("h264", 30.0)
        pictures = [frame.to_ndarray(format="rgb24") for frame in video.decode(stream)]
    assert len(pictures) == 4
    assert pictures[0].std() > 5


def test_a_video_without_its_library_is_refused(shown: list[RenderableClip], monkeypatch: pytest.MonkeyPatch) -> None:
    genuine = builtins.__import__

    def refuse(name: str, *words: Any, **others: Any) -> Any:
        if name == "av":
            raise ImportError(name)
        return genuine(name, *words, **others)

    monkeypatch.setattr(builtins, "__import__", refuse)
    with pytest.raises(UserError, match=r"mp4: needs PyAV; install it with"):
        mp4(short(shown[0], 1))


@pytest.mark.parametrize(("layout", "channels"), [("ntu25", 3), ("coco17", 2)])
def test_the_left_hand_of_one_who_faces_us_is_at_our_right(layout: str, channels: int) -> None:
    own = LAYOUTS[layout]
    joints = np.zeros((1, 1, own.num_joints, channels))
    for name, place in (("left_shoulder", -0.5), ("left_elbow", -1.0), ("right_shoulder", 0.5), ("right_elbow", 1.0)):
        joints[0, 0, own.joints.index(name), :2] = place, 0.2  # who faces the camera has the left at smaller x
    picture = np.asarray(opened(film_strip(RenderableClip("x", joints, own), 1)).convert("RGB")).astype(int)
    blue = (picture[..., 2] > 140) & (picture[..., 0] < 60)  # left limbs
    orange = (picture[..., 0] > 160) & (picture[..., 2] < 60)
    assert np.nonzero(blue)[1].mean() > picture.shape[1] / 2
    assert np.nonzero(orange)[1].mean() < picture.shape[1] / 2


def test_what_is_hidden_and_what_is_empty_can_be_drawn(shown: list[RenderableClip]) -> None:
    clip = short(shown[1])
    clip.joints[0, 2] = np.nan
    clip.joints[:, 3] = np.nan
    heat = np.random.default_rng(0).uniform(-1, 1, size=clip.joints.shape[:3])
    assert opened(film_strip(replace(clip, heat=heat), 5)).width > 0
    assert opened(film_strip(replace(clip, joints=np.full_like(clip.joints, np.nan)), 1)).width > 0


def test_map_and_confusion_matrix(shown: list[RenderableClip]) -> None:
    places = np.random.default_rng(0).normal(size=(6, 2))
    kinds = np.array([0, 0, 1, 1, -1, 1])
    both = Compared("", ("a", "b"), np.array([[3, 1], [0, 0]]), shown[:6], kinds, places, ())
    pair, alone = (opened(compared_figure(one)) for one in (both, replace(both, places=None)))
    assert (pair.format, pair.width) == ("PNG", 2 * alone.width)
