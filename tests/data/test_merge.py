"""Merging: what stays apart, what is made alike, and what is refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import typer
from typer.testing import CliRunner, Result

from ssl_skel.cli.merge import merge as command
from ssl_skel.data.clip import RawClip, content_hash
from ssl_skel.data.merge import merge
from ssl_skel.data.meta import Provenance
from ssl_skel.data.normalize import NormalizeConfig, normalize
from ssl_skel.data.split_form import check_splits
from ssl_skel.data.splits import load_split
from ssl_skel.data.store import Store
from ssl_skel.data.writer import StoreWriter
from ssl_skel.errors import UserError
from ssl_skel.layouts import LAYOUTS
from ssl_skel.layouts.mapping import joint_map

app = typer.Typer()
app.command()(command)
SPLITS: dict[str, dict[str, Any]] = {
    "xsub": {"train": {"subject": [1, 3]}, "test": {"subject": [2, 4]}},
    "odd": {"train": {"subject": [1], "camera": [1]}, "test": {"subject": [2], "camera": [1, 2]}},
    "named": {"train": {"name": ["clip0"]}, "test": {"name": ["clip1"]}},
    "of one class": {"train": {"label": [0]}, "test": {"label": [1]}},
    "less": {"train": {"subject": [1, 3]}, "test": {"subject": [2, 4]}, "exclude": ["clip0", "clip3"]},
    "unknown": {"train": {"camera": [1]}, "test": {"camera": [-1]}},
}
Make = Callable[..., Path]


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """Writes a store of four clips: subjects 1 to 4, cameras 1, 2, 1, unknown; two persons in the last."""

    def write(name: str, layout: str, channels: int = 3, seed: int = 0, **options: Any) -> Path:
        config, where = NormalizeConfig(**options), LAYOUTS[layout]
        rng = np.random.default_rng(seed)
        with StoreWriter(
            tmp_path / name,
            where,
            ("wave", "bow"),
            splits=SPLITS,
            normalization=config,
            provenance=Provenance(format="test"),
        ) as writer:
            for i in range(4):
                raw = rng.normal(size=(1 + (i == 3), 3 + i, where.num_joints, channels)).astype(np.float32)
                joints, _ = normalize(raw, where, config)
                clip = RawClip(f"clip{i}", joints, i % 2, subject=i + 1, camera=[1, 2, 1, -1][i], setup=i + 5)
                writer.add(clip, content_hash(raw))
        return tmp_path / name

    return write


def rows(store: Store, split: str) -> tuple[list[str], list[str]]:
    found = load_split(store, split)
    return store.name[found.train].tolist(), store.name[found.test].tolist()


def test_clips_are_mapped_and_normalised_in_the_new_layout(make: Make, tmp_path: Path) -> None:
    paths = [make("one", "kinect20"), make("two", "coco17", seed=1)]
    merged = Store.open(merge(paths, tmp_path / "both", "common15", progress=False))
    assert merged.layout == LAYOUTS["common15"]
    assert len(merged) == 8
    row = 0
    for path in paths:
        store = Store.open(path)
        take = joint_map(store.layout, LAYOUTS["common15"])
        for i in range(4):
            expected = take(store.clip(i))
            np.testing.assert_allclose(merged.clip(row), expected - expected[0, 0, 0], atol=1e-5)
            assert merged.content[row] == store.content[i]
            row += 1
    merged.verify()


def test_names_numbers_and_classes_stay_apart(make: Make, tmp_path: Path) -> None:
    merged = Store.open(merge([make("one", "kinect20"), make("two", "sbu15")], tmp_path / "both", "sbu15"))
    assert merged.name.tolist() == [f"{store}_clip{i}" for store in ("one", "two") for i in range(4)]
    assert merged.class_names == ("one: wave", "one: bow", "two: wave", "two: bow")
    assert merged.label.tolist() == [0, 1, 0, 1, 2, 3, 2, 3]
    assert merged.subject.tolist() == [1, 2, 3, 4, 11, 12, 13, 14]
    assert merged.camera.tolist() == [1, 2, 1, -1, 11, 12, 11, -1]
    assert merged.replication.tolist() == [-1] * 8


def test_each_store_keeps_its_splits(make: Make, tmp_path: Path) -> None:
    one, two = make("one", "kinect20"), make("two", "sbu15", seed=1)
    merged = Store.open(merge([one, two], tmp_path / "both", "common15", progress=False))
    check_splits(merged.splits, "merged")
    for path in (one, two):
        own = Store.open(path)
        for split in set(SPLITS) - {"unknown"}:
            expected = tuple([f"{path.name}_{name}" for name in side] for side in rows(own, split))
            assert rows(merged, f"{path.name}_{split}") == expected
        for split in set(SPLITS) - {"unknown", "odd"}:
            train, test = rows(merged, f"{path.name}_{split}_with_others")
            assert test == rows(merged, f"{path.name}_{split}")[1]
            left_out = {f"{path.name}_{name}" for name in SPLITS[split].get("exclude", ())}
            assert set(train + test) == set(merged.name.tolist()) - left_out
    assert not {"one_unknown", "one_odd_with_others"} & set(merged.splits)
    assert len(load_split(merged, "all").train) == 8


def test_copies_are_found_across_stores(make: Make, tmp_path: Path) -> None:
    merged = Store.open(merge([make("one", "sbu15"), make("two", "sbu15", scale=True)], tmp_path / "both", "common15"))
    np.testing.assert_array_equal(merged.content[:4], merged.content[4:])
    assert len(rows(merged, "one_xsub_with_others")[1]) == 2
    with pytest.raises(UserError, match="test has no clips"):
        rows(merged, "one_xsub_with_others_dedup")


def test_stores_normalised_otherwise_are_made_alike(make: Make, tmp_path: Path) -> None:
    paths = [
        make("one", "sbu15"),
        make("two", "sbu15", centre="frame", scale=True),
        make("three", "sbu15", orient=True),
    ]
    merged = Store.open(merge(paths, tmp_path / "all", "sbu15", progress=False))
    assert merged.normalization == NormalizeConfig(centre="frame", orient=True, scale=True)
    assert merged.normalization.units == "mean bone lengths"
    redone = {one["name"]: set(one["redone"]) for one in merged.provenance.stores}
    assert redone == {"one": {"centre", "orient", "scale"}, "two": {"orient"}, "three": {"centre", "scale"}}
    for i in range(4, 8):  # the recordings are the same, so what is done to them ends the same
        np.testing.assert_allclose(merged.clip(i), merged.clip(i - 4), atol=1e-4)
        np.testing.assert_allclose(merged.clip(i + 4), merged.clip(i - 4), atol=1e-4)


def test_what_does_not_go_together_is_refused(make: Make, tmp_path: Path) -> None:
    one, hand = make("one", "sbu15"), make("hand", "hand21")
    flat = make("flat", "coco17", channels=2)
    (tmp_path / "below").mkdir()
    with pytest.raises(UserError, match=r"one 3, flat 2\); merge 2D and 3D separately"):
        merge([one, flat], tmp_path / "both", "common15")
    with pytest.raises(UserError, match="hand21 has no joint of common15"):
        merge([one, hand], tmp_path / "both", "common15")
    with pytest.raises(UserError, match="all of different names"):
        merge([one, one], tmp_path / "both", "common15")
    with pytest.raises(UserError, match="give at least one"):
        merge([], tmp_path / "both", "common15")
    with pytest.raises(UserError, match=r"begins the names of splits: '\.one' cannot become the name of a file"):
        merge([make(".one", "sbu15")], tmp_path / "both", "common15")
    with pytest.raises(UserError, match="did you mean 'common15'"):
        merge([one], tmp_path / "both", "common")
    meta = json.loads((one / "meta.json").read_text())
    (one / "meta.json").write_text(json.dumps(meta | {"normalization": {}}))
    with pytest.raises(UserError, match="normalization: nothing is recorded"):
        merge([one], tmp_path / "both", "common15")
    assert not (tmp_path / "both").exists()


def call(*words: Any) -> Result:
    return CliRunner().invoke(app, [str(word) for word in words], catch_exceptions=False)


def test_the_command_tells_what_was_done(make: Make, tmp_path: Path) -> None:
    one, two = make("one", "kinect20"), make("two", "sbu15", scale=True)
    told = call(one, two, "-o", tmp_path / "both").stdout
    assert "8 clips, 36 frames, 4 classes" in told
    assert "one: 4 clips of kinect20; numbers moved by 0; redone: scale False -> True; missing: nothing" in told
    assert "two_xsub_with_others" in told
    with pytest.raises(UserError, match="exists already"):
        call(one, "-o", tmp_path / "both")
    facts = json.loads(call(one, "-o", tmp_path / "both", "--layout", "ntu25", "--overwrite", "--json").stdout)
    assert facts["layout"] == "ntu25"
    assert facts["provenance"]["stores"][0]["missing"] == [
        *("left_hand_tip", "left_thumb", "right_hand_tip", "right_thumb")
    ]


def test_a_store_that_is_read_is_never_the_output(make: Make, tmp_path: Path) -> None:
    one, other = make("one", "sbu15"), make("other", "sbu15", seed=1)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    for stores in ([one], [other, one]):
        with pytest.raises(UserError, match="one is read, so it will not be replaced; choose another path"):
            merge(stores, one, "common15", overwrite=True, progress=False)
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before
