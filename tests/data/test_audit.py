"""Audit of whole stores: duplicates, overlaps, leakage, counts, the three files, and the command."""

from __future__ import annotations

import json
import resource
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import typer
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner, Result

from ssl_skel.cli.app import report_errors
from ssl_skel.cli.audit import audit as command
from ssl_skel.config import FormerName, config_from_words
from ssl_skel.data.audit import overlaps, report
from ssl_skel.data.audit.counts import PUBLISHED
from ssl_skel.data.audit.inspection import audit
from ssl_skel.data.audit.limits import Limits
from ssl_skel.data.audit.report import exclude_list, markdown
from ssl_skel.data.clip import RawClip
from ssl_skel.data.exclusions import read_exclusions
from ssl_skel.data.meta import Provenance
from ssl_skel.data.normalize import NormalizeConfig, normalize
from ssl_skel.data.readers.base import odd_even
from ssl_skel.data.synthetic import SyntheticConfig, generate
from ssl_skel.data.synthetic.skeleton import LAYOUT
from ssl_skel.data.writer import StoreWriter
from ssl_skel.errors import UserError
from ssl_skel.layouts import LAYOUTS

SPLITS: dict[str, Any] = {
    "xsub": odd_even([1, 2]),
    "xview": {"train": {"camera": [1]}, "test": {"camera": [2]}},
    "leaky": {"train": {"subject": [1]}, "test": {"subject": [1], "camera": [2]}},
    "broken": {"train": {"camera": [1]}, "test": {"camera": [7]}},
    "mixed": {"train": {"subject": [1, 2], "camera": [1]}, "test": {"subject": [2], "camera": [2]}},
}
CONFIG = SyntheticConfig(subjects=2, cameras=2, repetitions=1, dropout=0, noise=0.005)


@pytest.fixture(scope="module")
def clips() -> list[RawClip]:
    """52 sound clips, as normalised; subjects 1 and 2, cameras 1 and 2."""
    return [replace(clip, joints=normalize(clip.joints, LAYOUT, NormalizeConfig())[0]) for clip in generate(CONFIG)]


def write(path: Path, clips: list[RawClip], splits: dict[str, Any] | None = None, **meta: Any) -> Path:
    names = [f"class{label}" for label in range(13)]
    with StoreWriter(path, LAYOUT, names, splits=SPLITS if splits is None else splits, **meta) as writer:
        for clip in clips:
            writer.add(clip)
    return path


def run(path: Path, **options: Any) -> Any:
    return audit(path, progress=False, **options)


def turned(joints: np.ndarray, degrees: float) -> np.ndarray:
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    return (joints @ np.array([[c, 0, -s], [0, 1, 0], [s, 0, c]]) + [1, 0, 2]).astype(np.float32)


def slower(joints: np.ndarray) -> np.ndarray:
    at = np.arange(0, joints.shape[1] - 1, 0.5)
    low = at.astype(int)
    share = (at - low)[:, None, None]
    return (joints[:, low] * (1 - share) + joints[:, low + 1] * share).astype(np.float32)


