"""The store: what goes in comes out, whole or not at all, and damage is named."""

from __future__ import annotations

import hashlib
import json
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ssl_skel.data import written_clips
from ssl_skel.data.clip import RawClip, check_clip, content_hash
from ssl_skel.data.clip_columns import COLUMNS
from ssl_skel.data.meta import Provenance
from ssl_skel.data.store import Store
from ssl_skel.data.writer import StoreWriter
from ssl_skel.data.written_clips import WrittenClips
from ssl_skel.errors import UserError
from ssl_skel.layouts import LAYOUTS

LAYOUT = LAYOUTS["sbu15"]


def clip(number: int, persons: int = 1, frames: int = 4, channels: int = 3, label: int = 0) -> RawClip:
    joints = np.random.default_rng(number).normal(size=(persons, frames, 15, channels)).astype(np.float32)
    return RawClip(f"clip{number}", joints, label, number, number + 1, number + 2, number + 3)


def write(path: Path, clips: list[RawClip], **options: bool) -> Path:
    with StoreWriter(path, LAYOUT, ["a", "b"], provenance=Provenance(format="test"), **options) as writer:
        for one in clips:
            writer.add(one)
    return path


def write_and_fail(path: Path, error: BaseException, **options: bool) -> None:
    with StoreWriter(path, LAYOUT, ["a", "b"], **options) as writer:
        writer.add(clip(5))
        raise error


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return write(tmp_path / "store", [clip(0), clip(1, 2, 3, label=1), clip(2, 1, 1, label=-1)])


@settings(max_examples=20, deadline=None)
@given(
    shapes=st.lists(st.tuples(st.integers(1, 3), st.integers(1, 40)), min_size=1, max_size=12),
    channels=st.sampled_from([2, 3]),
)
def test_what_goes_in_comes_out(
    tmp_path_factory: pytest.TempPathFactory, shapes: list[tuple[int, int]], channels: int
) -> None:
    clips = [clip(i, *shape, channels, label=i % 2) for i, shape in enumerate(shapes)]
    store = Store.open(write(tmp_path_factory.mktemp("round") / "store", clips))
    assert len(store) == len(clips)
    assert store.channels == channels
    assert store.max_persons == max(persons for persons, _ in shapes)
    assert store.joints.shape == (sum(m * t for m, t in shapes), 15, channels)
    for i, one in enumerate(clips):
        np.testing.assert_array_equal(store.clip(i), one.joints)
        for m in range(one.joints.shape[0]):
            for t in range(one.joints.shape[1]):
                np.testing.assert_array_equal(store.joints[store.offset[i] + m * store.frames[i] + t], one.joints[m, t])
        columns = ("name", "label", "subject", "camera", "setup", "replication")
        assert [getattr(store, column)[i] for column in columns] == [getattr(one, column) for column in columns]
        assert store.content[i] == content_hash(one.joints)
    store.verify()


def test_facts_of_an_open_store(path: Path) -> None:
    store = Store.open(str(path))
    assert store.layout == LAYOUT
    assert store.class_names == ("a", "b")
    assert store.num_classes == 2
    assert isinstance(store.joints, np.memmap)
    assert store.joints.dtype == np.float32
    assert all(getattr(store, column).dtype == np.int64 for column in COLUMNS)
    assert store.content.dtype == np.uint64
    assert store.sha256 == hashlib.sha256((path / "joints.npy").read_bytes()).hexdigest()
    assert store.provenance == Provenance(format="test")
    assert sorted(file.name for file in path.iterdir()) == ["clips.npz", "joints.npy", "meta.json"]
    np.testing.assert_array_equal(np.load(path / "joints.npy"), store.joints)


def test_writing_to_the_map_changes_no_file(path: Path) -> None:
    before = (path / "joints.npy").read_bytes()
    store = Store.open(path)
    store.clip(0)[:] = 7
    assert (store.joints[:4] == 7).all()
    assert (path / "joints.npy").read_bytes() == before


def test_the_same_clips_make_the_same_bytes(tmp_path: Path) -> None:
    one, two = (write(tmp_path / name, [clip(0), clip(1, 2)]) for name in ("one", "two"))
    assert (one / "joints.npy").read_bytes() == (two / "joints.npy").read_bytes()
    assert (one / "meta.json").read_bytes() == (two / "meta.json").read_bytes()


