"""ClipLoader against per-clip loops, and everything that must not change what a clip looks like."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from ssl_skel.batch import Batch, Rng
from ssl_skel.data.augment import AUGMENTATIONS
from ssl_skel.data.augment.pipeline import Augment
from ssl_skel.data.clip import RawClip
from ssl_skel.data.loader import ClipLoader, Draw
from ssl_skel.data.store import Store
from ssl_skel.data.writer import StoreWriter
from ssl_skel.errors import UserError
from ssl_skel.layouts import LAYOUTS

LAYOUT = LAYOUTS["sbu15"]
FRAMES = (1, 2, 3, 5, 16, 17, 30, 40, 64, 90, 301)


def write(path: Path, clips: list[np.ndarray]) -> Store:
    with StoreWriter(path, LAYOUT, ("a", "b")) as writer:
        for number, joints in enumerate(clips):
            writer.add(RawClip(f"clip{number}", joints, label=number % 2))
    return Store.open(path)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """Clips of many lengths, of one or two persons, of random points."""
    random = np.random.default_rng(0)
    shapes = [(1 + number % 2, frames, 15, 3) for number, frames in enumerate(FRAMES)]
    return write(tmp_path_factory.mktemp("random") / "store", [random.normal(size=s).astype("f4") for s in shapes])


@pytest.fixture(scope="module")
def ramps(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """40 clips of 100 frames whose coordinates are the number of the frame."""
    ramp = np.broadcast_to(np.arange(100, dtype="f4")[None, :, None, None], (1, 100, 15, 3))
    return write(tmp_path_factory.mktemp("ramps") / "store", [ramp] * 40)


def load(store: Store, epoch: int = 0, start: int = 0, **options: Any) -> list[Batch]:
    defaults: dict[str, Any] = {"rows": range(len(store)), "num_frames": 8, "batch_size": 4}
    return list(ClipLoader(store, **(defaults | options)).epoch(epoch, start))


def whole(batches: list[Batch]) -> Tensor:
    return torch.cat([batch.x for batch in batches])


def same(left: Batch, right: Batch) -> bool:
    fields = ("x", "present", "label", "index")
    return all(torch.equal(getattr(left, f), getattr(right, f)) for f in fields) and left.rng.key == right.rng.key


def everything() -> Augment:
    return Augment([row.Config() for row in AUGMENTATIONS.values()], LAYOUT)


def resample(clip: np.ndarray, num_frames: int) -> Tensor:
    """One clip (M, T, V, C) -> (C, num_frames, V, M), by torch's own interpolation."""
    persons, frames, joints, channels = clip.shape
    tracks = torch.tensor(clip).permute(0, 2, 3, 1).reshape(1, -1, frames)
    out = F.interpolate(tracks, size=num_frames, mode="linear", align_corners=False)
    return out.view(persons, joints, channels, num_frames).permute(2, 3, 1, 0)


# ---- what a batch holds


@pytest.mark.parametrize("num_frames", [1, 2, 7, 16, 64, 120])
def test_whole_clips_are_resampled_as_torch_does(store: Store, num_frames: int) -> None:
    for batch in load(store, num_frames=num_frames, crop=(1.0, 1.0)):
        assert batch.x.shape[1:] == (1, 3, num_frames, 15, 2)
        assert batch.x.dtype == torch.float32
        for x, present, row in zip(batch.x[:, 0], batch.present, batch.index, strict=True):
            clip = store.clip(int(row))
            assert present.tolist() == [True, len(clip) == 2]
            torch.testing.assert_close(x[..., : len(clip)], resample(clip, num_frames), atol=1e-5, rtol=1e-5)
            assert not x[..., len(clip) :].any()


@pytest.mark.parametrize("share", [0.5, 0.95])
def test_a_fixed_crop_is_centred_and_repeats(store: Store, share: float) -> None:
    options = {"crop": (share, share), "num_frames": 20, "shuffle": True}
    for batch in [*load(store, epoch=0, **options), *load(store, epoch=5, **options)]:
        for x, row in zip(batch.x[:, 0], batch.index, strict=True):
            clip = store.clip(int(row))
            frames = clip.shape[1]
            length = min(frames, max(16, int(share * frames)))
            start = (frames - length) // 2
            expected = resample(clip[:, start : start + length], 20)
            torch.testing.assert_close(x[..., : len(clip)], expected, atol=1e-5, rtol=1e-5)


