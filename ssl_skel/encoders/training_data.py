"""Which clips an encoder was trained on, as its card and the checkpoints of its run record them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Annotated, Any

import numpy as np
from pydantic import BeforeValidator

from ssl_skel.config import Section
from ssl_skel.data.splits import Split
from ssl_skel.data.store import Store


class TrainingData(Section):
    """The clips that an encoder was trained on; later evaluations look for test clips among them."""

    store: str
    """Path of the store, as it was named."""
    sha256: str
    """sha256 of the store's coordinates."""
    split: str
    """Split whose training clips were used."""
    clips: int
    """Number of these clips."""
    names: str = ""
    """sha256 of their names."""
    content: str = ""
    """sha256 of the hashes of their recordings."""
    labels: str = ""
    """Which of their labels were used, such as ``all`` or ``1 %``; empty: none."""

    @classmethod
    def of(cls, store: Store, split: Split, labels: str = "") -> TrainingData:
        """The record of a training on a split's training clips."""
        names, content = store.name[split.train], np.sort(store.content[split.train])
        return cls(
            store=str(store.path),
            sha256=store.sha256,
            split=split.name,
            clips=len(split.train),
            names=hashlib.sha256("\n".join(names).encode()).hexdigest(),
            content=hashlib.sha256(content.astype("<u8").tobytes()).hexdigest(),
            labels=labels,
        )

    def is_of(self, store: Store, split: Split) -> bool:
        """Whether these are still a split's training clips; what an earlier release did not record counts as equal."""
        now = TrainingData.of(store, split)
        hashes = ((self.names, now.names), (self.content, now.content))
        return (self.sha256, self.clips) == (now.sha256, now.clips) and all(old in ("", new) for old, new in hashes)


def _nothing(recorded: Any) -> Any:
    """Cards of the first release write nothing as an empty mapping."""
    return None if isinstance(recorded, Mapping) and not recorded else recorded


RecordedData = Annotated[TrainingData | None, BeforeValidator(_nothing)]
"""A field that holds training data, or None for weights that were never trained."""
