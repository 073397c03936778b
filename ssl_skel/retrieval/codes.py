"""Exact search in a fraction of the time: 8-bit codes of the vectors, and a bound on their error.

A vector approximation file (Weber, Schek & Blott, VLDB 1998, Sec. 4): the codes rule nearly all rows out, and only the
rest are read. With a centre m, r = x - m and p = q - m,

    <q, x> = <p, r> + <m, x> + <q - m, m>

of which the last term is the same for all rows. With r' and p' rounded to codes, Cauchy and Schwarz say

    <p, r> <= <p', r'> + |p - p'| |r| + |p'| |r - r'|

and <p', r'> is a product of small integers, which processors form several times faster than one of floats.

Departs from print: the bound is on the inner product; it comes from each vector's own rounding, not from its cell.
"""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from ssl_skel.errors import UserError

_TOP = 79
"""Largest code. Processors without VNNI add two products of one code and another + 128 in 16 bits; these fit."""

_GROUP = 32  # rows of a group; only the best is compared at first
_BLOCK = 1 << 20  # products at once, which should stay in the processor's cache
_HITS = 1 << 23  # rows proposed at once, for all queries together
_SLACK = 2e-6  # more than float32 rounds off a bound
_FOREIGN = "the index's codes are of other vectors, or damaged; build the index again with --overwrite"


