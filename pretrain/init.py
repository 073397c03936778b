"""Initial weights: any pretext may continue from any encoder."""

from __future__ import annotations

from pathlib import Path

from ssl_skel.encoders.card import Origin, identity
from ssl_skel.encoders.encoder import SkeletonEncoder
from ssl_skel.encoders.files import load_encoder
from ssl_skel.errors import UserError

# What an encoder is -> where a config says so.
PLACES = {
    "layout": "data.store",
    "channels": "data.store",
    "stream": "data.stream",
    "extent": "data.extent",
    "num_frames": "data.num_frames",
    "backbone": "backbone",
}


def load_initial_weights(path: Path, encoder: SkeletonEncoder) -> Origin:
    """Give an encoder the weights of an earlier one.

    Args:
        path: run directory of the earlier one, or its folder.
        encoder: gets the weights.

    Returns:
        Where they come from, for the card of what they become.

    Raises:
        UserError: the path holds no encoder, or one that is built differently.
    """
    earlier, card = load_encoder(path)
    found = identity(earlier)
    for field, value in identity(encoder).items():
        old, new = (it if isinstance(it, dict) else {"": it} for it in (found[field], value))
        for key in {**old, **new}:
            if old.get(key) != new.get(key):
                at = f"{field}.{key}".rstrip(".")
                raise UserError(
                    f"init_from: {path}: {at} is {old.get(key)!r}, here it is {new.get(key)!r}; "
                    f"change {PLACES[field]} or init_from"
                )
    encoder.load_state_dict(earlier.state_dict())
    return card.origin
