"""What every reader owes, and that no cut, flip or mutation of a file gets more out of it than one line."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from raw_clips import read
from raw_files import WRITERS

from ssl_skel.data.clip import RawClip
from ssl_skel.data.readers import READERS, Reader
from ssl_skel.data.split_form import check_splits
from ssl_skel.errors import UserError


def attempt(format: str, source: Path) -> tuple[list[RawClip], str]:
    try:
        return read(format, source), ""
    except UserError as error:
        return [], str(error)


LINES = {
    "amc",
    "sbu",
    "msr-action3d",
    "utkinect",
    "florence3d",
    "pku-mmd",
    "table",
    "text",
}  # a cut between two lines may leave a whole file
OPEN_LAYOUT = {"npz", "pyskl", "openpose", "stgcn", "bvh", "table", "npy", "text", "amc"}


@pytest.fixture(params=WRITERS)
def format(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_every_format_is_tested() -> None:
    assert set(WRITERS) == set(READERS)


def test_what_every_reader_owes(format: str, tmp_path: Path) -> None:
    WRITERS[format](tmp_path)
    (tmp_path / ".hidden").mkdir()
    (tmp_path / ".hidden.json").write_text("junk")
    (tmp_path / ".hidden.mat").write_text("junk")
    (tmp_path / ".hidden.npz").write_text("junk")
    (tmp_path / ".hidden.npy").write_text("junk")
    (tmp_path / ".hidden.pkl").write_text("junk")
    (tmp_path / ".hidden.skeleton").write_text("junk")
    (tmp_path / "notes.txt").write_text("junk")
    reader = READERS[format](tmp_path)
    assert isinstance(reader, Reader)
    assert len(reader.files()) == (2 if format == "stgcn" else 1)
    check_splits(reader.splits, format)
    for clip in read(format, tmp_path):
        assert clip.joints.dtype == np.float32
        assert clip.joints.shape[2] == reader.layout.num_joints
        assert -1 <= clip.label < len(reader.class_names) or clip.label == -1


def test_wrong_folders_are_told_what_was_looked_for(format: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="none: does not exist; give the folder that holds the recordings"):
        READERS[format](tmp_path / "none").files()
    (tmp_path / "notes.txt").write_text("junk")
    with pytest.raises(UserError, match=r"holds no .*\*.*; give the folder that holds the recordings"):
        READERS[format](tmp_path).files()


def test_a_format_with_its_own_layout_takes_no_other(format: str, tmp_path: Path) -> None:
    WRITERS[format](tmp_path)
    if format in OPEN_LAYOUT:
        READERS[format](tmp_path, "sbu15")
    else:
        with pytest.raises(UserError, match="this format has its own"):
            READERS[format](tmp_path, "ntu25")


@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_any_cut_is_a_user_error(data: st.DataObject, tmp_path_factory: pytest.TempPathFactory) -> None:
    format = data.draw(st.sampled_from(sorted(WRITERS)))
    folder = tmp_path_factory.mktemp("cut")
    file = WRITERS[format](folder)
    whole = file.read_bytes()
    file.write_bytes(whole[: data.draw(st.integers(0, len(whole) - 30))])
    clips, error = attempt(format, folder)
    assert error.startswith(str(file)) or (format in LINES and clips)


@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_any_flipped_byte_is_a_user_error_or_another_number(
    data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    format = data.draw(st.sampled_from(sorted(WRITERS)))
    folder = tmp_path_factory.mktemp("flip")
    file = WRITERS[format](folder)
    whole = bytearray(file.read_bytes())
    whole[data.draw(st.integers(0, len(whole) - 1))] ^= data.draw(st.integers(1, 255))
    file.write_bytes(whole)
    clips, error = attempt(format, folder)
    assert clips or error.startswith(str(file))


@pytest.mark.parametrize("name", WRITERS)
@settings(max_examples=12, deadline=None)
@given(data=st.data())
def test_any_mutation_is_a_user_error_or_other_numbers(
    name: str, data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("mutated")
    file = WRITERS[name](folder)
    whole = file.read_bytes()
    for _ in range(data.draw(st.integers(1, 4))):
        start, stop = sorted(data.draw(st.integers(0, len(whole))) for _ in range(2))
        part = data.draw(
            st.sampled_from([b"", b"\n", b"nan", b"-1", b"1e999", b"\xff\xfe", b"[", b"9" * 20, whole[start:stop]])
        )
        whole = whole[:start] + part + whole[min(stop, start + data.draw(st.integers(0, 9))) :]
    file.write_bytes(whole)
    clips, error = attempt(name, folder)
    assert clips or error.startswith(str(folder))
