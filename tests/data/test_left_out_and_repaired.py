"""Conversion that leaves clips out and mends them, with a record; stopped in the middle it ends the same."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from ssl_skel.data import convert as module
from ssl_skel.data.convert import convert
from ssl_skel.data.normalize import NormalizeConfig, normalize
from ssl_skel.data.readers import READERS
from ssl_skel.data.repair import Change, RepairConfig, repair, undo
from ssl_skel.data.store import Store
from ssl_skel.layouts import LAYOUTS

NAMES = ("a", "b", "c", "d")
REPAIRS = RepairConfig(steps=("jumps", "gaps"))


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """Four clips; in b and d a hand leaps away for a frame and is lost for two."""
    rng = np.random.default_rng(0)
    folder = tmp_path / "raw"
    folder.mkdir()
    for name in NAMES:
        joints = rng.normal(size=(1, 20, 3)) + rng.normal(0, 0.005, size=(12, 20, 3)).cumsum(0)
        if name in "bd":
            joints[4, 7] += 3.0
            joints[8:10, 7] = np.nan
        np.savez(folder / f"{name}.npz", joints=joints[None].astype(np.float32), name=[name])
        (folder / f"{name}.yaml").write_text("layout: kinect20\n")
    return folder


def run(source: Path, store: Path, **options: object) -> dict:
    return convert("npz", source, store, normalize=NormalizeConfig(), progress=False, **options)  # type: ignore[arg-type]


def test_listed_clips_are_left_out_and_counted(source: Path, tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_text("# copies\nb\nnobody\n")
    facts = run(source, tmp_path / "store", exclude=tmp_path / "list.txt")
    assert Store.open(tmp_path / "store").name.tolist() == ["a", "c", "d"]
    assert (facts["clips"], facts["excluded"], facts["exclusions_without_a_clip"]) == (3, 1, ["nobody"])
    assert json.loads((tmp_path / "store" / "meta.json").read_text())["provenance"]["excluded"] == ["b"]


def test_repairs_are_done_recorded_and_can_be_taken_back(source: Path, tmp_path: Path) -> None:
    facts = run(source, tmp_path / "store", repairs=REPAIRS)
    run(source, tmp_path / "plain")
    mended, plain = Store.open(tmp_path / "store"), Store.open(tmp_path / "plain")
    record = json.loads((tmp_path / "store" / "repairs.json").read_text())
    assert set(record) == {"b", "d"}
    assert facts["repairs"] == sum(map(len, record.values())) >= 4
    assert not (tmp_path / "plain" / "repairs.json").exists()
    for row, name in enumerate(NAMES):
        assert np.array_equal(mended.clip(row), plain.clip(row)) == (name in "ac")
    (raw,) = READERS["npz"](source / "b.npz").read(source / "b.npz")
    assert np.linalg.norm(mended.clip(1)[0, 4, 7] - mended.clip(1)[0, 3, 7]) < 0.2
    assert mended.content[1] == plain.content[1]  # of the recording, whatever was mended in it
    back = undo(repair(raw.joints, REPAIRS)[0], [Change.from_dict(change) for change in record["b"]])
    assert np.array_equal(back, raw.joints, equal_nan=True)
    assert np.array_equal(normalize(back, LAYOUTS["kinect20"], NormalizeConfig())[0], plain.clip(1))


def test_a_stopped_conversion_keeps_both(source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "list.txt").write_text("a\n")
    options = {"exclude": tmp_path / "list.txt", "repairs": REPAIRS}
    want = run(source, tmp_path / "whole", **options)
    monkeypatch.setattr(module, "_SECONDS_BETWEEN_CHECKPOINTS", -1.0)
    read = READERS["npz"].read

    def stops(self: object, file: Path) -> object:
        if file.stem == "d":
            raise KeyboardInterrupt
        return read(self, file)  # type: ignore[arg-type]

    with monkeypatch.context() as patch:
        patch.setattr(READERS["npz"], "read", stops)
        with pytest.raises(KeyboardInterrupt):
            run(source, tmp_path / "store", **options)
    assert not (tmp_path / "store").exists()
    got = run(source, tmp_path / "store", **options)
    assert {**got, "store": "", "seconds": 0} == {**want, "store": "", "seconds": 0}
    for file in ("joints.npy", "clips.npz", "repairs.json"):
        assert (tmp_path / "store" / file).read_bytes() == (tmp_path / "whole" / file).read_bytes(), file
