"""The walks through of README and docs, command by command, on folders of MediaPipe JSON."""

from __future__ import annotations

import ast
import csv
import io
import json
import re
import shlex
import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import ssl_skel
from ssl_skel.cli import app as cli
from ssl_skel.data.store import Store
from ssl_skel.data.synthetic import ACTIONS, SyntheticConfig, generate, write_synthetic
from ssl_skel.data.synthetic.skeleton import LAYOUT
from ssl_skel.layouts import LAYOUTS

ROOT = Path(__file__).parents[1]
SEARCH = "## From a folder of recordings to a search\n"
TRAIN = "## Train an encoder of your own\n"
CLASSIFIER = "## From recordings to a classifier\n"
PAGES = [ROOT / "README.md", *sorted(ROOT.glob("docs/**/*.md"))]
ACTS = [name for name, action in ACTIONS.items() if len(action.moves) == 1][:3]
NEAR = {"pinky": "hand", "index": "hand", "thumb": "hand", "heel": "foot", "foot_index": "foot"}


def commands(heading: str) -> list[list[str]]:
    """Command lines of the section's first block, as words, without ``ssl-skel`` and comments."""
    (text,) = (text for text in (page.read_text("utf-8") for page in PAGES) if heading in text)
    block = text.split(heading)[1].split("```")[1]
    lines = [shlex.split(line, comments=True) for line in block.splitlines() if line.strip()]
    assert {words[0] for words in lines} == {"ssl-skel"}
    return [words[1:] for words in lines]


def source_joint(landmark: str) -> int:
    """The joint of the built-in skeleton that stands for a landmark; a face is its head."""
    side, _, name = landmark.partition("_")
    if side not in ("left", "right") or name.split("_")[0] in ("eye", "ear"):
        return LAYOUT.joints.index("head")
    return LAYOUT.joints.index(f"{side}_{NEAR.get(name, name)}")


def as_mediapipe(joints: np.ndarray) -> list[dict[str, Any]]:
    """Frames of one person (T, V, 3), metres, as MediaPipe's world landmarks: about the hips, x and y turned."""
    points = joints[:, [source_joint(landmark) for landmark in LAYOUTS["mediapipe33"].joints]]
    hips = joints[:, [LAYOUT.joints.index("left_hip"), LAYOUT.joints.index("right_hip")]]
    points = (points - hips.mean(1, keepdims=True)) * [-1, -1, 1]
    keys = ("x", "y", "z", "visibility")
    frames = []
    for frame in points:
        seen = np.isfinite(frame).all(1)
        rows = np.c_[np.nan_to_num(frame), seen].round(5).tolist() if seen.any() else []  # lost hips, lost person
        frames.append({"pose_world_landmarks": [dict(zip(keys, row, strict=True)) for row in rows]})
    return frames


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with ``recordings/<class>/<name>.json``, a ``new.json`` and the shipped configs; the current folder."""
    shutil.copytree(ROOT / "configs", tmp_path / "configs")
    names = list(ACTIONS)
    for clip in generate(SyntheticConfig(subjects=3, cameras=2, repetitions=1)):
        act = names[clip.label]
        if act in ACTS:
            new = clip.subject == 3 and act == ACTS[0] and clip.camera == 1
            file = tmp_path / ("new.json" if new else f"recordings/{act}/{clip.name}.json")
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(json.dumps({"frames": as_mediapipe(clip.joints[0])}))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_every_command_of_the_walk_through_runs_as_printed(
    desk: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Only the number of epochs is another: two of each training."""
    printed = {}
    for words in [*commands(SEARCH), *commands(TRAIN)]:
        extra = ["train.epochs=2", "optim.warmup_epochs=1"] if words[0] == "pretrain" else []
        monkeypatch.setattr(sys, "argv", ["ssl-skel", *words, *extra])
        with pytest.raises(SystemExit) as end:
            cli.main()
        captured = capsys.readouterr()
        assert not end.value.code, captured.err
        printed[words[0]] = captured.out
    assert [*printed] == ["convert", "audit", "index", "search", "pretrain"]

    store = Store.open(desk / "stores/mine")
    assert len(store) == 3 * 6 - 1
    assert sorted(store.class_names) == sorted(ACTS)
    assert store.layout.name == "mediapipe33"
    found = [str(name) for name in store.name if str(name) in printed["search"]]
    assert len(found) >= 3
    page = desk / "like.html"
    assert page.stat().st_size < 5_000_000
    assert "<canvas" in page.read_text("utf-8") or "<svg" in page.read_text("utf-8")


@pytest.fixture
def team(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with ``recordings/<class>/<person>_<number>.json`` and ``new/``: one more person, one more class."""
    names, people = list(ACTIONS), ("", "anna", "ben", "carla", "dan")
    other = next(act for act in names if act not in ACTS)
    for clip in generate(SyntheticConfig(subjects=4, cameras=2, repetitions=1)):
        act, person = names[clip.label], people[clip.subject]
        place = f"recordings/{act}/{person}_{clip.camera}" if act in ACTS and person != "dan" else f"new/{act}"
        if act in ACTS or (act == other and person == "dan"):
            file = tmp_path / f"{place}.json"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(json.dumps({"frames": as_mediapipe(clip.joints[0])}))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_recordings_become_a_classifier_as_printed(
    team: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    printed = {}
    for words in commands(CLASSIFIER):
        monkeypatch.setattr(sys, "argv", ["ssl-skel", *words])
        with pytest.raises(SystemExit) as end:
            cli.main()
        captured = capsys.readouterr()
        assert not end.value.code, captured.err
        printed[words[0]] = captured.out
    assert [*printed] == ["convert", "audit", "finetune", "train-classifier", "predict"]
    assert Store.open(team / "stores/mine").value_names["subject"] == {"anna": 1, "ben": 2, "carla": 3}
    assert "3 folds" in printed["train-classifier"]
    assert "people it was not trained on" in printed["predict"]
    rows = list(csv.DictReader(io.StringIO((team / "answers.csv").read_text("utf-8"))))
    assert len(rows) == len(ACTS) + 1
    assert {row["answer"] for row in rows} <= {*ACTS, "none of these"}

    card = json.loads((team / "mine.classifier/head.json").read_text("utf-8"))["estimate"]
    sure = ssl_skel.predict("mine.classifier", "new", min_confidence=1.0)
    assert set(sure.answers) == {"none of these"}
    assert ssl_skel.predict("mine.classifier", "new").threshold == card["threshold"]


def test_the_python_of_the_readme_runs_as_printed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Only the store is smaller, and the training shorter: one epoch."""
    monkeypatch.chdir(tmp_path)
    write_synthetic(Path("stores/demo"), SyntheticConfig(subjects=4, cameras=2, repetitions=1))
    (block,) = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text("utf-8"), re.DOTALL)
    short = block.replace('"train.epochs=50"', '"train.epochs=1", "optim.warmup_epochs=0"')
    assert short != block
    capsys.readouterr()
    exec(compile(short, "README.md", "exec"), {})
    found = ast.literal_eval(capsys.readouterr().out.splitlines()[-1])
    assert len(set(found)) == 5
    assert set(found) <= set(map(str, Store.open("stores/demo").name)) - {"kick_s01_r0_c1"}
