"""A store of a billion frames, in files that take no room on the disk because nearly all of them is zeros."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from ssl_skel.data import clip_columns
from ssl_skel.data.clip_columns import write_columns
from ssl_skel.data.loader import ClipLoader
from ssl_skel.data.meta import Meta, Provenance
from ssl_skel.data.normalize import NormalizeConfig, record
from ssl_skel.data.store import Store
from ssl_skel.data.writer import describe_store, write_header
from ssl_skel.errors import UserError
from ssl_skel.layouts import LAYOUTS

LAYOUT = LAYOUTS["ntu25"]
CLIPS, FRAMES = 200_000, 5_000
LAST = np.arange(FRAMES * 75, dtype="<f4").reshape(FRAMES, 25, 3) / 1000


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """300 GB of joints, of which only the last clip is written."""
    rows = CLIPS * FRAMES
    with (tmp_path / "joints.npy").open("wb") as file:
        write_header(file, "float32", (rows, 25, 3))
        file.truncate(file.tell() + rows * 300)
        file.seek(-LAST.nbytes, 2)
        file.write(LAST.tobytes())
    if 512 * (tmp_path / "joints.npy").stat().st_blocks > 1 << 30:
        pytest.skip("this file system has no sparse files")
    each = np.arange(CLIPS)
    columns = {name: np.zeros(CLIPS, np.int64) for name in clip_columns.ALL_COLUMNS}
    columns |= {"offset": each * FRAMES, "frames": np.full(CLIPS, FRAMES), "persons": np.ones(CLIPS, np.int64)}
    columns |= {"name": each.astype("<U6"), "content": each.astype(np.uint64), "fps": np.full(CLIPS, 30.0)}
    meta = Meta(
        layout=LAYOUT.to_dict(),
        class_names=("a",),
        channels=3,
        num_clips=CLIPS,
        num_rows=rows,
        splits={},
        normalization=record(NormalizeConfig(), 0),
        provenance=Provenance(),
        sha256="",
    )
    describe_store(tmp_path, meta, {name: (values.dtype, [values]) for name, values in columns.items()}, {})
    return tmp_path


def test_a_billion_frames(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Opened without reading a column; every frame is found, in a file larger than memory and than 32 bits count."""
    monkeypatch.setattr(clip_columns, "READ_WHOLE", 1 << 20)
    with monkeypatch.context() as patch:
        patch.setattr("ssl_skel.data.store.check_columns", lambda *_: pytest.fail("a column was read"))
        store = Store.open(path)
        assert store.joints.shape == (10**9, 25, 3)
        assert store.joints.flags.writeable
    assert store.frames.sum() == 10**9
    assert store.name[-1] == "199999"
    np.testing.assert_array_equal(store.clip(CLIPS - 1), LAST[None])
    assert not store.clip(CLIPS // 2).any()
    loader = ClipLoader(store, [CLIPS - 1, 7], num_frames=FRAMES, batch_size=2, crop=(1.0, 1.0))
    (batch,) = loader.epoch()
    np.testing.assert_array_equal(batch.x[0, 0, ..., 0].permute(1, 2, 0).numpy(), LAST)
    assert not batch.x[1].any()


def test_damage_in_a_large_store_is_named_at_the_first_use(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clip_columns, "READ_WHOLE", 1 << 20)
    columns = {name: np.array(getattr(Store.open(path), name)) for name in clip_columns.ALL_COLUMNS}
    columns["frames"][150_000] = 1 << 62
    meta = json.loads((path / "meta.json").read_text("utf-8"))
    assert meta["num_clips"] == CLIPS
    with (path / "clips.npz").open("wb") as file:
        write_columns(file, CLIPS, {name: (values.dtype, [values]) for name, values in columns.items()})
    store = Store.open(path)
    for _ in range(2):
        with pytest.raises(UserError, match=r"clips\.npz: does not fit the rest of the store"):
            len(store)
