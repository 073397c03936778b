"""Tables: CSV and Parquet, a row a joint or a row a frame; columns by name, in pieces, damage."""

from __future__ import annotations

import builtins
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow
import pyarrow.parquet
import pytest
import raw_files
from hypothesis import given, settings
from hypothesis import strategies as st
from raw_clips import read
from raw_files import csv_text, long_rows, points, walk

from ssl_skel.data.clip import RawClip
from ssl_skel.data.convert import convert, describe
from ssl_skel.data.normalize import NormalizeConfig
from ssl_skel.data.readers import columns
from ssl_skel.data.sources.open import open_reader
from ssl_skel.errors import UserError
from ssl_skel.layouts import LAYOUTS

JOINTS = LAYOUTS["sbu15"].joints
Rows = list[dict[str, Any]]


def wide_rows(clips: dict[str, np.ndarray]) -> Rows:
    """A row a frame of clips (M, T, V, C)."""
    rows = []
    for clip, joints in clips.items():
        for t in range(joints.shape[1]):
            for m in range(len(joints)):
                row = {"clip": clip, "person": m, "frame": t}
                for v, name in enumerate(JOINTS):
                    for axis, value in zip("xyz", joints[m, t, v].tolist(), strict=False):
                        row[f"{name}.{axis}"] = value
                rows.append(row)
    return rows


def write_parquet(folder: Path, rows: Rows, **description: Any) -> Path:
    raw_files.describe(folder, {"layout": "sbu15"} | description)
    table = pyarrow.Table.from_pylist([{k: None if v != v else v for k, v in row.items()} for row in rows])
    pyarrow.parquet.write_table(table, folder / "recordings.parquet", row_group_size=37)
    return folder / "recordings.parquet"


def write_csv(folder: Path, rows: Rows, **description: Any) -> Path:
    return raw_files.table(folder, text=csv_text(rows), **description)


@pytest.fixture
def clips() -> dict[str, np.ndarray]:
    two = walk(0, 5, 15, persons=2)
    two[1, 3], two[0, 1, 4] = np.nan, np.nan
    return {"wave/two": two, "one": walk(1, 1, 15), "bow/three": walk(2, 4, 15)}


@pytest.mark.parametrize("write", [write_csv, write_parquet])
@pytest.mark.parametrize("wide", [False, True])
@pytest.mark.parametrize("channels", [2, 3])
def test_forms_agree(
    write: Callable[..., Path], wide: bool, channels: int, clips: dict[str, np.ndarray], tmp_path: Path
) -> None:
    clips = {name: joints[..., :channels] for name, joints in clips.items()}
    if wide:
        write(tmp_path, wide_rows(clips), joint_columns="{joint}.{axis}")
    else:
        write(tmp_path, long_rows(clips, JOINTS))
    found = read("table", tmp_path)
    assert [clip.name for clip in found] == ["wave_two", "one", "bow_three"]
    assert [clip.label for clip in found] == [1, -1, 0]
    for clip, joints in zip(found, clips.values(), strict=True):
        np.testing.assert_array_equal(clip.joints, joints)


