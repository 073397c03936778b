"""Readers: files written here from the published descriptions, and every way in which they can be damaged."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import raw_files
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.io import savemat

from ssl_skel.data.readers import READERS, RawClip, Reader
from ssl_skel.data.readers.base import check_clip
from ssl_skel.data.splits import check_splits
from ssl_skel.errors import UserError
from ssl_skel.layout import LAYOUTS


def points(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def read_all(format: str, source: Path, layout: str | None = None) -> list[RawClip]:
    reader = READERS[format](source, layout)
    clips = []
    for file in reader.files():
        for clip in reader.read(file):
            check_clip(clip, reader.layout, file)
            clips.append(clip)
    return clips


def attempt(format: str, source: Path) -> tuple[list[RawClip], str]:
    try:
        return read_all(format, source), ""
    except UserError as error:
        return [], str(error)


def nw_ucla(folder: Path, name: str = "a08_s03_e02_v01", **changes: Any) -> Path:
    data = {"file_name": name, "skeletons": points(4, 20, 3).tolist(), "label": 7} | changes
    (folder / f"{name}.json").write_text(json.dumps(data), "utf-8")
    return folder / f"{name}.json"


def utd_mhad(folder: Path, name: str = "a5_s2_t3", joints: Any = None) -> Path:
    file = folder / f"{name}_skeleton.mat"
    savemat(file, {"d_skel": points(20, 3, 6) if joints is None else joints}, do_compression=True)
    return file


def sbu(folder: Path, pair: str = "s01s02", joints: np.ndarray | None = None) -> Path:
    """Normalise metres as SBU did, and write them as text."""
    x = (points(5, 2, 15, 3) if joints is None else joints) * 1000.0
    raw = np.stack([(1280 - x[..., 0]) / 2560, (960 - x[..., 1]) / 1920, x[..., 2] * 7.8125 / 10000], -1)
    file = folder / pair / "03" / "001" / "skeleton_pos.txt"
    file.parent.mkdir(parents=True, exist_ok=True)
    lines = [",".join([str(7 + t), *(f"{value:.9f}" for value in row.ravel())]) for t, row in enumerate(raw)]
    file.write_text("\n".join(lines) + "\n", "ascii")
    return file


def npz(folder: Path, stem: str = "mine", sidecar: dict[str, Any] | None = None, **members: Any) -> Path:
    sidecar = {"layout": "sbu15"} if sidecar is None else sidecar
    np.savez_compressed(folder / f"{stem}.npz", **({"joints": points(3, 6, 15, 3)} | members))
    if sidecar:
        (folder / f"{stem}.yaml").write_text(yaml.safe_dump(sidecar), "utf-8")
    return folder / f"{stem}.npz"


WRITERS: dict[str, Callable[[Path], Path]] = {
    **{"nw-ucla": nw_ucla, "utd-mhad": utd_mhad, "sbu": sbu, "npz": npz},
    **{"ntu": raw_files.ntu, "ctrgcn": raw_files.ctrgcn, "pyskl": raw_files.pyskl},
    **{"mediapipe": raw_files.mediapipe, "openpose": raw_files.openpose},
    **{"msr-action3d": raw_files.msr_action3d, "utkinect": raw_files.utkinect, "florence3d": raw_files.florence3d},
    **{"stgcn": raw_files.stgcn, "pku-mmd": raw_files.pku_mmd, "kinetics": raw_files.kinetics},
}
LINES = {"sbu", "msr-action3d", "utkinect", "florence3d", "pku-mmd"}  # a cut between two lines may leave a whole file
OPEN_LAYOUT = {"npz", "pyskl", "openpose", "stgcn"}


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
    for clip in read_all(format, tmp_path):
        assert clip.joints.dtype == np.float32
        assert clip.joints.shape[2] == reader.layout.num_joints
        assert -1 <= clip.label < len(reader.class_names) or clip.label == -1


def test_wrong_folders_are_told_what_was_looked_for(format: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="is no folder; give the folder that holds the recordings"):
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


def test_nw_ucla_numbers(tmp_path: Path) -> None:
    file = nw_ucla(tmp_path)
    (clip,) = read_all("nw-ucla", tmp_path)
    expected = np.array(json.loads(file.read_text())["skeletons"], np.float32)
    np.testing.assert_array_equal(clip.joints, expected[None])
    assert (clip.name, clip.label, clip.subject, clip.camera, clip.replication) == ("a08_s03_e02_v01", 6, 3, 1, 2)
    assert READERS["nw-ucla"](tmp_path).class_names[clip.label] == "donning"


def test_utd_mhad_numbers(tmp_path: Path) -> None:
    joints = points(20, 3, 6)
    utd_mhad(tmp_path, joints=joints)
    (clip,) = read_all("utd-mhad", tmp_path)
    published = ["head", "shoulder_centre", "spine", "hip_centre"]
    published += [f"{s}_{j}" for s in ("left", "right") for j in ("shoulder", "elbow", "wrist", "hand")]
    published += [f"{s}_{j}" for s in ("left", "right") for j in ("hip", "knee", "ankle", "foot")]
    for v, name in enumerate(LAYOUTS["kinect20"].joints):
        for t in range(6):
            np.testing.assert_array_equal(clip.joints[0, t, v], joints[published.index(name), :, t])
    assert (clip.name, clip.label, clip.subject, clip.camera, clip.replication) == ("a5_s2_t3", 4, 2, -1, 3)


def test_utd_mhad_of_one_frame(tmp_path: Path) -> None:
    utd_mhad(tmp_path, joints=points(20, 3, 1)[..., 0])
    (clip,) = read_all("utd-mhad", tmp_path)
    assert clip.joints.shape == (1, 1, 20, 3)


def test_sbu_numbers(tmp_path: Path) -> None:
    joints = points(5, 2, 15, 3)
    sbu(tmp_path, "s02s07", joints)
    (clip,) = read_all("sbu", tmp_path)
    np.testing.assert_allclose(clip.joints, joints.swapaxes(0, 1), atol=1e-5)
    assert (clip.name, clip.label, clip.subject, clip.setup, clip.replication) == ("s02s07_03_001", 2, 2, 207, 1)


def test_sbu_folds_test_each_pair_once(tmp_path: Path) -> None:
    sbu(tmp_path)
    splits = READERS["sbu"](tmp_path).splits
    assert list(splits) == [f"fold{i}" for i in range(1, 6)]
    tested = [pair for split in splits.values() for pair in split["test"]["setup"]]
    assert len(tested) == len(set(tested)) == 21
    for split in splits.values():
        assert sorted(split["train"]["setup"] + split["test"]["setup"]) == sorted(tested)


def write_text(file: Path, text: str) -> Path:
    file.write_text(text, "utf-8")
    return file


def ragged() -> list[Any]:
    return [*points(3, 20, 3).tolist(), points(19, 3).tolist()]


NW_UCLA_DAMAGE: dict[str, tuple[Callable[[Path], Path], str]] = {
    "name": (lambda f: nw_ucla(f, "clip7"), "expected one like a01_s01_e00_v01.json"),
    "action": (lambda f: nw_ucla(f, "a07_s01_e00_v01"), "action 7 is unknown"),
    "label": (lambda f: nw_ucla(f, label=3), "label: is 3, which is not the action 8"),
    "no frames": (lambda f: nw_ucla(f, skeletons=[]), "has shape"),
    "ragged": (lambda f: nw_ucla(f, skeletons=ragged()), "is damaged"),
    "joints": (lambda f: nw_ucla(f, skeletons=points(4, 25, 3).tolist()), "has shape (1, 4, 25, 3)"),
    "text": (lambda f: nw_ucla(f, skeletons="walk"), "is damaged"),
    "no key": (lambda f: write_text(nw_ucla(f), '{"label": 7}'), "is damaged"),
    "a list": (lambda f: write_text(nw_ucla(f), "[]"), "is damaged"),
    "bottomless": (lambda f: write_text(nw_ucla(f), "[" * 100_000), "is damaged"),
    "only NaN": (lambda f: nw_ucla(f, skeletons=np.full((4, 20, 3), np.nan).tolist()), "has no tracked joint"),
    "only inf": (lambda f: nw_ucla(f, skeletons=np.full((4, 20, 3), np.inf).tolist()), "has no tracked joint"),
    "only zeros": (lambda f: nw_ucla(f, skeletons=np.zeros((4, 20, 3)).tolist()), "has no tracked joint"),
}


def uncompressed(folder: Path) -> Path:
    file = utd_mhad(folder)
    savemat(file, {"d_skel": points(20, 3, 6)})  # no sums to check, so loadmat might crash on a damaged one
    return file


UTD_MHAD_DAMAGE: dict[str, tuple[Callable[[Path], Path], str]] = {
    "name": (lambda f: utd_mhad(f, "clip"), "expected one like a1_s1_t1_skeleton.mat"),
    "action": (lambda f: utd_mhad(f, "a28_s1_t1"), "action 28 is unknown"),
    "joints": (lambda f: utd_mhad(f, joints=points(25, 3, 6)), "d_skel has shape (25, 3, 6)"),
    "text": (lambda f: utd_mhad(f, joints="walk"), "is damaged"),
    "uncompressed": (uncompressed, "compressed as published"),
    "no frames": (lambda f: utd_mhad(f, joints=points(20, 3, 0)), "has no frames"),
    "only NaN": (lambda f: utd_mhad(f, joints=np.full((20, 3, 6), np.nan)), "has no tracked joint"),
}


SBU_DAMAGE: dict[str, tuple[Callable[[Path], Path], str]] = {
    "pair": (lambda f: sbu(f, "pair1"), "expected one like s01s02/01/001/skeleton_pos.txt"),
    "empty": (lambda f: write_text(sbu(f), ""), "is damaged"),
    "text": (lambda f: write_text(sbu(f), "wälk"), "is damaged"),
    "ragged": (lambda f: write_text(sbu(f), "1,2,3\n1,2\n"), "is damaged"),
    "columns": (lambda f: write_text(sbu(f), "1,2,3\n1,2,3\n"), "rows have 3 numbers; expected 91"),
    "only NaN": (lambda f: write_text(sbu(f), ",".join(["nan"] * 91)), "has no tracked joint"),
}
FRAMES = {"frames": np.array([2, 3])}
NPZ_DAMAGE: dict[str, tuple[Callable[[Path], Path], str]] = {
    "no layout": (lambda f: npz(f, sidecar={}), "its layout is unknown; write 'layout: ...' into mine.yaml"),
    "sidecar": (lambda f: npz(f, sidecar={"layuot": "sbu15"}), "layuot: unknown key; did you mean 'layout'"),
    "other layout": (lambda f: npz(f, sidecar={"layout": "ntu25"}), "V = 25 joints of ntu25"),
    "member": (lambda f: npz(f, labels=np.zeros(3, int)), "labels: unknown member; did you mean 'label'"),
    "objects": (lambda f: npz(f, name=np.array([{}, {}, {}])), "is damaged, or no .npz of plain arrays"),
    "object joints": (lambda f: npz(f, joints=np.array([[[{}]]])), "expected (N, T, V, C)"),
    "complex": (lambda f: npz(f, joints=points(3, 6, 15, 3) + 1j), "joints: holds complex64; expected numbers"),
    "one axis": (lambda f: npz(f, joints=points(15, 3)), "expected (N, T, V, C)"),
    "no clips": (lambda f: npz(f, joints=points(0, 6, 15, 3)), "holds no clips"),
    "flat without frames": (lambda f: npz(f, joints=points(5, 15, 3)), "frames: missing"),
    "flat sum": (lambda f: npz(f, joints=points(6, 15, 3), **FRAMES), "do not add up to the 6 rows"),
    "persons when padded": (lambda f: npz(f, persons=np.ones(3, int)), "persons: only flat joints need it"),
    "no persons": (
        lambda f: npz(f, joints=points(5, 15, 3), **FRAMES, persons=np.array([0, 1])),
        "persons: must be at least 1",
    ),
    "frames beyond": (lambda f: npz(f, frames=np.array([1, 2, 7])), "between 0 and the 6 frames"),
    "frames negative": (lambda f: npz(f, frames=np.array([1, 2, -1])), "between 0 and the 6 frames"),
    "no frames": (lambda f: npz(f, frames=np.array([1, 0, 2])), "has no frames"),
    "length": (lambda f: npz(f, subject=np.zeros(4, int)), "subject: has 4 values for 3 clips"),
    "kind": (
        lambda f: npz(f, label=np.zeros(3)),
        "label: has shape (3,) of float64; expected one row of whole numbers",
    ),
    "label": (lambda f: npz(f, label=np.array([0, 1, 2]), class_names=np.array(["a", "b"])), "label: must lie"),
    "negative label": (lambda f: npz(f, label=np.array([0, 1, -2])), "label: must lie"),
    "split": (lambda f: npz(f, split=np.array(["train", "val", "test"])), "split: holds other words"),
    "up": (lambda f: npz(f, sidecar={"layout": "sbu15", "up": "x"}), "up: unknown 'x'"),
    "2D up": (
        lambda f: npz(f, sidecar={"layout": "sbu15", "up": "z"}, joints=points(3, 6, 15, 2)),
        "up: z needs three coordinates",
    ),
    "layout outside": (
        lambda f: npz(f, sidecar={"layout": "../secret.yaml"}),
        "lies outside of its folder",
    ),
    "layout absolute": (lambda f: npz(f, sidecar={"layout": "/etc/secret.yaml"}), "lies outside of its folder"),
    "only NaN": (lambda f: npz(f, joints=np.full((3, 6, 15, 3), np.nan)), "'mine_000000' has no tracked joint"),
}
DAMAGE = [
    pytest.param(format, write, message, id=f"{format}: {damage}")
    for format, cases in {
        "nw-ucla": NW_UCLA_DAMAGE,
        "utd-mhad": UTD_MHAD_DAMAGE,
        "sbu": SBU_DAMAGE,
        "npz": NPZ_DAMAGE,
    }.items()
    for damage, (write, message) in cases.items()
]


@pytest.mark.parametrize(("format", "write", "message"), DAMAGE)
def test_damage_is_named(format: str, write: Callable[[Path], Path], message: str, tmp_path: Path) -> None:
    file = write(tmp_path)
    with pytest.raises(UserError) as told:
        read_all(format, tmp_path)
    assert str(told.value).startswith((f"{file}: ", f"{file.with_suffix('.yaml')}: "))
    assert message in str(told.value)
    assert "\n" not in str(told.value)


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("dtype", ["f2", "f4", "f8", ">f4", "i4"])
def test_npz_forms_agree(order: Any, dtype: str, tmp_path: Path) -> None:
    frames = np.array([3, 6, 1])
    clips = [(9 * points(1, t, 15, 3, seed=t)).astype(dtype) for t in frames]
    padded = np.zeros((3, 6, 15, 3), dtype, order=order)
    for row, clip in enumerate(clips):
        padded[row, : frames[row]] = clip[0]
    forms = {
        "padded": {"joints": padded},
        "persons": {"joints": np.asarray(padded[:, None], order=order)},
        "flat": {"joints": np.asarray(np.concatenate([clip[0] for clip in clips]), order=order)},
    }
    for form, members in forms.items():
        folder = tmp_path / form
        folder.mkdir()
        npz(folder, **members, frames=frames)
        found = read_all("npz", folder)
        for one, clip in zip(found, clips, strict=True):
            np.testing.assert_array_equal(one.joints, clip.astype(np.float32))


def test_npz_flat_persons_lie_one_after_the_other(tmp_path: Path) -> None:
    joints = points(2 * 3 + 4, 15, 3)
    npz(tmp_path, joints=joints, frames=np.array([3, 4]), persons=np.array([2, 1]))
    two, one = read_all("npz", tmp_path)
    np.testing.assert_array_equal(two.joints, np.stack([joints[:3], joints[3:6]]))
    np.testing.assert_array_equal(one.joints, joints[None, 6:])


def test_npz_padding_with_nan_is_cut_only_at_the_end(tmp_path: Path) -> None:
    joints = points(2, 2, 6, 15, 3)
    joints[0, :, 4:] = np.nan
    joints[0, :, 1] = np.nan
    joints[1, 1] = np.nan
    npz(tmp_path, joints=joints)
    cut, whole = read_all("npz", tmp_path)
    np.testing.assert_array_equal(cut.joints, joints[0, :, :4])
    np.testing.assert_array_equal(whole.joints, joints[1])


def test_npz_columns_and_splits(tmp_path: Path) -> None:
    columns = {
        "label": np.array([0, 1, -1]),
        "subject": np.array([1, 2, 3]),
        "camera": np.array([4, 5, 6]),
        "setup": np.array([7, 8, 9]),
        "replication": np.array([1, 1, 2], np.uint8),
    }
    mine = {"train": {"camera": [4]}, "test": {"camera": [5, 6]}}
    npz(
        tmp_path,
        **columns,
        name=np.array(["one", "two", "drei"]),
        split=np.array(["train", "", "test"]),
        class_names=np.array(["wave", "bow"]),
        sidecar={"layout": "sbu15", "splits": {"mine": mine}},
    )
    reader = READERS["npz"](tmp_path)
    assert reader.class_names == ("wave", "bow")
    assert reader.splits == {
        "xsub": {"train": {"subject": [1, 3]}, "test": {"subject": [2]}},
        "given": {"train": {"name": ["one"]}, "test": {"name": ["drei"]}},
        "mine": mine,
    }
    clips = read_all("npz", tmp_path)
    assert [clip.name for clip in clips] == ["one", "two", "drei"]
    for column, values in columns.items():
        assert [getattr(clip, column) for clip in clips] == values.tolist()


def test_npz_without_columns(tmp_path: Path) -> None:
    npz(tmp_path, sidecar={}, joints=points(2, 4, 20, 2))
    reader = READERS["npz"](tmp_path / "mine.npz", "kinect20")
    assert (reader.class_names, reader.splits, reader.layout) == ((), {}, LAYOUTS["kinect20"])
    clips = read_all("npz", tmp_path / "mine.npz", "kinect20")
    assert [clip.name for clip in clips] == ["mine_000000", "mine_000001"]
    assert all((clip.label, clip.subject, clip.camera) == (-1, -1, -1) for clip in clips)


def test_npz_of_odd_subjects_alone_offers_no_xsub(tmp_path: Path) -> None:
    npz(tmp_path, subject=np.array([1, 3, -1]))
    assert READERS["npz"](tmp_path).splits == {}


def test_npz_classes_without_names_are_numbered(tmp_path: Path) -> None:
    npz(tmp_path, label=np.array([0, 2, 1]))
    assert READERS["npz"](tmp_path).class_names == ("0", "1", "2")


def test_npz_files_of_one_folder_agree(tmp_path: Path) -> None:
    npz(tmp_path, "one", label=np.array([0, 1, 1]), subject=np.array([1, 1, 1]))
    npz(tmp_path, "two", label=np.array([2, 1, 1]), subject=np.array([2, 2, 2]))
    reader = READERS["npz"](tmp_path)
    assert reader.class_names == ("0", "1", "2")
    assert reader.splits["xsub"]["test"] == {"subject": [2]}
    assert len(read_all("npz", tmp_path)) == 6
    npz(tmp_path, "three", joints=points(1, 2, 20, 3), sidecar={"layout": "kinect20"})
    with pytest.raises(UserError, match="differs from the other files'"):
        READERS["npz"](tmp_path)
    npz(tmp_path, "three", class_names=np.array(["a", "b", "c"]))
    with pytest.raises(UserError, match="class_names: differ between the files"):
        READERS["npz"](tmp_path)


def test_npz_layout_of_the_users_own(tmp_path: Path) -> None:
    data = LAYOUTS["sbu15"].to_dict() | {"name": "mine15"}
    (tmp_path / "mine15.yaml").write_text(yaml.safe_dump(data), "utf-8")
    npz(tmp_path, sidecar={"layout": "mine15.yaml"})
    assert READERS["npz"](tmp_path).layout.name == "mine15"
    assert READERS["npz"](tmp_path, "sbu15").layout.name == "sbu15"


@pytest.mark.parametrize("units", ["m", "cm", "mm"])
def test_npz_units(units: str, tmp_path: Path) -> None:
    scale = {"m": 1, "cm": 100, "mm": 1000}[units]
    joints = points(1, 2, 15, 3)
    npz(tmp_path, joints=scale * joints, sidecar={"layout": "sbu15", "units": units})
    np.testing.assert_allclose(read_all("npz", tmp_path)[0].joints, joints, rtol=1e-5)


@pytest.mark.parametrize(("up", "axis", "sign", "depth"), [("y", 1, 1, 2), ("z", 2, 1, 1), ("-y", 1, -1, 2)])
def test_npz_axes_come_to_lie_as_a_kinects(up: str, axis: int, sign: int, depth: int, tmp_path: Path) -> None:
    joints = points(1, 2, 15, 3)
    npz(tmp_path, joints=joints, sidecar={"layout": "sbu15", "up": up})
    (clip,) = read_all("npz", tmp_path)
    np.testing.assert_allclose(clip.joints[0, ..., 1], sign * joints[0, ..., axis])
    np.testing.assert_allclose(clip.joints[0, ..., 2], joints[0, ..., depth])
    before, after = joints[0, 0, :3], clip.joints[0, 0, :3]  # turned, never mirrored
    assert np.linalg.det(after) == pytest.approx(np.linalg.det(before), rel=1e-4)


def test_npz_images_are_turned_upright(tmp_path: Path) -> None:
    joints = points(1, 2, 15, 2)
    npz(tmp_path, joints=joints, sidecar={"layout": "sbu15", "up": "-y"})
    (clip,) = read_all("npz", tmp_path)
    np.testing.assert_array_equal(clip.joints[0], -joints[0])


def test_npz_is_read_clip_by_clip(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    npz(tmp_path, joints=points(50, 6, 15, 3))
    reader = READERS["npz"](tmp_path)
    sizes: list[int] = []
    frombuffer = np.frombuffer

    def watched(data: bytes, dtype: Any) -> np.ndarray:
        sizes.append(len(data))
        return frombuffer(data, dtype)

    monkeypatch.setattr(np, "frombuffer", watched)
    assert len(list(reader.read(tmp_path / "mine.npz"))) == 50
    assert sizes == [6 * 15 * 3 * 4] * 50