def test_content_tells_recordings_apart() -> None:
    joints = clip(0, 2, 5).joints
    gap = joints.copy()
    gap[0, 0, 0] = np.nan
    other_gap = joints.copy()
    other_gap[0, 0, 0, 0] = np.inf
    nobody = np.full_like(joints[:1], np.nan)
    assert content_hash(joints) == content_hash(joints.astype(np.float64))
    assert content_hash(joints) == content_hash(np.concatenate([joints, nobody, 0 * nobody.copy()]))
    assert content_hash(joints) == content_hash(np.concatenate([joints, np.zeros_like(joints[:1])]))
    assert content_hash(gap) == content_hash(other_gap)
    zero = np.zeros_like(joints)
    zero[:, :, 1] = 1
    assert content_hash(zero) == content_hash(np.where(zero == 0, -0.0, zero))
    different = [joints, gap, joints[:, :-1], joints[:1], joints[:, ::-1], joints[::-1], joints + 1e-3, zero]
    assert len({content_hash(one) for one in different}) == len(different)
    assert content_hash(joints.reshape(1, 10, 15, 3)) != content_hash(joints)
    # The number is part of the format: stores of different releases must agree on what a copy is.
    assert content_hash(np.arange(6, dtype=np.float32).reshape(1, 1, 2, 3)) == 15158002900340842174


def test_two_stores_of_one_name(path: Path) -> None:
    with pytest.raises(UserError, match="exists already"):
        write(path, [clip(5)])
    assert len(Store.open(path)) == 3
    old = Store.open(path)
    write(path, [clip(5)], overwrite=True)
    assert Store.open(path).name.tolist() == ["clip5"]
    np.testing.assert_array_equal(old.clip(0), clip(0).joints)  # whoever had it open still has it
    assert [entry.name for entry in path.parent.iterdir()] == ["store"]


def test_a_failed_replacement_leaves_the_old_store(path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        write_and_fail(path, KeyboardInterrupt(), overwrite=True)
    assert len(Store.open(path)) == 3
    assert [entry.name for entry in path.parent.iterdir()] == ["store"]


def test_a_replacement_cut_between_its_renames_is_undone(path: Path) -> None:
    path.rename(path.with_name(".store.old"))
    assert len(Store.open(path)) == 3
    path.rename(path.with_name(".store.old"))
    with pytest.raises(UserError, match="exists already"):
        write(path, [clip(5)])
    assert len(Store.open(path)) == 3


def test_what_is_no_store_is_never_replaced(tmp_path: Path) -> None:
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "text").write_text("years of work")
    (tmp_path / "file").write_text("more")
    for name in ("thesis", "file"):
        with pytest.raises(UserError, match="is no store, so it will not be replaced"):
            write(tmp_path / name, [clip(0)], overwrite=True)
    assert (tmp_path / "thesis" / "text").read_text() == "years of work"
    with pytest.raises(UserError, match="cannot be written"):
        write(tmp_path / "file" / "store", [clip(0)])


def test_nothing_is_left_of_an_error(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError):
        write_and_fail(tmp_path / "store", ZeroDivisionError())
    with pytest.raises(UserError, match="no clip was written"):
        write(tmp_path / "store", [])
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_told_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot be written: No space left on device"):
        write_and_fail(tmp_path / "store", OSError(28, "No space left on device"))
    assert list(tmp_path.iterdir()) == []


def test_leftovers_go_but_a_living_writer_is_not_disturbed(tmp_path: Path) -> None:
    dead = tmp_path / ".store.00ff.partial"
    dead.mkdir()
    (dead / "joints.npy").write_bytes(b"half")
    other = tmp_path / ".store2.00ff.partial"
    other.mkdir()

    with StoreWriter(tmp_path / "store", LAYOUT, ["a"]) as living:
        assert not dead.exists()
        living.add(clip(0))
        with pytest.raises(UserError, match="store: another process is writing it"):
            write(tmp_path / "store", [clip(1)])
    assert Store.open(tmp_path / "store").name.tolist() == ["clip0"]
    assert sorted(entry.name for entry in tmp_path.iterdir()) == [other.name, "store"]


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (clip(0), "clip 'clip0': the name is taken"),
        (RawClip("x", clip(1).joints, 2), "clip 'x': label 2 has no class"),
        (RawClip("x", clip(1).joints, -2), "clip 'x': label -2 has no class"),
        (RawClip("x", clip(1).joints[:, :, :14]), "expected (persons, frames, 15, 3)"),
        (RawClip("x", clip(1).joints[..., :2]), "expected (persons, frames, 15, 3)"),
        (RawClip("x", clip(1).joints[0]), "expected (persons, frames, 15, 3)"),
        (RawClip("x", clip(1).joints[:, :0]), "expected (persons, frames, 15, 3)"),
        (RawClip("x", clip(1).joints * np.nan), "clip 'x': holds NaN or infinity"),
        (RawClip("x", clip(1).joints + np.inf), "clip 'x': holds NaN or infinity"),
    ],
)
def test_bad_clips_are_refused(tmp_path: Path, bad: RawClip, message: str) -> None:
    with pytest.raises(UserError) as told:
        write(tmp_path / "store", [clip(0), bad])
    assert message in str(told.value)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (RawClip("a\ud800", clip(1).joints), r"'a\ud800' is not Unicode text; rename it"),
        (RawClip("a" * 501, clip(1).joints), "has 501 characters; give it at most 500"),
        (RawClip("x", clip(1).joints * 1e37), "clip 'x' has a coordinate of"),
        (
            RawClip("x", np.where(np.arange(15)[:, None] == 1, np.nan, clip(1).joints * 1e37)),
            "clip 'x' has a coordinate of",
        ),
        (
            RawClip("x", np.where(np.arange(15)[:, None] == 1, -np.inf, clip(1).joints)),
            "clip 'x' has a coordinate of more than 3.4e+38, or infinity; none may be beyond 1e+06",
        ),
        (RawClip("x", clip(1).joints * np.inf), "clip 'x' has no tracked joint"),
    ],
)
def test_what_no_store_can_hold_is_refused_as_it_is_read(bad: RawClip, message: str) -> None:
    check_clip(RawClip("é", np.where(np.arange(15)[:, None] == 1, np.nan, clip(1).joints)), LAYOUT, Path("a.npz"))
    with pytest.raises(UserError) as told:
        check_clip(bad, LAYOUT, Path("a.npz"))
    assert str(told.value).startswith("a.npz: ")
    assert message in str(told.value)