@pytest.fixture(scope="module")
def copied(clips: list[RawClip], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sound clips, and of camera 1's first ones: a copy, a moved, a turned, a slower, a noisy one and a cut."""
    noise = np.random.default_rng(0)
    a, b, c, d, e, f = [clip for clip in clips if clip.camera == 1 and clip.subject == 2][:6]
    more = [
        replace(a, name="copy", camera=2, label=(a.label + 1) % 13),
        replace(b, name="moved", camera=2, joints=b.joints + np.float32([1, 0, 1])),
        replace(c, name="turned", camera=2, joints=turned(c.joints, 70)),
        replace(d, name="slower", camera=2, joints=slower(d.joints)),
        replace(e, name="noisy", camera=2, joints=e.joints + noise.normal(0, 0.003, e.joints.shape)),
        replace(f, name="cut", camera=2, joints=f.joints[:, 12:40] + np.float32([0.5, 0, 1])),
    ]
    return write(tmp_path_factory.mktemp("copied") / "store", [*clips, *more])


def test_sound_clips_are_no_duplicates(clips: list[RawClip], tmp_path: Path) -> None:
    found = run(write(tmp_path / "store", clips))
    assert (found.findings, found.copies, found.near, found.overlaps, found.conflicts) == ({}, [], [], [], [])
    assert found.exclude == {}
    assert found.notices == []
    assert found.derived_splits == dict.fromkeys(("by_subject", "leave_one_subject_out", "by_camera", "random"), "")
    assert exclude_list(found) == ""
    assert found.splits["broken"] == {"error": "split 'broken': test has no clips; choose another split"}
    assert found.counts["dataset"] is None
    json.dumps(found.to_dict())


def test_every_sort_of_copy_is_found(copied: Path, clips: list[RawClip]) -> None:
    a, b, c, d, e, f = [clip.name for clip in clips if clip.camera == 1 and clip.subject == 2][:6]
    found = run(copied)
    assert found.copies == [[a, "copy"]]
    assert [group["clips"] for group in found.near] == [[b, "moved"], [c, "turned"], [d, "slower"], [e, "noisy"]]
    assert [pair["clips"] for pair in found.overlaps] == [[f, "cut"]]
    assert found.overlaps[0]["share"] > 0.8
    assert found.conflicts == [[a, "copy"]]
    assert found.exclude == {
        "copy": ["copy"],
        "near_copy": ["moved", "turned", "slower", "noisy"],
        "overlap": ["cut"],
    }


def test_turned_copies_are_found_by_option(copied: Path) -> None:
    found = run(copied, limits=Limits(near_view=False))
    assert "turned" not in found.exclude["near_copy"]
    assert "moved" in found.exclude["near_copy"]


def test_what_straddles_a_split(copied: Path) -> None:
    found = run(copied).splits
    xview = found["xview"]
    assert (xview["copies"], set(xview["near"])) == (["copy"], {"moved", "turned", "slower", "noisy"})
    assert xview["overlaps"] == ["cut"]
    assert (xview["subjects"], xview["performances"]) == (2, 26)  # the same performances, seen by the other camera
    assert any("1 of 32 test clips (3.1 %) are copies of training clips" in note for note in xview["notes"])
    assert not any("subjects" in note for note in xview["notes"])  # it does not part by subject
    assert found["xsub"]["copies"] == found["xsub"]["near"] == found["xsub"]["notes"] == []
    assert found["xsub"]["subjects"] == 0
    assert "subjects on both sides of a split by subject: 2" in found["mixed"]["notes"]
    assert "is in train and in test" in found["leaky"]["error"]


def test_the_training_clip_stays(copied: Path, clips: list[RawClip]) -> None:
    first = next(clip.name for clip in clips if clip.camera == 1 and clip.subject == 2)
    splits = {"back": {"train": {"camera": [2]}, "test": {"camera": [1]}}}
    store = json.loads((copied / "meta.json").read_text())
    original = store["splits"]
    (copied / "meta.json").write_text(json.dumps(store | {"splits": splits}))
    try:
        found = run(copied, protocol="back")
    finally:
        (copied / "meta.json").write_text(json.dumps(store | {"splits": original}))
    assert found.exclude["copy"] == [first]
    assert "cut" not in found.exclude["overlap"]
    assert set(found.splits) == {"back"}
    with pytest.raises(UserError, match="test has no clips"):
        run(copied, protocol="broken")
    with pytest.raises(UserError, match="unknown"):
        run(copied, protocol="xveiw")


def test_former_names_of_limits_are_read() -> None:
    with pytest.warns(FormerName, match="twins is now called duplicate_person"):
        assert config_from_words(Limits, ["twins=0.2"], "audit") == Limits(duplicate_person=0.2)


def test_balance_and_labels_are_told(clips: list[RawClip], tmp_path: Path) -> None:
    few = [clip for clip in clips if clip.label in (0, 1)][:8]
    few = [replace(few[0], label=-1), *few[1:]]
    splits = {"unseen": {"train": {"label": [0]}, "test": {"label": [1]}}}
    found = run(write(tmp_path / "store", few, splits), limits=Limits(imbalance=1))
    assert "clips without a label: 1" in found.balance["notes"]
    assert any(note.startswith("classes without a clip: class2") for note in found.balance["notes"])
    assert found.balance["classes"]["class1"] == sum(clip.label == 1 for clip in few)
    assert any("has 4 clips, class class0 has 3" in note for note in found.balance["notes"])
    assert found.splits["unseen"]["notes"] == ["classes that are tested but never trained: class1"]


def test_counts_are_compared_with_published_ones(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    with StoreWriter(
        tmp_path / "store",
        LAYOUTS["sbu15"],
        PUBLISHED["SBU"].source.split()[:8],
        splits={"fold1": {"train": {"setup": [1]}, "test": {"setup": [2]}}},
        provenance=Provenance(format="sbu"),
    ) as writer:
        for number in range(4):
            writer.add(RawClip(f"c{number}", rng.normal(size=(2, 6, 15, 3)), setup=1 + number % 2))
    counts = run(tmp_path / "store").counts
    assert counts["dataset"] == "SBU"
    assert counts["differences"] == [
        "clips: 4 here, 282 published",
        "fold1: 2/2 train/test here, 227/55 published",
    ]


def test_units_that_are_not_metres(clips: list[RawClip], tmp_path: Path) -> None:
    scaled = [replace(clip, joints=clip.joints * 5) for clip in clips[:20]]
    meta = {"normalization": NormalizeConfig(scale=True)}
    found = run(write(tmp_path / "scaled", scaled, **meta))
    assert found.findings == {}
    assert 0.15 < found.store["metres_in_a_unit"] < 0.25
    found = run(write(tmp_path / "wrong", scaled))
    assert len(found.findings["size"]) == 20
    assert "not of human size in 20 of 20 clips" in markdown(found)


@settings(max_examples=25, deadline=None)
@given(
    shapes=st.lists(st.tuples(st.integers(1, 2), st.integers(1, 9)), min_size=1, max_size=5),
    moving=st.integers(0, 1),
    channels=st.sampled_from([2, 3]),
    size=st.sampled_from([0.0, 1.0, 1e30]),
    layout=st.sampled_from(sorted(LAYOUTS)),
)
def test_no_store_is_too_odd(
    tmp_path_factory: pytest.TempPathFactory,
    shapes: list[tuple[int, int]],
    moving: int,
    channels: int,
    size: float,
    layout: str,
) -> None:
    path = tmp_path_factory.mktemp("odd") / "store"
    rng = np.random.default_rng(0)
    with StoreWriter(path, LAYOUTS[layout], []) as writer:
        for number, (persons, frames) in enumerate(shapes):
            joints = np.zeros((persons, frames, LAYOUTS[layout].num_joints, channels))
            joints[:, :, :moving] = rng.normal(size=(persons, frames, moving, channels))
            writer.add(RawClip(f"c{number}", joints * size))
    found = run(path)
    json.dumps(found.to_dict(), allow_nan=False)
    assert markdown(found).startswith("# Audit of store")
    moves = {f"c{i}" for i, (_, frames) in enumerate(shapes) if frames > 1 and moving and size}
    told = {name for names in found.exclude.values() for name in names}
    assert told | moves == {f"c{i}" for i in range(len(shapes))}


app = typer.Typer()
app.command()(command)


def call(*words: Any) -> Result:
    return CliRunner().invoke(app, [str(word) for word in words], catch_exceptions=False)


def test_the_command_makes_a_whole_folder_and_overwrites_none(copied: Path, tmp_path: Path) -> None:
    folder = tmp_path / "out"
    result = call(copied, "-o", folder, "--protocol", "xview")
    assert result.exit_code == 0
    assert "proposed to exclude" in result.output
    assert "1 of 32 test clips (3.1 %) are copies" in result.output
    assert sorted(path.name for path in folder.iterdir()) == ["audit.html", "audit.json", "audit.md", "exclude.txt"]
    data = json.loads((folder / "audit.json").read_text())
    assert data["splits"]["xview"]["copies"] == ["copy"]
    assert read_exclusions(folder / "exclude.txt") == {"copy", "moved", "turned", "slower", "noisy", "cut"}
    assert "| xview |" in (folder / "audit.md").read_text()
    with pytest.raises(UserError, match=r"out: exists already.*--overwrite"):
        call(copied, "-o", folder)
    assert json.loads(call(copied, "-o", folder, "--overwrite", "--json").output)["limits"]["near"] == 0.01
    assert call(copied, "near=0.02", "-o", tmp_path / "two").exit_code == 0
    assert json.loads((tmp_path / "two" / "audit.json").read_text())["limits"]["near"] == 0.02


def test_a_stopped_audit_leaves_nothing_and_a_half_of_before_is_replaced(
    copied: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stopped(audit: Any) -> str:
        raise KeyboardInterrupt

    found = run(copied)
    with monkeypatch.context() as patch:
        patch.setattr(report, "exclude_list", stopped)
        with pytest.raises(KeyboardInterrupt):
            report.write_audit(found, tmp_path / "out", "page")
    assert not list(tmp_path.iterdir())
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "audit.json").write_text("{")  # earlier releases wrote one file after the other
    report.write_audit(found, tmp_path / "out", "page", overwrite=True)
    assert len(list((tmp_path / "out").iterdir())) == 4
    assert len(list(tmp_path.iterdir())) == 1


def test_mistakes_are_one_line(
    copied: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(UserError, match="jmup"):
        call(copied, "jmup=2", "-o", tmp_path / "out")
    with pytest.raises(UserError, match="no store there"):
        call(tmp_path / "nothing")
    assert not (tmp_path / "nothing").exists()
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot be made"):
        call(copied, "-o", tmp_path / "file" / "out")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "audit.json").write_text("{}")
    (tmp_path / "mine" / "letter.txt").write_text("dear")
    with pytest.raises(UserError, match=r"letter\.txt.*so it will not be replaced"):
        call(copied, "-o", tmp_path / "mine", "--overwrite")
    with pytest.raises(SystemExit) as code, report_errors():
        call(copied, "--protocol", "xveiw", "-o", tmp_path / "out")
    assert code.value.code == 2
    assert len(capsys.readouterr().err.splitlines()) == 1
    assert not (tmp_path / "out").exists()


def test_no_motion_or_scale_of_a_cut_hides_that_it_shares_frames() -> None:
    rng = np.random.default_rng(0)
    pose = rng.normal(0, 0.4, (2, 50, 20, 3)).astype(np.float32)
    hashes = overlaps.pose_hashes(pose)
    assert len(np.unique(hashes)) == 100
    moved = (1.7 * turned(pose, 70) + np.float32([1, 2, 3])).astype(np.float32)
    assert (overlaps.pose_hashes(moved) == hashes).mean() > 0.8  # float32 rounds some otherwise
    for joint in range(20):  # whichever moves, it is another pose
        other = pose.copy()
        other[:, :, joint] += np.float32(0.01)
        assert (overlaps.pose_hashes(other) != hashes).all()
    assert len(np.unique(overlaps.pose_hashes(np.zeros((1, 4, 20, 3), np.float32)))) == 1


@pytest.mark.slow
def test_a_large_store_takes_bounded_time_and_memory(tmp_path: Path) -> None:
    """A tenth of NTU RGB+D 60: in a tenth of 5 minutes of one core, and with less than 1 GB more than before."""
    rng = np.random.default_rng(0)
    steps = rng.normal(0, 0.02, (64, 1, 60, 25, 3)).astype(np.float32)
    pose = rng.normal(0, 0.4, (25, 3)).astype(np.float32)
    with StoreWriter(tmp_path / "store", LAYOUT, ["a"]) as writer:
        for number in range(5688):
            speed = rng.normal(0, 0.01, 3) * np.arange(60)[:, None, None]
            writer.add(RawClip(f"c{number}", pose * rng.normal(1, 0.1) + steps[number % 64] + speed, 0))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    begin = time.process_time()
    run(tmp_path / "store")
    assert time.process_time() - begin < 30
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 1_000_000  # kilobytes
