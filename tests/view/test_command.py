"""``ssl-skel view``: the right page or picture for whatever lies there, and mistakes in one line."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import typer
from typer.testing import CliRunner, Result

from ssl_skel.cli.view import view
from ssl_skel.data.sources.recordings import open_clips
from ssl_skel.data.store import Store
from ssl_skel.errors import UserError
from ssl_skel.evaluation.metrics import score
from ssl_skel.evaluation.report import Measurement, Report, SplitFacts
from ssl_skel.view.clips import find_row, page_of_store, spread

app = typer.Typer()
app.command()(view)


def call(*words: Any) -> Result:
    return CliRunner().invoke(app, [str(word) for word in words], catch_exceptions=False)


def title(path: Path) -> str:
    return path.read_text("utf-8").split("<title>")[1].split("</title>")[0]


@pytest.fixture
def recording(tmp_path: Path, motions: Path) -> Path:
    """A raw file of one clip of two persons, one joint of which is lost for a moment."""
    store = Store.open(motions)
    row = int(np.flatnonzero(store.persons == 2)[0])
    joints = np.array(store.clip(row))
    joints[0, 2, 5] = np.nan
    path = tmp_path / "one.npz"
    np.savez(path, joints=joints[None])
    return path


def test_each_thing_has_its_page(done: Path, motions: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    scores = score(np.array([0, 1]), np.array([0, 0]), 2)
    facts = (SplitFacts(name="xview", train=1, test=2),)
    rows = (Measurement.of("xview", "raw", "kNN, k = 1", [scores]),)
    Report(name="an evaluation", store="x", sha256="", class_names=("a", "b"), splits=facts, measurements=rows).save(
        tmp_path / "evaluation"
    )
    name = str(Store.open(motions).name[0])
    for words, told in (
        ((done,), "tiny"),
        ((done, "--reconstructions", "--count", 1), "tiny: reconstructions"),
        ((done, "--attention", name), "tiny: attention"),
        ((motions, "--count", 3), "motions"),
        ((tmp_path / "evaluation",), "an evaluation"),
    ):
        page = tmp_path / f"{told.replace(':', '')}.html"
        result = call(*words, "-o", page)
        assert result.stdout.strip() == f"written: {page}"
        assert title(page) == told
    call(motions, "--clip", name, "--overwrite")
    assert (tmp_path / "motions.html").read_text().count('"frames":') == 1


def test_a_store_is_sampled_evenly_over_classes(motions: Path) -> None:
    store = Store.open(motions)
    rows = spread(store, 2 * store.num_classes)
    assert (np.bincount(store.label[rows]) == 2).all()
    assert len(np.unique(rows)) == len(rows)
    assert len(spread(store, 1)) == store.num_classes
    assert len(spread(store, 10**6)) == len(store)
    page = page_of_store(store, count=store.num_classes)
    assert f"{store.num_classes} of {len(store)} recorded movements" in page
    assert page.count('"frames":') == store.num_classes
    assert re.search(r'"length":"\d\.\d s, \d+ frames at 30 fps"', page)


def test_a_raw_file_is_read_by_whichever_format_fits(recording: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="its layout is unknown"):
        open_clips(recording)  # an npz file does not say what its joints are
    store = open_clips(recording, layout="ntu25")
    assert np.isfinite(store.clip(0)).all()
    assert store.clip(0).shape[0] == 2
    page = tmp_path / "one.html"
    call(recording, "--layout", "ntu25", "-o", page)
    assert "rate unknown, played at 30 fps" in page.read_text()


def test_pictures(motions: Path, done: Path, tmp_path: Path, recording: Path) -> None:
    pytest.importorskip("PIL")
    name = str(Store.open(motions).name[0])
    assert call(motions, "--clip", name, "--png", tmp_path / "a.png").stdout.strip() == f"written: {tmp_path / 'a.png'}"
    call(done, "--png", tmp_path / "run.png")
    call(recording, "--layout", "ntu25", "--png", tmp_path / "raw.png")
    for picture in ("a", "run", "raw"):
        assert (tmp_path / f"{picture}.png").read_bytes().startswith(b"\x89PNG")
    for words, told in (
        ((motions, "--gif", tmp_path / "b.gif"), "name one with --clip"),
        ((done, "--gif", tmp_path / "b.gif"), "a run has no gif"),
        ((motions, "--png", tmp_path / "a.png"), "a.png: exists already"),
        ((done, "--reconstructions", "--png", tmp_path / "b.png"), "leave the others off"),
    ):
        with pytest.raises(UserError, match=told):
            call(*words)
    assert not (tmp_path / "b.gif").exists()


def test_mistakes(motions: Path, tmp_path: Path) -> None:
    (tmp_path / "text.txt").write_text("no motion")
    (tmp_path / "taken.html").write_text("mine")
    for words, told in (
        ((tmp_path / "none",), "none: holds no run, evaluation, index, store or raw"),
        ((tmp_path,), "no format reads it"),
        ((tmp_path / "text.txt",), "text.txt: no format reads it"),
        ((tmp_path / "text.txt", "--format", "ntv"), "unknown format 'ntv'; did you mean 'ntu'"),
        ((motions, "--clip", "wave_s01_r0_c9"), "unknown clip 'wave_s01_r0_c9'; did you mean 'wave_s01_r0_c"),
        ((motions, "--reconstructions"), "need a run"),
        ((motions, "-o", tmp_path / "taken.html"), "taken.html: exists already; .*--overwrite"),
        ((motions, "-o", tmp_path), "is a folder"),
    ):
        with pytest.raises(UserError, match=told):
            call(*words, *([] if "-o" in words else ["-o", tmp_path / "out.html"]))
    assert (tmp_path / "taken.html").read_text() == "mine"
    assert not (tmp_path / "out.html").exists()
    with pytest.raises(UserError, match=r"known: .*, \.\.\. \(\d+ in all\)"):
        find_row(Store.open(motions), "zzzzzz")