def test_names_of_classes_are_refused_before_any_clip_is_read(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"name of a class: .* is not Unicode text"):
        StoreWriter(tmp_path / "store", LAYOUT, ["walk", "\ud800"])


def truncate(file: Path, size: int) -> None:
    file.write_bytes(file.read_bytes()[:size])


def edit_meta(path: Path, **changes: object) -> None:
    meta = json.loads((path / "meta.json").read_text("utf-8"))
    (path / "meta.json").write_text(json.dumps(meta | changes), "utf-8")


def edit_columns(path: Path, **changes: object) -> None:
    with np.load(path / "clips.npz") as data:
        columns = dict(data)
    np.savez(path / "clips.npz", **(columns | {name: np.asarray(value) for name, value in changes.items()}))


def save_joints(path: Path, joints: np.ndarray) -> None:
    np.save(path / "joints.npy", joints)


def pack_columns(path: Path, clips: int) -> None:
    with np.load(path / "clips.npz") as data:
        columns = dict(data)
    np.savez_compressed(path / "clips.npz", **(columns | {"label": np.zeros(clips, np.int8)}))


def rename_column(path: Path, before: str, after: str) -> None:
    file = path / "clips.npz"
    with zipfile.ZipFile(file) as archive:
        members = {info.filename: archive.read(info) for info in archive.infolist()}
    members[after] = members.pop(before)
    with zipfile.ZipFile(file, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)


