"""One bad clip of several in a file is left out and named, and the others are read, whatever the format."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import raw_files
from raw_files import long_rows, walk
from small_source import PLAIN

from ssl_skel.data.convert import convert, describe
from ssl_skel.data.readers import READERS
from ssl_skel.data.store import Store
from ssl_skel.errors import UserError
from ssl_skel.layouts import LAYOUTS

ONE_CLIP_A_FILE = {
    *(
        "nw-ucla",
        "utd-mhad",
        "sbu",
        "ntu",
        "msr-action3d",
        "kinetics",
        "mediapipe",
        "openpose",
        "bvh",
        "npy",
        "text",
        "amc",
    ),
}
CLIPS = 5  # of which the third is bad


@dataclass(frozen=True)
class Case:
    """How a file of five clips is made, sound or with a bad one, and how the bad one is told."""

    format: str
    write: Callable[[Path, bool], object]
    name: str  # of the bad clip
    why: str


def people(joints: int, first: float | None = None) -> list[np.ndarray]:
    clips = [walk(seed, 4 + seed, joints)[0] for seed in range(CLIPS)]
    if first is not None:
        clips[2][:] = first
    return clips


def pyskl(folder: Path, bad: bool, **change: Any) -> None:
    clips: list[dict[str, Any]] = [
        {"frame_dir": f"clip{row}", "label": row % 2, "keypoint": joints[None]} for row, joints in enumerate(people(25))
    ]
    if bad:
        clips[2] |= change
    raw_files.pyskl(folder, clips, {"a_train": ["clip0", "clip1", "clip2"], "a_test": ["clip3", "clip4"]})


def first_of_pyskl(folder: Path, bad: bool) -> None:
    """The layout comes of the first clip that has joints."""
    clips: list[dict[str, Any]] = [
        {"frame_dir": f"clip{row}", "label": 0, "keypoint": walk(row, 4)} for row in range(5)
    ]
    if bad:
        clips[0]["keypoint"] = None
    raw_files.pyskl(folder, clips)


def ctrgcn(folder: Path, bad: bool) -> None:
    rows = [(joints[None], row) for row, joints in enumerate(people(25))]
    classes = np.eye(60, dtype=np.float32)[:4]
    if bad:
        classes[2] = 0
    raw_files.ctrgcn(folder, {"train": rows[:4], "test": rows[4:]}, y_train=classes)


def stgcn(folder: Path, bad: bool) -> None:
    rows: list[tuple[str, Any, np.ndarray]] = [
        (f"clip{row}", row, joints[None]) for row, joints in enumerate(people(25))
    ]
    if bad:
        rows[2] = (rows[2][0], None, rows[2][2])
    raw_files.stgcn(folder, {"train": rows[:4], "val": rows[4:]})


def lines(file: Path, change: Callable[[list[str]], None]) -> None:
    rows = file.read_text("ascii").splitlines()
    change(rows)
    file.write_text("\n".join(rows) + "\n", "ascii")


def pku_mmd(folder: Path, bad: bool, change: Callable[[list[str]], None], in_labels: bool = True) -> None:
    labels = [(row + 1, 4 * row, 4 * row + 4, 1) for row in range(CLIPS)]
    file = raw_files.pku_mmd(folder, joints=walk(0, 4 * CLIPS, persons=2), labels=labels)
    if bad:
        lines(folder / "label" / file.name if in_labels else file, change)


def utkinect(folder: Path, bad: bool, change: Callable[[list[str]], None], in_labels: bool = True) -> None:
    actions = ("walk", "sitDown", "standUp", "pickUp", "carry")
    labels = "".join(f"{name}: {250 + 4 * row} {253 + 4 * row}\n" for row, name in enumerate(actions))
    file = raw_files.utkinect(folder, walk(0, 4 * CLIPS, 20)[0], f"s01_e02\n{labels}")
    if bad:
        lines(folder / "actionLabel.txt" if in_labels else file, change)


def florence3d(folder: Path, bad: bool, change: Callable[[list[str]], None]) -> None:
    clips = [(row + 1, 1 + row % 2, 9 - row, walk(row, 4, 15)[0]) for row in range(CLIPS)]
    file = raw_files.florence3d(folder, clips)
    if bad:
        lines(file, change)


def table(folder: Path, bad: bool, change: Callable[[list[dict[str, Any]]], None]) -> None:
    joints = {f"clip{row}": joints[None] for row, joints in enumerate(people(15))}
    rows = [
        row | {"label": "wave" if row["clip"] < "clip2" else "bow"}
        for row in long_rows(joints, LAYOUTS["sbu15"].joints)
    ]
    if bad:
        change(rows)
    raw_files.table(folder, text=raw_files.csv_text(rows))


def of_table(rows: list[dict[str, Any]]) -> int:
    """A row in the midst of the third clip."""
    return 7 + next(at for at, row in enumerate(rows) if row["clip"] == "clip2")


def cell(**values: Any) -> Callable[[list[dict[str, Any]]], None]:
    return lambda rows: rows[of_table(rows)].update(values)


def doubled(rows: list[dict[str, Any]]) -> None:
    rows.insert(of_table(rows), rows[of_table(rows)])


def scattered(rows: list[dict[str, Any]]) -> None:
    rows.append(rows.pop(of_table(rows)))


def npz(folder: Path, bad: bool, **change: Any) -> None:
    clips = np.full((CLIPS, 9, 15, 3), np.nan, np.float32)
    for row, joints in enumerate(people(15)):
        clips[row, : len(joints)] = joints
    members: dict[str, Any] = {"joints": clips, "label": np.array([0, 1, 0, 1, 1]), "frames": np.array([4, 5, 6, 7, 8])}
    if bad:
        for name, value in change.items():
            members[name][2] = value
    raw_files.npz(folder, class_names=np.array(["wave", "bow"]), **members)


def at(row: int, text: str) -> Callable[[list[str]], None]:
    return lambda rows: rows.__setitem__(row, text)


def short(row: int) -> Callable[[list[str]], None]:
    return lambda rows: rows.__setitem__(row, rows[row].rsplit(maxsplit=1)[0])


def word(row: int, place: int) -> Callable[[list[str]], None]:
    def change(rows: list[str]) -> None:
        words = rows[row].split()
        words[place] = "#"
        rows[row] = " ".join(words)

    return change


CASES = {
    "pyskl joints": Case("pyskl", lambda f, bad: pyskl(f, bad, keypoint=[]), "clip2", "annotations[2].keypoint: is no"),
    "pyskl label": Case(
        "pyskl", lambda f, bad: pyskl(f, bad, label="wave"), "clip2", "annotations[2].label: is 'wave'"
    ),
    "pyskl name": Case("pyskl", lambda f, bad: pyskl(f, bad, frame_dir=3), "annotations[2]", "[2].frame_dir: is '3'"),
    "pyskl first": Case("pyskl", first_of_pyskl, "clip0", "annotations[0].keypoint: is not an array"),
    "ctrgcn class": Case("ctrgcn", ctrgcn, "train_000002", "y_train: row 2 names no class"),
    "stgcn label": Case("stgcn", stgcn, "clip2", "label of 'clip2' is 'None', not a class number"),
    "pku class": Case(
        "pku-mmd", lambda f, bad: pku_mmd(f, bad, at(2, "77,8,12,1")), "0002-L_00008", "class 77, frames 8"
    ),
    "pku word": Case(
        "pku-mmd", lambda f, bad: pku_mmd(f, bad, at(2, "3,8,,1,a")), "0002-L_00008", "'a' is not a number"
    ),
    "pku row": Case("pku-mmd", lambda f, bad: pku_mmd(f, bad, short(9), False), "0002-L_00008", "line 10: has 149"),
    "utkinect line": Case(
        *("utkinect", lambda f, bad: utkinect(f, bad, at(3, "standUp: 258"))),
        *("s01_e02, line 4 of actionLabel.txt", "line 4: is 'standUp: 258'"),
    ),
    "utkinect frames": Case(
        *("utkinect", lambda f, bad: utkinect(f, bad, at(3, "standUp: 900 999")), "s01_e02_standUp", "has no frames"),
    ),
    "utkinect row": Case(
        *(
            "utkinect",
            lambda f, bad: utkinect(f, bad, word(9, 5), False),
            "s01_e02_standUp",
            "line 10: '#' is not a number",
        ),
    ),
    "utkinect number": Case(
        *(
            "utkinect",
            lambda f, bad: utkinect(f, bad, word(9, 0), False),
            "s01_e02_standUp",
            "line 10: '#' is not a number",
        ),
    ),
    "florence row": Case("florence3d", lambda f, bad: florence3d(f, bad, short(9)), "video003", "line 10: has 47"),
    "florence word": Case(
        "florence3d", lambda f, bad: florence3d(f, bad, word(9, 7)), "video003", "'#' is not a number"
    ),
    "florence actor": Case(
        "florence3d", lambda f, bad: florence3d(f, bad, word(9, 1)), "video003", "'#' is not a number"
    ),
    "table doubled": Case("table", lambda f, bad: table(f, bad, doubled), "clip2", "has this frame and joint twice"),
    "table joint": Case("table", lambda f, bad: table(f, bad, cell(joint="tail")), "clip2", "'tail' is not a joint"),
    "table number": Case(
        "table", lambda f, bad: table(f, bad, cell(x="far")), "clip2", "column 'x': 'far' is not a number"
    ),
    "table frame": Case("table", lambda f, bad: table(f, bad, cell(frame="")), "clip2", "column 'frame': is empty"),
    "table label": Case(
        "table", lambda f, bad: table(f, bad, cell(label="wave")), "clip2", "changes within clip 'clip2'"
    ),
    "table length": Case("table", lambda f, bad: table(f, bad, cell(y="1,2")), "clip2", "is not like the header"),
    "table scattered": Case(
        "table", lambda f, bad: table(f, bad, scattered), "clip2", "clip 'clip2' has rows further up"
    ),
    "npz label": Case("npz", lambda f, bad: npz(f, bad, label=7), "mine_000002", "label: is 7; must lie between"),
    "npz frames": Case("npz", lambda f, bad: npz(f, bad, frames=10), "mine_000002", "frames: is 10; must lie between"),
    "npz joints": Case("npz", lambda f, bad: npz(f, bad, joints=np.nan), "mine_000002", "has no tracked joint"),
}


def to_store(format: str, source: Path, skip_bad: bool) -> tuple[dict[str, Any], Store]:
    store = source.parent / f"{source.name}_store"
    summary = convert(format, source, store, normalize=PLAIN, skip_bad=skip_bad, progress=False)
    return summary, Store.open(store)


def test_every_format_is_tested_or_has_one_clip_a_file() -> None:
    assert {case.format for case in CASES.values()} | ONE_CLIP_A_FILE == set(READERS)


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_one_bad_clip_leaves_the_others(case: Case, tmp_path: Path) -> None:
    for name, bad in (("sound", False), ("spoilt", True)):
        (tmp_path / name).mkdir()
        case.write(tmp_path / name, bad)
    whole, sound = to_store(case.format, tmp_path / "sound", skip_bad=False)
    assert (whole["clips"], whole["skipped"]) == (CLIPS, [])
    with pytest.raises(UserError) as told:
        to_store(case.format, tmp_path / "spoilt", skip_bad=False)
    assert case.why in str(told.value)
    assert str(told.value).endswith("(--skip-bad leaves it out)")
    summary, spoilt = to_store(case.format, tmp_path / "spoilt", skip_bad=True)
    (skipped,) = summary["skipped"]
    assert skipped["clip"] == case.name
    assert case.why in skipped["why"]
    assert str(tmp_path) not in skipped["file"]
    lost = 0 if case is CASES["pyskl first"] else 2
    expected = [row for row in range(CLIPS) if row != lost]
    assert spoilt.name.tolist() == sound.name[expected].tolist()
    assert spoilt.class_names == sound.class_names
    for row, same in enumerate(expected):
        np.testing.assert_array_equal(spoilt.clip(row), sound.clip(same))
        assert (spoilt.label[row], spoilt.subject[row]) == (sound.label[same], sound.subject[same])
    for split, sizes in describe(sound.path)["splits"].items():
        if "error" not in sizes:
            left = describe(spoilt.path)["splits"][split]
            assert left["train"] + left["test"] == CLIPS - 1


def test_a_damaged_member_of_a_published_archive_names_all_that_is_lost(tmp_path: Path) -> None:
    """Of the side that breaks off, the clips before are read, and so is the other side."""
    from ssl_skel.data.readers import ctrgcn as module

    ctrgcn(tmp_path, bad=False)
    real = module.read_blocks

    def breaking(file: Path, member: str, counts: np.ndarray) -> Any:
        for row, block in enumerate(real(file, member, counts)):
            if (member, row) == ("x_train", 2):
                raise ValueError("broken")
            yield block

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "read_blocks", breaking)
        summary, store = to_store("ctrgcn", tmp_path, skip_bad=True)
    assert store.name.tolist() == ["train_000000", "train_000001", "test_000000"]
    assert [skipped["clip"] for skipped in summary["skipped"]] == ["train_000002", "train_000003"]


def test_no_label_of_another_session_is_taken_for_a_bad_line(tmp_path: Path) -> None:
    """Where a title cannot be read, the actions after it would become those of the session before."""
    raw_files.utkinect(tmp_path, labels="s01_e02\nwalk: 250 252\ns0l_e03\nwalk: 250 252\n")
    with pytest.raises(UserError, match=r"line 3: is 's0l_e03'"):
        to_store("utkinect", tmp_path, skip_bad=True)
