"""An encoder on disk: weights beside a card that says what they are and how to feed them.

A folder with ``encoder.safetensors`` and ``card.json``. The encoder is rebuilt from its own card;
nothing is unpickled, so a file from an unknown source can do no harm.
"""

from __future__ import annotations

from pathlib import Path

import safetensors
import safetensors.torch
from torch import nn

from ssl_skel.backbones import BACKBONES
from ssl_skel.config import parse_config
from ssl_skel.encoders.build_limit import BuildLimit
from ssl_skel.encoders.card import CARD, WEIGHTS, EncoderCard, find_encoder, identity, load_card
from ssl_skel.encoders.encoder import SkeletonEncoder, build_encoder
from ssl_skel.encoders.pooling_config import PoolingConfig
from ssl_skel.encoders.streams import STREAMS
from ssl_skel.errors import UserError
from ssl_skel.files.atomic import write_bytes, write_json
from ssl_skel.layouts import parse_layout
from ssl_skel.names import unknown


def save_encoder(folder: Path, encoder: SkeletonEncoder, card: EncoderCard) -> None:
    """Write weights and card into ``folder``.

    Raises:
        ValueError: the card describes another encoder.
        UserError: the system refuses to write.
    """
    for field, value in identity(encoder).items():
        if getattr(card, field) != value:
            raise ValueError(f"card.{field} is {getattr(card, field)!r}, the encoder's is {value!r}")
    if card.pooling not in (None, encoder.pooling.config):
        raise ValueError(f"card.pooling is {card.pooling}, the encoder's is {encoder.pooling.config}")
    weights = {name: tensor.detach().cpu().contiguous() for name, tensor in encoder.state_dict().items()}
    write_bytes(folder / WEIGHTS, safetensors.torch.save(weights))
    write_json(folder / CARD, card.model_dump(mode="json"))


def load_encoder(path: Path | str, pooling: PoolingConfig | str | None = None) -> tuple[SkeletonEncoder, EncoderCard]:
    """Rebuild an encoder on the CPU.

    Args:
        path: folder of an encoder, a run directory that holds one as ``encoder``, or ``box/NAME``.
        pooling: how it pools; default: as its card says.

    Raises:
        UserError: something is missing, damaged, of another version, or does not fit.
    """
    path = Path(path)
    folder, card = find_encoder(path), load_card(path)
    return encoder_of(card, str(folder / CARD), folder / WEIGHTS, "save the encoder again", pooling), card


def encoder_of(
    card: EncoderCard, source: str, weights: Path, remedy: str, pooling: PoolingConfig | str | None = None
) -> SkeletonEncoder:
    """The encoder that a card describes.

    Args:
        card: from anywhere.
        source: file of the card, which messages begin with.
        weights: file of its weights.
        remedy: what to do about a damaged one.
        pooling: how it pools; default: as the card says.

    Raises:
        UserError: the card names something unknown or unfit, or the weights are not its own.
    """
    layout = parse_layout(card.layout, f"{source}: layout")
    if card.stream not in STREAMS:
        raise unknown("", card.stream, STREAMS, where=f"{source}: stream")
    options = BACKBONES.config(card.backbone.get("name"), f"{source}: backbone.name")
    config = parse_config(options, card.backbone, f"{source}: backbone")
    with BuildLimit(source, weights.stat().st_size if weights.is_file() else 0):
        encoder = build_encoder(
            config,
            layout,
            channels=card.channels,
            num_frames=card.num_frames,
            stream=card.stream,
            pooling=card.pooling if pooling is None else PoolingConfig.of(pooling),
            extent=card.extent,
        )
    stride = encoder.backbone.t_stride
    if card.num_frames % stride:
        raise UserError(f"{source}: num_frames: {card.num_frames} is not a multiple of {stride}; {remedy}")
    read_weights(weights, encoder, Path(source).name, remedy)
    return encoder


def read_weights(path: Path, module: nn.Module, card: str, remedy: str) -> None:
    """Fill a module from a safetensors file that has its tensors, all of them and no other.

    Args:
        path: the file.
        module: gets the weights.
        card: file beside it that describes the module.
        remedy: what to do about a damaged file.

    Raises:
        UserError: the file is missing, damaged, or of another module.
    """
    try:
        weights = safetensors.torch.load_file(path)
    except OSError as error:
        raise UserError(f"{path}: {error.strerror or error}; the weights belong beside {card}") from error
    except safetensors.SafetensorError as error:
        raise UserError(f"{path}: is not a safetensors file ({error}); it is damaged, {remedy}") from error
    own = module.state_dict()
    wrong = sorted(own.keys() ^ weights.keys()) + [n for n in own if n in weights and own[n].shape != weights[n].shape]
    if wrong:
        raise UserError(
            f"{path}: {len(wrong)} tensors do not fit {card}, first {wrong[0]!r}; the two are not of one run"
        )
    module.load_state_dict(weights)
