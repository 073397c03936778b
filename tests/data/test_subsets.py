"""Label subsets: stratified, never empty, the same everywhere, and not to be tampered with unnoticed."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from ssl_skel.cli import app as cli
from ssl_skel.data.clip import RawClip
from ssl_skel.data.splits import Split, load_split
from ssl_skel.data.store import Store
from ssl_skel.data.subsets import Budget, label_subset
from ssl_skel.data.writer import StoreWriter
from ssl_skel.errors import UserError
from ssl_skel.layouts import LAYOUTS

CLASSES = {0: 40, 1: 12, 2: 3, -1: 5}  # label -> training clips; 5 of them have no label


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """Uneven classes, shuffled; subject 1 trains, subject 2 is tested."""
    labels = np.random.default_rng(3).permutation(np.repeat(list(CLASSES), list(CLASSES.values())))
    splits = {"xsub": {"train": {"subject": [1]}, "test": {"subject": [2]}}}
    rng = np.random.default_rng(0)
    with StoreWriter(tmp_path / "store", LAYOUTS["sbu15"], ["a", "b", "c"], splits=splits) as writer:
        for number, label in enumerate([*labels, 0, 1, 2]):
            joints = rng.normal(size=(1, 2, 15, 3)).astype(np.float32)
            writer.add(RawClip(f"clip{number}", joints, int(label), 1 if number < len(labels) else 2))
    return Store.open(tmp_path / "store")


@pytest.fixture
def split(store: Store) -> Split:
    return load_split(store, "xsub")


def counts(store: Store, rows: np.ndarray) -> list[int]:
    return np.bincount(store.label[rows], minlength=3).tolist()


@pytest.mark.parametrize(
    ("budget", "expected"),
    [
        (Budget(fraction=0.5), [20, 6, 2]),
        (Budget(fraction=0.1), [4, 1, 1]),
        (Budget(fraction=0.01), [1, 1, 1]),
        (Budget(fraction=1.0), [40, 12, 3]),
        (Budget(per_class=1), [1, 1, 1]),
        (Budget(per_class=5), [5, 5, 3]),
    ],
)
def test_each_class_keeps_its_share_and_at_least_one(
    store: Store, split: Split, budget: Budget, expected: list[int]
) -> None:
    rows = label_subset(store, split, budget, 0).rows
    assert counts(store, rows) == expected
    assert np.isin(rows, split.train).all()
    assert (np.diff(rows) > 0).all()


def test_what_the_floor_or_a_shortage_changed_is_said(store: Store, split: Split) -> None:
    assert label_subset(store, split, Budget(fraction=0.5), 0).notes == ()
    assert (
        "less than one clip for 3 of 3 classes: one is kept of each, 3 of 55 clips (5.5 %)"
        in (label_subset(store, split, Budget(fraction=0.01), 0).notes[0])
    )
    assert "1 classes have fewer than 5" in label_subset(store, split, Budget(per_class=5), 0).notes[0]


@settings(max_examples=40, deadline=None)
@given(st.floats(0.001, 1), st.integers(1, 500))
def test_a_quota_is_the_rounded_share_and_never_none(fraction: float, clips: int) -> None:
    quota = Budget(fraction=fraction).quota(clips)
    assert 1 <= quota <= clips
    assert abs(quota - fraction * clips) <= max(0.5, 1 - fraction * clips) + 1e-9


def test_seeds_differ_and_each_is_drawn_evenly(store: Store, split: Split) -> None:
    drawn = [label_subset(store, split, Budget(fraction=0.1), seed).rows.tolist() for seed in range(60)]
    assert len({tuple(rows) for rows in drawn}) > 50
    quarter = [label_subset(store, split, Budget(fraction=0.25), seed).rows for seed in range(60)]
    often = np.bincount(np.concatenate(quarter), minlength=len(store))[split.train[store.label[split.train] == 0]]
    assert 0 < often.min() <= often.max() < 40  # each of 40 clips is expected 15 times
    assert len({label_subset(store, split, Budget(fraction=0.1), seed).sha256 for seed in range(60)}) == 60


def test_one_file_is_the_same_in_every_process_and_is_read_afterwards(store: Store, split: Split) -> None:
    """MAMP draws a subset in each rank after seeding with the rank: two ranks then hold different ones."""
    program = (
        "import sys, numpy as np; from ssl_skel.data.splits import load_split; from ssl_skel.data.store import Store\n"
        "from ssl_skel.data.subsets import Budget, label_subset\n"
        "np.random.seed(int(sys.argv[2])); store = Store.open(sys.argv[1])\n"
        "print(label_subset(store, load_split(store, 'xsub'), Budget(fraction=0.1), 4).rows.tolist())"
    )
    outputs, files = [], []
    for rank in range(2):
        shown = subprocess.run(
            [sys.executable, "-c", program, str(store.path), str(rank)],
            capture_output=True,
            text=True,
            check=True,
            env={**os.environ, "RANK": str(rank), "PYTHONHASHSEED": str(rank)},
        )
        outputs.append(json.loads(shown.stdout))
        files.append((store.path / "subsets" / "xsub_0.1_seed4.json").read_bytes())
        (store.path / "subsets" / "xsub_0.1_seed4.json").unlink()
    assert outputs[0] == outputs[1]
    assert files[0] == files[1]
    first = label_subset(store, split, Budget(fraction=0.1), 4)
    again = label_subset(Store.open(store.path), split, Budget(fraction=0.1), 4)
    assert first.rows.tolist() == again.rows.tolist() == outputs[0]
    assert first.sha256 == again.sha256
    assert [path.name for path in (store.path / "subsets").iterdir()] == ["xsub_0.1_seed4.json"]


def test_what_was_written_once_stays_when_the_draw_would_differ(
    store: Store, split: Split, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = label_subset(store, split, Budget(fraction=0.1), 0)
    monkeypatch.setattr("ssl_skel.data.subsets._draw", lambda *a: split.train[:3])
    assert label_subset(store, split, Budget(fraction=0.1), 0).rows.tolist() == first.rows.tolist()


def test_deduplicated_variants_share_subsets(store: Store, split: Split) -> None:
    clean = load_split(store, "xsub_dedup")
    assert label_subset(store, clean, Budget(fraction=0.1), 0).sha256 == (
        label_subset(store, split, Budget(fraction=0.1), 0).sha256
    )
    assert len(list((store.path / "subsets").iterdir())) == 1


@pytest.mark.parametrize("what", ["clip", "order", "seed", "hash", "cut", "empty", "list", "number", "deep", "long"])
def test_a_file_that_was_tampered_with_is_refused(store: Store, split: Split, what: str) -> None:
    label_subset(store, split, Budget(fraction=0.1), 0)
    file = store.path / "subsets" / "xsub_0.1_seed0.json"
    data = json.loads(file.read_text())
    test_clip = str(store.name[split.test[0]])
    text = {
        "clip": lambda: json.dumps(data | {"clips": [test_clip, *data["clips"][1:]]}),
        "order": lambda: json.dumps(data | {"clips": [*data["clips"], data["clips"][0]]}),
        "seed": lambda: json.dumps(data | {"seed": 1}),
        "hash": lambda: json.dumps(data | {"sha256": "0" * 64}),
        "cut": lambda: file.read_text()[:-20],
        "empty": lambda: "",
        "list": lambda: "[]",
        "number": lambda: json.dumps(data | {"clips": 5}),
        "deep": lambda: "[" * 5000,
        "long": lambda: json.dumps(data | {"clips": ["x" * 2**20, *[str(n) for n in range(2**18)]]}),  # not 1 TB
    }[what]()
    file.write_text(text)
    with pytest.raises(UserError, match=r"xsub_0\.1_seed0\.json: (does not fit|is damaged).* remove it") as told:
        label_subset(store, split, Budget(fraction=0.1), 0)
    assert "\n" not in str(told.value)


def test_a_store_with_other_labels_refuses_the_old_subset(store: Store, split: Split) -> None:
    subset = label_subset(store, split, Budget(fraction=0.1), 0)
    store.label[subset.rows] = (store.label[subset.rows] + 1) % 3
    with pytest.raises(UserError, match="does not fit the store, its labels"):
        label_subset(store, split, Budget(fraction=0.1), 0)


def test_a_store_that_cannot_be_written_to_still_gives_subsets(
    store: Store, split: Split, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(store.path, tmp_path / "other")
    written = label_subset(store, split, Budget(fraction=0.5), 0)

    def refuse(*_, **__) -> None:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(Path, "mkdir", refuse)
    drawn = label_subset(Store.open(tmp_path / "other"), split, Budget(fraction=0.5), 0)
    assert drawn.rows.tolist() == written.rows.tolist()
    assert drawn.sha256 == written.sha256
    assert "cannot be written: Read-only file system; the label subset is drawn again each time" in drawn.notes[-1]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "one of the two"),
        ({"fraction": 0.1, "per_class": 1}, "one of the two"),
        ({"fraction": 0.0}, "between 0 and 1, got 0"),
        ({"fraction": 10.0}, "between 0 and 1, got 10"),
        ({"per_class": 0}, "at least 1"),
    ],
)
def test_budgets_out_of_range_are_named(options: dict, message: str) -> None:
    with pytest.raises(UserError, match=message):
        Budget(**options)


def test_budgets_in_words() -> None:
    assert [str(Budget(fraction=share)) for share in (0.01, 0.1, 1.0, 0.005)] == ["1 %", "10 %", "100 %", "0.5 %"]
    assert str(Budget(per_class=5)) == "5-shot"


def test_no_labels_is_an_error(store: Store, split: Split) -> None:
    blank = Split("xsub", split.train[store.label[split.train] < 0], split.test)
    with pytest.raises(UserError, match="no labelled clips"):
        label_subset(store, blank, Budget(per_class=1), 0)


def test_the_command_prints_counts_and_hashes(store: Store, split: Split) -> None:
    words = ["split", str(store.path), "--fractions", "0.01,0.1", "--per-class", "5", "--seeds", "2"]
    result = CliRunner().invoke(cli.build(), [*words, "--json"], catch_exceptions=False)
    facts = json.loads(result.stdout)
    assert len(facts) == 1 + 6
    told = facts["xsub, 10 %, seed 1"]
    assert told["each class"] == {"a": 4, "b": 1, "c": 1}
    assert (told["clips"], told["of"]) == (6, 60)
    assert told["sha256"] == label_subset(store, split, Budget(fraction=0.1), 1).sha256
    shown = CliRunner().invoke(cli.build(), [*words, "--split", "xsub"], catch_exceptions=False).stdout
    assert "a: 4, b: 1, c: 1" in shown
    for mistake, message in (
        (["--fractions", "ten"], "'ten': give numbers"),
        (["--fractions", "10"], "0.01 is 1 %"),
        (["--fractions", "0.1", "--split", "xsubb"], "did you mean 'xsub'"),
    ):
        with pytest.raises(UserError, match=message):
            CliRunner().invoke(cli.build(), ["split", str(store.path), *mistake], catch_exceptions=False)
