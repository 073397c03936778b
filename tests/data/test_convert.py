"""Conversion: whole or nothing, damage named, counted and skipped only when asked; the real data sets."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from small_source import PLAIN, motion, small_source, to_store, write_clip

from ssl_skel.data.convert import convert, describe
from ssl_skel.data.normalize import NormalizeConfig
from ssl_skel.data.splits import load_split
from ssl_skel.data.store import Store
from ssl_skel.errors import UserError


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return small_source(tmp_path)


def test_summary_and_description_agree_with_the_store(source: Path) -> None:
    summary = to_store(source)
    seconds = summary.pop("seconds")
    assert seconds > 0
    assert summary == {
        "store": str(source.parent / "store"),
        "clips": 9,
        "frames": 3 * (5 + 6 + 7),
        "fps": {"unknown": 9},
        "persons": 1,
        "classes": 10,
        "skipped": [],
        "excluded": 0,
        "exclusions_without_a_clip": [],
        "repairs": 0,
        "filled": 1,
        "copies": 1,
        "dropped": [],
        "notices": summary["notices"],
    }
    facts = describe(source.parent / "store")
    json.dumps(facts)
    assert {key: facts[key] for key in summary} == summary
    assert facts["lengths"] == {"min": 5, "median": 6.0, "p95": 7.0, "max": 7}
    assert facts["per_class"]["drop trash"] == 3
    assert facts["per_class"]["carry"] == 0
    assert "(unknown)" not in facts["per_class"]
    assert facts["splits"]["xview"] == {"train": 6, "test": 3, "test_dedup": 2}
    assert facts["splits"]["xsub"] == {"train": 6, "test": 3, "test_dedup": 3}
    assert facts["normalization"] == PLAIN.model_dump() | {"units": "metres", "filled": 1}
    assert facts["sha256"] == Store.open(source.parent / "store").sha256


def test_stored_clips_are_the_normalised_recordings(source: Path) -> None:
    to_store(source)
    store = Store.open(source.parent / "store")
    assert store.name.tolist() == sorted(file.stem for file in source.iterdir())
    for i, name in enumerate(store.name):
        joints = np.array(json.loads((source / f"{name}.json").read_text())["skeletons"])
        expected = joints - joints[0, 0]
        known = np.isfinite(expected)
        np.testing.assert_allclose(store.clip(i)[0][known], expected[known], atol=1e-5)
    store.verify()


def test_provenance_names_no_place_on_this_machine(source: Path) -> None:
    to_store(source)
    meta = (source.parent / "store" / "meta.json").read_text("utf-8")
    assert str(source.parent) not in meta
    provenance = json.loads(meta)["provenance"]
    assert provenance["source"] == "source"
    assert (provenance["format"], provenance["files"]) == ("nw-ucla", 9)


def test_normalisation_does_not_hide_copies(source: Path) -> None:
    to_store(source)
    convert(
        "nw-ucla",
        source,
        source.parent / "turned",
        normalize=NormalizeConfig(centre="frame", orient=True, scale=True),
        progress=False,
    )
    plain, turned = (Store.open(source.parent / name) for name in ("store", "turned"))
    np.testing.assert_array_equal(plain.content, turned.content)
    assert plain.sha256 != turned.sha256
    assert turned.normalization.units == "mean bone lengths"


def test_damage_stops_everything_and_leaves_nothing(source: Path) -> None:
    (source / "a02_s02_e00_v02.json").write_text('{"skeletons": [[[')
    with pytest.raises(UserError, match=r"a02_s02_e00_v02\.json: is damaged.*--skip-bad"):
        to_store(source)
    assert [entry.name for entry in source.parent.iterdir()] == ["source"]


def test_damage_is_skipped_counted_and_listed_when_asked(source: Path) -> None:
    (source / "a02_s02_e00_v02.json").write_text('{"skeletons": [[[')
    write_clip(source, "a03_s03_e00_v03", motion(0) * np.nan)
    summary = to_store(source, skip_bad=True)
    assert summary["clips"] == 7
    assert [entry["file"] for entry in summary["skipped"]] == ["a02_s02_e00_v02.json", "a03_s03_e00_v03.json"]
    assert summary["skipped"][0]["why"].startswith("is damaged")
    assert "no tracked joint" in summary["skipped"][1]["why"]
    assert list(Store.open(source.parent / "store").provenance.skipped) == summary["skipped"]
    assert str(source.parent) not in json.dumps(summary["skipped"])


def test_a_number_beyond_float32_is_refused_like_other_large_ones(source: Path) -> None:
    joints = motion(0).astype(np.float64)
    joints[2, 3, 1] = 1e300
    write_clip(source, "a01_s05_e00_v01", joints)
    with pytest.raises(UserError, match=r"has a coordinate of more than 3\.4e\+38, or infinity; none may be beyond"):
        to_store(source)


def test_nothing_sound_is_no_store(source: Path) -> None:
    for file in source.iterdir():
        file.write_text("{")
    with pytest.raises(UserError, match="holds no clips besides"):
        to_store(source, skip_bad=True)
    assert [entry.name for entry in source.parent.iterdir()] == ["source"]


@pytest.mark.parametrize(
    ("text", "message"), [("", "a.csv: is empty"), ("frame,joint,x,y,z\n", "a.csv: holds no clips$")]
)
def test_a_table_without_rows_is_to_blame(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "a.csv").write_text(text)
    with pytest.raises(UserError, match=message):
        convert("table", tmp_path / "a.csv", tmp_path / "store", normalize=PLAIN, layout="sbu15", progress=False)


def test_a_store_among_the_recordings_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "raw" / "wave").mkdir(parents=True)
    frames = [[[0.1, 0.2, 0.3]] * 33] * 3
    (tmp_path / "raw" / "wave" / "a.json").write_text(json.dumps({"pose_world_landmarks": frames}))
    for _ in range(2):
        convert("mediapipe", tmp_path / "raw", tmp_path / "raw" / "store", normalize=PLAIN, overwrite=True)
        store = Store.open(tmp_path / "raw" / "store")
        assert (store.name.tolist(), store.class_names) == (["wave_a"], ("wave",))


def test_one_bad_clip_of_a_file_leaves_the_others(tmp_path: Path) -> None:
    joints = np.random.default_rng(0).normal(size=(4, 5, 15, 3))
    joints[2] = np.nan
    np.savez(tmp_path / "mine.npz", joints=joints)
    options: dict[str, Any] = {"normalize": PLAIN, "layout": "sbu15", "progress": False}
    with pytest.raises(UserError, match=r"mine\.npz: clip 'mine_000002' has no tracked joint"):
        convert("npz", tmp_path / "mine.npz", tmp_path / "store", **options)
    summary = convert("npz", tmp_path / "mine.npz", tmp_path / "store", skip_bad=True, **options)
    assert summary["clips"] == 3
    assert summary["classes"] == 0
    assert [entry["file"] for entry in summary["skipped"]] == ["mine.npz"]
    assert describe(tmp_path / "store")["per_class"] == {"(unknown)": 3}


def test_a_damaged_file_of_several_is_skipped_too(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", joints=np.ones((2, 3, 15, 3)))
    (tmp_path / "b.npz").write_bytes(b"PK")
    options: dict[str, Any] = {"normalize": PLAIN, "layout": "sbu15", "progress": False}
    with pytest.raises(UserError, match=r"b\.npz: is damaged"):
        convert("npz", tmp_path, tmp_path / "store", **options)
    assert convert("npz", tmp_path, tmp_path / "store", skip_bad=True, **options)["clips"] == 2


def test_mixed_coordinates_and_names_twice_are_errors(tmp_path: Path) -> None:
    options: dict[str, Any] = {"normalize": PLAIN, "layout": "sbu15", "progress": False}
    np.savez(tmp_path / "a.npz", joints=np.ones((1, 3, 15, 3)), name=np.array(["same"]))
    np.savez(tmp_path / "b.npz", joints=np.ones((1, 3, 15, 3)), name=np.array(["same"]))
    with pytest.raises(UserError, match=r"b\.npz: clip 'same': the name is taken"):
        convert("npz", tmp_path, tmp_path / "store", **options)
    np.savez(tmp_path / "b.npz", joints=np.ones((1, 3, 15, 2)), name=np.array(["other"]))
    with pytest.raises(UserError, match=r"b\.npz: clip 'other': joints have shape"):
        convert("npz", tmp_path, tmp_path / "store", **options)
    assert not (tmp_path / "store").exists()


@pytest.mark.parametrize(
    ("name", "channels", "why"), [("same", 3, "the name is taken"), ("other", 2, "joints have shape")]
)
def test_a_clip_that_no_store_can_take_is_skipped_by_name(name: str, channels: int, why: str, tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", joints=np.ones((1, 3, 15, 3)), name=np.array(["same"]))
    np.savez(tmp_path / "b.npz", joints=np.ones((2, 3, 15, channels)), name=np.array([name, "last"]))
    summary = convert(
        "npz", tmp_path, tmp_path / "store", normalize=PLAIN, layout="sbu15", skip_bad=True, progress=False
    )
    assert summary["clips"] == (2 if channels == 3 else 1)
    first = summary["skipped"][0]
    assert (first["file"], first["clip"]) == ("b.npz", name)
    assert why in first["why"]


def test_malformed_splits_of_a_sidecar_stop_it(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", joints=np.ones((2, 3, 15, 3)))
    (tmp_path / "a.yaml").write_text("layout: sbu15\nsplits: {xsub: {train: {subjekt: [1]}, test: {subject: [2]}}}")
    with pytest.raises(UserError, match=r"splits\.xsub\.train: unknown column 'subjekt'; did you mean 'subject'"):
        convert("npz", tmp_path, tmp_path / "store", normalize=PLAIN, progress=False)


def test_unknown_formats_and_taken_names(source: Path) -> None:
    with pytest.raises(UserError, match="unknown format 'nw_ucla'; did you mean 'nw-ucla'"):
        convert("nw_ucla", source, source.parent / "store", normalize=PLAIN)
    to_store(source)
    with pytest.raises(UserError, match="exists already"):
        to_store(source)
    assert to_store(source, overwrite=True)["clips"] == 9
    with pytest.raises(UserError, match="no store there"):
        describe(source.parent / "none")


def test_splits_a_source_cannot_serve_are_told(source: Path) -> None:
    for file in source.glob("*_v03.json"):
        file.unlink()
    to_store(source)
    splits = describe(source.parent / "store")["splits"]
    assert splits["xview"] == {"error": "split 'xview': test has no clips; choose another split"}
    assert splits["xsub"]["train"] == 4


def test_float16_is_near(source: Path) -> None:
    to_store(source, "full")
    to_store(source, "half", dtype="float16")
    full, half = (Store.open(source.parent / name) for name in ("full", "half"))
    assert half.joints.dtype == np.float16
    assert half.clip(0).dtype == np.float32
    assert (half.path / "joints.npy").stat().st_size < 0.6 * (full.path / "joints.npy").stat().st_size
    for i in range(len(full)):
        assert (abs(half.clip(i) - full.clip(i)) <= 2.0**-11 * abs(full.clip(i)) + 2.0**-25).all()
    np.testing.assert_array_equal(half.content, full.content)
    half.verify()
    write_clip(source, "a01_s05_e00_v01", 1e5 * motion(0))
    with pytest.raises(UserError, match=r"a01_s05_e00_v01\.json: clip .*beyond float16's 65504"):
        to_store(source, "far", dtype="float16")
    with pytest.raises(UserError, match="unknown dtype 'float64'; did you mean 'float16'"):
        to_store(source, "far", dtype="float64")


def test_options_of_a_format_without_any_are_refused(source: Path) -> None:
    with pytest.raises(UserError, match="nw-ucla: score: unknown key"):
        to_store(source, options=["score=keep"])


# Real recordings


def test_nw_ucla(real_data: Path, tmp_path: Path) -> None:
    summary = convert("nw-ucla", real_data / "nw_ucla" / "all_sqe", tmp_path / "store", normalize=PLAIN, progress=False)
    assert (summary["clips"], summary["frames"], summary["classes"], summary["persons"]) == (1484, 58_534, 10, 1)
    assert (summary["copies"], summary["filled"], summary["skipped"]) == (95, 0, [])
    facts = describe(tmp_path / "store")
    assert list(facts["per_class"].values()) == [150, 152, 141, 173, 148, 149, 142, 142, 145, 142]
    assert (facts["lengths"]["min"], facts["lengths"]["median"], facts["lengths"]["max"]) == (1, 31, 201)
    assert facts["splits"]["xview"] == {"train": 1020, "test": 464, "test_dedup": 369}
    store = Store.open(tmp_path / "store")
    assert np.bincount(store.camera).tolist() == [0, 516, 504, 464]
    assert sorted(set(store.subject.tolist())) == list(range(1, 11))
    clean = load_split(store, "xview_dedup")
    assert set(store.label[clean.test].tolist()) == set(range(10)) - {1, 2}
    xsub = load_split(store, "xsub")
    assert (store.subject[xsub.train] % 2 == 1).all()
    assert len(xsub.train) + len(xsub.test) == 1484
    height = store.joints[:, 3, 1] - (store.joints[:, 15, 1] + store.joints[:, 19, 1]) / 2
    assert 0.5 < np.median(height) < 2  # metres, y up


def test_utd_mhad(real_data: Path, tmp_path: Path) -> None:
    summary = convert("utd-mhad", real_data / "utd_mhad", tmp_path / "store", normalize=PLAIN, progress=False)
    assert (summary["clips"], summary["classes"], summary["copies"], summary["filled"]) == (861, 27, 0, 0)
    facts = describe(tmp_path / "store")
    assert facts["splits"] == {"xsub": {"train": 431, "test": 430, "test_dedup": 430}}
    assert (facts["lengths"]["min"], facts["lengths"]["median"], facts["lengths"]["max"]) == (41, 67, 125)
    store = Store.open(tmp_path / "store")
    mean = {name: store.joints[:, joint].mean(0) for joint, name in enumerate(store.layout.joints)}
    upright = ["left_foot", "left_knee", "hip_centre", "spine", "shoulder_centre", "head"]
    assert (np.diff([mean[name][1] for name in upright]) > 0).all()
    assert mean["left_shoulder"][0] < mean["right_shoulder"][0]


def test_sbu(real_data: Path, tmp_path: Path) -> None:
    summary = convert("sbu", real_data / "sbu", tmp_path / "store", normalize=PLAIN, progress=False)
    assert (summary["clips"], summary["classes"], summary["persons"], summary["filled"]) == (282, 8, 2, 0)
    facts = describe(tmp_path / "store")
    assert [facts["splits"][f"fold{i}"]["test"] for i in range(1, 6)] == [55, 52, 56, 54, 65]
    assert all(sum(fold.values()) == 282 + fold["test_dedup"] for fold in facts["splits"].values())
    store = Store.open(tmp_path / "store")
    assert (store.persons == 2).all()
    bones = store.joints - store.joints[:, list(store.layout.parents)]
    length = np.linalg.norm(bones, axis=-1)
    forearm = store.layout.joints.index("left_hand")
    assert 0.2 < np.median(length[:, forearm]) < 0.5  # metres
    moved = [store.clip(i).reshape(2, -1, 3).var(1).sum(1) for i in range(len(store))]
    assert all(first >= second for first, second in moved)
    former = [store.clip(i).var(1).sum((1, 2)) for i in range(len(store))]
    assert sum(first < second for first, second in former) == 98  # would be in another order by the former rule
