"""Options of VICReg."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from ssl_skel.config import EntryConfig
from ssl_skel.pretexts.configs import Positive
from ssl_skel.pretexts.configs.sources import Source

Weight = Annotated[float, Field(ge=0.0)]


class VICRegConfig(EntryConfig):
    """Options of ``VICReg``."""

    name: Literal["vicreg"] = "vicreg"
    views: tuple[Source, ...] = Field(("own", "own"), min_length=2)
    """What the encoder sees, each from a draw of its own: ``own``, its stream; ``own_motion``, its change from frame to
    frame; or another stream (VICReg: two draws of the same kind)."""
    time_bins: Positive = 4
    """Stretches of a clip, equally long, whose features are compared and decorrelated separately; 1: the whole
    clip, as in VICReg. Ours; USDRL also decorrelates single frames."""
    invariance: Weight = 25.0
    """Weight of the squared distance between views (VICReg: 25)."""
    variance: Weight = 25.0
    """Weight of the hinge that keeps each dimension's deviation over the clips at 1 or more (VICReg: 25)."""
    covariance: Weight = 1.0
    """Weight of the squared covariances of dimensions (VICReg: 1)."""
    expander: Positive = 256
    """Width of the three layers that expand the features (VICReg: 8192, for ImageNet's batches of 2048)."""
