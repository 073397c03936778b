"""Single recordings: read as the store of the same recordings would hold them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from ssl_skel.data.conversion import Conversion
from ssl_skel.data.convert import convert
from ssl_skel.data.normalize import NormalizeConfig
from ssl_skel.data.readers.description import Description, describe_clip
from ssl_skel.data.sources.recordings import read_recordings, store_of
from ssl_skel.data.store import Store
from ssl_skel.errors import UserError
from ssl_skel.layouts import LAYOUTS

HOW = NormalizeConfig(orient=True)
KINECT = LAYOUTS["kinect20"]


def ucla_file(folder: Path, name: str = "a02_s03_e00_v02", frames: int = 6) -> Path:
    joints = np.random.default_rng(len(name)).normal(size=(frames, 20, 3))
    file = folder / f"{name}.json"
    file.write_text(json.dumps({"file_name": name, "label": 2, "skeletons": joints.tolist()}))
    return file


def npz_file(folder: Path, layout: str = "kinect20") -> Path:
    joints = np.random.default_rng(0).normal(size=(2, 5, LAYOUTS[layout].num_joints, 3)).astype(np.float32)
    np.savez(folder / "mine.npz", joints=joints, name=["one", "two"])
    (folder / "mine.yaml").write_text(f"layout: {layout}\n")
    return folder / "mine.npz"


def test_a_raw_file_is_read_as_its_store_holds_it(tmp_path: Path) -> None:
    (tmp_path / "raw").mkdir()
    file = ucla_file(tmp_path / "raw")
    ucla_file(tmp_path / "raw", "a03_s01_e01_v01", 9).unlink()
    convert("nw-ucla", tmp_path / "raw", tmp_path / "store", normalize=HOW, progress=False)
    stored = Store.open(tmp_path / "store")
    read = read_recordings(file, KINECT, HOW)
    assert read.name.tolist() == stored.name.tolist() == ["a02_s03_e00_v02"]
    assert np.array_equal(read.clip(0), stored.clip(0))
    for column in ("label", "subject", "camera", "replication", "frames", "persons", "content"):
        assert np.array_equal(getattr(read, column), getattr(stored, column)), column


def test_a_folder_and_a_store_are_read_whole(tmp_path: Path) -> None:
    (tmp_path / "raw").mkdir()
    for name in ("a02_s03_e00_v02", "a02_s04_e00_v02"):
        ucla_file(tmp_path / "raw", name)
    convert("nw-ucla", tmp_path / "raw", tmp_path / "store", normalize=HOW, progress=False)
    for source in (tmp_path / "raw", tmp_path / "store"):
        assert read_recordings(source, KINECT, HOW).name.tolist() == ["a02_s03_e00_v02", "a02_s04_e00_v02"]


def test_the_format_is_found_or_told(tmp_path: Path) -> None:
    file = npz_file(tmp_path)
    for format in ("", "npz"):
        assert read_recordings(file, KINECT, HOW, format).name.tolist() == ["one", "two"]


def test_clips_of_several_lengths_and_persons_lie_where_the_columns_say() -> None:
    clips = [np.full((m, t, 20, 3), 10.0 * m + t, np.float32) for m, t in ((1, 4), (2, 3), (1, 1))]
    store = store_of(clips, KINECT, names=["a", "b", "c"], subject=[1, 2, 3])
    assert all(np.array_equal(store.clip(row), clip) for row, clip in enumerate(clips))
    assert store.subject.tolist() == [1, 2, 3]
    assert store.label.tolist() == [-1] * 3


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"source": "gone.json"}, "gone.json: does not exist"),
        ({"format": "nw-ukla"}, "unknown format 'nw-ukla'; did you mean 'nw-ucla'"),
        ({"normalization": None}, "nothing is recorded"),
        ({"layout": LAYOUTS["sbu15"]}, "layout: has kinect20, the encoder takes sbu15"),
        ({"source": "note.txt"}, "no format reads it"),
        ({"source": "note.txt", "format": "nw-ucla"}, "note.txt: the name has no action"),
        ({"source": "store", "layout": LAYOUTS["sbu15"]}, "has kinect20, the encoder takes sbu15"),
        ({"source": "store", "normalization": NormalizeConfig(scale=True)}, "convert with the same options"),
    ],
)
def test_what_does_not_fit_is_refused_in_one_line(tmp_path: Path, change: dict, message: str) -> None:
    (tmp_path / "raw").mkdir()
    ucla_file(tmp_path / "raw")
    convert("nw-ucla", tmp_path / "raw", tmp_path / "store", normalize=HOW, progress=False)
    file = ucla_file(tmp_path)
    (tmp_path / "note.txt").write_text("hello")
    asked = {"source": file, "layout": KINECT, "normalization": HOW, "format": ""} | change
    asked["source"] = tmp_path / asked["source"]
    with pytest.raises(UserError, match=message) as caught:
        read_recordings(**asked)
    assert "\n" not in str(caught.value)


BAD = {"new/a02_s04_e00_v02.json": "{", "zero.json": "", "a03_s01_e00_v01.json": "{", "note.mat": "no"}


@pytest.mark.parametrize(
    ("source", "recorded", "message"),
    [
        ("new", "nw-ucla", r"^\S*new/a02_s04_e00_v02.json: is damaged: not JSON"),
        ("new", "", r"no format reads it; nw-ucla: \S*a02_s04_e00_v02.json: is damaged.*; mediapipe: "),
        ("new", "ntu", r"no format reads it; nw-ucla: \S*a02_s04_e00_v02.json: is damaged.*; mediapipe: "),
        ("zero.json", "nw-ucla", r"^\S*zero.json: is empty$"),
        ("zero.json", "", "no format reads it; nw-ucla, kinetics, mediapipe: is empty$"),
        ("a03_s01_e00_v01.json", "nw-ucla", "json: is damaged: not JSON with label"),
        (
            "note.mat",
            "nw-ucla",
            "note.mat: the name has no action and subject; expected one like a1_s1_t1_skeleton.mat",
        ),
        ("empty", "nw-ucla", "empty: is an empty folder, and holds no recordings"),
    ],
)
def test_a_bad_file_is_named(tmp_path: Path, source: str, recorded: str, message: str) -> None:
    """By the format of the encoder's recordings, or by each that has recordings there."""
    for folder in ("new", "empty"):
        (tmp_path / folder).mkdir()
    ucla_file(tmp_path / "new")
    for name, text in BAD.items():
        (tmp_path / name).write_text(text)
    conversions = [Conversion(format=recorded)] if recorded else []
    with pytest.raises(UserError, match=message):
        read_recordings(tmp_path / source, KINECT, HOW, conversions=conversions)


def test_a_pattern_that_never_ends_is_one_line(tmp_path: Path) -> None:
    """Repeats of repeats take time that grows without end."""
    description = Description(names="(a|aa)+$")
    with pytest.raises(UserError, match="for too long"):
        describe_clip(description, None, "a" * 60 + "b", tmp_path / "x.npy", {})
