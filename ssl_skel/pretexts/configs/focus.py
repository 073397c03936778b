"""Options of errors weighted by motion energy."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from ssl_skel.config import Section
from ssl_skel.pretexts.configs import Positive


class FocusConfig(Section):
    """Options of ``focus_weights``."""

    windows: tuple[Positive, ...] = Field((4, 8, 12), min_length=1)
    """Frames of a window, at each of several scales (AMR: 4, 8, 12 of 120 frames)."""
    k: Annotated[float, Field(gt=0.0)] = 0.01
    """k; a window whose energy is the clip's mean has weight 1 / (1 + k). With larger values, still windows count less
    (AMR: 0.01)."""