@dataclass(frozen=True, eq=False)
class Codes:
    """Rounded vectors, as above.

    Attributes:
        codes: (N, D) int8, of r.
        bounds: (4, N) float32: each code's step, <m, x>, |r| and |r - r'|.
        centre: (D,) float32, m.
    """

    codes: Tensor
    bounds: Tensor
    centre: Tensor

    @classmethod
    def of(cls, vectors: np.ndarray) -> Codes:
        """Round vectors (N, D) float32, block by block."""
        count, dim = vectors.shape
        codes, bounds, centre = torch.empty(count, dim, dtype=torch.int8), torch.empty(4, count), _centre(vectors)
        for at, some, their_bounds in _rounded(vectors, centre):
            codes[at : at + len(some)], bounds[:, at : at + len(some)] = some, their_bounds
        return cls(codes, bounds, centre)

    @classmethod
    def read(cls, path: Path, count: int, dim: int) -> Codes:
        """Map a written file into memory.

        Raises:
            UserError: it is damaged, or of other vectors.
        """
        try:
            found = cls(**load_file(path))
        except (SafetensorError, TypeError, OSError) as error:
            raise UserError(f"{path}: is damaged; build the index again with --overwrite") from error
        shapes = tuple(found.codes.shape), tuple(found.bounds.shape), tuple(found.centre.shape)
        kinds = found.codes.dtype, found.bounds.dtype, found.centre.dtype
        whole = shapes == ((count, dim), (4, count), (dim,)) and kinds == (torch.int8, torch.float32, torch.float32)
        if not whole or not (found.bounds.isfinite().all() and found.centre.isfinite().all()):
            raise UserError(f"{path}: does not match meta.json; build the index again with --overwrite")
        return found

    def search(
        self, vectors: np.ndarray, queries: np.ndarray, k: int, rows: np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """The k nearest rows by float64 cosine, as ``evaluation.knn.search_exactly`` has them.

        Args:
            vectors: (N, D) float32, those that were rounded; only those that the codes cannot rule out are read.
            queries: (Q, D) float32.
            k: at most N, or the length of ``rows``.
            rows: ascending; search only among these.

        Returns:
            rows (Q, k) int64 and similarities (Q, k) float64, nearest first, ties in row order.

        Raises:
            UserError: the codes are of other vectors.
        """
        found, near = np.empty((len(queries), k), np.int64), np.empty((len(queries), k))
        total = len(vectors) if rows is None else len(rows)
        step = max(1, min(256, _HITS // max(1, total // _GROUP)))
        todo = [np.arange(at, min(at + step, len(queries))) for at in range(0, len(queries), step)] if k else []
        while todo:
            part = todo.pop()
            proposed = self._propose(queries[part], k, rows)
            if proposed is None:
                todo += np.array_split(part, 2)
                continue
            for query, (some, most) in zip(part.tolist(), proposed, strict=True):
                found[query], near[query] = _nearest(vectors, queries[query], k, some, most, self.centre.numpy())
        return found, near

    def _propose(
        self, queries: np.ndarray, k: int, rows: np.ndarray | None
    ) -> list[tuple[np.ndarray, np.ndarray]] | None:
        """For each query, rows that hold its k nearest, and an upper bound of each one's similarity.

        None if they are too many to hold, and queries can be split.
        """
        rounded = _Rounded.of(torch.from_numpy(queries) - self.centre)
        among = None if rows is None else torch.from_numpy(rows)
        total = len(self.codes) if among is None else len(among)
        width = max(_GROUP, _BLOCK // len(queries) // _GROUP * _GROUP)
        size = len(queries) * min(width, total)
        buffers = torch.empty(size, dtype=torch.int32), torch.empty(size)  # fresh memory costs more than the arithmetic
        candidates = _Candidates(len(queries), k)
        for at in range(0, total, width):
            block = slice(at, at + width) if among is None else among[at : at + width]
            candidates.add(*self._upper_bounds(rounded, block, *buffers), at)
            if candidates.count > _HITS and len(queries) > 1:
                return None
        return candidates.by_query(among)

    def _upper_bounds(
        self, queries: _Rounded, block: slice | Tensor, whole: Tensor, real: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Upper bounds (Q, W) of <q, x> for a block of W rows, less what all rows share; and how far too high, (W,).

        They overlay the buffers, int32 and float32.
        """
        codes, (step, mean, length, error) = self.codes[block], self.bounds[:, block]
        doubt = 1.0001 * (queries.error * length + queries.length * error) + _SLACK
        count = len(queries.codes) * len(codes)
        product, upper = (buffer[:count].view(len(queries.codes), -1) for buffer in (whole, real))
        upper.copy_(_product(queries.codes, codes, product))
        return torch.addcmul(mean + doubt, upper, queries.step * step, out=upper), doubt


def write_codes(path: Path, vectors: np.ndarray) -> None:
    """Round vectors (N, D) float32 and write the codes as safetensors, block by block, in memory that stays small."""
    count, dim = vectors.shape
    centre = _centre(vectors)
    tensors = (("codes", "I8", (count, dim), 1), ("bounds", "F32", (4, count), 4), ("centre", "F32", (dim,), 4))
    header: dict[str, Any] = {}
    end = 0
    for name, kind, shape, size in sorted(tensors, key=lambda one: -one[3]):  # the wide ones first, as they are aligned
        header[name] = {"dtype": kind, "shape": shape, "data_offsets": (end, end := end + math.prod(shape) * size)}
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    begin = {name: 8 + len(text) + facts["data_offsets"][0] for name, facts in header.items()}
    with path.open("wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        file.truncate(8 + len(text) + end)
        for at, codes, bounds in _rounded(vectors, centre):
            file.seek(begin["codes"] + at * dim)
            file.write(codes.numpy().tobytes())
            for number, bound in enumerate(bounds.numpy()):
                file.seek(begin["bounds"] + 4 * (number * count + at))
                file.write(bound.astype("<f4").tobytes())
        file.seek(begin["centre"])
        file.write(centre.numpy().astype("<f4").tobytes())


def _centre(vectors: np.ndarray) -> Tensor:
    count, dim = vectors.shape
    sample = vectors[:: max(1, count // 4096)]
    return torch.from_numpy(sample.mean(0, dtype=np.float64).astype(np.float32) if count else np.zeros(dim, "f4"))


def _rounded(vectors: np.ndarray, centre: Tensor) -> Iterator[tuple[int, Tensor, Tensor]]:
    """First row, codes (n, D) and bounds (4, n) of each block of vectors."""
    step = max(1, _BLOCK // max(1, vectors.shape[1]))
    for at in range(0, len(vectors), step):
        x = torch.from_numpy(np.array(vectors[at : at + step]))
        mean = x @ centre
        rest = x.sub_(centre)
        codes, width, left = _round(rest)
        yield at, codes, torch.stack([width, mean, rest.norm(dim=1), left])


@dataclass(frozen=True, eq=False)
class _Rounded:
    """Queries, less the centre, as codes of one common step.

    Attributes:
        codes: (Q, D) int8, of p.
        step: of the codes.
        length, error: the largest |p'| and |p - p'|.
    """

    codes: Tensor
    step: float
    length: float
    error: float

    @classmethod
    def of(cls, p: Tensor) -> _Rounded:
        step = float(p.abs().max()) / _TOP or 1.0
        codes = (p / step).round_().to(torch.int8)
        rounded = codes * step
        return cls(codes, step, float(rounded.norm(dim=1).max()), float((p - rounded).norm(dim=1).max()))


class _Candidates:
    """Rows that may be among the k nearest of each query, while blocks of rows come by.

    A row is out as soon as its upper bound lies below the k greatest lower bounds seen so far.
    """

    def __init__(self, queries: int, k: int) -> None:
        self.k, self.count = k, 0
        self._lower = torch.full((queries, k), -math.inf)  # greatest lower bounds
        self._found: list[tuple[Tensor, Tensor, Tensor]] = []  # query, row, upper bound

    def add(self, upper: Tensor, doubt: Tensor, at: int) -> None:
        """Take a block of W rows, the first of which is ``at``, with bounds (Q, W) that are ``doubt`` (W,) too high.

        Rows are put in groups, and only the best of each is compared at first.
        """
        queries, width = upper.shape
        group = math.gcd(width, _GROUP) if width >= 4 * self.k * _GROUP else 1
        grouped = upper.view(queries, group, -1)  # neighbours fall into different groups
        best = grouped.amax(1)
        self._raise_lower(grouped, best, doubt.view(group, -1))
        floor = self._lower.amin(1, keepdim=True)
        query, column = (best >= floor).nonzero().T
        members = grouped[query, :, column]  # (groups left, group)
        left, line = (members >= floor[query]).nonzero().T
        self._found.append((query[left], at + line * best.shape[1] + column[left], members[left, line]))
        self.count += len(left)

    def _raise_lower(self, grouped: Tensor, best: Tensor, doubt: Tensor) -> None:
        """Lower bounds of the most promising groups may be greater than those seen so far."""
        first = best.topk(min(self.k, best.shape[1]), sorted=False).indices  # (Q, k)
        each = torch.arange(len(grouped))[:, None]
        lower = (grouped[each, :, first] - 2 * doubt.T[first]).amax(2)  # one per group
        self._lower = torch.cat([self._lower, lower], 1).topk(self.k, sorted=False).values

    def by_query(self, among: Tensor | None) -> list[tuple[np.ndarray, np.ndarray]]:
        """Rows and upper bounds, a pair for each query; rows numbered within ``among`` are looked up in it."""
        query, row, upper = (torch.cat(parts) for parts in zip(*self._found, strict=True))
        order = query.argsort(stable=True)
        sizes = torch.bincount(query, minlength=len(self._lower)).tolist()
        row = row if among is None else among[row]
        parts = zip(row[order].split(sizes), upper[order].split(sizes), strict=True)
        return [(rows.numpy(), bounds.numpy()) for rows, bounds in parts]


def _round(x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Codes of (N, D) and, one each, their steps and what is left over (its length)."""
    step = x.abs().amax(1) / _TOP
    code = (x / step.clamp_min(1e-30)[:, None]).round_()
    return code.to(torch.int8), step, (x - code * step[:, None]).norm(dim=1)


def _product(queries: Tensor, codes: Tensor, out: Tensor) -> Tensor:
    """Inner products (Q, N) int32 of codes (Q, D) and (N, D)."""
    if torch.backends.mkldnn.is_available():
        return torch._int_mm(queries, codes.T, out=out)
    # Without oneDNN torch's product of integers is a plain loop. Floats hold the same sums, as long as they are small.
    kind = torch.float32 if codes.shape[1] * _TOP**2 < 1 << 24 else torch.float64
    return out.copy_(queries.to(kind) @ codes.to(kind).T)


def _nearest(
    vectors: np.ndarray, query: np.ndarray, k: int, rows: np.ndarray, most: np.ndarray, centre: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The k nearest of some rows; those that cannot be among them are left unread."""
    if len(rows) < k:
        raise UserError(_FOREIGN)
    least = _similarity(vectors, query, rows[np.argpartition(-most, k - 1)[:k]]).min()
    shift = float((query.astype(np.float64) - centre) @ centre.astype(np.float64))
    rows = np.sort(rows[most >= least - shift - _SLACK])
    if len(rows) < k:
        raise UserError(_FOREIGN)
    near = _similarity(vectors, query, rows)
    order = np.argsort(-near, kind="stable")[:k]
    return rows[order], near[order]


def _similarity(vectors: np.ndarray, query: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Float64 inner products; equal vectors give equal numbers, wherever they stand."""
    step = max(1, _BLOCK // max(1, len(query)))
    parts = [(vectors[rows[at : at + step]].astype(np.float64) * query).sum(-1) for at in range(0, len(rows), step)]
    return np.concatenate(parts)