def test_random_crops_have_random_length_and_place(ramps: Store) -> None:
    x = whole(load(ramps, crop=(0.3, 0.8), num_frames=5, num_views=25))[:, :, 0, :, 0, 0]  # (N, K, T)
    length = (x[..., 3] - x[..., 2]) * 5
    start = x[..., 2] + 0.5 - length / 2  # the middle frame is the crop's middle
    for value in (length, start):
        torch.testing.assert_close(value, value.round(), atol=1e-3, rtol=0)
    length, start = length.round(), start.round()
    assert (length.min(), length.max()) == (30, 79)
    assert start.min() == 0
    assert (start + length).max() == 100
    assert 52 < length.mean() < 57
    assert 44 < (start + length / 2).mean() < 56


def test_crops_have_a_floor_in_frames(ramps: Store) -> None:
    x = whole(load(ramps, crop=(0.01, 0.02), num_frames=2, min_frames=24))[:, 0, 0, :, 0, 0]
    torch.testing.assert_close((x[:, 1] - x[:, 0]) * 2, torch.full((40,), 24.0))


def test_sorted_frames_are_drawn_from_the_whole_clip(store: Store) -> None:
    for batch in load(store, sampling="sorted", crop=(0.1, 0.2), num_frames=20, num_views=2):
        luck = Rng((*batch.rng.key[:3], Draw.CROP), len(batch.x)).uniform(2, 20).double().numpy()
        for x, draws, row in zip(batch.x, luck, batch.index, strict=True):
            clip = store.clip(int(row))
            for view, draw in zip(x, draws, strict=True):
                chosen = sorted(int(share * clip.shape[1]) for share in draw)
                expected = torch.from_numpy(clip[:, chosen]).permute(3, 1, 2, 0)
                assert torch.equal(view[..., : len(clip)], expected)
                assert not view[..., len(clip) :].any()


def test_sorted_frames_cover_the_clip_and_differ_in_each_draw(ramps: Store) -> None:
    options = {"sampling": "sorted", "num_frames": 30, "num_views": 3}
    number = whole(load(ramps, **options))[:, :, 0, :, 0, 0]  # of the frame, (N, K, T)
    assert torch.equal(number, number.round())
    assert (number.diff() >= 0).all()
    assert (number.min(), number.max()) == (0, 99)
    assert 47 < number.mean() < 52
    assert len({tuple(draw) for draw in number.flatten(0, 1).tolist()}) == 120
    assert not torch.equal(number, whole(load(ramps, epoch=1, **options))[:, :, 0, :, 0, 0])


def test_views_are_independent_draws_of_the_same_clip(ramps: Store) -> None:
    x = whole(load(ramps, crop=(0.3, 0.8), num_views=3))
    assert x.shape[:2] == (40, 3)
    for one, other in itertools.combinations(range(3), 2):
        equal = (x[:, one] == x[:, other]).flatten(1).all(1)
        assert equal.float().mean() < 0.1


def test_augmentation_reaches_each_view_and_spares_the_absent(store: Store) -> None:
    for batch in load(store, num_views=2, augment=everything()):
        assert not torch.isclose(batch.x[:, 0], batch.x[:, 1])[..., 0].all()
        for x, present in zip(batch.x, batch.present, strict=True):
            assert torch.equal((x != 0).flatten(0, 3).any(0), present)


def test_augmentation_gets_the_right_random_numbers(store: Store) -> None:
    plain, augment = load(store, num_views=2), everything()
    for before, after in zip(plain, load(store, num_views=2, augment=augment), strict=True):
        n = len(before.x)
        rng = Rng((*before.rng.key[:3], 2), 2 * n)
        present = before.present.repeat_interleave(2, 0)
        assert torch.equal(augment(before.x.flatten(0, 1), present, rng), after.x.flatten(0, 1))


def test_labels_and_rows(store: Store) -> None:
    rows = [10, 3, 7]
    (batch,) = load(store, rows=rows)
    assert batch.index.tolist() == rows
    assert batch.label.tolist() == store.label[rows].tolist()
    (batch,) = load(store, rows=rows, labels=False)
    assert batch.label.tolist() == [-1] * 3
    assert batch.label.dtype == batch.index.dtype == torch.int64


def test_a_batch_may_be_written_to(store: Store) -> None:
    loader = ClipLoader(store, range(11), num_frames=4, batch_size=11)
    first = next(loader.epoch())
    x = first.x.clone()
    for field in (first.x, first.index, first.label):
        field.zero_()
    again = next(loader.epoch())
    assert torch.equal(again.x, x)
    assert again.index.tolist() == list(range(11))
    assert again.label.tolist() == store.label.tolist()