@settings(max_examples=20, deadline=None)
@given(frames=st.integers(1, 3), persons=st.integers(1, 3), kept=st.floats(0.1, 1), seed=st.integers(0, 999))
def test_rows_of_a_clip_may_stand_in_any_order(
    frames: int, persons: int, kept: float, seed: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder, rng = tmp_path_factory.mktemp("rows"), np.random.default_rng(seed)
    rows = long_rows({"a": walk(seed, frames, 15, persons)}, JOINTS)
    rows = [rows[row] for row in rng.permutation(len(rows))[: max(1, int(kept * len(rows)))]]
    write_csv(folder, rows)
    (clip,) = read("table", folder)
    people = list(dict.fromkeys(row["person"] for row in rows))
    times = sorted({row["frame"] for row in rows})
    expected = np.full((len(people), len(times), 15, 3), np.nan, np.float32)
    for row in rows:
        place = people.index(row["person"]), times.index(row["frame"]), JOINTS.index(row["joint"])
        expected[place] = [row["x"], row["y"], row["z"]]
    np.testing.assert_array_equal(clip.joints, expected)


def test_columns_of_other_names(tmp_path: Path) -> None:
    theirs = {"clip": "video", "frame": "time s", "joint": "kp", "x": "px", "y": "py", "z": "pz", "subject": "who"}
    joints = {"b": walk(0, 2, 15), "a": walk(1, 3, 15)}
    rows = []
    for row in long_rows(joints, JOINTS):
        del row["person"]
        row |= {"frame": row["frame"] / 30, "joint": JOINTS.index(row["joint"]), "subject": len(row["clip"])}
        rows.append({theirs.get(key, key): value for key, value in row.items()} | {"label": "nod", "note": "ä"})
    write_csv(tmp_path, rows, columns=theirs, class_names=["wave", "nod"])
    found = read("table", tmp_path)
    for clip, (name, expected) in zip(found, joints.items(), strict=True):
        np.testing.assert_array_equal(clip.joints, expected)
        assert (clip.name, clip.label, clip.subject) == (name, 1, 1)
    (tmp_path / "recordings.csv").write_text((tmp_path / "recordings.csv").read_text().replace(",", ";"))
    np.testing.assert_array_equal(read("table", tmp_path, "delimiter=;")[1].joints, joints["a"])


@pytest.mark.parametrize("wide", [False, True])
def test_joints_of_other_names(wide: bool, tmp_path: Path) -> None:
    joints = {"a": walk(0, 2, 15)}
    rows = wide_rows(joints) if wide else long_rows(joints, JOINTS)
    text = csv_text(rows).replace("left_hand", "LINKS")
    form = {"joint_columns": "{joint}.{axis}"} if wide else {}
    raw_files.table(tmp_path, text=text, joints={"LINKS": "left_hand"}, **form)
    np.testing.assert_array_equal(read("table", tmp_path)[0].joints, joints["a"])
    raw_files.table(tmp_path, text=text, joints={"LINKS": "left_hant"}, **form)
    with pytest.raises(UserError, match=r"joints\.LINKS: sbu15 has no joint 'left_hant'; did you mean 'left_hand'"):
        read("table", tmp_path)


def test_files_are_clips_where_no_column_tells_them(tmp_path: Path) -> None:
    for name, seed in (("wave/s1", 0), ("wave/s2", 1), ("bow/s1", 2)):
        rows = wide_rows({"": walk(seed, 3, 15)})
        text = csv_text([{key: value for key, value in row.items() if "." in key} for row in rows])
        raw_files.table(tmp_path, name, text, joint_columns="{joint}.{axis}", names=r"(?P<label>\w+)/s(?P<subject>\d)")
    found = read("table", tmp_path)
    assert [clip.name for clip in found] == ["bow_s1", "wave_s1", "wave_s2"]
    assert [(clip.label, clip.subject) for clip in found] == [(0, 1), (1, 1), (1, 2)]
    np.testing.assert_array_equal(found[1].joints, walk(0, 3, 15))


def test_labels_of_a_table_and_of_another(clips: dict[str, np.ndarray], tmp_path: Path) -> None:
    rows = [row | {"label": len(row["clip"]), "subject": row["clip"][:1] == "w"} for row in long_rows(clips, JOINTS)]
    write_csv(tmp_path, [row | {"subject": int(row["subject"])} for row in rows])
    reader = open_reader("table", tmp_path)
    assert reader.class_names == tuple(map(str, range(10)))
    assert [clip.label for clip in read("table", tmp_path)] == [8, 3, 9]
    write_csv(tmp_path, long_rows(clips, JOINTS), labels="labels.csv")
    (tmp_path / "labels.csv").write_text("file,label,subject\nwave/two,hi,1\none,lo,2\nbow/three,hi,\n")
    assert [clip.label for clip in read("table", tmp_path)] == [0, 1, 0]
    assert open_reader("table", tmp_path).splits == {"xsub": {"train": {"subject": [1]}, "test": {"subject": [2]}}}


def test_what_is_empty_is_unknown(tmp_path: Path) -> None:
    rows = [row | {"label": None, "subject": None} for row in long_rows({"one": walk(0, 2, 15)}, JOINTS)]
    for write in (write_parquet, write_csv):
        write(tmp_path, [row | {"label": "", "subject": ""} for row in rows] if write is write_csv else rows)
        for file in tmp_path.glob("recordings.[cp]*"):
            (clip,) = read("table", file)
            assert (clip.label, clip.subject) == (-1, -1)


CHANGES: list[Callable[[str], str]] = [
    lambda text: text.replace("\n", "\r\n"),
    lambda text: "\ufeff" + text,
    lambda text: text.rstrip("\n"),
    lambda text: text + "\n\n",
    lambda text: text.replace("one", '"one"'),
]


@pytest.mark.parametrize("change", CHANGES)
def test_writings_do_not_matter(change: Callable[[str], str], tmp_path: Path) -> None:
    file = raw_files.table(tmp_path)
    before = read("table", tmp_path)
    file.write_bytes(change(file.read_text("utf-8")).encode())
    for clip, expected in zip(read("table", tmp_path), before, strict=True):
        assert clip.name == expected.name
        np.testing.assert_array_equal(clip.joints, expected.joints)


def long(folder: Path, change: Callable[[Rows], Rows], **description: Any) -> Path:
    rows = long_rows({"one": walk(0, 2, 15), "two": walk(1, 2, 15)}, JOINTS)
    return write_csv(folder, change([row | {"label": "a"} for row in rows]), **description)


def at(row: int, **changes: Any) -> Callable[[Rows], Rows]:
    """Change a row, counted from 0; it stands in line row + 2."""
    return lambda rows: [*rows[:row], rows[row] | changes, *rows[row + 1 :]]


def without(*names: str) -> Callable[[Rows], Rows]:
    return lambda rows: [{key: value for key, value in row.items() if key not in names} for row in rows]


DAMAGE: dict[str, tuple[Callable[[Path], Path], str]] = {
    "empty": (lambda f: raw_files.table(f, text=""), "is damaged: Empty CSV file"),
    "not UTF-8": (lambda f: binary(f, b"one"), "cannot be read: is not UTF-8 text"),
    "header": (lambda f: binary(f, b"person"), "cannot be read: is not UTF-8 text"),
    "UTF-16": (
        lambda f: rewritten(f, lambda text: text.encode("utf-16")),
        "cannot be read: is UTF-16; save it as UTF-8",
    ),
    "semicolons": (
        lambda f: rewritten(f, lambda text: text.replace(",", ";").encode()),
        "there is no column 'x'; line 1 is not separated by commas, so give delimiter=\";\"",
    ),
    "tabs": (lambda f: rewritten(f, lambda text: text.replace(",", "\t").encode()), "give delimiter='\"\\t\"'"),
    "capitals": (
        lambda f: rewritten(f, lambda text: text.replace(",x,y,z", ",X,Y,Z").encode()),
        "there is no column 'x'; give columns='{x: X, y: Y, z: Z}'",
    ),
    "decimal comma": (
        lambda f: long(f, at(7, x='"0,00076"')),
        "'0,00076' is not a number; save it with a decimal point",
    ),
    "no x": (lambda f: long(f, without("x")), "there is no column 'x'; known: clip, person"),
    "no frame": (lambda f: long(f, without("frame")), "there is no column 'frame'"),
    "no joint": (lambda f: long(f, without("joint")), "there is no column 'joint'"),
    "named": (lambda f: long(f, list, columns={"clip": "clib"}), "there is no column 'clib'; did you mean 'clip'"),
    "word": (lambda f: long(f, at(7, x="abc")), "line 9, column 'x': 'abc' is not a number"),
    "far": (lambda f: long(f, at(7, x=1e39)), "clip 'one' has a coordinate of more than 3.4e+38, or infinity"),
    "infinite": (lambda f: long(f, at(7, y="-inf")), "clip 'one' has a coordinate of more than 3.4e+38, or infinity"),
    "columns": (
        lambda f: raw_files.table(f, text="clip,frame,joint,x,y\na,0,head,1\n"),
        "line 2: is not like the header",
    ),
    "frame": (lambda f: long(f, at(7, frame="")), "line 9, column 'frame': is empty; number the frames"),
    "clip": (lambda f: long(f, at(7, clip="")), "line 9, column 'clip': is empty; name the clip"),
    "joint": (
        lambda f: long(f, at(7, joint="left_hnd")),
        "line 9, column 'joint': 'left_hnd' is not a joint",
    ),
    "zero byte": (lambda f: long(f, at(7, joint="head\0")), "line 9, column 'joint': 'head\\x00' is not a joint"),
    "number": (lambda f: long(f, at(7, joint=15)), "'15' is not a joint of the layout"),
    "twice": (lambda f: long(f, at(7, joint=JOINTS[3])), "line 9: clip 'one' has this frame and joint twice"),
    "apart": (lambda f: long(f, at(7, clip="two")), "line 10: clip 'one' has rows further up; sort the rows by clip"),
    "label": (lambda f: long(f, at(7, label="b")), "line 9, column 'label': changes within clip 'one'"),
    "crowd": (lambda f: crowd(f), "clip 'a' has 101 persons; expected a few, by number"),
    "only NaN": (lambda f: nothing(f), "clip 'a' has no tracked joint"),
    "wide": (lambda f: long(f, list, joint_columns="{joint}_{axis}"), "there is no column 'head_x'"),
    "2D up": (lambda f: long(f, without("z"), up="z"), "up: z needs three coordinates"),
}


def binary(folder: Path, word: bytes) -> Path:
    file = raw_files.table(folder)
    file.write_bytes(file.read_bytes().replace(word, b"\xff"))
    return file


def rewritten(folder: Path, change: Callable[[str], bytes]) -> Path:
    file = raw_files.table(folder)
    file.write_bytes(change(file.read_text()))
    return file


def crowd(folder: Path) -> Path:
    rows = [{"clip": "a", "person": m, "frame": 0, "joint": 0, "x": 1, "y": 2} for m in range(101)]
    return write_csv(folder, rows)


def nothing(folder: Path) -> Path:
    return write_csv(folder, [{"clip": "a", "frame": 0, "joint": 0, "x": "", "y": 2}])


@pytest.mark.parametrize("damage", DAMAGE)
def test_damage_is_named(damage: str, tmp_path: Path) -> None:
    write, message = DAMAGE[damage]
    file = write(tmp_path)
    with pytest.raises(UserError) as told:
        read("table", tmp_path)
    assert str(told.value).startswith(f"{file}: ")
    assert message in str(told.value)
    assert "\n" not in str(told.value)


def test_damage_of_parquet_is_named_by_row(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = long_rows({"one": walk(0, 2, 15)}, JOINTS)
    file = write_parquet(tmp_path, at(7, joint="nose")(rows))
    with pytest.raises(UserError) as told:
        read("table", tmp_path)
    assert str(told.value).startswith(f"{file}: row 8, column 'joint': 'nose' is not a joint of the layout")
    monkeypatch.setattr(columns, "_ROWS", 4)  # rows count on through the pieces
    with pytest.raises(UserError, match=r"row 8, column 'joint'"):
        read("table", tmp_path)
    write_parquet(tmp_path, at(22, clip="two")(rows))
    with pytest.raises(UserError, match=r"row 24: clip 'one' has rows further up"):
        read("table", tmp_path)
    write_parquet(tmp_path, [row | {"x": "far"} for row in rows])
    with pytest.raises(UserError, match=r"recordings\.parquet: is damaged: .*far"):
        read("table", tmp_path)


@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_any_mutation_of_parquet_is_a_user_error_or_other_numbers(
    data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("parquet")
    file = write_parquet(folder, long_rows({"one": walk(0, 2, 15)}, JOINTS))
    whole = file.read_bytes()
    for _ in range(data.draw(st.integers(1, 4))):
        start = data.draw(st.integers(0, len(whole)))
        part = data.draw(st.sampled_from([b"", b"\n", b"\xff\xfe", b"9" * 20]))
        whole = whole[:start] + part + whole[start + data.draw(st.integers(0, 9)) :]
    file.write_bytes(whole)
    found, told = [], ""
    try:
        found = read("table", folder)
    except UserError as error:
        told = str(error)
    assert found or told.startswith(str(folder))


def test_descriptions_are_checked(tmp_path: Path) -> None:
    for description, message in (
        ({"columns": {"clib": "a"}}, "columns.clib"),
        ({"joint_columns": "{joint}"}, "joint_columns: must hold {joint} and {axis} once each"),
        ({"delimiter": ""}, "delimiter: string should have at least 1 character"),
    ):
        raw_files.table(tmp_path, **description)  # type: ignore[arg-type]
        with pytest.raises(UserError) as told:
            read("table", tmp_path)
        assert message in str(told.value)


def test_other_files_and_a_missing_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.json").write_text("{}")
    with pytest.raises(UserError, match=r"a\.json: is not a table; expected a file that ends in one of"):
        read("table", tmp_path / "a.json", layout="sbu15")
    raw_files.table(tmp_path)
    load = builtins.__import__

    def lacking(name: str, *args: Any) -> Any:
        if name.startswith("pyarrow"):
            raise ImportError(name)
        return load(name, *args)

    monkeypatch.setattr(builtins, "__import__", lacking)
    with pytest.raises(UserError, match=r"tables need a further package; install: pip install 'ssl-skel\[tables\]'"):
        read("table", tmp_path)


@pytest.mark.parametrize("write", [write_csv, write_parquet])
def test_memory_holds_one_clip(write: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A clip is given out before the rows two pieces later are read."""
    names = [f"{number:04}" for number in range(150)]
    joints = points(1, 10, 15, 3)
    write(tmp_path, long_rows(dict.fromkeys(names, joints), JOINTS))
    monkeypatch.setattr(columns, "_ROWS", 1000)
    reader = open_reader("table", tmp_path)
    given: list[int] = []
    pieces = 0
    real = columns.read_columns

    def watched(*args: Any) -> Any:
        nonlocal pieces
        for piece in real(*args):
            pieces += 1
            yield piece

    monkeypatch.setattr("ssl_skel.data.readers.table.read_columns", watched)
    for clip in reader.read(reader.files()[0]):
        assert isinstance(clip, RawClip)
        given.append(pieces)
        np.testing.assert_array_equal(clip.joints, joints)
    assert len(given) == 150
    assert pieces > 1
    assert given[0] == 1
    assert given[-1] == pieces


def test_tables_become_a_store(clips: dict[str, np.ndarray], tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    write_csv(tmp_path / "mine", long_rows(clips, JOINTS))
    convert("table", tmp_path / "mine", tmp_path / "store", normalize=NormalizeConfig(), progress=False)
    facts = describe(tmp_path / "store")
    assert (facts["clips"], facts["classes"], facts["persons"], facts["filled"]) == (3, 2, 2, 16)


@pytest.mark.parametrize("first", [0, 1])
def test_joints_in_columns_by_number(first: int, tmp_path: Path) -> None:
    """The pattern as it stands on the command line, where it is not YAML."""
    joints = {"a": walk(0, 2, 15)}
    text = csv_text(wide_rows(joints))
    for number, name in reversed(list(enumerate(JOINTS, first))):
        for axis in "xyz":
            text = text.replace(f"{name}.{axis}", f"{axis}_{number}")
    raw_files.table(tmp_path, text=text)
    (clip,) = read("table", tmp_path, "joint_columns={axis}_{joint}")
    np.testing.assert_array_equal(clip.joints, joints["a"])
