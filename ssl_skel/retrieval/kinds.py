"""The faster searches that an index can have, by name; ``approximate`` runs them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from math import sqrt
from typing import Literal

import numpy as np

from ssl_skel.errors import UserError
from ssl_skel.names import unknown


@dataclass(frozen=True)
class Kind:
    """One way to search.

    Attributes:
        factory: (vectors, dimensions) -> faiss's description.
        effort: the search parameter of faiss that trades time for accuracy: lists probed, or candidates that the
            graph holds.
        efforts: its values to choose from, least first.
        fetch: candidates for each wanted neighbour; the coarser the vectors, the more.
        fewest: vectors below which it makes no sense, or faiss cannot train it.
    """

    factory: Callable[[int, int], str]
    effort: Literal["nprobe", "efSearch"]
    efforts: tuple[int, ...]
    fetch: int
    fewest: int


def _lists(count: int) -> int:
    """Inverted lists: the power of two nearest to sqrt(N), each with vectors enough to be trained on."""
    return max(1, min(1 << round(np.log2(sqrt(count))), count // 39))


def _pieces(dim: int) -> int:
    """Bytes of a product-quantised vector: two numbers share one byte where that divides D."""
    return next(pieces for pieces in range(max(1, dim // 2), 0, -1) if dim % pieces == 0)


_PROBES = (1, 2, 4, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512, 1024)
_HELD = (16, 32, 48, 64, 96, 128, 192, 256, 384, 512, 1024)

# 8-bit scalars rather than whole vectors: a quarter of the memory, and the exact ones are at hand anyway.
KINDS: dict[str, Kind] = {
    "ivf": Kind(lambda count, dim: f"IVF{_lists(count)},SQ8", "nprobe", _PROBES, fetch=4, fewest=39),
    "hnsw": Kind(lambda count, dim: "HNSW32,SQ8", "efSearch", _HELD, fetch=4, fewest=39),
    "ivfpq": Kind(
        lambda count, dim: f"IVF{_lists(count)},PQ{_pieces(dim)}np",  # np: codes are not sorted, which takes minutes
        "nprobe",
        _PROBES,
        fetch=10,
        fewest=256,
    ),
}


LANCE = "lance"
"""The search past memory, which ``lance`` runs."""


def check_kind(kind: str, count: int | None = None) -> None:
    """Refuse an unknown search, or one that needs more vectors.

    Args:
        kind: ``flat``, which is exact and always possible, ``lance`` or an entry of ``KINDS``.
        count: vectors; None: not known yet.

    Raises:
        UserError: an unknown kind, or too few vectors for it.
    """
    if kind == LANCE and (find_spec("lancedb") is None or find_spec("pyarrow") is None):
        raise UserError("--kind lance: needs LanceDB; install it with: pip install 'ssl-skel[lance]'")
    if kind in ("flat", LANCE):
        return
    if kind not in KINDS:
        raise unknown("", kind, ("flat", *KINDS, LANCE), where="--kind")
    if count is not None and count < KINDS[kind].fewest:
        raise UserError(f"--kind {kind}: needs at least {KINDS[kind].fewest} vectors, got {count}; use flat")
