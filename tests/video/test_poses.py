"""From a video to a store: a stand-in for MediaPipe's landmarker finds a bright square as a person."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import av
import numpy as np
import pytest

from ssl_skel.data.convert import convert
from ssl_skel.data.normalize import NormalizeConfig
from ssl_skel.data.store import Store
from ssl_skel.errors import UserError
from ssl_skel.layouts import LAYOUTS
from ssl_skel.video import mediapipe as module
from ssl_skel.video.poses import extract

RATE, FRAMES = 12, 9
POSE = np.random.default_rng(0).normal(scale=0.3, size=(33, 3))


def film(path: Path, people: Sequence[int]) -> Path:
    """A video with so many bright squares in each frame, side by side, on dark ground."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=RATE)
        stream.height, stream.width, stream.pix_fmt = 32, 96, "yuv420p"
        for count in people:
            picture = np.full((32, 96, 3), 20, np.uint8)
            for person in range(count):
                picture[8:24, 32 * person + 8 : 32 * person + 24] = 230
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode())
    return path


class Squares:
    """Takes each bright square for a person in one pose, which leans as time passes."""

    def __init__(self) -> None:
        self.seconds: list[float] = []

    def find(self, picture: np.ndarray, seconds: float) -> list[np.ndarray]:
        self.seconds.append(seconds)
        bright = [picture[16, 32 * person + 16].mean() > 128 for person in range(3)]
        return [np.c_[POSE + seconds, np.ones(33)] for _ in range(sum(bright))]


@pytest.fixture
def opened() -> list[Squares]:
    return []


@pytest.fixture
def stand_in(opened: list[Squares]):
    @contextmanager
    def open_squares() -> Iterator[Squares]:
        opened.append(Squares())
        yield opened[-1]

    return open_squares


def test_a_video_becomes_a_store_with_its_frame_rate_and_its_people(tmp_path: Path, stand_in, opened) -> None:
    film(tmp_path / "videos/wave/anna_1.mp4", [1] * FRAMES)
    film(tmp_path / "videos/meet/ben_1.mov", [0, 0, *[2] * (FRAMES - 2)])
    found, kept = extract([tmp_path / "videos"], tmp_path / "poses", stand_in)
    assert [(one.file.relative_to(tmp_path / "poses").as_posix(), *one[1:]) for one in found] == [
        ("meet/ben_1.jsonl", FRAMES, FRAMES - 2, 2),
        ("wave/anna_1.jsonl", FRAMES, FRAMES, 1),
    ]
    assert not kept
    assert [len(one.seconds) for one in opened] == [FRAMES, FRAMES]
    np.testing.assert_allclose(opened[0].seconds, np.arange(FRAMES) / RATE, atol=1e-3)

    convert("mediapipe", tmp_path / "poses", tmp_path / "store", normalize=NormalizeConfig(), progress=False)
    store = Store.open(tmp_path / "store")
    assert sorted(store.class_names) == ["meet", "wave"]
    assert store.fps.tolist() == [RATE, RATE]
    assert dict(zip(store.name.tolist(), store.persons.tolist(), strict=True)) == {"meet_ben_1": 2, "wave_anna_1": 1}
    clip = store.clip(int(np.flatnonzero(store.name == "wave_anna_1")[0]))[0]
    hip = LAYOUTS["mediapipe33"].joints.index("left_hip")
    np.testing.assert_allclose(clip[0] - clip[0, hip], (POSE - POSE[hip]) * [-1, -1, 1], atol=1e-4)