# ---- epochs and steps


def test_an_epoch_holds_every_row_once(store: Store) -> None:
    for shuffle in (False, True):
        rows = torch.cat([batch.index for batch in load(store, shuffle=shuffle)]).tolist()
        assert sorted(rows) == list(range(11))
        assert (rows == sorted(rows)) is not shuffle


def test_epochs_and_seeds_differ_and_repeat(ramps: Store) -> None:
    def run(epoch: int, seed: int) -> tuple[list[int], Tensor]:
        batches = load(ramps, epoch, shuffle=True, crop=(0.3, 0.8), seed=seed)
        return torch.cat([batch.index for batch in batches]).tolist(), whole(batches)

    runs = {(epoch, seed): run(epoch, seed) for epoch in (0, 1) for seed in (0, 1)}
    for (rows, x), (other_rows, other_x) in itertools.combinations(runs.values(), 2):
        assert rows != other_rows
        assert not torch.equal(x, other_x)
    again = run(1, 1)
    assert again[0] == runs[1, 1][0]
    assert torch.equal(again[1], runs[1, 1][1])


def test_the_global_generators_play_no_part(ramps: Store) -> None:
    options = {"shuffle": True, "crop": (0.3, 0.8), "augment": everything()}
    runs = []
    for seed in (0, 1):
        torch.manual_seed(seed)
        np.random.seed(seed)
        runs.append(whole(load(ramps, **options)))
    assert torch.equal(*runs)


@pytest.mark.parametrize("start", [0, 1, 2, 3])
def test_an_epoch_resumes_at_any_step(store: Store, start: int) -> None:
    options = {"shuffle": True, "crop": (0.3, 0.8), "num_views": 2, "augment": everything(), "epoch": 3}
    full, rest = load(store, **options), load(store, start=start, **options)
    assert len(rest) == 3 - start
    assert all(same(*pair) for pair in zip(full[start:], rest, strict=True))


@pytest.mark.parametrize(
    ("rows", "batch_size", "drop_last", "world_size", "sizes"),
    [
        (11, 4, False, 1, [4, 4, 3]),
        (11, 4, True, 1, [4, 4]),
        (8, 4, False, 1, [4, 4]),
        (8, 4, True, 1, [4, 4]),
        (3, 4, False, 1, [3]),
        (3, 4, True, 1, [3]),
        (3, 4, True, 2, [2]),
        (7, 8, True, 4, [4]),
    ],
)
def test_batch_sizes(
    store: Store, rows: int, batch_size: int, drop_last: bool, world_size: int, sizes: list[int]
) -> None:
    loaders = [
        ClipLoader(
            store,
            range(rows),
            num_frames=4,
            batch_size=batch_size,
            drop_last=drop_last,
            rank=rank,
            world_size=world_size,
        )
        for rank in range(world_size)
    ]
    assert len(loaders[0]) == len(sizes)
    for loader in loaders:
        assert [len(batch.x) * world_size for batch in loader.epoch()] == sizes


# ---- ranks


@pytest.mark.parametrize("sampling", ["crop", "sorted"])
@pytest.mark.parametrize("world_size", [2, 4])
def test_ranks_together_load_what_one_loads(store: Store, world_size: int, sampling: str) -> None:
    options = {"shuffle": True, "sampling": sampling, "crop": (0.3, 0.8), "num_views": 2, "augment": everything()}
    one = load(store, **options)
    ranks = [load(store, rank=rank, world_size=world_size, **options) for rank in range(world_size)]
    for batch, *parts in zip(one, *ranks, strict=True):
        for field in ("x", "present", "label", "index"):
            assert torch.equal(torch.cat([getattr(part, field) for part in parts]), getattr(batch, field))
        draws = [part.rng.uniform(2) for part in parts]
        assert torch.equal(torch.cat(draws), batch.rng.uniform(2))


def test_a_rank_may_go_without_clips_in_a_short_batch(store: Store) -> None:
    last = load(store, rows=range(5), rank=3, world_size=4, num_views=2, augment=everything())[-1]
    assert last.x.shape == (0, 2, 3, 8, 15, 2)


def test_tasks_draw_other_numbers_than_the_loader(store: Store) -> None:
    batches = load(store)
    first = [batch.rng.uniform(20) for batch in batches]
    for step, numbers in enumerate(first):
        key = batches[step].rng.key
        others = [Rng((*key[:3], draw), len(numbers)).uniform(20) for draw in set(Draw) - {Draw.TASK}] + first[:step]
        assert not any(torch.isclose(numbers[:3], other[:3]).any() for other in others)


