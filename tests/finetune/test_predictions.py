"""``predictions.npz``: what is read is what was written, and damage is one line."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from finetune.trainings.predictions import PREDICTIONS, load_array, load_logits, load_outcome, save_predictions
from ssl_skel.errors import UserError

ROWS = np.array([2, 5, 7])
WHOLE: dict[str, Any] = {
    "name": np.array(["a", "b", "c"]),
    "logits": np.arange(6, dtype=np.float32).reshape(3, 2),
    "epoch": 4,
    "by_epoch": np.zeros((2, 3), np.int32),
}


def test_what_is_written_is_read(tmp_path: Path) -> None:
    save_predictions(tmp_path, **WHOLE)
    found = load_outcome(tmp_path, ROWS)
    np.testing.assert_array_equal(found.logits, WHOLE["logits"])
    assert (found.epoch, found.by_epoch.shape) == (4, (2, 3))
    np.testing.assert_array_equal(load_logits(tmp_path, "", np.array(["c", "a"])), WHOLE["logits"][[2, 0]])


@pytest.mark.parametrize(
    "change",
    [
        {"logits": np.zeros((2, 2), np.float32)},
        {"logits": np.zeros(3, np.float32)},
        {"logits": np.array([["a", "b"]] * 3)},
        {"by_epoch": np.zeros((2, 4), np.int32)},
        {"epoch": np.zeros(2, np.int32)},
    ],
)
def test_arrays_that_do_not_fit_are_refused(tmp_path: Path, change: dict[str, Any]) -> None:
    save_predictions(tmp_path, **WHOLE | change)
    with pytest.raises(UserError, match=r"predictions\.npz: is damaged; remove \S+ and repeat the evaluation$"):
        load_outcome(tmp_path, ROWS)


@pytest.mark.parametrize("member", ["logits", "logits.npy"])
@pytest.mark.parametrize("content", [b"x" * 100, b"\x93NUMPY\x01\x00\x0a\x00{'descr': (\n"])
def test_a_member_that_is_no_array_is_refused(tmp_path: Path, member: str, content: bytes) -> None:
    with zipfile.ZipFile(tmp_path / PREDICTIONS, "w") as archive:
        archive.writestr(member, content)
    with pytest.raises(UserError, match=rf"{PREDICTIONS}: is damaged; remove"):
        load_array(tmp_path, "logits")


def test_logits_of_other_clips_are_refused(tmp_path: Path) -> None:
    save_predictions(tmp_path, **WHOLE | {"name": np.array(["a", "b"])})
    with pytest.raises(UserError, match=r"predictions\.npz: is damaged"):
        load_logits(tmp_path, "", np.array(["a"]))
    save_predictions(tmp_path, **WHOLE)
    with pytest.raises(UserError, match="has no prediction for clip 'd'; repeat"):
        load_logits(tmp_path, "", np.array(["a", "d"]))
