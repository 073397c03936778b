"""Whether store, splits and encoders fit each other, and which test clips were seen before."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from ssl_skel.backbones import Readout, SkeletonEncoder
from ssl_skel.backbones.card import EncoderCard, Origin
from ssl_skel.data.splits import Split, load_split
from ssl_skel.data.store import Store
from ssl_skel.errors import UserError
from ssl_skel.evaluation.report import SplitFacts, leaks

Loaded = tuple[tuple[SkeletonEncoder, EncoderCard], ...]


def built_as(card: EncoderCard) -> dict[str, Any]:
    """What an encoder is, its weights aside."""
    return card.model_dump(include={"layout", "stream", "num_frames", "channels", "backbone"})


def check_encoders(store: Store, paths: tuple[Path, ...], loaded: Loaded, readout: Readout = "mean") -> None:
    """Refuse encoders of another layout than the store's, that differ among themselves, or cannot be read out so.

    Raises:
        UserError: naming the encoder.
    """
    for path, (_, card) in zip(paths, loaded, strict=False):  # no paths for fresh weights, made for the store
        if card.layout != store.layout.to_dict():
            raise UserError(
                f"{path}: layout: the encoder is for {card.layout['name']}, the store {store.path} has "
                f"{store.layout.name}; take a store of its own layout, or map the joints with data.transfer=true"
            )
        if card.channels != store.channels:
            raise UserError(f"{path}: channels: the encoder takes {card.channels}, {store.path} has {store.channels}")
        if built_as(card) != built_as(loaded[0][1]):
            raise UserError(f"{path}: is built otherwise than {paths[0]}; seeds of one split must share a network")
    backbone = loaded[0][0].backbone
    if readout != "mean" and not backbone.keeps_joints:
        raise UserError(f"readout: {readout} needs joints, and {backbone.config.name} merges them; use mean")


def check_labels(store: Store, split: Split) -> None:
    """Refuse a split that cannot be tested on.

    Raises:
        UserError: no test clips, an unlabelled clip, or a class that train does not have.
    """
    where = f"{store.path}: split {split.name!r}"
    if not len(split.test):
        raise UserError(f"{where}: test has no clips; choose a split that has some")
    for side, rows in (("train", split.train), ("test", split.test)):
        blank = rows[store.label[rows] < 0]
        if len(blank):
            raise UserError(
                f"{where}: {side}: {len(blank)} clips have no label, first {str(store.name[blank[0]])!r}; "
                "label them, or choose a split without them"
            )
    missing = np.setdiff1d(store.label[split.test], store.label[split.train])
    if len(missing) or len(np.unique(store.label[split.train])) < 2:
        names = ", ".join(store.class_names[label] for label in missing) or "all but one"
        raise UserError(f"{where}: train has no clips of class {names}; choose a split that has them")


def split_facts(store: Store, split: Split, paths: tuple[Path, ...], loaded: Loaded, remark: str = "") -> SplitFacts:
    """What the figures of a split rest on, with a warning for each reason to doubt them, a remark among them."""
    warnings = [remark] if remark else []
    for _, card in loaded:
        if card.normalization != store.meta["normalization"]:
            warnings.append(f"the encoder was trained on clips normalised as {card.normalization}, the store's are not")
        names, content, unknown = _seen(store, card)
        warnings += unknown
        warnings += leaks(
            store.name, store.content, train=split.train, test=split.test, seen_names=names, seen_content=content
        )
    data = loaded[0][1].data
    return SplitFacts(
        name=split.name,
        train=len(split.train),
        test=len(split.test),
        encoders=tuple(str(path) for path in paths),
        pretrained_on=f"{data['split']} of {data['store']}, {data['clips']} clips" if data else "nothing",
        warnings=tuple(dict.fromkeys(warnings)),
    )


def _seen(store: Store, card: EncoderCard) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Names and content of clips that an encoder, or one it began with, was pretrained on; why some cannot be told."""
    names, content, unknown = [store.name[:0]], [store.content[:0]], []
    origin: Origin | None = card.origin
    while origin:
        data, origin = origin.data, origin.init
        if not data:
            continue
        try:
            home = store if data["sha256"] == store.sha256 else Store.open(data["store"])
            rows = load_split(home, data["split"]).train
            if (home.sha256, len(rows)) != (data["sha256"], data["clips"]):
                raise UserError(f"{home.path}: has changed")
        except UserError as error:
            unknown.append(f"test clips may have been seen in pretraining, untold ({error})")
            continue
        names.append(home.name[rows])
        content.append(home.content[rows])
    return np.concatenate(names), np.concatenate(content), unknown
