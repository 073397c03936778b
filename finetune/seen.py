"""Which clips encoders were trained on before, and so what the figures of a split rest on."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from finetune.material import Material
from ssl_skel.data.normalize import alike
from ssl_skel.data.splits import load_split
from ssl_skel.data.store import Store
from ssl_skel.encoders.card import EncoderCard, Origin
from ssl_skel.encoders.training_data import TrainingData
from ssl_skel.errors import UserError
from ssl_skel.evaluation.leaks import leaks
from ssl_skel.evaluation.report import SplitFacts


class Seen(NamedTuple):
    """Clips that an encoder was trained on: in what, their names, and the hashes of their coordinates."""

    how: str
    names: np.ndarray
    content: np.ndarray


def split_facts(material: Material, name: str) -> SplitFacts:
    """What the figures of a split rest on, with a warning for each reason to doubt them."""
    store, clips, loaded = material.store, material.clips[name], material.encoders[name]
    split, warnings = clips.split, [*([material.remark] if material.remark else []), *clips.remarks]
    for _, card in loaded:
        if not alike(card.normalization, store.normalization, store.max_persons):
            warnings.append(f"the encoder was trained on clips normalised as {card.normalization}, the store's are not")
        seen, unknown = seen_clips(store, card)
        warnings += unknown
        for how, names, content in seen or [Seen("", store.name[:0], store.content[:0])]:
            warnings += leaks(
                store.name,
                store.content,
                train=split.train,
                test=split.test,
                seen_names=names,
                seen_content=content,
                seen_how=how,
            )
    data, released = loaded[0][1].data, loaded[0][1].released
    nothing = f"clips that {released.repository} names" if released else "nothing"
    return SplitFacts(
        name=split.name,
        train=len(split.train),
        test=len(split.test),
        encoders=tuple(str(path) for path in material.paths[name]),
        pretrained_on=f"{data.split} of {data.store}, {data.clips} clips{_labels(data)}" if data else nothing,
        warnings=tuple(dict.fromkeys(warnings)),
    )


def seen_clips(store: Store, card: EncoderCard) -> tuple[list[Seen], list[str]]:
    """What an encoder, and those that it was initialised from, were trained on.

    Args:
        store: spares opening it again where it is what an encoder was trained on.
        card: of the encoder.

    Returns:
        The clips, one entry a way of training; and a warning for each training whose clips are unknown, since its
        store is missing or has changed, or others trained.
    """
    parts: dict[str, list[tuple[np.ndarray, np.ndarray]]] = {}
    unknown = [
        f"test clips may have been seen in training, {origin.released.file} was trained by others and imported"
        for origin in _origins(card.origin)
        if origin.released
    ]
    for data in (origin.data for origin in _origins(card.origin) if origin.data):
        how = f"in training{_labels(data)}" if data.labels else "in pretraining, without labels"
        try:
            parts.setdefault(how, []).append(_training_clips(store, data))
        except UserError as error:
            reason = f"the store it used, {data.store}, is not here to compare with"
            if Path(data.store).exists():
                reason = str(error)
            unknown.append(f"test clips may have been seen in pretraining: {reason}")
    seen = [Seen(how, *map(np.concatenate, zip(*found, strict=True))) for how, found in parts.items() if found]
    return seen, unknown


def _origins(origin: Origin | None) -> Iterator[Origin]:
    """Where an encoder's weights come from: its last training, the one before it, and so on."""
    while origin:
        yield origin
        origin = origin.init


def _training_clips(store: Store, data: TrainingData) -> tuple[np.ndarray, np.ndarray]:
    """Names and content of the clips of a training.

    Raises:
        UserError: its store is missing or has changed.
    """
    home = store if data.sha256 == store.sha256 else Store.open(data.store)
    split = load_split(home, data.split)
    if not data.is_of(home, split):
        raise UserError(f"{home.path}: has changed")
    return home.name[split.train], home.content[split.train]


def _labels(data: TrainingData) -> str:
    """What a card says of the labels that were used, if any were."""
    return f", with labels ({data.labels})" if data.labels else ""
