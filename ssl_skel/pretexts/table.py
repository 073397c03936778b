"""The single pretexts; a new one is a file here, its options in ``configs`` and one entry below."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ssl_skel.config import EntryConfig
from ssl_skel.pretexts.configs.gfp import GFPConfig
from ssl_skel.pretexts.configs.psp import PSPConfig
from ssl_skel.pretexts.configs.s_jepa import SJEPAConfig
from ssl_skel.pretexts.configs.skeleton_mae import SkeletonMAEConfig
from ssl_skel.pretexts.configs.slim import SLiMConfig
from ssl_skel.pretexts.configs.temporal_order import TemporalOrderConfig
from ssl_skel.pretexts.configs.vicreg import VICRegConfig
from ssl_skel.registry import Registry

if TYPE_CHECKING:
    from ssl_skel.pretexts.base import Pretext

SINGLE: Registry[Pretext, EntryConfig] = Registry(
    "pretext",
    {
        SkeletonMAEConfig: "ssl_skel.pretexts.skeleton_mae:SkeletonMAE",
        PSPConfig: "ssl_skel.pretexts.psp:PSP",
        TemporalOrderConfig: "ssl_skel.pretexts.temporal_order:TemporalOrder",
        VICRegConfig: "ssl_skel.pretexts.vicreg:VICReg",
        GFPConfig: "ssl_skel.pretexts.gfp:GFP",
        SJEPAConfig: "ssl_skel.pretexts.s_jepa:SJEPA",
        SLiMConfig: "ssl_skel.pretexts.slim:SLiM",
    },
)
"""Pretexts by name, each of which may be part of a combination."""
