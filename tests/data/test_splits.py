"""Splits: predicates against loops, deduplicated variants, mistakes."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ssl_skel.config import FormerName
from ssl_skel.data.clip import RawClip
from ssl_skel.data.readers.base import odd_even
from ssl_skel.data.split_form import check_splits
from ssl_skel.data.splits import load_split
from ssl_skel.data.store import Store
from ssl_skel.data.writer import StoreWriter
from ssl_skel.errors import UserError
from ssl_skel.layouts import LAYOUTS

LAYOUT = LAYOUTS["sbu15"]
SPLITS: dict[str, Any] = {
    "xview": {"train": {"camera": [1]}, "test": {"camera": [2]}},
    "xsub": odd_even(range(1, 5)),
    "unseen": {"train": {"camera": [1], "subject": [1, 3]}, "test": {"camera": [2], "subject": [2, 4]}},
    "by_name": {"train": {"name": ["clip0"]}, "test": {"name": ["clip1", "clip5"]}},
    "overlap": {"train": {"camera": [1]}, "test": {"subject": [1]}},
    "nobody": {"train": {"camera": [1]}, "test": {"camera": [9]}},
    "copies_only": {"train": {"name": ["clip0"]}, "test": {"name": ["clip2"]}},
}


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """Subjects 1-4, cameras 1-2, two repetitions; clip2 (camera 2) is a copy of clip0 (camera 1)."""
    path = tmp_path_factory.mktemp("splits") / "store"
    rng = np.random.default_rng(0)
    with StoreWriter(path, LAYOUT, ["a", "b"], splits=SPLITS) as writer:
        number = 0
        for subject in range(1, 5):
            for camera in (1, 2):
                for repetition in range(2):
                    seed = 0 if number == 2 else number
                    joints = np.random.default_rng(seed).normal(size=(1, 3, 15, 3))
                    writer.add(RawClip(f"clip{number}", joints, int(rng.integers(2)), subject, camera, -1, repetition))
                    number += 1
    return Store.open(path)


def test_predicates_are_the_naive_loop(store: Store) -> None:
    for name in ("xview", "xsub", "unseen", "by_name"):
        split = load_split(store, name)
        for side in ("train", "test"):
            expected = [
                i
                for i in range(len(store))
                if all(getattr(store, column)[i] in values for column, values in SPLITS[name][side].items())
            ]
            rows = getattr(split, side)
            assert rows.tolist() == expected
            assert rows.dtype == np.int64
        assert split.name == name
    assert len(load_split(store, "unseen").train) == 4


def test_all_trains_on_everything(store: Store) -> None:
    split = load_split(store, "all")
    assert split.train.tolist() == list(range(16))
    assert split.test.size == 0
    assert split.test.dtype == np.int64


def test_dedup_drops_copies_of_training_clips(store: Store) -> None:
    full, clean = load_split(store, "xview"), load_split(store, "xview_dedup")
    assert set(full.test) - set(clean.test) == {2}
    np.testing.assert_array_equal(full.train, clean.train)
    assert clean.name == "xview_dedup"
    np.testing.assert_array_equal(load_split(store, "xsub").test, load_split(store, "xsub_dedup").test)


def test_the_former_ending_names_the_same_clips_and_warns(store: Store) -> None:
    with pytest.warns(FormerName, match="split xview_clean is now called xview_dedup"):
        former = load_split(store, "xview_clean")
    assert former.name == "xview_clean"  # folders of trainings were named after it
    np.testing.assert_array_equal(former.test, load_split(store, "xview_dedup").test)
    with pytest.raises(UserError, match="unknown split 'all_clean'"):
        load_split(store, "all_clean")


def test_a_split_of_an_older_store_may_have_the_ending(store: Store) -> None:
    store.splits["mine_dedup"] = SPLITS["xsub"]
    np.testing.assert_array_equal(load_split(store, "mine_dedup").test, load_split(store, "xsub").test)
    del store.splits["mine_dedup"]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("xveiw", "unknown split 'xveiw'; did you mean 'xview'"),
        ("zzz", "known: all, xview, xsub"),
        ("overlap", "split 'overlap': clip 'clip0' is in train and in test"),
        ("nobody", "split 'nobody': test has no clips"),
        ("copies_only_dedup", "split 'copies_only_dedup': test has no clips"),
        ("all_dedup", "unknown split 'all_dedup'"),
    ],
)
def test_mistakes_are_named(store: Store, name: str, message: str) -> None:
    with pytest.raises(UserError) as told:
        load_split(store, name)
    assert str(told.value).startswith(str(store.path))
    assert message in str(told.value)


@pytest.mark.parametrize(
    ("splits", "message"),
    [
        (["xsub"], "give a mapping"),
        ({"all": SPLITS["xsub"]}, "taken"),
        ({"mine_dedup": SPLITS["xsub"]}, "taken"),
        ({"mine_clean": SPLITS["xsub"]}, "taken"),
        ({"../../x": SPLITS["xsub"]}, "'../../x' cannot become the name of a file"),
        ({"xsub": ["train"]}, "xsub: needs the keys train and test"),
        ({"xsub": {"train": {"subject": [1]}}}, "xsub: needs the keys train and test"),
        ({"xsub": {**SPLITS["xsub"], "val": {"subject": [1]}}}, "xsub: needs the keys train and test"),
        ({"xsub": {"train": {}, "test": {"subject": [1]}}}, "xsub.train: give columns"),
        (
            {"xsub": {"train": {"subjects": [1]}, "test": {}}},
            "xsub.train: unknown column 'subjects'; did you mean 'subject'",
        ),
        ({"xsub": {"train": {"subject": 1}, "test": {}}}, "train.subject: give a list of whole numbers"),
        ({"xsub": {"train": {"subject": [1.5]}, "test": {}}}, "train.subject: give a list of whole numbers or names"),
        ({"xsub": {"train": {"subject": [True]}, "test": {}}}, "train.subject: give a list of whole numbers"),
        ({"xsub": {"train": {"name": [1]}, "test": {}}}, "train.name: give a list of names"),
    ],
)
def test_malformed_splits_are_named(splits: Any, message: str) -> None:
    with pytest.raises(UserError) as told:
        check_splits(splits, "mine.yaml", new=True)
    assert str(told.value).startswith("mine.yaml: splits")
    assert message in str(told.value)


def test_sound_splits_pass() -> None:
    check_splits(SPLITS, "mine.yaml")
    check_splits({}, "mine.yaml")


@settings(max_examples=30, deadline=None)
@given(subjects=st.lists(st.integers(-1, 30)))
def test_odd_even_parts_the_known_subjects(subjects: list[int]) -> None:
    split = odd_even(subjects)
    train, test = split["train"]["subject"], split["test"]["subject"]
    assert sorted(train + test) == sorted({s for s in subjects if s >= 0})
    assert all(s % 2 for s in train)
    assert not any(s % 2 for s in test)


def test_splits_of_a_damaged_meta_are_named(store: Store, tmp_path: Path) -> None:
    store.splits["odd"] = {"train": {"file": [1]}, "test": {"file": [2]}}
    with pytest.raises(UserError, match=r"splits\.odd\.train: unknown column 'file'"):
        load_split(store, "odd")
    del store.splits["odd"]


@pytest.mark.parametrize("name", ["../../x", "a/b", "a\\b", ".hidden", "two\nlines", "x" * 151, "", " x", "=x()"])
def test_a_name_that_would_leave_its_folder_is_refused_at_load(store: Store, name: str) -> None:
    store.splits[name] = store.splits["xsub"]
    with pytest.raises(UserError, match="cannot become the name of a file; use letters") as told:
        load_split(store, name)
    assert "\n" not in str(told.value)
    assert len(str(told.value)) < 300 + len(str(store.path))
    del store.splits[name]


@pytest.mark.parametrize(
    ("name", "train", "message"),
    [
        ("../../x", {"subject": [1]}, r"splits: '\.\./\.\./x' cannot become the name of a file"),
        ("mine", {"subject": "1, 2"}, r"splits\.mine\.train\.subject: give a list"),
    ],
)
def test_a_store_with_malformed_splits_is_not_opened(
    store: Store, tmp_path: Path, name: str, train: Any, message: str
) -> None:
    copy = shutil.copytree(store.path, tmp_path / "copy")
    meta = json.loads((copy / "meta.json").read_text())
    meta["splits"][name] = meta["splits"]["xsub"] | {"train": train}
    (copy / "meta.json").write_text(json.dumps(meta))
    with pytest.raises(UserError, match=rf"meta\.json: is damaged: {message}"):
        Store.open(copy)
