"""Splits that follow from the clips alone: what they are, why there is none, and no recording on both sides."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from ssl_skel.cli import app as cli
from ssl_skel.data.clip import RawClip
from ssl_skel.data.convert import describe
from ssl_skel.data.derived_splits import fold_names, offered
from ssl_skel.data.same_recording import recording_groups
from ssl_skel.data.splits import load_split
from ssl_skel.data.store import Store
from ssl_skel.data.writer import StoreWriter
from ssl_skel.errors import UserError
from ssl_skel.layouts import LAYOUTS
from tests.data.raw_files import walk

FOLDS = "leave_one_subject_out"


def write(path: Path, clips: Sequence[RawClip], dtype: str = "float32") -> Store:
    names = {"subject": {"anna": 1, "bert": 2, "cleo": 3}}
    with StoreWriter(path, LAYOUTS["sbu15"], ["a", "b"], value_names=names, dtype=dtype) as writer:
        for clip in clips:
            writer.add(clip)
    return Store.open(path)


def turned(joints: np.ndarray) -> np.ndarray:
    """The same, seen from elsewhere by a camera that counts in other units."""
    c, s = np.cos(1.0), np.sin(1.0)
    out: np.ndarray = 1.7 * joints @ np.array([[c, 0, -s], [0, 1, 0], [s, 0, c]]) + [1, 2, 3]
    return out.astype(np.float32)


def recordings() -> list[RawClip]:
    """36 recordings of three subjects, two cameras and two classes. Subject 3's are cut into three windows each: the
    first two share frames, the second being turned; the third shares none, but says so, as does the second."""
    clips = []
    for number in range(36):
        subject, camera, label = 1 + number % 3, 1 + number // 3 % 2, number // 6 % 2
        joints = walk(number, 30, 15)
        told = {"label": label, "subject": subject, "camera": camera}
        if subject < 3:
            clips.append(RawClip(f"r{number}", joints, **told))
            continue
        parts = (joints[:, :16], turned(joints[:, 5:21]), joints[:, 21:])
        for window, part in enumerate(parts):
            recording = number if window else -1
            clips.append(RawClip(f"r{number}_{window}", part, **told, recording=recording))
    return clips


def recording(store: Store, row: int) -> str:
    return str(store.name[row]).partition("_")[0]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return write(tmp_path_factory.mktemp("derived") / "store", recordings())


def test_windows_of_a_recording_are_one_group(store: Store) -> None:
    names = [recording(store, row) for row in range(len(store))]
    numbers = {name: number for number, name in enumerate(dict.fromkeys(names))}
    assert recording_groups(store).tolist() == [numbers[name] for name in names]


@pytest.mark.parametrize("name", ["by_subject", "by_camera", "random", "random_seed3", f"{FOLDS}_fold3"])
def test_no_recording_is_on_both_sides(store: Store, name: str) -> None:
    split = load_split(store, name)
    sides = [{recording(store, row) for row in rows} for rows in (split.train, split.test)]
    assert not sides[0] & sides[1]
    np.testing.assert_array_equal(load_split(store, f"{name}_dedup").test, split.test)


def test_sides_are_those_of_the_columns(store: Store) -> None:
    assert set(store.subject[load_split(store, "by_subject").test]) == {2}
    assert set(store.subject[load_split(store, "by_subject").train]) == {1, 3}
    assert set(store.camera[load_split(store, "by_camera").test]) == {2}
    folds = fold_names(store, FOLDS)
    assert folds == (f"{FOLDS}_fold1", f"{FOLDS}_fold2", f"{FOLDS}_fold3")
    for subject, fold in enumerate(folds, 1):
        split = load_split(store, fold)
        assert split.test.tolist() == np.flatnonzero(store.subject == subject).tolist()
        assert split.train.tolist() == np.flatnonzero(store.subject != subject).tolist()


def test_random_takes_a_fifth_of_each_class_whatever_the_order_of_clips(store: Store, tmp_path: Path) -> None:
    split = load_split(store, "random")
    assert sorted([*split.train, *split.test]) == list(range(len(store)))
    for label in (0, 1):
        share = (store.label[split.test] == label).sum() / (store.label == label).sum()
        assert 0.15 <= share <= 0.2
    other = write(tmp_path / "other", recordings()[::-1])
    tested = set(store.name[split.test])
    assert set(other.name[load_split(other, "random").test]) == tested
    assert set(store.name[load_split(store, "random_seed1").test]) != tested


def test_copies_of_training_clips_do_not_test(tmp_path: Path) -> None:
    """As in NW-UCLA, where one view's file is another's too."""
    clips = [RawClip(f"c{n}", walk(n // 2 if n < 4 else n, 12, 15), 0, n, 1 + n % 2) for n in range(12)]
    split = load_split(write(tmp_path / "store", clips), "by_camera")
    assert split.train.tolist() == [0, 2, 4, 6, 8, 10]
    assert split.test.tolist() == [5, 7, 9, 11]


def test_what_a_store_tells_itself_goes_first(tmp_path: Path) -> None:
    mine = {"by_subject": {"train": {"subject": [1]}, "test": {"subject": [2, 3]}}}
    with StoreWriter(tmp_path / "store", LAYOUTS["sbu15"], ["a", "b"], splits=mine) as writer:
        for clip in recordings():
            writer.add(clip)
    store = Store.open(tmp_path / "store")
    assert set(store.subject[load_split(store, "by_subject").test]) == {2, 3}
    assert "by_subject" not in offered(store)


@pytest.mark.parametrize(
    ("columns", "name", "reason"),
    [
        ({}, "by_subject", "no clip's subject is known; give subjects when you convert"),
        ({}, FOLDS, "no clip's subject is known"),
        ({"camera": 4}, "by_camera", "all clips are of one camera, 4"),
        ({"subject": 3}, "by_subject", "all clips are of one subject, cleo"),
        ({"recording": 1}, "random", "all clips are from one recording"),
    ],
)
def test_why_there_is_none(tmp_path: Path, columns: dict[str, int], name: str, reason: str) -> None:
    store = write(tmp_path / "store", [RawClip(f"c{n}", walk(n, 12, 15), 0, **columns) for n in range(4)])
    assert offered(store)[name].startswith(reason)
    assert describe(store.path)["derived_splits"][name].startswith(reason)
    with pytest.raises(UserError, match=f"split '{name}' cannot be made: "):
        load_split(store, name)


def test_mistakes_are_named(store: Store) -> None:
    for name, message in (
        (FOLDS, f"is 3 folds; name one, {FOLDS}_fold1"),
        (f"{FOLDS}_fold4", "there are 3 subjects, so folds 1 to 3"),
        ("by_subjct", "did you mean 'by_subject'"),
    ):
        with pytest.raises(UserError, match=message):
            load_split(store, name)


def test_the_groups_are_kept_and_a_damaged_or_foreign_file_is_not_believed(tmp_path: Path) -> None:
    path = tmp_path / "store"
    expected = recording_groups(write(path, recordings()))
    file = path / "same_recording.json"
    kept = json.loads(file.read_text())
    assert kept["groups"] == expected.tolist()
    for wrong in (
        "[1",
        "[]",
        "[" * 100_000,
        json.dumps(kept | {"groups": [0]}),
        json.dumps(kept | {"store": "", "groups": [9] * 60}),
    ):
        file.write_text(wrong)
        np.testing.assert_array_equal(recording_groups(Store.open(path)), expected)
        assert json.loads(file.read_text()) == kept
    file.write_text(json.dumps(kept | {"groups": [5] * len(expected)}))  # it is read
    assert set(recording_groups(Store.open(path))) == {5}


def test_half_precision_finds_what_says_its_recording(tmp_path: Path) -> None:
    store = write(tmp_path / "store", recordings(), dtype="float16")
    groups = recording_groups(store)
    assert groups[store.name == "r2_1"] == groups[store.name == "r2_2"]


def test_the_command_lists_splits_of_both_sorts(store: Store) -> None:
    shown = json.loads(CliRunner().invoke(cli.build(), ["split", str(store.path), "--json"]).stdout)
    assert list(shown) == ["store", "by_subject", *fold_names(store, FOLDS), "by_camera", "random"]
    assert shown["by_camera"] == {"train": 30, "test": 30}
    words = ["split", str(store.path), "--split", "by_subject", "--per-class", "2", "--seeds", "1", "--json"]
    drawn = json.loads(CliRunner().invoke(cli.build(), words).stdout)
    assert drawn["by_subject, 2-shot, seed 0"]["clips"] == 4
