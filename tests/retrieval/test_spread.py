"""What similarities mean: centred as a loop has it, percentiles, mirror images, "nothing like it", and the warning."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import Result

from ssl_skel.data.store import Store
from ssl_skel.errors import UserError
from ssl_skel.layouts import LAYOUTS
from ssl_skel.retrieval.index import MotionIndex
from ssl_skel.retrieval.search import search
from ssl_skel.retrieval.spread import Spread
from ssl_skel.view.indexes import page_of_index

Call = Callable[..., Result]


def cosine(a: np.ndarray, b: np.ndarray) -> float:
    return float(a @ b / np.linalg.norm(a) / np.linalg.norm(b))


def test_centred_cosines_and_their_percentiles_are_those_of_a_loop() -> None:
    rng = np.random.default_rng(0)
    vectors, clips = rng.normal(size=(12, 5)) + 3, np.repeat(np.arange(6), 2)  # two windows a clip
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    rest = unit - unit.mean(0)
    pairs = [cosine(rest[a], rest[b]) for a in range(12) for b in range(a) if clips[a] != clips[b]]
    spread = Spread.of(vectors, clips)
    np.testing.assert_allclose(spread.pairs, sorted(pairs), atol=1e-12)
    found = spread.centred(vectors[3] * 7, vectors)
    np.testing.assert_allclose(found, [cosine(rest[3], other) for other in rest], atol=1e-12)
    assert spread.percentile(found[8]) == pytest.approx(100 * np.mean(np.array(pairs) < found[8] - 1e-12))
    best = [max(cosine(rest[a], rest[b]) for b in range(12) if clips[a] != clips[b]) for a in range(12)]
    assert spread.usual == pytest.approx(np.quantile(best, 0.05))


def test_damaged_vectors_are_left_out() -> None:
    vectors = np.random.default_rng(0).normal(size=(12, 5)).astype(np.float32)
    expected = Spread.of(vectors, np.arange(12))
    damaged = np.concatenate([vectors, np.full((3, 5), np.nan, np.float32), np.full((2, 5), np.inf, np.float32)])
    found = Spread.of(damaged, np.arange(17))
    np.testing.assert_array_equal(found.pairs, expected.pairs)
    assert (found.rows, found.usual, found.rank) == (12, expected.usual, expected.rank)
    nothing = Spread.of(damaged[12:], np.arange(5))
    assert (nothing.rows, nothing.warning, nothing.percentile(0.5)) == (0, "", 100.0)


def test_a_warning_says_that_all_are_alike() -> None:
    rng = np.random.default_rng(0)
    clips, base = np.arange(40), rng.normal(size=(1, 16))
    line = base + 0.1 * rng.normal(size=(40, 1)) * rng.normal(size=(1, 16))
    assert "effective rank 1.0" in Spread.of(line + 1e-9 * rng.normal(size=(40, 16)), clips).warning
    assert "nearly all alike" in Spread.of(base + 1e-5 * rng.normal(size=(40, 16)), clips).warning
    assert Spread.of(base + rng.normal(size=(40, 16)), clips).warning == ""
    assert Spread.of(base, clips[:1]).warning == ""  # too few to say
    assert Spread.of(base, clips[:1]).percentile(0.5) == 100


def test_a_mirror_image_has_its_sides_exchanged() -> None:
    layout = LAYOUTS["ntu25"]
    joints = np.random.default_rng(0).normal(size=(2, 3, 25, 3))
    turned = layout.mirrored(joints)
    left, right = layout.joints.index("left_hand"), layout.joints.index("right_hand")
    np.testing.assert_array_equal(turned[:, :, right], joints[:, :, left] * [-1, 1, 1])
    np.testing.assert_array_equal(layout.mirrored(turned), joints)


def test_the_mirror_image_of_a_clip_is_found_with_mirror_alone(
    index: MotionIndex, store: Store, tmp_path: Path
) -> None:
    np.savez(tmp_path / "turned.npz", joints=store.layout.mirrored(np.array(store.clip(3)))[None])
    (tmp_path / "turned.yaml").write_text("layout: ntu25", "utf-8")
    plain, mirrored = (search(index, tmp_path / "turned.npz", 5, mirror=mirror)[0].hits for mirror in (False, True))
    assert (mirrored[0].row, mirrored[0].mirrored, mirrored[0].rank) == (3, True, 1)
    assert mirrored[0].similarity == pytest.approx(1, abs=1e-5)
    assert mirrored[0].facts(False)["note"] == "mirrored"
    assert not any(hit.mirrored for hit in plain)
    assert plain[0].similarity < mirrored[0].similarity
    rows = [hit.row for hit in mirrored]
    assert len(set(rows)) == 5
    similarity = [hit.similarity for hit in mirrored]
    assert similarity == sorted(similarity, reverse=True)
    assert {hit.row for hit in mirrored if not hit.mirrored} <= {hit.row for hit in plain}


def test_a_clip_of_the_index_is_mirrored_from_its_store(
    index: MotionIndex, windowed: MotionIndex, store: Store
) -> None:
    name = str(store.name[5])
    (answer,) = search(index, name, 8, mirror=True)
    assert name not in [hit.name for hit in answer.hits]
    assert len({hit.row for hit in answer.hits}) == len(answer.hits) == 8
    (answer,) = search(windowed, name, 8, at=0, mirror=True, overlap=0.0)
    spans: dict[str, list[tuple[int, int]]] = {}
    for hit in answer.hits:
        assert all(hit.start >= end or hit.start + hit.length <= start for start, end in spans.get(hit.name, []))
        spans.setdefault(hit.name, []).append((hit.start, hit.start + hit.length))


def test_nothing_like_it_is_an_answer(index: MotionIndex, store: Store, call: Call, tmp_path: Path) -> None:
    name = str(store.name[5])
    (everything,) = search(index, name, 5)
    limit = everything.hits[2].centred
    (some,) = search(index, name, 5, at_least=limit)
    assert some.hits == [hit for hit in everything.hits if hit.centred >= limit]
    best = max(hit.centred for hit in everything.hits)
    if best < 0.99:
        (none,) = search(index, name, 5, at_least=0.999)
        assert (none.hits, none.nearest) == ([], everything.hits[0])
        assert "nothing like it; the nearest, " + everything.hits[0].name in none.nothing
    with pytest.raises(UserError, match=r"--min 2: is a centred cosine"):
        search(index, name, at_least=2)
    page = tmp_path / "none.html"
    text = call("search", index.path, name, "--min", "1", "--page", page).stdout
    assert f"{name}: nothing like it" in text
    assert "Nothing like it; the nearest" in page.read_text()
    answer: dict[str, Any] = json.loads(call("search", index.path, name, "-k", 1, "--json").stdout)
    assert answer["spread"]["usual"] == pytest.approx(index.spread.usual)
    assert answer["answers"][0]["hits"][0]["centred"] == pytest.approx(everything.hits[0].centred)


def test_commands_and_pages_pass_the_warning_on(
    index: MotionIndex, store: Store, run_dir: Path, call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Spread, "warning", "all are alike")
    page = tmp_path / "page.html"
    assert "warning: all are alike" in call("search", index.path, str(store.name[0]), "--page", page).stderr
    assert "Warning: all are alike." in page.read_text()
    assert "warning: all are alike" in call("index", run_dir, store.path, "-o", tmp_path / "again").stderr
    assert "Warning: all are alike." in page_of_index(tmp_path / "again")