# ---- where the joints lie


def test_residency_changes_nothing(store: Store) -> None:
    runs = [load(store, resident=resident, crop=(0.3, 0.8)) for resident in ("auto", "never", "always")]
    for batches in runs[1:]:
        assert all(same(*pair) for pair in zip(runs[0], batches, strict=True))


def test_on_a_cpu_the_memory_map_is_used_as_it_is(store: Store) -> None:
    def shared(resident: str) -> bool:
        loader = ClipLoader(store, [0], num_frames=4, batch_size=1, resident=resident)
        return loader._joints.data_ptr() == store.joints.ctypes.data

    assert shared("auto")
    assert shared("never")
    assert not shared("always")


@pytest.mark.parametrize(("room", "moved"), [(4, True), (3.9, False), (0, False)])
def test_auto_moves_joints_that_fit_four_times(
    store: Store, monkeypatch: pytest.MonkeyPatch, room: float, moved: bool
) -> None:
    monkeypatch.setattr("ssl_skel.data.loader._free_memory", lambda device: int(room * store.joints.nbytes))
    loader = ClipLoader(store, [0], num_frames=4, batch_size=1, device="meta", resident="auto")
    assert loader._joints.is_meta is moved


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
def test_a_gpu_loads_the_same_crops(store: Store) -> None:
    cpu = load(store, crop=(0.3, 0.8))
    for resident in ("never", "auto", "always"):
        for here, there in zip(cpu, load(store, crop=(0.3, 0.8), device="cuda", resident=resident), strict=True):
            assert there.x.is_cuda
            assert there.rng.uniform(2).is_cuda
            torch.testing.assert_close(there.x.cpu(), here.x)


# ---- mistakes


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"rows": []}, "no clips"),
        ({"rows": [11]}, "rows"),
        ({"rows": [-1]}, "rows"),
        ({"world_size": 3}, "batch_size"),
        ({"batch_size": 0}, "batch_size"),
        ({"num_frames": 0}, "num_frames"),
        ({"num_views": 0}, "num_views"),
        ({"min_frames": 0}, "min_frames"),
        ({"crop": (0.0, 1.0)}, "crop"),
        ({"crop": (0.9, 0.5)}, "crop"),
        ({"crop": (0.5, 1.5)}, "crop"),
        ({"resident": "sometimes"}, "resident"),
        ({"sampling": "sort"}, "sampling: must be crop or sorted"),
        ({"seed": -1}, "seed"),
        ({"rows": [0], "drop_last": True, "world_size": 2}, "1 clips for 2 ranks"),
    ],
)
def test_mistakes_are_told_in_one_line(store: Store, options: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message) as error:
        load(store, **options)
    assert "\n" not in str(error.value)


# ---- long takes


def test_draws_of_a_long_clip_share_one_window(ramps: Store) -> None:
    options = {"max_frames": 20, "num_frames": 5, "num_views": 6, "crop": (0.8, 1.0), "min_frames": 1}
    x = whole(load(ramps, **options))[:, :, 0, :, 0, 0]  # (N, K, T): numbers of frames
    low, high = x.amin((1, 2)), x.amax((1, 2))
    assert (high - low).max() < 20
    assert low.min() < 15
    assert high.max() > 85  # windows lie anywhere
    assert (x[:, :, 0].amax(1) - x[:, :, 0].amin(1) > 0).any()  # and crops anywhere in them


def test_sorted_frames_are_of_the_window(ramps: Store) -> None:
    x = whole(load(ramps, max_frames=20, num_frames=9, num_views=4, sampling="sorted"))[:, :, 0, :, 0, 0]
    assert (x.amax((1, 2)) - x.amin((1, 2))).max() < 20
    assert (x.diff(dim=2) >= 0).all()
    assert x.max() > 60


def test_a_limit_above_all_clips_changes_nothing(store: Store) -> None:
    limited = load(store, max_frames=301, num_views=2, shuffle=True)
    assert all(same(a, b) for a, b in zip(load(store, num_views=2, shuffle=True), limited, strict=True))


def test_a_long_clip_enters_a_shuffled_epoch_once_a_window(store: Store) -> None:
    drawn = [int(row) for batch in load(store, max_frames=40, shuffle=True) for row in batch.index]
    assert np.bincount(drawn).tolist() == [-(-frames // 40) for frames in FRAMES]
    assert len(load(store, max_frames=40)) == len(load(store))  # in order, each clip once
