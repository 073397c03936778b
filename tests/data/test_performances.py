"""Draws of one performance by several cameras, against loops over the clips."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from ssl_skel.batch import Batch
from ssl_skel.data.clip import RawClip
from ssl_skel.data.loader import ClipLoader
from ssl_skel.data.merge import merge
from ssl_skel.data.normalize import NormalizeConfig
from ssl_skel.data.performances import OtherCameras
from ssl_skel.data.store import Store
from ssl_skel.data.writer import StoreWriter
from ssl_skel.errors import UserError
from ssl_skel.layouts import LAYOUTS

# subject, label, setup, replication, camera, persons
FILMED = {
    "three 1": (0, 0, 0, 0, 1, 1),
    "pair 1": (0, 1, 0, 0, 1, 1),
    "three 2": (0, 0, 0, 0, 2, 1),
    "three 3": (0, 0, 0, 0, 3, 1),
    "alone": (1, 0, 0, 0, 1, 1),
    "pair 2": (0, 1, 0, 0, 2, 1),
    "unlabelled 1": (-1, -1, -1, 5, 1, 1),
    "unlabelled 2": (-1, -1, -1, 5, 2, 1),
    "one person": (2, 0, 0, 0, 1, 1),
    "two persons": (2, 0, 0, 0, 2, 2),
    "twice 1": (3, 0, 0, 0, 1, 1),
    "twice 2": (3, 0, 0, 0, 2, 1),
    "twice again": (3, 0, 0, 0, 2, 1),
    "no number 1": (4, 0, 0, -1, 1, 1),
    "no number 2": (4, 0, 0, -1, 2, 1),
    "no camera": (0, 1, 0, 0, -1, 1),
}
NAMES = list(FILMED)
TOGETHER = [{"three 1", "three 2", "three 3"}, {"pair 1", "pair 2"}, {"unlabelled 1", "unlabelled 2"}]


def mates(name: str, known: set[str]) -> set[str]:
    """What a draw after the first may show."""
    return next((group & known for group in TOGETHER if name in group), set()) - {name} or {name}


def write(path: Path) -> Store:
    """Clips that stand still, each with all coordinates at its own number, from 1."""
    with StoreWriter(path, LAYOUTS["sbu15"], ("a", "b"), normalization=NormalizeConfig()) as writer:
        for number, (name, (subject, label, setup, replication, camera, persons)) in enumerate(FILMED.items()):
            joints = np.full((persons, 4 + number, 15, 3), number + 1, "f4")
            writer.add(RawClip(name, joints, label, subject, camera, setup, replication))
    return Store.open(path)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return write(tmp_path_factory.mktemp("cameras") / "store")


def loader(store: Store, rows: range | list[int], **options: Any) -> ClipLoader:
    defaults: dict[str, Any] = {"num_frames": 3, "batch_size": 5, "num_views": 3, "cameras": "others"}
    return ClipLoader(store, rows, **(defaults | options))


def shown(batch: Batch) -> np.ndarray:
    """(N, K) number of the clip that each draw shows."""
    assert (batch.x[..., 0] == batch.x[:, :, :1, :1, :1, 0]).all()
    return batch.x[:, :, 0, 0, 0, 0].long().numpy() - 1


@pytest.mark.parametrize("left_out", [set(), {"three 2"}, {"pair 2", "unlabelled 1"}])
def test_further_draws_show_every_other_camera_and_nothing_else(store: Store, left_out: set[str]) -> None:
    known = set(NAMES) - left_out
    rows = [number for number, name in enumerate(NAMES) if name in known]
    seen: dict[str, set[str]] = {name: set() for name in known}
    for epoch in range(20):
        for batch in loader(store, rows).epoch(epoch):
            for own, drawn in zip(batch.index.tolist(), shown(batch).tolist(), strict=True):
                assert drawn[0] == own
                seen[NAMES[own]] |= {NAMES[number] for number in drawn[1:]}
    assert seen == {name: mates(name, known) for name in known}


def test_draws_keep_the_persons_of_their_clip(store: Store) -> None:
    for batch in loader(store, range(len(store))).epoch():
        assert batch.present.sum(1).tolist() == store.persons[batch.index.numpy()].tolist()
        assert (batch.x[:, :, ..., 1].abs().sum((2, 3, 4)) > 0).eq(batch.present[:, 1:]).all()


@pytest.mark.parametrize("sampling", ["crop", "sorted"])
def test_ranks_and_resumed_epochs_draw_the_same(store: Store, sampling: str) -> None:
    options: dict[str, Any] = {"shuffle": True, "sampling": sampling, "batch_size": 4, "seed": 3}
    one = list(loader(store, range(len(store)), **options).epoch(1))
    halves = [list(loader(store, range(len(store)), rank=rank, world_size=2, **options).epoch(1)) for rank in (0, 1)]
    for batch, *parts in zip(one, *halves, strict=True):
        assert torch.equal(torch.cat([part.x for part in parts]), batch.x)
    rest = list(loader(store, range(len(store)), **options).epoch(1, start=2))
    assert all(torch.equal(*pair) for pair in zip([b.x for b in one[2:]], [b.x for b in rest], strict=True))


def test_a_single_draw_and_own_show_the_clip(store: Store) -> None:
    one_draw: dict[str, Any] = {"num_views": 1}
    for options in (one_draw, {"cameras": "own"}):
        for batch in loader(store, range(len(store)), **options).epoch():
            assert (shown(batch) == batch.index.numpy()[:, None]).all()


def test_merged_stores_keep_their_performances_apart(store: Store, tmp_path: Path) -> None:
    write(tmp_path / "second")
    merged = Store.open(merge([store.path, tmp_path / "second"], tmp_path / "both", "common15", progress=False))
    rows = np.arange(len(merged))
    drawn = OtherCameras(merged, rows).draw(rows, np.random.default_rng(0).random((len(rows), 50)))
    assert ((drawn < len(NAMES)) == (rows < len(NAMES))[:, None]).all()
    for row in rows:
        names = {NAMES[number % len(NAMES)] for number in drawn[row]}
        assert names == mates(NAMES[row % len(NAMES)], set(NAMES))


def test_clips_of_one_camera_each_are_refused(store: Store) -> None:
    rows = [NAMES.index(name) for name in ("three 1", "pair 1", "alone", "no number 1", "no number 2")]
    with pytest.raises(UserError, match=r"data\.cameras: none of these clips .* replication .* own"):
        loader(store, rows)


def test_an_unknown_choice_is_refused(store: Store) -> None:
    with pytest.raises(UserError, match=r"cameras: must be own or others, got 'all'"):
        loader(store, range(4), cameras="all")
