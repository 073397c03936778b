"""Tables that are zipped, and tables without a line of names."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest
import raw_files
from raw_clips import read
from raw_files import csv_text, long_rows, walk

from ssl_skel.data.readers.columns import TableForm, read_columns
from ssl_skel.errors import UserError
from ssl_skel.layouts import LAYOUTS

JOINTS = LAYOUTS["sbu15"].joints
CLIP = walk(0, 4, 15)
LONG = csv_text(long_rows({"one": CLIP}, JOINTS))
WIDE = "".join(",".join(map(str, [t, *frame.ravel()])) + "\n" for t, frame in enumerate(CLIP[0]))
ALL = 'header=[frame,"{joint}_{axis}"]'


def write(folder: Path, text: str, name: str = "wave/anna") -> Path:
    return raw_files.table(folder, name, text=text)


def zipped(file: Path, text: str) -> Path:
    target = file.with_name(f"{file.name}.gz")
    target.write_bytes(gzip.compress(text.encode()))
    file.unlink()
    return target


def test_zipped_tables_are_read_as_others(tmp_path: Path) -> None:
    file = write(tmp_path, LONG)
    (plain,) = read("table", tmp_path)
    zipped(file, LONG)
    (clip,) = read("table", tmp_path)
    assert (clip.name, clip.label) == (plain.name, plain.label)
    np.testing.assert_array_equal(clip.joints, plain.joints)


def test_a_zipped_file_is_a_clip_by_its_own_name(tmp_path: Path) -> None:
    zipped(write(tmp_path, WIDE, "wave/anna.1"), WIDE)
    (clip,) = read("table", tmp_path, ALL)
    assert clip.name == "wave_anna.1"
    np.testing.assert_allclose(clip.joints, CLIP, rtol=1e-6)


def test_damage_in_a_zipped_file_is_named(tmp_path: Path) -> None:
    file = zipped(write(tmp_path, LONG), LONG)
    data = file.read_bytes()
    file.write_bytes(gzip.compress(LONG.replace(str(float(CLIP[0, 1, 0, 0])), "abc", 1).encode()))
    with pytest.raises(UserError, match=r"anna\.csv\.gz: line 17, column 'x': 'abc' is not a number"):
        read("table", tmp_path)
    file.write_bytes(data[:-20])
    with pytest.raises(UserError, match=r"anna\.csv\.gz: is damaged"):
        read("table", tmp_path)


def test_a_table_without_names_needs_them(tmp_path: Path) -> None:
    write(tmp_path, WIDE)
    with pytest.raises(UserError, match=r"anna\.csv: line 1: holds numbers, not names of columns; give header="):
        read("table", tmp_path)


def test_names_may_be_told(tmp_path: Path) -> None:
    write(tmp_path, LONG)
    (named,) = read("table", tmp_path)
    write(tmp_path, LONG.partition("\n")[2])
    (clip,) = read("table", tmp_path, "header=[clip,person,frame,joint,x,y,z]")
    assert clip.name == "one"
    np.testing.assert_array_equal(clip.joints, named.joints)


def test_names_of_all_joints_are_told_at_once(tmp_path: Path) -> None:
    write(tmp_path, WIDE)
    (clip,) = read("table", tmp_path, ALL)
    np.testing.assert_allclose(clip.joints, CLIP, rtol=1e-6)
    flat = "".join(",".join(map(str, frame[:, :2].ravel())) + "\n" for frame in CLIP[0])
    write(tmp_path, flat)
    (clip,) = read("table", tmp_path, 'header=["{axis}{joint}"]', "up=-y")
    np.testing.assert_allclose(clip.joints, -CLIP[..., :2], rtol=1e-6)


def test_columns_that_do_not_fit_are_told(tmp_path: Path) -> None:
    write(tmp_path, WIDE)
    with pytest.raises(
        UserError, match="header: line 1 has 46 columns; besides 0 others there must be 2 or 3 for each"
    ):
        read("table", tmp_path, 'header=["{joint}_{axis}"]')


def test_lines_count_from_the_first_without_names(tmp_path: Path) -> None:
    lines = WIDE.splitlines()
    lines[2] = lines[2].replace(str(CLIP[0, 2, 0, 0]), "abc", 1)
    write(tmp_path, "\n".join(lines) + "\n")
    with pytest.raises(UserError, match=r"anna\.csv: line 3, column 'head_x': 'abc' is not a number"):
        read("table", tmp_path, ALL)


def test_times_give_the_rate_and_number_the_frames(tmp_path: Path) -> None:
    rows = [f"{t},{joint},{t},{joint}" for t in (0.04, 0.0, 0.08, 0.16, 0.2) for joint in range(15)]  # 0.12 left out
    write(tmp_path, "\n".join(["t,joint,x,y", *rows]))
    (clip,) = read("table", tmp_path, "columns={time: t}", layout="sbu15")
    assert clip.fps == 25.0
    np.testing.assert_allclose(clip.joints[0, :, 3, 0], [0, 0.04, 0.08, 0.16, 0.2], rtol=1e-6)
    (clip,) = read("table", tmp_path, "columns={frame: t}", layout="sbu15")
    assert clip.fps == 0.0


def test_times_beside_numbers_only_give_the_rate(tmp_path: Path) -> None:
    rows = [f"{9 - t},{t * 40},{joint},{t},{joint}" for t in range(3) for joint in range(15)]
    write(tmp_path, "\n".join(["frame,ms,joint,x,y", *rows]))
    (clip,) = read("table", tmp_path, "columns={time: ms}", layout="sbu15")
    assert clip.fps == 0.0  # 40 seconds a frame: no seconds
    assert clip.joints[0, :, 0, 0].tolist() == [2, 1, 0]


def test_empty_lines_ahead_change_nothing_where_a_row_is_damaged(tmp_path: Path) -> None:
    rows = "clip,x\na,1\na,oops\nb,2\n"
    for name in ("plain", "ahead"):
        (tmp_path / f"{name}.csv").write_text("\n\n" * (name == "ahead") + rows)
    plain, ahead = (
        list(read_columns(tmp_path / f"{name}.csv", ["clip"], ["x"], TableForm())) for name in ("plain", "ahead")
    )
    assert [batch["x"].tolist() for batch in plain] == [[1.0, "oops", 2.0]]
    for one, other in zip(plain, ahead, strict=True):
        assert {name: values.tolist() for name, values in one.items()} == {
            name: values.tolist() for name, values in other.items()
        }
