"""Small archives that would unpack to gigabytes are refused by their headers."""

from __future__ import annotations

import io
import struct
import tracemalloc
import zipfile
from pathlib import Path

import numpy as np
import pytest

from ssl_skel.data.npz_members import DAMAGE, LARGEST, read_blocks, read_columns
from ssl_skel.data.readers.ctrgcn import CtrGcnReader
from ssl_skel.data.readers.npz import NpzReader
from ssl_skel.errors import UserError


def header(descr: str, shape: tuple[int, ...]) -> bytes:
    stream = io.BytesIO()
    np.lib.format.write_array_header_1_0(stream, {"descr": descr, "fortran_order": False, "shape": shape})
    return stream.getvalue()


def archive(file: Path, **members: tuple[bytes, int]) -> Path:
    """An archive whose members are some bytes and so many zeros behind them."""
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as made:
        for name, (begin, zeros) in members.items():
            with made.open(f"{name}.npy", "w", force_zip64=True) as stream:
                stream.write(begin)
                for _ in range(zeros // 2**20):
                    stream.write(bytes(2**20))
    return file


HUGE = 300 * 2**20
JOINTS = (header("<f4", (1, 1, 15, 3)) + bytes(180), 0)
BOMBS = {
    "clips without frames": ({"joints": (header("<f4", (10**9, 0, 15, 3)), 0)}, "holds more than 1,000,000 clips"),
    "a long column": (
        {"joints": JOINTS, "label": (header("<i8", (HUGE // 8,)), HUGE)},
        "label: has shape .* large",
    ),
    "a long name": ({"joints": JOINTS, "name": (header("<U50000000", (1,)), HUGE)}, "name: has shape .* large"),
    "a long header": (
        {"joints": JOINTS, "name": (b"\x93NUMPY\x02\x00" + struct.pack("<I", HUGE), HUGE)},
        "is damaged, or no .npz",
    ),
}


def grown(call: object) -> int:
    tracemalloc.start()
    try:
        call()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("bomb", BOMBS)
def test_what_is_too_large_is_refused_before_it_is_read(tmp_path: Path, bomb: str) -> None:
    members, words = BOMBS[bomb]
    file = archive(tmp_path / "recordings.npz", **members)
    assert file.stat().st_size < 2**20

    def read() -> None:
        with pytest.raises(UserError, match=words):
            NpzReader(file, layout="sbu15")

    assert grown(read) < 16 * 2**20


def test_members_that_mean_nothing_are_not_read(tmp_path: Path) -> None:
    other = (header("<f8", (HUGE // 8,)), HUGE)
    file = archive(tmp_path / "recordings.npz", joints=JOINTS, other=other)
    assert grown(lambda: NpzReader(file, layout="sbu15")) < 16 * 2**20


def test_the_limit_is_of_all_columns_together(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", label=np.arange(10), subject=np.arange(10))
    assert len(read_columns(tmp_path / "a.npz", ["label", "subject"], most=160)) == 2
    with pytest.raises(UserError, match=r"subject: has shape \(10,\) of int64, which is too large; leave it out"):
        read_columns(tmp_path / "a.npz", ["label", "subject"], most=159)


def test_one_hot_labels_are_checked_by_their_header(tmp_path: Path) -> None:
    x = (header("<f4", (1, 1, 150)) + bytes(600), 0)
    y = (header("<f8", (1, HUGE // 8)), HUGE)
    file = archive(tmp_path / "NTU60_CS.npz", x_train=x, y_train=y, x_test=x, y_test=y)

    def read() -> None:
        with pytest.raises(UserError, match=r"y_train: has shape .* large"):
            CtrGcnReader(file)

    assert grown(read) < 16 * 2**20


def test_rows_without_frames_are_not_taken_for_clips(tmp_path: Path) -> None:
    clips = 2**21
    x, y = (header("<f4", (clips, 0, 150)), 0), (header("|i1", (clips, 1)), clips)
    file = archive(tmp_path / "NTU60_CS.npz", x_train=x, y_train=y, x_test=x, y_test=y)

    def read() -> None:
        with pytest.raises(UserError, match="y_train: holds more than 1,000,000 clips; split it up"):
            CtrGcnReader(file)

    assert grown(read) < 16 * 2**20


def test_a_clip_is_not_larger_than_the_limit(tmp_path: Path) -> None:
    file = archive(tmp_path / "a.npz", joints=(header("<f4", (HUGE // 180, 15, 3)), HUGE))

    def read() -> None:
        with pytest.raises(DAMAGE, match=f"more than {LARGEST} bytes"):
            next(read_blocks(file, "joints", np.array([HUGE // 180])))

    assert grown(read) < 16 * 2**20


def test_only_small_members_are_turned(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", joints=np.asfortranarray(np.arange(24.0).reshape(4, 3, 2)))
    blocks = list(read_blocks(tmp_path / "a.npz", "joints", np.array([1, 3])))
    np.testing.assert_array_equal(np.concatenate(blocks), np.arange(24.0).reshape(4, 3, 2))
    turned = header("<f4", (HUGE // 180, 15, 3)).replace(b"False", b"True ")
    file = archive(tmp_path / "b.npz", joints=(turned, HUGE))

    def read() -> None:
        with pytest.raises(UserError, match=r"joints: is in Fortran order, and too large; save np\.ascontiguousarray"):
            next(read_blocks(file, "joints", np.array([HUGE // 180])))

    assert grown(read) < 16 * 2**20


def test_sound_members_are_numpys(tmp_path: Path) -> None:
    members = {"label": np.arange(3), "name": np.array(["a", "bc", "d"]), "joints": np.zeros(5)}
    np.savez(tmp_path / "a.npz", **members)
    found = read_columns(tmp_path / "a.npz", ["label", "name"])
    assert found.keys() == {"label", "name"}
    for name, values in found.items():
        np.testing.assert_array_equal(values, members[name])


@pytest.mark.parametrize("order", "<>")
def test_text_that_unicode_does_not_know_is_damage(tmp_path: Path, order: str) -> None:
    letters = np.array([[65, 0x10FFFF], [66, 0x110000]], f"{order}u4")
    for last, kept in ((1, ["A\U0010ffff"]), (2, None)):
        np.savez(tmp_path / "x.npz", name=letters[:last].view(f"{order}U2").ravel())
        if kept:
            assert read_columns(tmp_path / "x.npz", ["name"])["name"].tolist() == kept
        else:
            with pytest.raises(ValueError, match="name: is not Unicode text"):
                read_columns(tmp_path / "x.npz", ["name"])
