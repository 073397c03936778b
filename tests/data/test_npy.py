"""Folders of ``.npy`` files, and what ``recordings.yaml`` tells of recordings: axes, classes, numbers, splits."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import raw_files
import yaml
from raw_clips import read
from raw_files import points

from ssl_skel.data.convert import convert
from ssl_skel.data.normalize import NormalizeConfig
from ssl_skel.data.readers.description import name_classes
from ssl_skel.data.sources.open import open_reader
from ssl_skel.data.store import Store
from ssl_skel.errors import UserError
from ssl_skel.layouts import LAYOUTS


@pytest.mark.parametrize("dtype", ["f2", "f4", ">f8", "i4", "u1"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_numbers(dtype: str, order: Any, tmp_path: Path) -> None:
    joints = np.asarray((40 + 9 * points(2, 4, 15, 3)).astype(dtype), order=order)
    raw_files.npy(tmp_path, "wave/two", joints)
    raw_files.npy(tmp_path, "bow/one", joints[0])
    raw_files.npy(tmp_path, "alone", joints[0, :1, :, :2])
    alone, one, two = read("npy", tmp_path)
    np.testing.assert_array_equal(two.joints, joints.astype(np.float32))
    np.testing.assert_array_equal(one.joints, joints[:1].astype(np.float32))
    assert [clip.name for clip in (alone, one, two)] == ["alone", "bow_one", "wave_two"]
    assert [clip.label for clip in (alone, one, two)] == [-1, 0, 1]
    assert alone.joints.shape == (1, 1, 15, 2)
    assert open_reader("npy", tmp_path).class_names == ("bow", "wave")


def test_gaps_stay(tmp_path: Path) -> None:
    joints = points(4, 15, 3).astype(np.float64)
    joints[1, 2] = np.nan
    raw_files.npy(tmp_path, joints=joints, scale=1.5)
    found = read("npy", tmp_path)[0].joints[0]
    np.testing.assert_array_equal(np.isfinite(found), np.isfinite(joints))
    np.testing.assert_allclose(found[0], 1.5 * joints[0], rtol=1e-6)


@pytest.mark.parametrize(("up", "places"), [("y", "+x+y+z"), ("z", "-x+z+y"), ("-y", "-x-y+z")])
def test_axes_units_and_scale(up: str, places: str, tmp_path: Path) -> None:
    joints = points(3, 15, 3)
    raw_files.npy(tmp_path, joints=joints, up=up, units="cm", scale=3.0)
    (clip,) = read("npy", tmp_path)
    for axis, (sign, place) in enumerate(zip(places[::2], places[1::2], strict=True)):
        expected = joints[..., "xyz".index(place)] * (1 if sign == "+" else -1) * 0.03
        np.testing.assert_allclose(clip.joints[0, ..., axis], expected, rtol=1e-6)


def test_one_file_is_described_by_its_own_yaml_first(tmp_path: Path) -> None:
    joints = points(3, 15, 3)
    file = raw_files.npy(tmp_path, "one", joints, units="mm")
    np.testing.assert_allclose(read("npy", file)[0].joints[0], joints / 1000, rtol=1e-6)
    (tmp_path / "one.yaml").write_text("{layout: sbu15, units: cm}")
    np.testing.assert_allclose(read("npy", file)[0].joints[0], joints / 100, rtol=1e-6)
    np.testing.assert_allclose(read("npy", file, "units=m")[0].joints[0], joints)
    np.testing.assert_allclose(read("npy", tmp_path)[0].joints[0], joints / 1000, rtol=1e-6)


def test_layouts(tmp_path: Path) -> None:
    raw_files.npy(tmp_path, layout="")
    with pytest.raises(UserError, match=r"clip01\.npy: its layout is unknown; write 'layout: ...' into rec"):
        read("npy", tmp_path)
    assert len(read("npy", tmp_path, layout="sbu15")) == 1
    assert len(read("npy", tmp_path, "layout=sbu15")) == 1
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump(LAYOUTS["sbu15"].to_dict() | {"name": "mine"}))
    raw_files.npy(tmp_path, layout="mine.yaml")
    assert open_reader("npy", tmp_path).layout.name == "mine"
    for outside in ("../mine.yaml", "/etc/mine.yaml"):
        raw_files.npy(tmp_path, layout=outside)
        with pytest.raises(UserError, match="is outside its folder; put it beside"):
            read("npy", tmp_path)


def test_other_files_are_read_by_others(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", joints=points(4, 15, 3))
    with pytest.raises(UserError, match=r"a\.npz: is no \.npy file; \.npz files are read by the format npz"):
        read("npy", tmp_path / "a.npz", layout="sbu15")


# Names and tables that tell more


NAMES = r"s(?P<subject>\d+)_(?P<label>[a-z]+)_c(?P<camera>\d+)"


def test_names_tell(tmp_path: Path) -> None:
    for name in ("x/s02_wave_c1", "x/s03_bow_c2", "y/s03_wave_c2"):
        raw_files.npy(tmp_path, name, names=NAMES)
    reader = open_reader("npy", tmp_path)
    assert reader.class_names == ("bow", "wave")
    assert reader.splits == {"xsub": {"train": {"subject": [3]}, "test": {"subject": [2]}}}
    told = [(clip.name, clip.label, clip.subject, clip.camera, clip.setup) for clip in read("npy", tmp_path)]
    assert told == [("x_s02_wave_c1", 1, 2, 1, -1), ("x_s03_bow_c2", 0, 3, 2, -1), ("y_s03_wave_c2", 1, 3, 2, -1)]
    raw_files.npy(tmp_path, "x/s03_bow_c2", names=NAMES, class_names=["wave", "nod", "bow"])
    assert [clip.label for clip in read("npy", tmp_path)] == [0, 2, 0]
    odd = raw_files.npy(tmp_path, "z", names=NAMES)
    with pytest.raises(UserError) as error:
        read("npy", tmp_path)
    assert str(error.value).startswith(f"{odd}: names: ")
    assert "is not in 'z'" in str(error.value)


def write_labels(folder: Path, text: str) -> None:
    (folder / "labels.csv").write_bytes(text.encode())


@pytest.mark.parametrize("change", [lambda text: text, lambda text: "\ufeff" + text.replace("\n", "\r\n")])
def test_a_table_tells(change: Callable[[str], str], tmp_path: Path) -> None:
    for name in ("x/a", "x/b", "c"):
        raw_files.npy(tmp_path, name, labels="labels.csv")
    rows = "x/a,wave,1,7,train", "x/b.npy,,2,,test", 'c,"nod, twice",,8,', "gone,x,,,"
    write_labels(tmp_path, change("\n".join(["file,label,subject,replication,split", *rows, ""])))
    reader = open_reader("npy", tmp_path)
    assert reader.class_names == ("nod, twice", "wave")
    assert reader.splits == {
        "xsub": {"train": {"subject": [1]}, "test": {"subject": [2]}},
        "given": {"train": {"name": ["x_a"]}, "test": {"name": ["x_b"]}},
    }
    told = [(clip.name, clip.label, clip.subject, clip.replication) for clip in read("npy", tmp_path)]
    assert told == [("c", 0, -1, 8), ("x_a", 1, 1, 7), ("x_b", -1, 2, -1)]


def test_a_table_goes_before_names(tmp_path: Path) -> None:
    for name in ("s1_wave_c1", "s2_bow_c1"):
        raw_files.npy(tmp_path, name, names=NAMES, labels="labels.csv")
    write_labels(tmp_path, "file,label\ns1_wave_c1,nod\ns2_bow_c1,\n")
    assert open_reader("npy", tmp_path).class_names == ("bow", "nod")
    assert [(clip.label, clip.subject) for clip in read("npy", tmp_path)] == [(1, 1), (0, 2)]


LABELS_DAMAGE: dict[str, tuple[str, str]] = {
    "empty": ("", "labels.csv: line 1: has the columns ; expected"),
    "no file": (
        "name,label\na,b\n",
        "labels.csv: line 1: has the columns name, label; expected file and some of label, ",
    ),
    "unknown": ("file,lable\na,b\n", "labels.csv: line 1: has the columns file, lable; expected file and some of"),
    "short": ("file,label,subject\nc,wave\n", "labels.csv: line 2: does not have 3 columns"),
    "long": ("file,label\nc,wave,3\n", "labels.csv: line 2: does not have 2 columns"),
    "twice": ("file,label\nc,wave\nc,bow\n", "labels.csv: line 3: file: 'c' is also above"),
    "split": ("file,split\nc,val\n", "labels.csv: line 2: split: is 'val'; write train, test or nothing"),
    "number": ("file,subject\nc,-3\n", "c.npy: subject: is '-3'; expected a whole number from 0 on, or a name"),
    "no row": ("file,label\nd,wave\n", "c.npy: labels.csv has no row for 'c'; add one"),
    "quote": ('file,label\n"c,wave\n', "labels.csv: cannot be read: unexpected end of data"),
}


@pytest.mark.parametrize("damage", LABELS_DAMAGE)
def test_damaged_tables_are_named(damage: str, tmp_path: Path) -> None:
    text, message = LABELS_DAMAGE[damage]
    raw_files.npy(tmp_path, "c", labels="labels.csv")
    write_labels(tmp_path, text)
    with pytest.raises(UserError) as told:
        read("npy", tmp_path)
    assert str(told.value).startswith(str(tmp_path / message[:3]))
    assert message in str(told.value)
    assert "\n" not in str(told.value)


def test_tables_lie_in_the_folder(tmp_path: Path) -> None:
    raw_files.npy(tmp_path, "c", labels="../labels.csv")
    with pytest.raises(UserError, match=r"labels: \.\./labels\.csv is outside its folder"):
        read("npy", tmp_path)
    raw_files.npy(tmp_path, "c", labels="labels.csv")
    with pytest.raises(UserError, match=r"labels\.csv: cannot be read: No such file"):
        read("npy", tmp_path)
    (tmp_path / "labels.csv").write_bytes(b"file,label\nc,\xff\n")
    with pytest.raises(UserError, match=r"labels\.csv: cannot be read: .* write it as UTF-8 text"):
        read("npy", tmp_path)
    (tmp_path / "labels.csv").write_text("file,label\nc,wave\n", "utf-16")
    with pytest.raises(UserError, match=r"labels\.csv: cannot be read: is UTF-16; save it as UTF-8$"):
        read("npy", tmp_path)
    description = tmp_path / "recordings.yaml"
    description.write_text(description.read_text(), "utf-16")
    with pytest.raises(UserError, match=r"recordings\.yaml: cannot be read: is UTF-16; save it as UTF-8$"):
        read("npy", tmp_path)


def test_classes() -> None:
    assert name_classes(["10", "2", ""]) == tuple(map(str, range(11)))
    assert name_classes(["10", "b", "-1"]) == ("10", "b")
    assert name_classes(["b", "a"], ("x",)) == ("x",)
    assert name_classes([]) == ()
    assert name_classes(["9" * 8]) == ("9" * 8,)  # no number of classes


def test_labels_that_are_no_class(tmp_path: Path) -> None:
    raw_files.npy(tmp_path, "wave/a", class_names=["nod"])
    with pytest.raises(UserError, match=r"a\.npy: label 'wave' is not a class; name it in class_names"):
        read("npy", tmp_path)
    raw_files.npy(tmp_path, "0/a", class_names=["nod", "wave"])
    assert read("npy", tmp_path / "0" / "a.npy", layout="sbu15")[0].label == -1


DESCRIPTIONS: dict[str, tuple[dict[str, Any], str]] = {
    "key": ({"lables": "x.csv"}, "lables: unknown key; did you mean 'labels'"),
    "up": ({"up": "x"}, "up: unknown 'x'"),
    "scale": ({"scale": 0}, "scale: input should be greater than 0"),
    "names": ({"names": "s("}, "names: is not a regular expression"),
    "groups": ({"names": "(?P<person>.)"}, "names: has a group 'person'; groups may be label, subject"),
}


@pytest.mark.parametrize("case", DESCRIPTIONS)
def test_descriptions_are_checked(case: str, tmp_path: Path) -> None:
    description, message = DESCRIPTIONS[case]
    raw_files.npy(tmp_path, **description)
    with pytest.raises(UserError) as told:
        read("npy", tmp_path)
    assert str(told.value).startswith(f"{tmp_path / 'recordings.yaml'}: {message}")


def save(folder: Path, array: Any, **options: Any) -> Path:
    file = raw_files.npy(folder)
    np.save(file, array, **options)
    return file


def padded(folder: Path) -> Path:
    file = raw_files.npy(folder)
    file.write_bytes(file.read_bytes() + b"more")
    return file


DAMAGE: dict[str, tuple[Callable[[Path], Path], str]] = {
    "objects": (lambda f: save(f, np.array([{}]), allow_pickle=True), "is damaged or truncated, or no .npy of plain"),
    "text": (lambda f: save(f, np.array(["a"])), "holds something other than one array of numbers"),
    "complex": (lambda f: save(f, points(6, 15, 3) + 1j), "holds something other"),
    "more": (padded, "holds something other than one array"),
    "axes": (lambda f: save(f, points(15, 3)), "has shape (15, 3); expected (frames, 15 joints of sbu15, 2 or 3"),
    "joints": (lambda f: save(f, points(6, 25, 3)), "has shape (1, 6, 25, 3); expected"),
    "coordinates": (lambda f: save(f, points(6, 15, 4)), "has shape (1, 6, 15, 4); expected"),
    "no frames": (lambda f: save(f, points(0, 15, 3)), "has no frames"),
    "no persons": (lambda f: save(f, points(0, 6, 15, 3)), "has no frames"),
    "only NaN": (lambda f: save(f, np.full((6, 15, 3), np.nan)), "has no tracked joint"),
    "2D up": (lambda f: raw_files.npy(f, joints=points(6, 15, 2), up="z"), "up: z needs three coordinates"),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_damage_is_named(damage: str, tmp_path: Path) -> None:
    write, message = DAMAGE[damage]
    file = write(tmp_path)
    with pytest.raises(UserError) as told:
        read("npy", tmp_path)
    assert str(told.value).startswith(f"{file}: ")
    assert message in str(told.value)
    assert "\n" not in str(told.value)


def test_a_store_tells_how_it_was_described(tmp_path: Path) -> None:
    raw_files.npy(tmp_path / "mine", "c") if (tmp_path / "mine").mkdir() else None
    for label in ("wave", "nod"):
        raw_files.npy(tmp_path / "mine", "c", points(6, 15, 3) * 100, labels="labels.csv", units="cm")
        write_labels(tmp_path / "mine", f"file,label\nc,{label}\n")
        convert(
            "npy", tmp_path / "mine", tmp_path / label, normalize=NormalizeConfig(), options=["up=z"], progress=False
        )
    wave, nod = (Store.open(tmp_path / label).provenance.options for label in ("wave", "nod"))
    assert (wave["up"], wave["units"], wave["layout"]) == ("z", "cm", "sbu15")
    assert wave["labels_sha256"] != nod["labels_sha256"]
    assert str(tmp_path) not in json.dumps(wave)


def test_folders_numbered_with_zeros_are_classes(tmp_path: Path) -> None:
    for name in ("01", "02", "10"):
        raw_files.npy(tmp_path, f"{name}/clip")
    assert [clip.label for clip in read("npy", tmp_path)] == [0, 1, 9]
