"""Options of SLiM."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from ssl_skel.config import EntryConfig, EntryOf
from ssl_skel.pretexts.configs import Positive
from ssl_skel.pretexts.masking import MASKS
from ssl_skel.pretexts.masking.config import MaskConfig, RandomMaskConfig

Weight = Annotated[float, Field(ge=0.0)]
Temperature = Annotated[float, Field(gt=0.0)]


class SLiMConfig(EntryConfig):
    """Options of ``SLiM``."""

    name: Literal["slim"] = "slim"
    mask: Annotated[MaskConfig, EntryOf(MASKS)] = RandomMaskConfig(ratio=0.7, tube=4, level="part")
    """Which units are hidden: tubes, joints of a part over a stretch of time. SLiM draws which of them and how long,
    until 0.5 to 0.9 are hidden; here a part is hidden whole, for 4 units, until 0.7 are."""
    unit: Positive = 4
    """Frames of a unit, which is hidden or seen as a whole (SLiM: 8 of 64)."""
    masked: Annotated[float, Field(ge=0.0, le=1.0)] = 0.5
    """Chance that a person of a global view has something hidden (SLiM: 0.5); in local views all have."""
    local_shares: tuple[Annotated[float, Field(gt=0.0, lt=1.0)], ...] = (0.5, 0.25, 0.25, 0.125)
    """Lengths of the local views cut from each of the two global ones, as shares (SLiM: 32, 16, 16 and 8 of 64 frames);
    rounded to whole units and steps of the network, one at least."""
    prototypes: Positive = 256
    """Prototypes of each head (SLiM: 65,536, for batches of 768). A small head is enough for a thousand clips."""
    head_hidden: Positive = 256
    """Width of the heads' two hidden layers (SLiM: 2048)."""
    head_bottleneck: Positive = 64
    """Width of the vectors compared with the prototypes (SLiM: 256)."""
    temperature: Temperature = 0.1
    """Temperature of the student (SLiM: 0.1)."""
    teacher_temperature: Temperature = 0.06
    """Temperature of the teacher (SLiM: 0.04, rising to 0.07 in 30 of 150 epochs)."""
    momentum: Annotated[float, Field(ge=0.0, lt=1.0)] = 0.994
    """Momentum of the teacher as training begins; it rises to 1 along half a cosine (SLiM: 0.994). Lower it for
    trainings of a few hundred steps, which would end with a teacher that has hardly moved."""
    clips: Weight = 1.0
    """Weight of the loss between views of a clip (SLiM: 1)."""
    cells: Weight = 1.0
    """Weight of the loss on hidden cells (SLiM: 1)."""
    spread: Weight = 0.1
    """Weight of KoLeo, which keeps clips of a batch apart (SLiM: 0.1)."""
