"""The pretexts that stand alone; a new one is one file and one row here."""

from ssl_skel.pretexts.base import Pretext
from ssl_skel.pretexts.psp import PSP
from ssl_skel.pretexts.skeleton_mae import SkeletonMAE
from ssl_skel.pretexts.temporal_order import TemporalOrder

SINGLE: dict[str, type[Pretext]] = {"skeleton_mae": SkeletonMAE, "psp": PSP, "temporal_order": TemporalOrder}
