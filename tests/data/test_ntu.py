"""NTU RGB+D's raw files: numbers, bodies, damage."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import raw_files
from hypothesis import given, settings
from hypothesis import strategies as st
from raw_clips import read
from raw_files import NTU_NAME, ntu_text, walk

from ssl_skel.data.convert import convert
from ssl_skel.data.normalize import NormalizeConfig
from ssl_skel.data.readers.ntu_facts import CLASS_NAMES, SPLITS_60, SPLITS_120
from ssl_skel.data.sources.open import open_reader
from ssl_skel.data.store import Store
from ssl_skel.errors import UserError


def write(folder: Path, frames: list[dict[int, np.ndarray]], name: str = NTU_NAME) -> Path:
    file = folder / f"{name}.skeleton"
    file.write_text(ntu_text(frames), "ascii")
    return file


def people(seed: int, *tracks: tuple[int, int]) -> tuple[list[dict[int, np.ndarray]], list[np.ndarray]]:
    """Bodies 100, 101, ... each seen from one frame to before another; and their joints."""
    joints = [walk(seed + i, stop - start)[0] for i, (start, stop) in enumerate(tracks)]
    frames: list[dict[int, np.ndarray]] = [{} for _ in range(max(stop for _, stop in tracks))]
    for body, ((start, stop), track) in enumerate(zip(tracks, joints, strict=True)):
        for t in range(start, stop):
            frames[t][100 + body] = track[t - start]
    return frames, joints


# Facts


def test_published_lists() -> None:
    assert (len(CLASS_NAMES), len(set(CLASS_NAMES))) == (120, 120)
    assert (CLASS_NAMES[0], CLASS_NAMES[59], CLASS_NAMES[119]) == (
        "drink water",
        "walking apart",
        "rock-paper-scissors",
    )
    for splits, subjects, half in ((SPLITS_60, 40, 20), (SPLITS_120, 106, 53)):
        xsub = splits["xsub"]
        assert len(xsub["train"]["subject"]) == half
        assert sorted(xsub["train"]["subject"] + xsub["test"]["subject"]) == list(range(1, subjects + 1))
    assert sorted(SPLITS_120["xset"]["train"]["setup"] + SPLITS_120["xset"]["test"]["setup"]) == list(range(1, 33))


def test_ntu_60_and_120_are_told_apart(tmp_path: Path) -> None:
    raw_files.ntu(tmp_path, "S001C002P003R002A013")
    reader = open_reader("ntu", tmp_path)
    assert (len(reader.class_names), reader.splits) == (60, SPLITS_60)
    raw_files.ntu(tmp_path, "S018C001P008R001A061")
    reader = open_reader("ntu", tmp_path)
    assert (len(reader.class_names), reader.splits) == (120, SPLITS_120)


# Raw files


def test_raw_numbers(tmp_path: Path) -> None:
    joints = walk(3, 20)
    raw_files.ntu(tmp_path, joints=joints)
    (clip,) = read("ntu", tmp_path)
    np.testing.assert_array_equal(clip.joints, joints)
    assert clip.joints.dtype == np.float32
    assert (clip.name, clip.label, clip.subject, clip.camera, clip.setup, clip.replication) == (
        NTU_NAME,
        12,
        3,
        2,
        1,
        2,
    )


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text.replace("\n", "\r\n"),
        lambda text: "\ufeff" + text,
        lambda text: text.rstrip("\n"),
        lambda text: text.replace(" ", "  ") + "\n\n",
    ],
)
def test_line_ends_marks_and_blanks_do_not_matter(change: Callable[[str], str], tmp_path: Path) -> None:
    joints = walk(0, 3)
    file = raw_files.ntu(tmp_path, joints=joints)
    file.write_bytes(change(file.read_text("ascii")).encode())
    np.testing.assert_array_equal(read("ntu", tmp_path)[0].joints, joints)


def test_exponents_and_missing_numbers(tmp_path: Path) -> None:
    joints = walk(0, 2)
    joints[0, 0, 4] = [1e-9, -2.5e-7, 3e4]
    file = raw_files.ntu(tmp_path, joints=joints)
    file.write_text(file.read_text("ascii").replace(str(joints[0, 1, 7, 0]), "nan"), "ascii")
    found = read("ntu", tmp_path)[0].joints
    joints[0, 1, 7, 0] = np.nan
    np.testing.assert_array_equal(found, joints)


def test_one_frame(tmp_path: Path) -> None:
    raw_files.ntu(tmp_path, joints=walk(0, 1))
    assert read("ntu", tmp_path)[0].joints.shape == (1, 1, 25, 3)


def test_frames_without_anybody_do_not_count(tmp_path: Path) -> None:
    joints = walk(0, 15)[0]
    write(tmp_path, [{}, *({7: frame} for frame in joints[:5]), {}, {}, *({7: frame} for frame in joints[5:]), {}])
    np.testing.assert_array_equal(read("ntu", tmp_path)[0].joints, joints[None])


def test_ids_differ_in_their_last_digit(tmp_path: Path) -> None:
    a, b = walk(0, 15)[0], walk(1, 15)[0]
    write(tmp_path, [{72057594037931101: x, 72057594037931102: y} for x, y in zip(a, b, strict=True)])
    assert read("ntu", tmp_path)[0].joints.shape == (2, 15, 25, 3)


def test_who_moves_most_is_first(tmp_path: Path) -> None:
    calm, lively = walk(0, 20)[0], walk(1, 20)[0]
    lively = lively + np.linspace(0, 3, 20, dtype=np.float32)[:, None, None]
    write(tmp_path, [{5: x, 6: y} for x, y in zip(calm, lively, strict=True)])
    np.testing.assert_array_equal(read("ntu", tmp_path)[0].joints, np.stack([lively, calm]))


def test_short_tracks_are_noise_but_one_stays(tmp_path: Path) -> None:
    frames, joints = people(0, (0, 20), (3, 14))  # 11 frames
    write(tmp_path, frames)
    np.testing.assert_array_equal(read("ntu", tmp_path)[0].joints, joints[0][None])
    frames, joints = people(0, (0, 20), (3, 15))
    write(tmp_path, frames)
    assert read("ntu", tmp_path)[0].joints.shape[0] == 2
    frames, joints = people(0, (0, 5), (0, 7))
    write(tmp_path, frames)
    np.testing.assert_array_equal(read("ntu", tmp_path)[0].joints, joints[1][None])


def test_wide_tracks_are_noise(tmp_path: Path) -> None:
    person, thing = walk(0, 20)[0], walk(1, 20)[0]
    thing[:14] = thing[:14, :, [1, 0, 2]] * [3, 1, 1]  # 14 of 20 frames lie: 0.70
    write(tmp_path, [{5: x, 6: y} for x, y in zip(person, thing, strict=True)])
    np.testing.assert_array_equal(read("ntu", tmp_path)[0].joints, person[None])
    thing[13] = walk(1, 20)[0][13]  # 0.65
    write(tmp_path, [{5: x, 6: y} for x, y in zip(person, thing, strict=True)])
    assert len(read("ntu", tmp_path)[0].joints) == 2


def test_ids_that_change_make_one_person(tmp_path: Path) -> None:
    """A body that ends where another begins is the same person under a new id."""
    frames, joints = people(0, (0, 15), (15, 35))
    write(tmp_path, frames)
    np.testing.assert_array_equal(read("ntu", tmp_path)[0].joints, np.concatenate(joints)[None])


def test_of_three_bodies_two_stay_unless_all_are_wanted(tmp_path: Path) -> None:
    frames, joints = people(0, (0, 20), (0, 20), (5, 20))
    write(tmp_path, frames)
    assert read("ntu", tmp_path)[0].joints.shape == (2, 20, 25, 3)
    every = read("ntu", tmp_path, "denoise=false")[0].joints
    assert every.shape == (3, 20, 25, 3)
    np.testing.assert_array_equal(every[2, 5:], joints[2])
    assert np.isnan(every[2, :5]).all()


def naive(frames: list[dict[int, np.ndarray]]) -> np.ndarray:
    """CTR-GCN's scripts, told with loops."""
    tracks: dict[int, list[tuple[int, np.ndarray]]] = {}
    frames = [frame for frame in frames if frame]
    for t, frame in enumerate(frames):
        for body, joints in frame.items():
            track = tracks.setdefault(body, [])
            track.append((track[-1][0] + 1 if track else t, joints.astype(np.float64)))

    def motion(joints: list[np.ndarray]) -> float:
        points = np.concatenate(joints)
        return sum(np.var(points[:, axis]) for axis in range(3))

    motions = {body: motion([joints for _, joints in track]) for body, track in tracks.items()}
    if len(tracks) > 1:
        for body in [body for body, track in tracks.items() if len(track) <= 11]:
            del tracks[body]
        for body in list(tracks):
            if len(tracks) == 1:
                break
            good = [j for _, j in tracks[body] if np.ptp(j[:, 0]) <= 0.8 * np.ptp(j[:, 1])]
            noise = len(tracks[body]) - len(good)
            if noise and noise / len(tracks[body]) >= 0.69754:
                del tracks[body]
            elif noise:
                motions[body] = min(motions[body], motion(good))
    order = sorted(tracks, key=lambda body: motions[body], reverse=True)
    result = np.full((2, len(frames), 25, 3), np.nan, np.float32)
    start1, end1 = tracks[order[0]][0][0], tracks[order[0]][-1][0]
    start2, end2 = 0, 0
    for t, joints in tracks[order[0]]:
        result[0, t] = joints
    for body in order[1:]:
        start, end = tracks[body][0][0], tracks[body][-1][0]
        if min(end1, end) - max(start1, start) <= 0:
            actor, start1, end1 = 0, min(start, start1), max(end, end1)
        elif min(end2, end) - max(start2, start) <= 0:
            actor, start2, end2 = 1, min(start, start2), max(end, end2)
        else:
            continue
        for t, joints in tracks[body]:
            result[actor, t] = joints
    result = result[:, [t for t in range(len(frames)) if np.isfinite(result[:, t]).any()]]
    return result if np.isfinite(result[1]).any() else result[:1]


