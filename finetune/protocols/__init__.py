"""Ways to measure features on a split; a new one is one class in a file here and one row of ``PROTOCOLS``."""

from finetune.protocols.base import EvalContext, FeatureSet, Protocol
from finetune.protocols.fewshot import FewShot
from finetune.protocols.knn import Knn
from finetune.protocols.linear import Linear
from finetune.protocols.psp import PSPSemi
from finetune.protocols.retrieval import Retrieval
from finetune.protocols.trained import Full, Semi
from finetune.protocols.two_stream import TwoStream

PROTOCOLS: dict[str, type[Protocol]] = {
    "knn": Knn,
    "linear": Linear,
    "semi": Semi,
    "full": Full,
    "psp": PSPSemi,
    "two_stream": TwoStream,
    "fewshot": FewShot,
    "retrieval": Retrieval,
}

__all__ = ["PROTOCOLS", "EvalContext", "FeatureSet", "Protocol"]
