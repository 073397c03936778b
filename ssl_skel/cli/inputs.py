"""Inputs of commands, checked before the work that needs torch is imported."""

from __future__ import annotations

from pathlib import Path


def check_encoder(run: Path) -> None:
    """Refuse a path without an encoder.

    Raises:
        UserError: the encoder's card is missing, damaged or of another version.
    """
    from ssl_skel.encoders.card import load_card

    load_card(run)


def check_source(source: Path, split: str = "") -> None:
    """Refuse a path that does not exist, or a store that does not open.

    Args:
        source: raw file, folder of them, or store.
        split: of the store; "": no split is needed.

    Raises:
        UserError: the path does not exist, the store is damaged, or has no such split.
    """
    from ssl_skel.data.sources.recordings import is_store, refuse_missing

    refuse_missing(source)
    if is_store(source):
        check_store(source, split)


def check_store(store: Path, split: str = "") -> None:
    """Refuse a path without a store, or a split that it does not have.

    Raises:
        UserError: it is not a store, is damaged, or has no such split.
    """
    from ssl_skel.data.splits import load_split
    from ssl_skel.data.store import Store

    opened = Store.open(store)
    if split:
        load_split(opened, split)