@settings(max_examples=25, deadline=None)
@given(
    spans=st.lists(st.tuples(st.integers(0, 30), st.integers(12, 40)), min_size=1, max_size=4),
    wide=st.lists(st.integers(0, 40), min_size=4, max_size=4),
    lost=st.lists(st.tuples(st.integers(0, 3), st.integers(0, 60)), max_size=20),
    seed=st.integers(0, 99),
)
def test_bodies_are_joined_as_published(
    spans: list[tuple[int, int]],
    wide: list[int],
    lost: list[tuple[int, int]],
    seed: int,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """People, late people, people lost for some frames, noise: the recording, and the store's order and origin."""
    frames, _ = people(seed, *((start, start + length) for start, length in spans))
    for body, (start, length) in enumerate(spans):
        for t in range(start, start + min(length, wide[body])):
            frames[t][100 + body] = frames[t][100 + body] * np.array([9, 1, 1], np.float32)
    for body, t in lost:
        if t < len(frames) and sum(map(len, frames)) > 1:
            frames[t].pop(100 + body, None)
    folder = tmp_path_factory.mktemp("ntu")
    write(folder, frames)
    expected = naive(frames)
    np.testing.assert_array_equal(read("ntu", folder, "lost=close")[0].joints, expected)
    convert("ntu", folder, folder / "store", normalize=NormalizeConfig(), options=["lost=close"], progress=False)
    clip = Store.open(folder / "store").clip(0)
    first = expected[0, np.flatnonzero(np.isfinite(expected[0]).all((1, 2)))[0], 1]
    seen = np.isfinite(expected)
    np.testing.assert_allclose(clip[seen], (expected - first)[seen], atol=1e-5)


def test_frames_that_show_only_noise_are_dropped(tmp_path: Path) -> None:
    frames, joints = people(0, (0, 28), (28, 36))
    write(tmp_path, frames)
    np.testing.assert_array_equal(read("ntu", tmp_path)[0].joints, joints[0][None])
    assert read("ntu", tmp_path, "denoise=false")[0].joints.shape == (2, 36, 25, 3)
    frames, joints = people(0, (0, 20), (16, 24), (24, 40))  # between two bodies, too
    write(tmp_path, frames)
    np.testing.assert_array_equal(read("ntu", tmp_path)[0].joints, np.concatenate([joints[0], joints[2]])[None])


def test_a_lost_body_keeps_its_frames_or_goes_on_at_once(tmp_path: Path) -> None:
    frames, joints = people(0, (0, 30), (0, 30))
    for t in range(10, 14):
        del frames[t][101]
    write(tmp_path, frames)
    lost = next(person for person in read("ntu", tmp_path)[0].joints if np.isnan(person).any())
    np.testing.assert_array_equal(np.flatnonzero(np.isnan(lost).all((1, 2))), range(10, 14))
    closed = next(person for person in read("ntu", tmp_path, "lost=close")[0].joints if np.isnan(person).any())
    np.testing.assert_array_equal(closed[:26], np.delete(joints[1], range(10, 14), 0))
    assert np.isnan(closed[26:]).all()


def test_a_store_keeps_the_readers_order(tmp_path: Path) -> None:
    """Wide frames do not count as motion in CTR-GCN's order; all of the person's frames would be another order."""
    calm, wild = walk(0, 20)[0], walk(1, 20)[0]
    wild[:4] *= np.array([30, 1, 1], np.float32)
    calm = calm + np.linspace(0, 2, 20, dtype=np.float32)[:, None, None]
    write(tmp_path, [{5: x, 6: y} for x, y in zip(calm, wild, strict=True)])
    expected = np.stack([calm, wild])
    np.testing.assert_array_equal(read("ntu", tmp_path)[0].joints, expected)
    convert("ntu", tmp_path, tmp_path / "store", normalize=NormalizeConfig(centre="none"), progress=False)
    store = Store.open(tmp_path / "store")
    np.testing.assert_array_equal(store.clip(0), expected)
    assert store.normalization == NormalizeConfig(centre="none")
    variances = [person.reshape(-1, 3).var(0).sum() for person in expected]
    assert variances[1] > variances[0]


def test_published_missing_lists_are_left_out(tmp_path: Path) -> None:
    for name in ("S001C002P003R002A013", "S001C002P005R002A008", "S001C002P005R002A009"):
        raw_files.ntu(tmp_path, name)
    missing = tmp_path / "missing.txt"
    missing.write_text(
        "The following samples are incomplete:\r\nS001C002P005R002A008\r\nS001C002P005R002A009.skeleton\n"
    )
    assert [clip.name for clip in read("ntu", tmp_path, f"missing={missing}")] == [NTU_NAME]
    assert len(read("ntu", tmp_path)) == 3
    missing.write_text(" ".join(file.stem for file in tmp_path.glob("*.skeleton")))
    with pytest.raises(UserError, match="names all recordings"):
        open_reader("ntu", tmp_path, None, [f"missing={missing}"])
    with pytest.raises(UserError, match=r"missing: .*none\.txt: cannot be read: No such file"):
        open_reader("ntu", tmp_path, None, [f"missing={tmp_path / 'none.txt'}"])


def edited(folder: Path, *edits: tuple[int, str]) -> Path:
    """A file of two frames with some lines (counted from 1) replaced."""
    file = raw_files.ntu(folder, joints=walk(0, 2))
    lines = file.read_text("ascii").split("\n")
    for number, text in edits:
        lines[number - 1] = text
    file.write_text("\n".join(lines), "utf-8")
    return file


def filled(folder: Path, data: bytes) -> Path:
    file = folder / f"{NTU_NAME}.skeleton"
    file.write_bytes(data)
    return file


RAW_DAMAGE: dict[str, tuple[Callable[[Path], Path], str]] = {
    "name": (lambda f: raw_files.ntu(f, "clip7"), "expected one like S001C002P003R002A013.skeleton"),
    "action": (lambda f: raw_files.ntu(f, "S001C001P001R001A121"), "no action from 1 to 120"),
    "empty": (lambda f: filled(f, b""), "the file ends too early, after line 0"),
    "no frames": (lambda f: filled(f, b"0\n"), "shows nobody in any frame"),
    "no bodies": (lambda f: filled(f, b"2\n0\n0\n"), "shows nobody in any frame"),
    "fewer frames": (lambda f: filled(f, b"3\n0\n0\n"), "the file ends too early, after line 3"),
    "more frames": (lambda f: edited(f, (1, "1")), "line 30: more follows than the 1 frames that line 1 states"),
    "frames": (lambda f: edited(f, (1, "two")), "line 1: the number of frames is 'two'"),
    "negative": (lambda f: edited(f, (1, "-1")), "line 1: the number of frames is '-1'"),
    "bodies": (lambda f: edited(f, (2, "7")), "line 2: the number of bodies is '7'"),
    "joints": (lambda f: edited(f, (4, "20")), "line 4: the number of joints must be 25"),
    "two numbers": (lambda f: edited(f, (5, "0.5 0.5")), "line 5: has fewer than three numbers"),
    "last line": (lambda f: edited(f, (57, "0.5 0.5 0.5 2")), "the file ends too early, in line 57"),
    "text": (lambda f: edited(f, (5, "a" + " 0" * 11)), "could not convert"),
    "not ASCII": (lambda f: edited(f, (5, "ä" + " 0" * 11)), "could not convert"),
    "zeros": (lambda f: raw_files.ntu(f, joints=np.zeros((1, 3, 25, 3), np.float32)), "has no tracked joint"),
    "binary": (lambda f: filled(f, bytes(range(256)) * 40), "is damaged"),
}


@pytest.mark.parametrize("damage", RAW_DAMAGE)
def test_raw_damage_is_named(damage: str, tmp_path: Path) -> None:
    make, message = RAW_DAMAGE[damage]
    file = make(tmp_path)
    with pytest.raises(UserError) as told:
        read("ntu", tmp_path)
    assert str(told.value).startswith(f"{file}: ")
    assert message in str(told.value)
    assert "\n" not in str(told.value)


def test_a_store_tells_of_a_missing_list_but_not_where_it_lies(tmp_path: Path) -> None:
    raw_files.ntu(tmp_path)
    (tmp_path / "list.txt").write_text("S001C002P005R002A008")
    options = [f"missing={tmp_path / 'list.txt'}"]
    convert("ntu", tmp_path, tmp_path / "store", normalize=NormalizeConfig(), options=options, progress=False)
    assert Store.open(tmp_path / "store").provenance.options == {
        "denoise": True,
        "lost": "stay",
        "missing": "list.txt",
        "fps": 0.0,
    }
    assert str(tmp_path) not in (tmp_path / "store" / "meta.json").read_text("utf-8")
