"""What conversion leaves out or makes up is counted, told with the option that changes it, and kept in the store."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import raw_files
from raw_clips import read
from raw_files import ntu_text, walk
from small_source import PLAIN

from ssl_skel.cli import app
from ssl_skel.data.convert import convert, describe
from ssl_skel.data.dropped import absent_frames, gaps, report, without_ghosts, without_zeros
from ssl_skel.data.store import Store
from ssl_skel.layouts import LAYOUTS

LONG, SHORT = 40, 2  # frames of a person, and of a false detection


def crowd(joints: int = 25, frames: int = LONG, short: int = SHORT) -> np.ndarray:
    """Two persons (2, T, V, 3), of whom the second is seen in a few frames; NaN elsewhere."""
    people = walk(0, frames, joints, persons=2)
    people[1, short:] = np.nan
    return people


def pyskl(folder: Path, people: np.ndarray) -> None:
    raw_files.pyskl(folder, [{"frame_dir": "clip", "label": 0, "keypoint": np.nan_to_num(people)}])


def stgcn(folder: Path, people: np.ndarray) -> None:
    raw_files.stgcn(folder, {"train": [("clip", 0, people)]}, frames=people.shape[1])


def npz(folder: Path, people: np.ndarray) -> None:
    raw_files.npz(folder, joints=people[None])


def npy(folder: Path, people: np.ndarray) -> None:
    raw_files.npy(folder, joints=people)


def openpose(folder: Path, people: np.ndarray) -> None:
    raw_files.openpose(folder, joints=1000 + 100 * people[..., :2])


def kinetics(folder: Path, people: np.ndarray) -> None:
    raw_files.kinetics(folder, joints=0.5 + 0.1 * people[..., :2])


def mediapipe(folder: Path, people: np.ndarray) -> None:
    raw_files.mediapipe(folder, joints=people)


TRACKED: dict[str, tuple[Callable[[Path, np.ndarray], None], int]] = {
    **{"pyskl": (pyskl, 25), "stgcn": (stgcn, 25), "npz": (npz, 15), "npy": (npy, 15)},
    **{"openpose": (openpose, 25), "kinetics": (kinetics, 18), "mediapipe": (mediapipe, 33)},
}


@pytest.mark.parametrize("format", TRACKED)
def test_who_is_seen_in_too_few_frames_is_left_out_and_counted(format: str, tmp_path: Path) -> None:
    write, joints = TRACKED[format]
    (tmp_path / "raw").mkdir()
    write(tmp_path / "raw", crowd(joints))
    summary = convert(format, tmp_path / "raw", tmp_path / "store", normalize=PLAIN, progress=False)
    assert summary["dropped"] == ["1 person seen in too few frames was left out; min_seen=0 keeps them"]
    assert Store.open(tmp_path / "store").persons.tolist() == [1]
    kept = convert(format, tmp_path / "raw", tmp_path / "all", normalize=PLAIN, progress=False, options=["min_seen=0"])
    assert kept["dropped"] == report({"absent": LONG - SHORT}, {})
    assert Store.open(tmp_path / "all").persons.tolist() == [2]


def test_persons_beyond_the_most_that_are_kept_are_counted(tmp_path: Path) -> None:
    (tmp_path / "raw").mkdir()
    kinetics(tmp_path / "raw", walk(0, 6, 18, persons=3))
    summary = convert("kinetics", tmp_path / "raw", tmp_path / "store", normalize=PLAIN, progress=False)
    assert summary["dropped"] == ["1 person beyond those seen in most frames was left out; persons=N keeps more"]


def test_tracks_and_frames_of_ntu_are_counted(tmp_path: Path) -> None:
    """Of 30 frames five show nobody and five noise alone; a second person comes late."""
    people = walk(0, 30, persons=3)
    frames: list[dict[int, np.ndarray]] = [{1: people[0, t]} for t in range(30)]
    for t in range(15, 30):
        frames[t][2] = people[1, t]
    for t in range(3, 8):
        frames[t] = {3: people[2, t]}
    for t in range(8, 13):
        frames[t] = {}
    (tmp_path / "raw").mkdir()
    (tmp_path / "raw" / f"{raw_files.NTU_NAME}.skeleton").write_text(ntu_text(frames))
    convert("ntu", tmp_path / "raw", tmp_path / "store", normalize=PLAIN, progress=False)
    store = Store.open(tmp_path / "store")
    assert (store.frames.tolist(), store.persons.tolist()) == ([20], [2])
    assert store.provenance.dropped == {"noise": 1, "empty_frames": 10, "absent": 5}


def test_frames_of_zeros_are_cut_at_the_end_and_unseen_elsewhere() -> None:
    joints = walk(0, 8, 15, persons=2)
    joints[:, 6:] = 0
    joints[:, 2] = 0
    joints[1, 3] = 0  # the other one is there
    found, dropped = without_zeros(joints)
    assert dropped == {"zero_frames": 3}
    assert found.shape == (2, 6, 15, 3)
    assert np.isnan(found[:, 2]).all()
    assert np.isnan(found[1, 3]).all()
    assert np.isfinite(found[0, 3]).all()
    assert absent_frames(found) == {"absent": 3}


def test_ghosts_are_measured_by_who_is_seen_most() -> None:
    joints = walk(0, 100, 15, persons=3)
    joints[1, 9:] = joints[2, 10:] = np.nan
    assert len(without_ghosts(joints, 0.1)[0]) == 2
    assert without_ghosts(joints, 0.0)[1] == {}
    joints[:] = np.nan
    assert without_ghosts(joints, 0.1)[1] == {}


def test_arrays_padded_with_zeros(tmp_path: Path) -> None:
    joints = np.concatenate([walk(0, 6, 15)[0], np.zeros((4, 15, 3), np.float32)])
    (tmp_path / "raw").mkdir()
    npy(tmp_path / "raw", joints)
    summary = convert("npy", tmp_path / "raw", tmp_path / "store", normalize=PLAIN, progress=False)
    assert summary["frames"] == 6
    assert summary["dropped"] == report({"zero_frames": 4}, {})


def openpose_without(folder: Path, gone: range, step: int) -> None:
    first = raw_files.openpose(folder, joints=1000 + 100 * walk(0, 36, 25)[..., :2])
    for number, file in enumerate(sorted(first.parent.iterdir())):
        if number in gone or number % step:
            file.unlink()


def table_without(folder: Path, gone: range, step: int) -> None:
    joints = walk(0, 36, 15)
    rows = raw_files.long_rows({"one": joints}, LAYOUTS["sbu15"].joints)
    kept = [row for row in rows if row["frame"] not in gone and not row["frame"] % step]
    raw_files.table(folder, text=raw_files.csv_text(kept))


def utkinect_without(folder: Path, gone: range, step: int) -> None:
    file = raw_files.utkinect(folder, walk(0, 36, 20)[0], "s01_e02\nwalk: 250 285\n")
    lines = file.read_text().splitlines(keepends=True)
    file.write_text("".join(line for t, line in enumerate(lines) if t not in gone and not t % step))


@pytest.mark.parametrize(
    ("format", "write"),
    [("openpose", openpose_without), ("table", table_without), ("utkinect", utkinect_without)],
)
def test_frames_that_are_missing_in_between_are_counted(
    format: str, write: Callable[[Path, range, int], None], tmp_path: Path
) -> None:
    for case, gone, step in (("gap", range(5, 26), 1), ("ends", range(30, 36), 1), ("even", range(0), 2)):
        (tmp_path / case).mkdir()
        write(tmp_path / case, gone, step)
        (clip,) = read(format, tmp_path / case)
        assert clip.dropped == ({"gaps": 1} if case == "gap" else {})


def test_gaps_are_measured_by_the_usual_step() -> None:
    assert gaps(np.array([0, 33, 67, 100, 133.4])) == gaps(np.array([7.0])) == gaps(np.array([])) == {}
    assert gaps(np.array([0, 33, 67, 133, 167])) == {"gaps": 1}


def test_each_kind_is_a_line_for_people_and_for_machines(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "raw").mkdir()
    npy(tmp_path / "raw", crowd(15))
    monkeypatch.setattr("sys.argv", ["ssl-skel", "convert", "npy", str(tmp_path / "raw"), str(tmp_path / "store")])
    with pytest.raises(SystemExit):
        app.main()
    assert "counted: 1 person seen in too few frames was left out; min_seen=0 keeps them\n" in capsys.readouterr().err
    monkeypatch.setattr("sys.argv", ["ssl-skel", "info", str(tmp_path / "store"), "--json"])
    with pytest.raises(SystemExit):
        app.main()
    told: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert told["dropped"] == describe(tmp_path / "store")["dropped"]
    assert told["provenance"]["dropped"] == {"ghosts": 1}


def test_no_option_is_named_that_a_format_has_not() -> None:
    assert report({"ghosts": 2}, {}) == ["2 persons seen in too few frames were left out"]
