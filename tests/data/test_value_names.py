"""Subjects, cameras and the like that have names: read from every described format, kept in the store, merged."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ssl_skel.data.convert import convert
from ssl_skel.data.merge import merge
from ssl_skel.data.normalize import NormalizeConfig
from ssl_skel.data.splits import load_split
from ssl_skel.data.store import Store
from ssl_skel.errors import UserError
from tests.data import raw_files

CLIPS = [("anna", "front", "morning", "1"), ("bert", "left", "morning", "1"), ("p10", "front", "noon", "2")]
NAMES = "(?P<subject>[a-z0-9]+)_(?P<camera>[a-z]+)_(?P<session>[a-z]+)_(?P<take>[0-9])"
SPLITS = {
    "mine": {"train": {"subject": ["anna", "p10"]}, "test": {"subject": ["bert"]}},
    "numbered": {"train": {"subject": [1, 3]}, "test": {"subject": [2]}},
}


def of_folder(folder: Path) -> str:
    for clip in CLIPS:
        raw_files.npy(folder, "_".join(clip), names=NAMES, splits=SPLITS)
    return "npy"


def of_list(folder: Path) -> str:
    rows = [",".join((f"c{number}", *clip)) for number, clip in enumerate(CLIPS)]
    for number in range(len(CLIPS)):
        raw_files.npy(folder, f"c{number}", labels="labels.csv", splits=SPLITS)
    (folder / "labels.csv").write_text("\n".join(["file,subject,camera,session,take", *rows, ""]))
    return "npy"


def of_table(folder: Path) -> str:
    told = [dict(zip(("subject", "camera", "session", "take"), clip, strict=True)) for clip in CLIPS]
    joints = {f"c{number}": raw_files.walk(number, 6, 15) for number in range(len(CLIPS))}
    names = raw_files.LAYOUTS["sbu15"].joints
    rows = [row | told[int(row["clip"][1:])] for row in raw_files.long_rows(joints, names)]
    raw_files.table(folder, text=raw_files.csv_text(rows), layout="sbu15", splits=SPLITS)
    return "table"


def of_npz(folder: Path) -> str:
    columns = {name: np.array([clip[at] for clip in CLIPS]) for at, name in enumerate(("subject", "camera", "session"))}
    members: dict[str, Any] = {"joints": np.stack([raw_files.walk(n, 6, 15)[0] for n in range(3)]), **columns}
    raw_files.npz(folder, sidecar={"layout": "sbu15", "splits": SPLITS}, **members, take=np.array([1, 1, 2]))
    return "npz"


@pytest.mark.parametrize("write", [of_folder, of_list, of_table, of_npz])
def test_names_are_kept_in_the_store_and_splits_go_by_them(write: Callable[[Path], str], tmp_path: Path) -> None:
    (tmp_path / "raw").mkdir()
    format = write(tmp_path / "raw")
    convert(format, tmp_path / "raw", tmp_path / "store", normalize=NormalizeConfig(), progress=False)
    store = Store.open(tmp_path / "store")
    assert store.value_names["subject"] == {"anna": 1, "bert": 2, "p10": 3}
    assert store.value_names["setup"] == {"morning": 1, "noon": 2}
    assert sorted(store.value_names) == ["camera", "setup", "subject"]
    assert sorted(zip(store.subject, store.camera, store.setup, store.replication, strict=True)) == [
        (1, 1, 1, 1),
        (2, 2, 1, 1),
        (3, 1, 2, 2),
    ]
    assert [store.called("subject", number) for number in (1, 3, 9)] == ["anna", "p10", "9"]
    for split in SPLITS:
        assert [store.called("subject", n) for n in store.subject[load_split(store, split).test]] == ["bert"]


def test_a_name_that_nobody_has_is_refused(tmp_path: Path) -> None:
    wrong = {"mine": {"train": {"subject": ["ana"]}, "test": {"subject": ["bert"]}}}
    (tmp_path / "raw").mkdir()
    for clip in CLIPS:
        raw_files.npy(tmp_path / "raw", "_".join(clip), names=NAMES, splits=wrong)
    convert("npy", tmp_path / "raw", tmp_path / "store", normalize=NormalizeConfig(), progress=False)
    with pytest.raises(UserError, match="splits: unknown subject 'ana'; did you mean 'anna'"):
        load_split(Store.open(tmp_path / "store"), "mine")


def test_a_merged_store_keeps_names_and_recordings_apart(tmp_path: Path) -> None:
    for part in ("one", "two"):
        (tmp_path / part).mkdir()
        for clip in CLIPS:
            pattern = NAMES.replace("take", "recording")
            raw_files.npy(tmp_path / part, "_".join(clip), names=pattern, splits=SPLITS)
        convert("npy", tmp_path / part, tmp_path / f"{part}s", normalize=NormalizeConfig(), progress=False)
    merged = Store.open(merge([tmp_path / "ones", tmp_path / "twos"], tmp_path / "all", "sbu15", progress=False))
    assert [merged.called("subject", number) for number in merged.subject] == [
        f"{part}s_{name}" for part in ("one", "two") for name in ("anna", "bert", "p10")
    ]
    assert len(set(merged.recording[:3]) | set(merged.recording[3:])) == 4
    assert merged.name[load_split(merged, "twos_mine").test].tolist() == ["twos_bert_left_morning_1"]
    assert len(load_split(merged, "ones_mine_with_others").train) == 5
