"""Model cards: a page about an encoder for people, whose first lines are metadata that the Hugging Face Hub reads."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from ssl_skel.encoders.card import EncoderCard
from ssl_skel.encoders.encoder import SkeletonEncoder
from ssl_skel.errors import UserError
from ssl_skel.plain_yaml import read_yaml

README = "README.md"
_TAGS = ["skeleton", "action-recognition", "human-motion", "self-supervised", "feature-extraction"]
_FENCE = "---\n"


def model_card(card: EncoderCard, encoder: SkeletonEncoder, *, licence: str = "", name: str = "Encoder") -> str:
    """A page made of an encoder's card.

    Args:
        card: of the encoder.
        encoder: tells its size.
        licence: identifier as the Hub knows them, such as ``cc-by-4.0``; "": none is stated.
        name: title of the page.
    """
    metadata: dict[str, Any] = {"library_name": "ssl-skel", "tags": _TAGS}
    if licence:
        metadata["license"] = licence
    parameters = sum(weight.numel() for weight in encoder.parameters())
    facts = {
        "Network": f"{card.backbone['name']}, {parameters / 1e6:.2f} M parameters, vectors of {encoder.dim} numbers",
        "Joints": f"layout {card.layout['name']}, {card.channels} coordinates a joint",
        "Input": f"stream {card.stream}, extent {card.extent}, {card.num_frames} frames; {card.normalization}",
        "Pretext": card.pretext["name"] if card.pretext else "none",
        "Data": f"{card.data.clips} clips, split {card.data.split} of {Path(card.data.store).name}"
        if card.data
        else "none",
        "Training": f"seed {card.seed}, {card.seconds / 60:.0f} min",
    }
    lines = "".join(f"| {key} | {value} |\n" for key, value in facts.items())
    return (
        f"{_FENCE}{yaml.safe_dump(metadata, sort_keys=False)}{_FENCE}\n# {name}\n\n"
        f"An encoder of 3D-skeleton sequences, pretrained without labels by ssl-skel.\n\n| | |\n|:--|:--|\n{lines}\n"
        "```python\nfrom ssl_skel import Embedder, PretrainedEncoder\n\n"
        'model = PretrainedEncoder.from_pretrained("REPOSITORY")\n'
        'vectors = Embedder.of(model.encoder, model.card).encode("recordings")\n```\n'
    )


def read_metadata(folder: Path) -> Mapping[str, Any]:
    """The metadata of the model card in a folder.

    Raises:
        UserError: there is no card, or it does not begin with metadata.
    """
    file = folder / README
    parts = file.read_text("utf-8").split(_FENCE, 2) if file.is_file() else []
    if len(parts) < 3 or parts[0]:
        raise UserError(f"{file}: must begin with metadata between two lines of ---")
    found = read_yaml(parts[1], str(file))
    if not isinstance(found, dict):
        raise UserError(f"{file}: the metadata must be keys and values")
    return found
