"""Whether store, splits, encoders and protocols fit each other."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ssl_skel.data.splits import Split
from ssl_skel.data.store import Store
from ssl_skel.encoders.card import EncoderCard
from ssl_skel.encoders.encoder import SkeletonEncoder
from ssl_skel.errors import UserError
from ssl_skel.evaluation.baselines import BASELINES

_NAMED = 5  # classes in a message
Loaded = tuple[tuple[SkeletonEncoder, EncoderCard], ...]


def built_as(card: EncoderCard) -> dict[str, Any]:
    """What an encoder is, apart from its weights."""
    return card.model_dump(include={"layout", "stream", "extent", "num_frames", "channels", "backbone"})


def check_encoders(store: Store, paths: tuple[Path, ...], loaded: Loaded) -> None:
    """Refuse encoders of another layout than the store's, or that differ among themselves.

    Raises:
        UserError: naming the encoder.
    """
    for path, (encoder, card) in zip(paths, loaded, strict=False):  # no paths for fresh weights, made for the store
        if card.layout != store.layout.to_dict():
            raise UserError(
                f"{path}: layout: the encoder is for {card.layout['name']}, the store {store.path} has "
                f"{store.layout.name}; take a store of its own layout, or map the joints with data.transfer=true"
            )
        if card.channels != store.channels:
            raise UserError(f"{path}: channels: the encoder takes {card.channels}, {store.path} has {store.channels}")
        if built_as(card) != built_as(loaded[0][1]):
            raise UserError(f"{path}: is built differently from {paths[0]}; seeds of one split must share a network")
        own, first = encoder.pooling.config, loaded[0][0].pooling.config
        if own != first:
            raise UserError(f"{path}: pools by {own}, and {paths[0]} by {first}; choose one with pooling={first}")


def check_baselines(store: Store, names: Sequence[str]) -> None:
    """Refuse baselines that need more people than a store has.

    Raises:
        UserError: naming the first.
    """
    for name, baseline in BASELINES.items():
        if name in names and baseline.persons > store.max_persons:
            raise UserError(
                f"baselines: {name} needs {baseline.persons} persons, and no clip of {store.path} has more than "
                f"{store.max_persons}; leave it out"
            )


def check_names(names: Sequence[str]) -> None:
    """Refuse two figures of one name: a report could not distinguish them.

    Raises:
        UserError: naming the first.
    """
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise UserError(f"protocols: {twice!r} is measured twice; give one of them an evaluation of its own")


_NAMED = 5  # classes in a message


class Labelled(NamedTuple):
    """Labelled clips of a split, its unlabelled training clips, and a note on each side that has unlabelled clips."""

    split: Split
    unlabelled: np.ndarray
    remarks: tuple[str, ...]


def labelled_clips(store: Store, split: Split) -> Labelled:
    """Separate a split's labelled clips from the others.

    Raises:
        UserError: no labelled test clip, or a class that train does not have.
    """
    where = f"{store.path}: split {split.name!r}"
    if not len(split.test):
        raise UserError(f"{where}: test has no clips; choose a split that has some")
    found, remarks = {}, []
    for side, rows in (("train", split.train), ("test", split.test)):
        found[side] = rows[store.label[rows] >= 0]
        blank = len(rows) - len(found[side])
        if not len(found[side]):
            raise UserError(f"{where}: {side}: no clip has a label; label some, or choose a split that has some")
        if blank:
            remarks.append(f"{blank} of {len(rows)} {side} clips have no label and are left out where one is needed")
    unlabelled = np.setdiff1d(split.train, found["train"])
    split = Split(split.name, **found)
    missing = np.setdiff1d(store.label[split.test], store.label[split.train])
    if len(missing):
        names = ", ".join(store.class_names[label] for label in missing[:_NAMED])
        more = f" and {len(missing) - _NAMED} more" if len(missing) > _NAMED else ""
        raise UserError(f"{where}: train has no clips of class {names}{more}; choose a split that has them")
    (first, *others) = np.unique(store.label[split.train])
    if not others:
        raise UserError(
            f"{where}: all train clips are of class {store.class_names[first]}; choose a split with two classes or more"
        )
    return Labelled(split, unlabelled, tuple(remarks))
