"""Exact search in a fraction of the time: 8-bit codes of the vectors, and a bound on what the codes leave out.

A vector approximation file (Weber, Schek & Blott, VLDB 1998, Sec. 4): the codes rule nearly all rows out, and only the
rest are looked at. With a centre m, r = x - m and p = q - m,

    <q, x> = <p, r> + <m, x> + <q - m, m>

of which the last term is the same for all rows. With r' and p' rounded to codes, Cauchy and Schwarz say

    <p, r> <= <p', r'> + |p - p'| |r| + |p'| |r - r'|

and <p', r'> is a product of small integers, which processors form several times faster than one of floats.

Departs from print: the bound is on the inner product; it comes from each vector's own rounding, not from its cell.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from ssl_skel.errors import UserError

_TOP = 79
"""Largest code. Processors without VNNI add two products of one code and another + 128 in 16 bits; these fit."""

_GROUP = 32  # rows of which only the best is compared at first
_BLOCK = 1 << 20  # products at once, which should stay in the processor's cache
_HITS = 1 << 23  # rows proposed at once, for all queries together
_SLACK = 2e-6  # more than float32 rounds off a bound


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
        step = max(1, _BLOCK // max(1, dim))
        sample = vectors[:: max(1, count // 4096)]
        centre = torch.from_numpy(sample.mean(0, dtype=np.float64).astype(np.float32) if count else np.zeros(dim, "f4"))
        codes, bounds = torch.empty(count, dim, dtype=torch.int8), torch.empty(4, count)
        for at in range(0, count, step):
            x = torch.from_numpy(np.array(vectors[at : at + step]))
            bounds[1, at : at + step] = x @ centre
            rest = x.sub_(centre)
            bounds[2, at : at + step] = rest.norm(dim=1)
            codes[at : at + step], bounds[0, at : at + step], bounds[3, at : at + step] = _round(rest)
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
        if shapes != ((count, dim), (4, count), (dim,)) or found.codes.dtype != torch.int8:
            raise UserError(f"{path}: is not what meta.json tells of; build the index again with --overwrite")
        return found

    def write(self, path: Path) -> None:
        """Write all of it as safetensors."""
        save_file({"codes": self.codes, "bounds": self.bounds, "centre": self.centre}, path)

    def search(
        self, vectors: np.ndarray, queries: np.ndarray, k: int, rows: np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """The k nearest rows by float64 cosine, as ``evaluation.knn.search_exactly`` has them.

        Args:
            vectors: (N, D) float32, those that were rounded; only those that the codes cannot rule out are read.
            queries: (Q, D) float32.
            k: at most N, or the length of ``rows``.
            rows: ascending; look only among these.

        Returns:
            rows (Q, k) int64 and similarities (Q, k) float64, nearest first, ties in row order.
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
        """Rows of which the nearest of each query are some, and the most that each row's similarity can be.

        None where they are too many to hold, and queries can be parted.
        """
        p = torch.from_numpy(queries) - self.centre
        step = float(p.abs().max()) / _TOP or 1.0
        code = (p / step).round_().to(torch.int8)
        rounded = code * step
        size, off = float(rounded.norm(dim=1).max()), float((p - rounded).norm(dim=1).max())
        among = None if rows is None else torch.from_numpy(rows)
        total = len(self.codes) if among is None else len(among)
        width = max(_GROUP, _BLOCK // len(queries) // _GROUP * _GROUP)
        whole = torch.empty(len(queries) * min(width, total), dtype=torch.int32)
        buffer = torch.empty(len(whole))  # one for all blocks: fresh memory costs more than the arithmetic
        each = torch.arange(len(queries))[:, None]
        best, hits, count = torch.full((len(queries), k), -math.inf), [], 0
        for at in range(0, total, width):
            which = slice(at, at + width) if among is None else among[at : at + width]
            codes, (steps, mean, length, error) = self.codes[which], self.bounds[:, which]
            doubt = 1.0001 * (off * length + size * error) + _SLACK
            product, most = (x[: len(queries) * len(codes)].view(len(queries), -1) for x in (whole, buffer))
            most.copy_(_product(code, codes, product))
            torch.addcmul(mean + doubt, most, steps * step, out=most)
            group = math.gcd(len(codes), _GROUP) if len(codes) >= 4 * k * _GROUP else 1
            grouped = most.view(len(queries), group, -1)  # neighbours fall into different groups
            tops = grouped.amax(1)
            first = tops.topk(min(k, tops.shape[1]), sorted=False).indices
            least = grouped[each, :, first] - 2 * doubt.view(group, -1).T[first]  # (Q, k, group)
            best = torch.cat([best, least.amax(2)], 1).topk(k, sorted=False).values
            floor = best.amin(1, keepdim=True)
            query, column = (tops >= floor).nonzero().T
            inside = grouped[query, :, column]  # (H, group)
            hit, line = (inside >= floor[query]).nonzero().T
            query, column = query[hit], line * tops.shape[1] + column[hit]
            hits.append((query, column + at if among is None else among[column + at], inside[hit, line]))
            count += len(query)
            if count > _HITS and len(queries) > 1:
                return None
        owner, row, most = (torch.cat(parts) for parts in zip(*hits, strict=True))
        order = owner.argsort(stable=True)
        sizes = torch.bincount(owner, minlength=len(queries)).tolist()
        return [
            (some.numpy(), limit.numpy())
            for some, limit in zip(row[order].split(sizes), most[order].split(sizes), strict=True)
        ]


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
    least = _similarity(vectors, query, rows[np.argpartition(-most, k - 1)[:k]]).min()
    shift = float((query.astype(np.float64) - centre) @ centre.astype(np.float64))
    rows = np.sort(rows[most >= least - shift - _SLACK])
    near = _similarity(vectors, query, rows)
    order = np.argsort(-near, kind="stable")[:k]
    return rows[order], near[order]


def _similarity(vectors: np.ndarray, query: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Float64 inner products; equal vectors give equal numbers, wherever they stand."""
    step = max(1, _BLOCK // max(1, len(query)))
    parts = [(vectors[rows[at : at + step]].astype(np.float64) * query).sum(-1) for at in range(0, len(rows), step)]
    return np.concatenate(parts)
