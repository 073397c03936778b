"""Options of positives from neighbours."""

from __future__ import annotations

from typing import Literal

from pydantic import model_validator

from ssl_skel.config import Section
from ssl_skel.pretexts.configs import Positive


class NeighboursConfig(Section):
    """Options of ``Neighbours``."""

    size: Positive = 256
    """Clips that are kept, the newest ones (NNCLR: 98,304); no more than a few epochs provide."""
    count: Positive = 1
    """How many of the nearest serve as positives, each in a term of its own; the loss is their mean (NNCLR: 1)."""
    near: Literal["points", "poses"] = "points"
    """What distance is measured on: the points that are contrasted (NNCLR; STARS), or joints around the body's centre
    minus their mean pose, without any network, as if in another stream (CrosSCLR, Li et al., CVPR 2021, lets one stream
    choose the other's positives)."""
    own: bool = True
    """The clip's other view remains a positive in addition to its neighbours. Ours; with false, as in NNCLR, learning
    starts later."""

    @model_validator(mode="after")
    def _check(self) -> NeighboursConfig:
        if self.count >= self.size:
            raise ValueError(f"count: {self.count} of {self.size} clips, and one may be the clip itself; raise size")
        return self
