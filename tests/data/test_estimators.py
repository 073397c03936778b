"""A user's own recordings: class folders, persons followed by place, MediaPipe's and OpenPose's JSON."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import raw_files
from raw_clips import read
from raw_files import walk

from ssl_skel.data.convert import convert, describe
from ssl_skel.data.normalize import NormalizeConfig
from ssl_skel.data.readers.estimators import follow
from ssl_skel.data.sources.open import open_reader
from ssl_skel.errors import UserError
from ssl_skel.layouts import LAYOUTS

# Persons followed by place


def test_persons_keep_their_place_whatever_their_order() -> None:
    joints = walk(0, 12, 9, persons=3)
    rng = np.random.default_rng(0)
    found, _ = follow([joints[rng.permutation(3), t] for t in range(12)], 3)
    first = [int(np.flatnonzero((joints[:, 0] == person[0]).all((1, 2)))[0]) for person in found]
    np.testing.assert_array_equal(found, joints[first])


def test_who_is_gone_for_a_while_comes_back_and_who_is_seen_little_is_left_out() -> None:
    joints = walk(1, 10, 5, persons=3)
    frames = [joints[:2, t] if t != 4 else joints[:1, t] for t in range(10)]
    frames[7] = joints[:, 7]
    found, _ = follow(frames, 2)
    expected = joints[:2].copy()
    expected[1, 4] = np.nan
    np.testing.assert_array_equal(found, expected)
    np.testing.assert_array_equal(follow(frames, 1)[0], expected[:1])


def test_the_nearest_pair_is_matched_first() -> None:
    """Of two persons found near one place, the nearer takes it, though the other comes first."""
    before = np.array([[[0.0, 0]], [[10, 0]]])
    after = np.array([[[1.0, 0]], [[0.1, 0]]])
    found, _ = follow([before, after], 2)
    np.testing.assert_allclose(found[:, 1, 0, 0], [0.1, 1.0], rtol=1e-6)


def test_nobody_and_bodies_without_a_common_joint() -> None:
    assert np.isnan(follow([np.zeros((0, 4, 3))] * 3, 2)[0]).all()
    assert follow([np.full((2, 4, 3), np.nan)], 2)[0].shape == (1, 1, 4, 3)
    one, other = np.full((2, 1, 4, 2), np.nan)
    one[0, 0], other[0, 1] = 1, 2
    assert follow([one, other], 2)[0].shape == (1, 2, 4, 2)


# MediaPipe


@pytest.mark.parametrize("key", ["pose_world_landmarks", "worldLandmarks"])
def test_mediapipe_numbers(key: str, tmp_path: Path) -> None:
    joints = walk(0, 6, 33)
    joints[0, 2] = np.nan
    raw_files.mediapipe(tmp_path, "wave/s03_c2", joints, key)
    raw_files.mediapipe(tmp_path, "bow/s04_c1", walk(1, 4, 33, persons=2), key)
    reader = open_reader("mediapipe", tmp_path, None, ["names=s(?P<subject>[0-9]+)_c(?P<camera>[0-9]+)"])
    assert reader.class_names == ("bow", "wave")
    assert reader.splits == {"xsub": {"train": {"subject": [3]}, "test": {"subject": [4]}}}
    bow, wave = read("mediapipe", tmp_path, "names=s(?P<subject>[0-9]+)_c(?P<camera>[0-9]+)")
    np.testing.assert_array_equal(wave.joints, joints * np.array([-1, -1, 1], np.float32))
    assert (wave.name, wave.label, wave.subject, wave.camera) == ("wave_s03_c2", 1, 3, 2)
    assert (bow.joints.shape, bow.label) == ((2, 4, 33, 3), 0)


@pytest.mark.parametrize("far", [1e300, -1e39, np.inf])
def test_a_landmark_beyond_float32_is_refused(far: float, tmp_path: Path) -> None:
    text = raw_files.mediapipe(tmp_path, "wave/one", walk(0, 30, 33)).read_text()
    frames = json.loads(text)
    frames["frames"][7]["pose_world_landmarks"][5]["x"] = far
    (tmp_path / "wave" / "one.json").write_text(json.dumps(frames))
    with pytest.raises(UserError, match=r"has a coordinate of more than 3\.4e\+38, or infinity"):
        read("mediapipe", tmp_path)


def test_mediapipe_goes_by_recordings_yaml(tmp_path: Path) -> None:
    joints = walk(0, 6, 33)
    raw_files.mediapipe(tmp_path, "a/s03_wave", joints)
    raw_files.mediapipe(tmp_path, "a/s04_bow", joints)
    (tmp_path / "recordings.yaml").write_text("{names: 's(?P<subject>[0-9]+)_(?P<label>[a-z]+)', units: cm}")
    wave, bow = read("mediapipe", tmp_path)
    assert open_reader("mediapipe", tmp_path).class_names == ("bow", "wave")
    assert (wave.name, wave.label, wave.subject, bow.label) == ("a_s03_wave", 1, 3, 0)
    np.testing.assert_array_equal(wave.joints, joints * np.array([-1, -1, 1], np.float32) * np.float32(0.01))
    with pytest.raises(UserError, match=r"layout 'ntu25': this format has its own \(mediapipe33\)"):
        open_reader("mediapipe", tmp_path, "ntu25")
    (tmp_path / "recordings.yaml").write_text("layout: ntu25")
    with pytest.raises(UserError, match=r"layout 'ntu25': this format has its own \(mediapipe33\)"):
        open_reader("mediapipe", tmp_path)


def test_mediapipe_of_other_forms(tmp_path: Path) -> None:
    joints = walk(0, 3, 33)[0]
    frames = [
        {"pose_world_landmarks": [[*place, 0.1 if v == 5 else 1] for v, place in enumerate(t)]} for t in joints.tolist()
    ]
    (tmp_path / "a.json").write_bytes(b"\xef\xbb\xbf" + json.dumps([*frames, {"pose_world_landmarks": None}]).encode())
    (clip,) = read("mediapipe", tmp_path / "a.json")
    np.testing.assert_allclose(clip.joints[0, :3, :, 2], joints[..., 2])
    assert np.isnan(clip.joints[0, 3]).all()
    assert (clip.name, clip.label) == ("a", -1)
    (clip,) = read("mediapipe", tmp_path, "min_score=0.5")
    assert np.isnan(clip.joints[0, :3, 5]).all()
    assert np.isfinite(clip.joints[0, :3, 6]).all()
    assert open_reader("mediapipe", tmp_path).class_names == ()


def write_json(folder: Path, thing: Any) -> Path:
    (folder / "clip.json").write_text(json.dumps(thing), "utf-8")
    return folder / "clip.json"


def one_frame(landmarks: Any) -> list[Any]:
    return [{"pose_world_landmarks": landmarks}]


POINT = {"x": 0.1, "y": 0.2, "z": 0.3}
MEDIAPIPE_DAMAGE: dict[str, tuple[Any, str]] = {
    "no frames": ({"frames": []}, "frames: missing or empty"),
    "a number": (7, "frames: missing or empty"),
    "frame": ([3], "frame 0: is not a mapping"),
    "other landmarks": ([{"face_landmarks": []}], "frame 0: has none of pose_world_landmarks"),
    "joints": (one_frame([POINT] * 32), "frame 0: pose_world_landmarks: is not a list of 33"),
    "persons": (one_frame([[POINT] * 33, [POINT]]), "is not a list of 33 landmarks"),
    "text": (one_frame("abc"), "is not a list of 33 landmarks"),
    "no z": (one_frame([{"x": 1, "y": 2}] * 33), "holds a landmark without numbers x, y and z"),
    "words": (one_frame([POINT | {"x": "a"}] * 33), "holds a landmark without numbers"),
    "nothing": (one_frame([POINT | {"x": None}] * 33), "holds a landmark without numbers"),
    "short": (one_frame([[1.0, 2.0]] * 33), "holds a landmark without numbers"),
    "nobody": (one_frame([]), "has no tracked joint"),
}


@pytest.mark.parametrize("damage", MEDIAPIPE_DAMAGE)
def test_mediapipe_damage_is_named(damage: str, tmp_path: Path) -> None:
    data, message = MEDIAPIPE_DAMAGE[damage]
    file = write_json(tmp_path, data)
    with pytest.raises(UserError) as told:
        read("mediapipe", tmp_path)
    assert str(told.value).startswith(f"{file}: ")
    assert message in str(told.value)


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("names='s('", "names: is not a regular expression"),
        ("names='(?P<person>.)'", "names: has a group 'person'; groups may be label, subject"),
        ("persons=0", "persons: input should be greater than or equal to 1"),
        ("score=keep", "score: unknown key; did you mean 'min_score'"),
    ],
)
def test_options_are_checked(option: str, message: str, tmp_path: Path) -> None:
    raw_files.mediapipe(tmp_path)
    with pytest.raises(UserError, match="mediapipe: ") as told:
        open_reader("mediapipe", tmp_path, None, [option])
    assert message in str(told.value)


# OpenPose


def test_openpose_numbers(tmp_path: Path) -> None:
    joints = 1000 + 100 * walk(0, 4, 25)[..., :2].astype(np.float64)
    joints[0, 1, 7] = np.nan
    raw_files.openpose(tmp_path, "wave/one", joints)
    raw_files.openpose(tmp_path, "bow/two", joints[:, :1])
    two, one = read("openpose", tmp_path, "height=500")
    np.testing.assert_allclose(one.joints, -joints / 500, rtol=1e-6)
    assert (one.name, one.label, two.name, two.label) == ("wave_one", 1, "bow_two", 0)
    (alone,) = read("openpose", tmp_path / "wave" / "one")
    assert (alone.name, alone.label) == ("one", -1)
    with pytest.raises(UserError, match="has no tracked joint"):
        read("openpose", tmp_path, "min_score=0.9")


def test_openpose_goes_by_recordings_yaml(tmp_path: Path) -> None:
    raw_files.openpose(tmp_path, "x/one", 1000 + walk(0, 3, 17)[..., :2])
    (tmp_path / "labels.csv").write_text("file,label,split\nx/one,wave,train\n")
    (tmp_path / "recordings.yaml").write_text("{layout: coco17, labels: labels.csv, height: 500}")
    reader = open_reader("openpose", tmp_path)
    assert (reader.layout.name, reader.class_names) == ("coco17", ("wave",))
    assert reader.splits == {"given": {"train": {"name": ["x_one"]}, "test": {"name": []}}}
    (clip,) = read("openpose", tmp_path)
    np.testing.assert_allclose(clip.joints, -(1000 + walk(0, 3, 17)[..., :2]) / 500, rtol=1e-6)


@pytest.mark.parametrize(("joints", "layout"), [(18, "openpose18"), (25, "openpose25")])
def test_openpose_joints_tell_the_layout(joints: int, layout: str, tmp_path: Path) -> None:
    places = 1000 + walk(0, 3, joints)[..., :2]
    places[0, 0] = np.nan  # nobody in the first frame
    raw_files.openpose(tmp_path, "wave/one", places)
    assert open_reader("openpose", tmp_path).layout.name == layout
    assert read("openpose", tmp_path)[0].joints.shape == (1, 3, joints, 2)


def test_openpose_of_other_joints(tmp_path: Path) -> None:
    file = raw_files.openpose(tmp_path, "wave/one", 1000 + walk(0, 3, 17)[..., :2])
    with pytest.raises(UserError, match="pose_keypoints_2d: has 51 numbers; give --layout"):
        read("openpose", tmp_path)
    assert read("openpose", tmp_path, layout="coco17")[0].joints.shape == (1, 3, 17, 2)
    with pytest.raises(UserError) as told:
        read("openpose", tmp_path, layout="halpe26")
    assert str(told.value).startswith(f"{file}: pose_keypoints_2d: is not a list of 78 numbers")


OPENPOSE_DAMAGE: dict[str, tuple[str, str]] = {
    "no JSON": ("{", "is damaged, not JSON"),
    "no people": ("{}", "people: missing"),
    "a list": ("[]", "people: missing"),
    "no keypoints": ('{"people": [{}]}', "one has no list pose_keypoints_2d"),
    "words": ('{"people": [{"pose_keypoints_2d": ["a", "b", "c"]}]}', "is not a list of 75 numbers"),
    "fewer": ('{"people": [{"pose_keypoints_2d": [1, 2, 3]}]}', "is not a list of 75 numbers"),
}


@pytest.mark.parametrize("damage", OPENPOSE_DAMAGE)
def test_openpose_damage_is_named(damage: str, tmp_path: Path) -> None:
    text, message = OPENPOSE_DAMAGE[damage]
    first = raw_files.openpose(tmp_path)
    second = sorted(first.parent.iterdir())[1]
    second.write_text(text)
    with pytest.raises(UserError) as told:
        read("openpose", tmp_path)
    assert str(told.value).startswith(f"{second}: ")
    assert message in str(told.value)


# All the way


@pytest.mark.parametrize(("format", "write"), [("mediapipe", raw_files.mediapipe), ("openpose", raw_files.openpose)])
def test_recordings_become_a_store(format: str, write: Callable[..., Path], tmp_path: Path) -> None:
    for name in ("wave/s1", "wave/s2", "bow/s1", "bow/s2"):
        write(tmp_path / "mine", name)
    options = ["names=s(?P<subject>[0-9]+)"]
    convert(format, tmp_path / "mine", tmp_path / "store", normalize=NormalizeConfig(), options=options, progress=False)
    facts = describe(tmp_path / "store")
    assert (facts["clips"], facts["classes"]) == (4, 2)
    assert facts["splits"]["xsub"] == {"train": 2, "test": 2, "test_dedup": 0}
    assert facts["provenance"]["options"]["names"] == "s(?P<subject>[0-9]+)"


def test_frames_come_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    joints = 1000 + 100 * walk(0, 12, 25)[..., :2]
    raw_files.openpose(tmp_path, "wave/padded", joints)
    raw_files.openpose(tmp_path, "wave/plain", joints)
    for t, file in enumerate(sorted((tmp_path / "wave/plain").iterdir())):
        file.rename(file.with_name(f"{t}_keypoints.json"))
    padded, plain = read("openpose", tmp_path)
    np.testing.assert_array_equal(plain.joints, padded.joints)


def test_recordings_come_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    for number in (10, 9, 1):
        raw_files.openpose(tmp_path, f"wave/clip{number}")
    assert [clip.name for clip in read("openpose", tmp_path)] == ["wave_clip1", "wave_clip9", "wave_clip10"]


def test_a_false_detection_is_no_person(tmp_path: Path) -> None:
    joints = 1000 + 100 * walk(0, 40, 25, persons=2)[..., :2]
    joints[1] += 5000
    joints[1, :30], joints[1, 31:] = np.nan, np.nan
    raw_files.openpose(tmp_path, joints=joints)
    assert len(read("openpose", tmp_path)[0].joints) == 1
    assert len(read("openpose", tmp_path, "min_seen=0")[0].joints) == 2


def test_mediapipe_frames_may_be_bare_lists(tmp_path: Path) -> None:
    numbers = np.random.default_rng(0).normal(size=(3, 33, 3))
    numbers -= numbers[:, 23:25].mean(1, keepdims=True)
    frames = [[dict(zip("xyz", point, strict=True)) for point in frame] for frame in numbers.tolist()]
    (tmp_path / "bare.json").write_text(json.dumps([*frames, None]))
    (tmp_path / "told.json").write_text(json.dumps([{"pose_world_landmarks": frame} for frame in [*frames, None]]))
    bare, told = read("mediapipe", tmp_path)
    np.testing.assert_array_equal(bare.joints, told.joints)


def test_mediapipe_image_landmarks_are_2d_in_image_heights(tmp_path: Path) -> None:
    numbers = np.random.default_rng(0).uniform(0.3, 0.7, size=(3, 33, 3))
    (tmp_path / "image.json").write_text(json.dumps(numbers.tolist()))
    (clip,) = read("mediapipe", tmp_path, "aspect=2")
    np.testing.assert_allclose(clip.joints[0], -numbers[..., :2] * [2, 1], rtol=1e-6)


def test_openpose_shares_of_the_image_need_its_aspect(tmp_path: Path) -> None:
    pixels = 1000 + 100 * walk(0, 3, 25)[..., :2]
    raw_files.openpose(tmp_path, "wave/pixels", pixels)
    raw_files.openpose(tmp_path, "wave/shares", pixels / np.float32([1920, 1080]))
    with pytest.raises(UserError, match="x and y are not pixels but shares; give aspect"):
        read("openpose", tmp_path)
    one, other = read("openpose", tmp_path, f"aspect={1920 / 1080}")
    np.testing.assert_allclose(one.joints, other.joints, rtol=1e-5)


def test_openpose_from_minus_one_to_one_is_as_large(tmp_path: Path) -> None:
    shares = (500 + 100 * walk(0, 3, 25)[..., :2]) / np.float32([1920, 1080])
    raw_files.openpose(tmp_path, "wave/a", shares)
    raw_files.openpose(tmp_path, "wave/b", 2 * shares - 1)
    one, other = read("openpose", tmp_path, f"aspect={1920 / 1080}")
    apart = one.joints - other.joints
    np.testing.assert_allclose(apart, np.broadcast_to(apart[:1, :1, :1], apart.shape), atol=1e-5)


def test_two_recordings_in_one_folder_are_two_clips(tmp_path: Path) -> None:
    one, other = 1000 + 100 * walk(0, 4, 25)[..., :2], 1000 + 100 * walk(1, 6, 25)[..., :2]
    for name, joints in (("anna_1", one), ("ben.v2", other)):
        raw_files.openpose(tmp_path, f"apart/{name}", joints)
        for t, file in enumerate(sorted((tmp_path / "apart" / name).iterdir())):
            (tmp_path / "together" / "wave").mkdir(parents=True, exist_ok=True)
            (tmp_path / "together" / "wave" / f"{name}_{t}_keypoints.json").write_bytes(file.read_bytes())
    apart, together = read("openpose", tmp_path / "apart"), read("openpose", tmp_path / "together")
    assert [clip.name for clip in together] == ["wave_anna_1", "wave_ben.v2"]
    assert [clip.label for clip in together] == [0, 0]
    assert open_reader("openpose", tmp_path / "together").class_names == ("wave",)
    for clip, wanted in zip(together, apart, strict=True):
        np.testing.assert_array_equal(clip.joints, wanted.joints)


@pytest.mark.parametrize(
    ("format", "write"),
    [
        ("openpose", raw_files.openpose),
        ("mediapipe", raw_files.mediapipe),
        ("bvh", raw_files.bvh),
        ("npy", raw_files.npy),
        ("table", raw_files.table),
    ],
)
def test_dots_are_part_of_a_name(format: str, write: Callable[..., Path], tmp_path: Path) -> None:
    for name in ("wave/anna.take1", "wave/anna.take2"):
        if format == "table":
            text = raw_files.csv_text(raw_files.long_rows({"": walk(0, 2, 15)}, LAYOUTS["sbu15"].joints))
            write(tmp_path, name, text=text.replace("clip,", "", 1).replace("\n,", "\n"))
        else:
            write(tmp_path, name)
    assert [clip.name for clip in read(format, tmp_path)] == ["wave_anna.take1", "wave_anna.take2"]
