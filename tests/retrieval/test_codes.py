"""Codes rule out only what cannot be among the nearest: ranks equal float64 wherever vectors lie, bounds hold."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file

from ssl_skel.errors import UserError
from ssl_skel.evaluation.knn import unit
from ssl_skel.retrieval import codes
from ssl_skel.retrieval.codes import Codes, write_codes


def crowded(count: int, dim: int, seed: int) -> np.ndarray:
    """Around few centres that lie close together, as features do."""
    rng = np.random.default_rng(seed)
    centres = 5 + rng.normal(size=(8, dim))
    return unit(centres[rng.integers(8, size=count)] + 0.05 * rng.normal(size=(count, dim)))


def ranked(vectors: np.ndarray, query: np.ndarray, rows: np.ndarray, k: int) -> tuple[list[int], list[float]]:
    near = (vectors[rows].astype(np.float64) * query).sum(-1)
    order = np.argsort(-near, kind="stable")[:k]
    return rows[order].tolist(), near[order].tolist()


@pytest.mark.parametrize("integers", [True, False])
@pytest.mark.parametrize(("count", "dim", "queries", "k"), [(30_000, 24, 40, 10), (3000, 70, 1, 50), (37, 3, 9, 37)])
def test_ranks_and_similarities_are_those_of_float64(
    count: int, dim: int, queries: int, k: int, integers: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(codes, "_BLOCK", 1 << 15)  # several blocks, the last of them odd
    monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: integers)
    vectors, asked = crowded(count, dim, 0), crowded(queries, dim, 1)
    asked[0] = 0
    made = Codes.of(vectors)
    for rows in (None, np.arange(0, count, 3)):
        among = np.arange(count) if rows is None else rows
        wanted = min(k, len(among))
        found, near = made.search(vectors, asked, wanted, rows)
        for query, mine, close in zip(asked, found, near, strict=True):
            assert (mine.tolist(), close.tolist()) == ranked(vectors, query, among, wanted)


def test_most_rows_are_never_read(monkeypatch: pytest.MonkeyPatch) -> None:
    vectors, asked = crowded(50_000, 64, 0), crowded(5, 64, 1)
    read = []
    exact = codes._similarity
    monkeypatch.setattr(codes, "_similarity", lambda *of: [read.append(len(of[2])), exact(*of)][1])
    Codes.of(vectors).search(vectors, asked, 10)
    assert sum(read) < 0.1 * asked.shape[0] * len(vectors)


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 10_000), st.integers(1, 40), st.floats(-12, 3), st.floats(0, 9))
def test_bounds_hold(seed: int, dim: int, logarithm: float, away: float) -> None:
    """|<p, r> - <p', r'>| <= |p - p'| |r| + |p'| |r - r'| for what is stored of r, whatever its size and place."""
    rng = np.random.default_rng(seed)
    vectors = unit(away + np.exp(logarithm) * rng.standard_t(2, size=(50, dim)))
    made = Codes.of(vectors)
    step, mean, length, error = made.bounds.double().numpy()
    exact = vectors.astype(np.float64)
    rest, rounded = exact - made.centre.numpy(), step[:, None] * made.codes.numpy()
    assert made.codes.abs().max() <= 79
    assert (np.linalg.norm(rest - rounded, axis=1) <= error * 1.0001 + 2e-6).all()
    np.testing.assert_allclose(np.linalg.norm(rest, axis=1), length, atol=2e-6)
    np.testing.assert_allclose(exact @ made.centre.numpy(), mean, atol=2e-6)
    assert (np.abs(rest - rounded) <= 0.5001 * step[:, None] + 1e-7).all()


def test_too_many_ties_to_hold_are_searched_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(codes, "_HITS", 1000)
    vectors = np.repeat(crowded(3, 8, 0), 400, 0)
    found, near = Codes.of(vectors).search(vectors, vectors[::300], 5)
    assert found.tolist() == [[*range(at, at + 5)] for at in (0, 0, 400, 800)]
    assert np.ptp(near, axis=1).tolist() == [0] * 4


def test_a_written_file_is_read_or_refused(tmp_path: Path) -> None:
    vectors = crowded(90, 7, 0)
    made, file = Codes.of(vectors), tmp_path / "codes.safetensors"
    write_codes(file, vectors)
    read = Codes.read(file, 90, 7)
    assert all(torch.equal(getattr(made, name), getattr(read, name)) for name in ("codes", "bounds", "centre"))
    with pytest.raises(UserError, match=r"does not match meta\.json"):
        Codes.read(file, 91, 7)
    for bounds in (made.bounds.double(), made.bounds * math.nan):
        save_file({"codes": made.codes, "bounds": bounds, "centre": made.centre}, file)
        with pytest.raises(UserError, match=r"does not match meta\.json"):
            Codes.read(file, 90, 7)
    file.write_bytes(b"x" * file.stat().st_size)
    with pytest.raises(UserError, match=r"codes\.safetensors: is damaged"):
        Codes.read(file, 90, 7)


def test_codes_of_other_vectors_are_refused_or_harmless() -> None:
    """Whatever the codes, rows that are found have the similarities of their vectors; too few of them are damage."""
    vectors = unit(crowded(90, 7, 0))
    found, near = Codes.of(unit(crowded(90, 7, 1))).search(vectors, vectors[:8], 5)
    np.testing.assert_allclose(near, np.take_along_axis(vectors[:8] @ vectors.T, found, 1), atol=1e-5)
    wrong = Codes.of(vectors)
    wrong.bounds[1] -= torch.arange(90)  # says that most rows are far away
    with pytest.raises(UserError, match="are of other vectors, or damaged; build"):
        wrong.search(vectors, vectors[:8], 40)


def test_the_largest_codes_fit_processors_that_add_pairs_in_sixteen_bits() -> None:
    assert (codes._TOP + 128) * codes._TOP * 2 < 1 << 15
    full = torch.full((64, 96), codes._TOP, dtype=torch.int8)
    out = torch.empty(64, 64, dtype=torch.int32)
    assert (codes._product(full, full, out) == 96 * codes._TOP**2).all()
    assert (codes._product(full, -full, out) == -96 * codes._TOP**2).all()
