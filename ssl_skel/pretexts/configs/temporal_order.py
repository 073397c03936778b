"""Options of TemporalOrder."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from ssl_skel.config import EntryConfig
from ssl_skel.pretexts.configs import Positive


class TemporalOrderConfig(EntryConfig):
    """Options of ``TemporalOrder``."""

    name: Literal["temporal_order"] = "temporal_order"
    clips: Annotated[int, Field(ge=2, le=5)] = 3
    """n, segments of a clip; there are n! orders to distinguish (VCOP: 3). Paper silent."""
    frames: Positive | None = None
    """Length of a segment, a multiple of the backbone's temporal stride; None: the longest that leaves room
    for the gaps. Paper silent (VCOP: 16 frames of video)."""
    gap: Annotated[int, Field(ge=0)] = 2
    """Fewest frames between two segments, so that the last frame of one is not the first of the next.
    Paper silent (VCOP: always 8)."""
    recentre: bool = True
    """Move each segment so that the first person's centre joint begins at the origin, all persons alike. Otherwise the
    place of someone who walks gives the order away. Ours."""
    head: Literal["pairwise", "lstm"] = "pairwise"
    """How the order is read from the segments' features: from all pairs (VCOP), or by an LSTM (Wang et al.)."""
    head_dim: Positive = 512
    """Width of the head (VCOP: 512). Paper silent."""