def test_what_is_there_is_kept_and_what_is_damaged_stops_before_any_work(tmp_path: Path, stand_in, opened) -> None:
    first, second = film(tmp_path / "a.mp4", [1, 1, 1]), film(tmp_path / "b.mp4", [1, 1, 1])
    extract([first], tmp_path / "out", stand_in)
    before = (tmp_path / "out/a.jsonl").stat().st_mtime_ns
    found, kept = extract([first, second], tmp_path / "out", stand_in)
    assert ([one.file.name for one in found], kept) == (["b.jsonl"], [tmp_path / "out/a.jsonl"])
    assert (tmp_path / "out/a.jsonl").stat().st_mtime_ns == before
    opened.clear()
    (tmp_path / "c.mp4").write_bytes(b"no video")
    with pytest.raises(UserError, match=r"c\.mp4: cannot be decoded"):
        extract([first, tmp_path / "c.mp4"], tmp_path / "new", stand_in)
    with pytest.raises(UserError, match=r"would be written to .*a\.jsonl, as"):
        extract([first, film(tmp_path / "other/a.mp4", [1])], tmp_path / "new", stand_in)
    with pytest.raises(UserError, match="is not a video, and no folder with one"):
        extract([tmp_path / "out"], tmp_path / "new", stand_in)
    assert not opened
    assert not (tmp_path / "new").exists()


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """An empty folder, and a home without a model."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(module, "PLACE", tmp_path / "home")


def packages(monkeypatch: pytest.MonkeyPatch, made: list[Any]) -> None:
    """MediaPipe's names as far as they are used, over the stand-in."""

    class Theirs(Squares):
        def detect_for_video(self, image: np.ndarray, milliseconds: int) -> SimpleNamespace:
            marks = [[SimpleNamespace(**dict(zip(("x", "y", "z", "visibility"), one, strict=True))) for one in person]
                     for person in self.find(image, milliseconds / 1000)]  # fmt: skip
            return SimpleNamespace(pose_world_landmarks=marks)

        def __enter__(self) -> Theirs:
            return self

        def __exit__(self, *error: object) -> None:
            made.append(self)

    def create(options: Any) -> Theirs:
        if b"model" not in Path(options.base_options.model_asset_path).read_bytes():
            raise RuntimeError("Unable to open zip archive.\nat line 3")
        return Theirs()

    package = ModuleType("mediapipe")
    package.Image, package.ImageFormat = lambda form, data: data, SimpleNamespace(SRGB=1)  # type: ignore[attr-defined]
    tasks = ModuleType("mediapipe.tasks.python")
    tasks.BaseOptions = SimpleNamespace  # type: ignore[attr-defined]
    tasks.vision = SimpleNamespace(  # type: ignore[attr-defined]
        PoseLandmarkerOptions=SimpleNamespace,
        RunningMode=SimpleNamespace(VIDEO="video"),
        PoseLandmarker=SimpleNamespace(create_from_options=create),
    )
    for name, found in (("mediapipe", package), ("mediapipe.tasks", ModuleType("tasks")), (tasks.__name__, tasks)):
        monkeypatch.setitem(sys.modules, name, found)


@pytest.mark.usefixtures("bare")
def test_the_command_says_which_file_to_put_where(call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    film(tmp_path / "a.mp4", [1] * 4)
    code, _, err = call("extract", "a.mp4", "-o", "out")
    assert code == 2
    assert err.count("\n") == 1
    assert "download pose_landmarker_full.task" in err
    assert "--model: none.task: no such file" in call("extract", "a.mp4", "-o", "out", "--model", "none.task")[2]

    made: list[Any] = []
    packages(monkeypatch, made)
    (tmp_path / "home").mkdir()
    (tmp_path / "home/pose_landmarker_lite.task").write_bytes(b"a model")
    code, out, _ = call("extract", "a.mp4", "-o", "out", "--json")
    assert (code, json.loads(out)["written"][0]["frames"], len(made)) == (0, 4, 1)
    assert len((tmp_path / "out/a.jsonl").read_text("utf-8").splitlines()) == 4
    assert "next: ssl-skel convert mediapipe out" in call("extract", "a.mp4", "-o", "out", "--overwrite")[1]
    (tmp_path / "pose_landmarker_full.task").write_bytes(b"damaged")
    code, _, err = call("extract", "a.mp4", "-o", "again")
    assert (code, "pose_landmarker_full.task: MediaPipe refuses it (Unable to open zip archive.)" in err) == (2, True)

    monkeypatch.setitem(sys.modules, "mediapipe.tasks.python", None)
    assert "pip install 'ssl-skel[pose]'" in call("extract", "a.mp4", "-o", "again")[2]
