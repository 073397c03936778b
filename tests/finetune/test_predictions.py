"""What a training predicted, read back or refused in one line."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import pytest

from finetune.trainings.predictions import PREDICTIONS, load_array, save_predictions
from ssl_skel.errors import UserError


def test_an_array_comes_back(tmp_path: Path) -> None:
    save_predictions(tmp_path, logits=np.eye(3))
    np.testing.assert_array_equal(load_array(tmp_path, "logits"), np.eye(3))


@pytest.mark.parametrize("member", ["logits", "logits.npy"])
@pytest.mark.parametrize("content", [b"x" * 100, b"\x93NUMPY\x01\x00\x0a\x00{'descr': (\n"])
def test_a_member_that_is_no_array_is_refused(tmp_path: Path, member: str, content: bytes) -> None:
    with zipfile.ZipFile(tmp_path / PREDICTIONS, "w") as archive:
        archive.writestr(member, content)
    with pytest.raises(UserError, match=rf"{PREDICTIONS}: is damaged; remove"):
        load_array(tmp_path, "logits")
