"""Lists of clips to leave out: read, written, checked; splits that leave clips out."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ssl_skel.data.clip import RawClip
from ssl_skel.data.exclusions import check_exclusions, format_exclusions, read_exclusions
from ssl_skel.data.split_form import check_splits
from ssl_skel.data.splits import load_split
from ssl_skel.data.store import Store
from ssl_skel.data.writer import StoreWriter
from ssl_skel.errors import UserError
from ssl_skel.layouts import LAYOUTS

SIDES: dict[str, Any] = {"train": {"camera": [1]}, "test": {"camera": [2]}}


def test_a_list_is_read_whatever_wrote_it(tmp_path: Path) -> None:
    file = tmp_path / "exclude.txt"
    file.write_bytes("\ufeff# copies: 2\r\n a01 \r\n\r\n  # more\r\nb é#1".encode())
    assert read_exclusions(file) == {"a01", "b é#1"}
    for bad in (tmp_path / "none.txt", tmp_path):
        with pytest.raises(UserError, match=r"cannot be read: .*one per line"):
            read_exclusions(bad)
    file.write_bytes(b"\xff")
    with pytest.raises(UserError, match="not UTF-8"):
        read_exclusions(file)


@given(st.dictionaries(st.sampled_from(["copy", "still"]), st.lists(st.from_regex(r"[a-z0-9_]{1,4}", fullmatch=True))))
def test_what_was_written_is_read(reasons: dict[str, list[str]]) -> None:
    text = format_exclusions(reasons)
    names = [line for line in text.splitlines() if not line.startswith("#")]
    assert len(names) == len(set(names))
    assert set(names) == {name for some in reasons.values() for name in some}


@settings(max_examples=300, deadline=None)
@given(
    names=st.lists(
        st.text(max_size=8) | st.sampled_from([" a", "#b", "c\nd", "e\u2028f", '"g"', '"h', "\ufeffi", "\x85"])
    )
)
def test_every_name_is_kept(names: list[str]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "exclude.txt")
        file.write_text(format_exclusions({"copy": names}), "utf-8")
        assert read_exclusions(file) == set(names)


def test_reasons_stand_above_their_names() -> None:
    assert (
        format_exclusions({"copy": ["b", "a"], "still": ["a", "c"], "none": []}) == "# copy: 2\nb\na\n# still: 1\nc\n"
    )


def test_names_that_are_not_there_are_told() -> None:
    check_exclusions(["a"], ["a", "b"], "list.txt")
    with pytest.raises(UserError, match=r"^list\.txt: 2 of 3 names are not clips here, such as 'x'"):
        check_exclusions(["y", "a", "x"], ["a", "b"], "list.txt")


def test_a_split_leaves_clips_out(tmp_path: Path) -> None:
    splits = {
        "xview": SIDES,
        "mine": SIDES | {"exclude": ["c0", "c3"]},
        "wrong": SIDES | {"exclude": ["c0", "c9"]},
        "empty": SIDES | {"exclude": ["c1", "c3"]},
    }
    with StoreWriter(tmp_path / "store", LAYOUTS["sbu15"], [], splits=splits) as writer:
        for number in range(4):
            joints = np.random.default_rng(0 if number == 3 else number).normal(size=(1, 3, 15, 3))
            writer.add(RawClip(f"c{number}", joints, camera=1 + number % 2))
    store = Store.open(tmp_path / "store")
    whole, mine = load_split(store, "xview"), load_split(store, "mine")
    assert (whole.train.tolist(), whole.test.tolist()) == ([0, 2], [1, 3])
    assert (mine.train.tolist(), mine.test.tolist()) == ([2], [1])
    assert load_split(store, "xview_dedup").test.tolist() == [1]
    with pytest.raises(UserError, match=r"split 'wrong': exclude: 1 of 2 names are not clips here, such as 'c9'"):
        load_split(store, "wrong")
    with pytest.raises(UserError, match="test has no clips"):
        load_split(store, "empty")


@pytest.mark.parametrize("names", ["c0", [1], {"name": ["c0"]}])
def test_malformed_exclusions_are_named(names: Any) -> None:
    with pytest.raises(UserError, match=r"mine\.yaml: splits\.mine\.exclude: give a list of clip names"):
        check_splits({"mine": SIDES | {"exclude": names}}, "mine.yaml")
