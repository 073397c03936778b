"""A run is continued from what it began with, and from nothing else; a finished one is never written again."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tiny_run import config

from pretrain.run import run
from ssl_skel.data.splits import load_split
from ssl_skel.data.store import Store, hash_file
from ssl_skel.encoders.training_data import TrainingData
from ssl_skel.errors import UserError
from ssl_skel.files.exclusive import LOCK, only_worker


def snapshot(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def edit_meta(store: Path, change: Callable[[dict[str, Any]], None]) -> None:
    meta = json.loads((store / "meta.json").read_text("utf-8"))
    change(meta)
    (store / "meta.json").write_text(json.dumps(meta), "utf-8")


def other_joints(store: Path) -> None:
    joints = np.load(store / "joints.npy")
    np.save(store / "joints.npy", joints + np.float32(0.01))
    edit_meta(store, lambda meta: meta.update(sha256=hash_file(store / "joints.npy")))


def other_clips_of_the_split(store: Path) -> None:
    """As many training clips as before, but of other people."""
    opened = Store.open(store)
    train = load_split(opened, "unseen").train
    rest = np.setdiff1d(np.arange(len(opened)), train)
    chosen = np.concatenate([rest, train])[: len(train)]
    names = {"train": opened.name[chosen], "test": np.delete(opened.name, chosen)}
    told = {side: {"name": values.tolist()} for side, values in names.items()}
    edit_meta(store, lambda meta: meta["splits"].update(unseen=told))


@pytest.mark.parametrize(("change", "key"), [(other_joints, "data.store"), (other_clips_of_the_split, "data.split")])
def test_a_finished_run_refuses_other_clips_at_the_same_path(motions, tmp_path, change, key):
    store = shutil.copytree(motions, tmp_path / "store")
    folder = run(config(store, tmp_path / "runs"))
    before = snapshot(folder)
    change(store)
    with pytest.raises(
        UserError, match=rf"tiny: {key}: has changed since the run began \(sha256 \w+, now \w+\); restore"
    ):
        run(config(store, tmp_path / "runs"), "auto")
    assert snapshot(folder) == before


def test_other_initial_weights_are_refused(motions, tmp_path):
    first = run(config(motions, tmp_path / "first", train__epochs=1))
    options = {"init_from": str(first), "train__epochs": 1}
    folder = run(config(motions, tmp_path / "runs", **options))
    before = snapshot(folder)
    shutil.rmtree(first)
    run(config(motions, tmp_path / "first", train__epochs=1, seed=5))
    with pytest.raises(UserError, match="init_from: has changed since the run began"):
        run(config(motions, tmp_path / "runs", **options), "auto")
    assert snapshot(folder) == before


def test_checkpoints_of_an_earlier_release_tell_no_inputs_and_the_card_stays(motions, tmp_path):
    store = shutil.copytree(motions, tmp_path / "store")
    folder = run(config(store, tmp_path / "runs"))
    for path in folder.glob("checkpoints/*/state.json"):
        state = json.loads(path.read_text())
        assert state.pop("inputs")["data.store"] == Store.open(store).sha256
        path.write_text(json.dumps(state))
    before = snapshot(folder)
    other_joints(store)
    run(config(store, tmp_path / "runs"), "auto")
    assert snapshot(folder) == before


def test_a_finished_run_without_checkpoints_is_not_trained_over(motions, tmp_path):
    folder = run(config(motions, tmp_path / "runs"))
    shutil.rmtree(folder / "checkpoints")
    before = snapshot(folder)
    with pytest.raises(UserError, match="is finished, but its checkpoints are gone; its encoder stays as it is"):
        run(config(motions, tmp_path / "runs"), "auto")
    assert snapshot(folder) == before


def test_recorded_data_is_told_from_a_split_that_changed(motions, tmp_path):
    store = shutil.copytree(motions, tmp_path / "store")
    data = TrainingData.of(Store.open(store), load_split(Store.open(store), "unseen"))
    former = data.model_copy(update={"names": "", "content": ""})
    assert data.is_of(Store.open(motions), load_split(Store.open(motions), "unseen"))
    other_clips_of_the_split(store)
    changed = Store.open(store)
    assert not data.is_of(changed, load_split(changed, "unseen"))
    assert former.is_of(changed, load_split(changed, "unseen"))


def test_a_run_that_another_process_works_on_is_left_alone(motions, tmp_path):
    with only_worker(tmp_path / "tiny"), pytest.raises(UserError, match="tiny: another process works on this run"):
        run(config(motions, tmp_path), "auto")
    assert [path.name for path in (tmp_path / "tiny").iterdir()] == [LOCK]
    run(config(motions, tmp_path, train__epochs=1))
    with pytest.raises(UserError, match="exists already"):
        run(config(motions, tmp_path, train__epochs=1))
