"""Ways to measure features on a split.

A new one is a class in a file here, its options in a file of ``configs``, and one entry of ``PROTOCOLS``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from finetune.protocols.configs.base import ProtocolConfig
from finetune.protocols.configs.frozen import ClassMeansConfig, FewShotConfig, PropagateConfig
from finetune.protocols.configs.knn import KnnConfig
from finetune.protocols.configs.linear import LinearConfig
from finetune.protocols.configs.psp import PSPSemiConfig
from finetune.protocols.configs.retrieval import RetrievalConfig
from finetune.protocols.configs.trained import FullConfig, SemiConfig
from finetune.protocols.configs.two_stream import TwoStreamConfig
from ssl_skel.registry import Registry

if TYPE_CHECKING:
    from finetune.protocols.base import Protocol

PROTOCOLS: Registry[Protocol[Any], ProtocolConfig] = Registry(
    "protocol",
    {
        KnnConfig: "finetune.protocols.knn:Knn",
        LinearConfig: "finetune.protocols.linear:Linear",
        SemiConfig: "finetune.protocols.trained:Semi",
        FullConfig: "finetune.protocols.trained:Full",
        PSPSemiConfig: "finetune.protocols.psp:PSPSemi",
        TwoStreamConfig: "finetune.protocols.two_stream:TwoStream",
        FewShotConfig: "finetune.protocols.frozen:FewShot",
        ClassMeansConfig: "finetune.protocols.frozen:ClassMeans",
        PropagateConfig: "finetune.protocols.frozen:Propagate",
        RetrievalConfig: "finetune.protocols.retrieval:Retrieval",
    },
)
"""Protocols by name."""