ARCHIVE = b"PK\x03\x04" + bytes(60)
HALF = b"\x93NUMPY\x01\x00\x0a\x00{'descr': (\n" + bytes(600)
"""NumPy takes such a header for Python, and raises what its tokenizer does."""
DAMAGE: dict[str, tuple[Callable[[Path], object], str]] = {
    "gone": (shutil.rmtree, "no store there; make it with ssl-skel convert"),
    "no meta": (lambda p: (p / "meta.json").unlink(), "no store there; make it with ssl-skel convert"),
    "no columns": (lambda p: (p / "clips.npz").unlink(), r"clips\.npz: is damaged or missing"),
    "no joints": (lambda p: (p / "joints.npy").unlink(), r"joints\.npy: is truncated, damaged or missing"),
    "newer": (lambda p: edit_meta(p, format_version=99), "format_version: the store has 99, this release reads 1"),
    "meta cut": (lambda p: truncate(p / "meta.json", 40), r"meta\.json: is damaged"),
    "meta is a list": (lambda p: (p / "meta.json").write_text("[1]"), r"meta\.json: is damaged"),
    "meta is not text": (lambda p: (p / "meta.json").write_bytes(b"\xff\xfe\x00"), r"meta\.json: is damaged"),
    "no layout": (lambda p: edit_meta(p, layout={}), "layout: name: missing"),
    "odd layout": (lambda p: edit_meta(p, layout=LAYOUT.to_dict() | {"bones": 3}), r"meta\.json: layout: bones: is 3"),
    "no rows": (lambda p: edit_meta(p, num_rows=None), r"meta\.json: is damaged"),
    "no splits": (lambda p: edit_meta(p, splits=None), r"meta\.json: is damaged"),
    "other layout": (lambda p: edit_meta(p, layout=LAYOUTS["ntu25"].to_dict()), "not what meta"),
    "joints cut": (lambda p: truncate(p / "joints.npy", 500), r"joints\.npy: is truncated"),
    "joints cut by a byte": (
        lambda p: truncate(p / "joints.npy", (p / "joints.npy").stat().st_size - 1),
        r"joints\.npy: is truncated",
    ),
    "joints empty": (lambda p: truncate(p / "joints.npy", 0), r"joints\.npy: is truncated"),
    "joints with a tail": (
        lambda p: (p / "joints.npy").write_bytes((p / "joints.npy").read_bytes() + b"tail"),
        "not what meta",
    ),
    "joints of another kind": (lambda p: save_joints(p, np.zeros((11, 15, 3))), "not what meta"),
    "joints of objects": (lambda p: save_joints(p, np.array([{}])), r"joints\.npy: is truncated, damaged"),
    "columns cut": (lambda p: truncate(p / "clips.npz", 900), r"clips\.npz: is damaged"),
    "columns of objects": (lambda p: edit_columns(p, name=[{}, {}, {}]), r"clips\.npz: is damaged"),
    "columns of text": (lambda p: edit_columns(p, label=["a", "b", "c"]), r"clips\.npz: is damaged"),
    "columns uneven": (lambda p: edit_columns(p, label=[0]), r"clips\.npz: its columns differ in length"),
    "lengths uneven": (lambda p: edit_columns(p, frames=[4, 3]), r"clips\.npz: its columns differ in length"),
    "columns packed": (lambda p: pack_columns(p, 10**7), r"clips\.npz: is damaged"),
    "a column that is not an array": (lambda p: rename_column(p, "label.npy", "label"), r"clips\.npz: is damaged"),
    "half a surrogate": (lambda p: edit_columns(p, name=["a", "b", "\ud800"]), r"clips\.npz: is damaged"),
    "joints are an archive": (
        lambda p: (p / "joints.npy").write_bytes(b"PK\x03\x04" + bytes(60)),
        "is truncated, damaged",
    ),
    "joints with half a header": (lambda p: (p / "joints.npy").write_bytes(HALF), "is truncated, damaged"),
    "joints turned": (lambda p: save_joints(p, np.asfortranarray(np.load(p / "joints.npy"))), "not what meta"),
    "meta deep": (lambda p: (p / "meta.json").write_text("[" * 100_000), r"meta\.json: is damaged"),
    "offsets wrong": (lambda p: edit_columns(p, offset=[0, 4, 9]), r"clips\.npz: does not fit"),
    "offsets outside": (lambda p: edit_columns(p, frames=[4, 3, 100]), r"clips\.npz: does not fit"),
    "no frames": (lambda p: edit_columns(p, frames=[4, 3, 0]), r"clips\.npz: does not fit"),
    "no frames, rows all the same": (
        lambda p: edit_columns(p, offset=[0, 5, 11], frames=[5, 3, 0]),
        r"clips\.npz: does not fit",
    ),
    "label without a class": (lambda p: edit_columns(p, label=[0, 5, 0]), r"clips\.npz: does not fit"),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_damage_is_named(path: Path, damage: str) -> None:
    harm, message = DAMAGE[damage]
    harm(path)
    with pytest.raises(UserError, match=message) as told:
        Store.open(path)
    assert str(told.value).startswith(str(path))
    assert "\n" not in str(told.value)
    assert "convert" in str(told.value) or "layout needs" in str(told.value) or "write {child" in str(told.value)


def test_a_flipped_byte_is_found_by_verify(path: Path) -> None:
    data = bytearray((path / "joints.npy").read_bytes())
    data[-7] ^= 1
    (path / "joints.npy").write_bytes(data)
    store = Store.open(path)
    with pytest.raises(UserError, match="sha256 differs"):
        store.verify()


def test_clips_that_are_being_written_stay_known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In files, with hashes of their names sorted now and then, and after a stop up to what was on the disk."""
    monkeypatch.setattr(written_clips, "_RECENT", 3)
    numbers = dict.fromkeys((*COLUMNS, "fps"), 1)
    names = [f"c{number}" for number in range(8)] + ["ein\nLied, 舞"]
    clips = WrittenClips(tmp_path)
    for name in names:
        assert name not in clips
        clips.add(name, numbers | {"content": 2**64 - 1})
    there = clips.sync()
    clips.add("later", numbers | {"content": 0})
    assert "later" in clips
    clips.close()
    again = WrittenClips(tmp_path)
    assert not again.go_back_to(clips=99, bytes=0)
    assert again.go_back_to(**there)
    assert [name in again for name in (*names, "later")] == [True] * 9 + [False]
    assert len(again) == 9
    columns = {column: np.concatenate([*blocks]) for column, (_, blocks) in again.columns().items()}
    assert columns["name"].tolist() == names
    assert columns["content"].tolist() == [2**64 - 1] * 9
    again.close(remove=True)
    assert not [*tmp_path.iterdir()]
