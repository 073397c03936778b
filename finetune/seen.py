"""Which clips encoders were trained on before, and so what the figures of a split rest on."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from finetune.checks import Labelled, Loaded
from ssl_skel.data.splits import load_split
from ssl_skel.data.store import Store
from ssl_skel.encoders.card import EncoderCard, Origin, TrainingData
from ssl_skel.errors import UserError
from ssl_skel.evaluation.report import SplitFacts, leaks


def split_facts(store: Store, clips: Labelled, paths: tuple[Path, ...], loaded: Loaded, remark: str = "") -> SplitFacts:
    """What the figures of a split rest on, with a warning for each reason to doubt them, the remarks among them."""
    split, warnings = clips.split, [*([remark] if remark else []), *clips.remarks]
    for _, card in loaded:
        if card.normalization != store.normalization:
            warnings.append(f"the encoder was trained on clips normalised as {card.normalization}, the store's are not")
        seen, unknown = _seen(store, card)
        warnings += unknown
        for how, names, content in seen:
            sides = {"train": split.train, "test": split.test}
            warnings += leaks(store.name, store.content, **sides, seen_names=names, seen_content=content, seen_how=how)
    data = loaded[0][1].data
    return SplitFacts(
        name=split.name,
        train=len(split.train),
        test=len(split.test),
        encoders=tuple(str(path) for path in paths),
        pretrained_on=f"{data.split} of {data.store}, {data.clips} clips{_labels(data)}" if data else "nothing",
        warnings=tuple(dict.fromkeys(warnings)),
    )


def _labels(data: TrainingData) -> str:
    """What a card says of the labels that were used, if any were."""
    return f", with labels ({data.labels})" if data.labels else ""


_Seen = tuple[str, np.ndarray, np.ndarray]


def _seen(store: Store, card: EncoderCard) -> tuple[list[_Seen], list[str]]:
    """How, and names and content of clips that an encoder, or one it began with, was trained on; what is untold."""
    nothing = (store.name[:0], store.content[:0])
    seen: dict[str, list[tuple[np.ndarray, np.ndarray]]] = {}
    unknown = []
    origin: Origin | None = card.origin
    while origin:
        data, origin = origin.data, origin.init
        if data is None:
            continue
        try:
            home = store if data.sha256 == store.sha256 else Store.open(data.store)
            rows = load_split(home, data.split).train
            if (home.sha256, len(rows)) != (data.sha256, data.clips):
                raise UserError(f"{home.path}: has changed")
        except UserError as error:
            unknown.append(f"test clips may have been seen in pretraining, untold ({error})")
            continue
        how = f"in training{_labels(data)}" if data.labels else "in pretraining, without labels"
        seen.setdefault(how, [nothing]).append((home.name[rows], home.content[rows]))
    joined: list[_Seen] = []
    for how, parts in seen.items():
        names, content = (np.concatenate(part) for part in zip(*parts, strict=True))
        joined.append((how, names, content))
    return joined or [("", *nothing)], unknown
