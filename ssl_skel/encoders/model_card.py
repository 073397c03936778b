"""Model cards: a page about an encoder for people, whose first lines are metadata that the Hugging Face Hub reads."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from ssl_skel.encoders.card import EncoderCard, Origin
from ssl_skel.encoders.encoder import SkeletonEncoder
from ssl_skel.errors import UserError
from ssl_skel.files.atomic import write_text
from ssl_skel.plain_yaml import read_yaml

README = "README.md"
"""A model card as the Hub names it."""
MODEL_CARD = "MODEL_CARD.md"
"""The one that a run has next to its encoder; it is written once, and never read."""
_TAGS = ["skeleton", "action-recognition", "human-motion", "self-supervised", "feature-extraction"]
_FENCE = "---\n"
_MILLIONS = 100_000  # from here on parameters are given in millions


_FROM_THE_HUB = """from ssl_skel import Embedder, PretrainedEncoder

model = PretrainedEncoder.from_pretrained("REPOSITORY")
vectors = Embedder.of(model.encoder, model.card).encode("recordings")
"""
_FROM_A_FOLDER = """import ssl_skel

vectors = ssl_skel.Embedder({run!r}).encode("recordings")
"""
_LIMITS = """## Before you use it

- It was trained on the data named above and on nothing else. Evaluate it on yours (`ssl-skel finetune`), against raw
  coordinates and fresh weights.
- Every command normalises recordings as its training clips were. Units and the upward axis have to be right.
- Whether its weights may be shared depends on the licences of its data.
"""


def write_model_card(run: Path, folder: Path, card: EncoderCard, encoder: SkeletonEncoder) -> None:
    """Write the card of a run's encoder beside it.

    Args:
        run: run directory; its name is the title.
        folder: of the encoder.
        card: of the encoder.
        encoder: for its size.

    Raises:
        UserError: the system refuses to write.
    """
    use = _FROM_A_FOLDER.format(run=run.as_posix())
    write_text(folder / MODEL_CARD, model_card(card, encoder, name=run.name, use=use))


def model_card(
    card: EncoderCard,
    encoder: SkeletonEncoder,
    *,
    licence: str = "",
    name: str = "Encoder",
    use: str = _FROM_THE_HUB,
) -> str:
    """A page made of an encoder's card.

    Args:
        card: of the encoder.
        encoder: for its size.
        licence: identifier as the Hub knows them, such as ``cc-by-4.0``; "": none is stated.
        name: title of the page.
        use: lines of Python that open it.
    """
    metadata: dict[str, Any] = {"library_name": "ssl-skel", "tags": _TAGS}
    if licence:
        metadata["license"] = licence
    count = sum(weight.numel() for weight in encoder.parameters())
    parameters = f"{count / 1e6:.2f} M" if count >= _MILLIONS else f"{count:,}"
    facts = {
        "Network": f"{card.backbone['name']}, {parameters} parameters, vectors of {encoder.dim} numbers",
        "Joints": f"layout {card.layout['name']}, {card.channels} coordinates per joint",
        "Input": f"stream {card.stream}, extent {card.extent}, {card.num_frames} frames; {card.normalization}",
        "Pooling": str(encoder.pooling.config),
        "Pretext": card.pretext["name"] if card.pretext else "none",
        "Data": f"{card.data.clips} clips, split {card.data.split} of {Path(card.data.store).name}"
        if card.data
        else "none",
        "Started from": _origin(card.init) if card.init else "fresh weights",
        "Training": f"seed {card.seed}, {card.seconds / 60:.0f} min",
    }
    lines = "".join(f"| {key} | {value} |\n" for key, value in facts.items())
    return (
        f"{_FENCE}{yaml.safe_dump(metadata, sort_keys=False)}{_FENCE}\n# {name}\n\n"
        f"An encoder of 3D-skeleton sequences, pretrained without labels by ssl-skel.\n\n| | |\n|:--|:--|\n{lines}\n"
        f"```python\n{use}```\n\n{_LIMITS}"
    )


def _origin(origin: Origin) -> str:
    """Where the weights that a training began with came from, in a few words."""
    if origin.released:
        return f"{origin.released.file} of {origin.released.repository}"
    pretext = origin.pretext["name"] if origin.pretext else "none"
    return f"weights of the pretext {pretext}" + (f" on {Path(origin.data.store).name}" if origin.data else "")


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
