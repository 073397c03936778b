"""Plain text of a Kinect: a row a frame, with a number before or not, or a row a joint."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import raw_files
from raw_clips import read
from raw_files import walk

from ssl_skel.data.sources.open import open_reader
from ssl_skel.errors import UserError

JOINTS = walk(0, 4)[0]
FRAMES = JOINTS.reshape(4, 75)
FORMS = {
    "frames": FRAMES,
    "numbered": np.concatenate([np.arange(4)[:, None], FRAMES], 1),
    "joints": JOINTS.reshape(100, 3),
    "joints with confidence": np.concatenate([JOINTS.reshape(100, 3), np.ones((100, 1))], 1),
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("gap", [" ", ",", "\t"])
def test_all_forms_are_one_recording(form: str, gap: str, tmp_path: Path) -> None:
    raw_files.text(tmp_path / "wave" / "anna.1.txt", FORMS[form], gap)
    (clip,) = read("text", tmp_path, layout="ntu25")
    assert (clip.name, clip.label) == ("wave_anna.1", 0)
    np.testing.assert_allclose(clip.joints[0], JOINTS, rtol=1e-5)


def test_rows_tell_the_kinect(tmp_path: Path) -> None:
    raw_files.plain_text(tmp_path)
    assert open_reader("text", tmp_path).layout.name == "ntu25"
    raw_files.plain_text(tmp_path, joints=walk(0, 3, 20)[0])
    assert open_reader("text", tmp_path).layout.name == "kinect20"
    raw_files.text(tmp_path / "wave" / "clip01.txt", FORMS["joints"])
    with pytest.raises(UserError, match="its layout is unknown"):
        open_reader("text", tmp_path)


def test_zeros_are_not_tracked_and_units_are_told(tmp_path: Path) -> None:
    joints = 1000 * JOINTS
    joints[2, 5] = 0
    raw_files.plain_text(tmp_path, joints=joints)
    (clip,) = read("text", tmp_path, "units=mm")
    assert np.isnan(clip.joints[0, 2, 5]).all()
    np.testing.assert_allclose(clip.joints[0, 0], JOINTS[0], rtol=1e-5)


def test_rows_of_another_length_are_told(tmp_path: Path) -> None:
    file = raw_files.text(tmp_path / "a.txt", np.ones((4, 72)))
    with pytest.raises(UserError, match="has 4 rows of 72 numbers; expected rows of 75") as told:
        read("text", tmp_path, layout="ntu25")
    assert str(told.value).startswith(f"{file}: ")
