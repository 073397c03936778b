"""An encoder on disk: weights beside a card that says what they are and how to feed them.

A folder with ``encoder.safetensors`` and ``card.json``. The encoder is rebuilt from its own card;
nothing is unpickled, so a file from a stranger can do no harm.
"""

from __future__ import annotations

import platform
import subprocess
from importlib.metadata import version
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
from pydantic import Field

from ssl_skel.backbones import BACKBONES
from ssl_skel.config import Section, parse_config, read_card
from ssl_skel.encoders.encoder import SkeletonEncoder, build_encoder
from ssl_skel.encoders.streams import STREAMS
from ssl_skel.errors import UserError
from ssl_skel.files.atomic import write_bytes, write_json
from ssl_skel.layouts import parse_layout
from ssl_skel.names import unknown

FORMAT_VERSION = 1
WEIGHTS, CARD = "encoder.safetensors", "card.json"


def _revision() -> str:
    """Git revision of this package's own checkout, ``-dirty`` if edited; empty if it lies in none."""
    home = Path(__file__).resolve().parents[2]
    if not (home / ".git").exists():
        return ""
    command = ["git", "-C", str(home), "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=10).stdout.strip()  # noqa: S603 - fixed words
    except (OSError, subprocess.SubprocessError):
        return ""


def _versions() -> dict[str, str]:
    return {"python": platform.python_version()} | {name: version(name) for name in ("torch", "numpy", "ssl-skel")}


class Origin(Section):
    """How an encoder came by its weights."""

    pretext: dict[str, Any] | None = None
    """Config of the pretext."""
    data: dict[str, Any] = Field(default_factory=dict)
    """What it was trained on, as in ``EncoderCard``."""
    init: Origin | None = None
    """Of the weights it began with; None: they were fresh."""


class EncoderCard(Section):
    """What an encoder is, what it must be fed, and where it comes from."""

    layout: dict[str, Any]
    """Skeleton layout in its YAML form."""
    stream: str
    """Row of ``STREAMS`` that the encoder computes from joints."""
    num_frames: int
    """T it was built for."""
    channels: int
    """C, coordinates a joint."""
    backbone: dict[str, Any]
    """Resolved config of its row in ``BACKBONES``."""
    normalization: dict[str, Any] = Field(default_factory=dict)
    """How the store normalised its clips; new clips need the same."""
    pretext: dict[str, Any] | None = None
    """Config of the pretext that trained it; None: fresh or supervised weights."""
    data: dict[str, Any] = Field(default_factory=dict)
    """What it was trained on: hash of the store, split, hashes of rows and of contents."""
    init: Origin | None = None
    """Of the encoder whose weights it began with; None: they were fresh."""
    seed: int = 0
    """Seed of the run."""
    seconds: float = 0.0
    """Wall-clock training time."""
    revision: str = Field(default_factory=_revision)
    """Git revision of the code, ``-dirty`` if edited; empty where there is no checkout."""
    versions: dict[str, str] = Field(default_factory=_versions)
    """Versions of Python and of the packages that matter."""
    format_version: int = FORMAT_VERSION
    """Version of this file format."""

    @classmethod
    def of(cls, encoder: SkeletonEncoder, **origin: Any) -> EncoderCard:
        """Card of an encoder; what it is comes from itself, ``origin`` holds the other fields."""
        return cls(**identity(encoder), **origin)

    @property
    def origin(self) -> Origin:
        """What the card of an encoder that begins with these weights says under ``init``."""
        return Origin(pretext=self.pretext, data=self.data, init=self.init)


def identity(encoder: SkeletonEncoder) -> dict[str, Any]:
    """What an encoder is, its weights aside, in the fields of its card; encoders that agree can share weights."""
    backbone = encoder.backbone
    return {
        "layout": encoder.layout.to_dict(),
        "stream": encoder.stream,
        "num_frames": backbone.num_frames,
        "channels": backbone.channels,
        "backbone": backbone.config.model_dump(mode="json"),
    }


def save_encoder(folder: Path, encoder: SkeletonEncoder, card: EncoderCard) -> None:
    """Write weights and card into ``folder``.

    Raises:
        ValueError: the card describes another encoder.
        UserError: the system refuses to write.
    """
    for field, value in identity(encoder).items():
        if getattr(card, field) != value:
            raise ValueError(f"card.{field} is {getattr(card, field)!r}, the encoder's is {value!r}")
    weights = {name: tensor.detach().cpu().contiguous() for name, tensor in encoder.state_dict().items()}
    write_bytes(folder / WEIGHTS, safetensors.torch.save(weights))
    write_json(folder / CARD, card.model_dump(mode="json"))


def load_encoder(path: Path) -> tuple[SkeletonEncoder, EncoderCard]:
    """Rebuild an encoder on the CPU.

    Args:
        path: folder of an encoder, or a run directory that holds one as ``encoder``.

    Raises:
        UserError: something is missing, damaged, of another version, or does not fit.
    """
    folder = path if (path / CARD).exists() or not (path / "encoder").is_dir() else path / "encoder"
    begun = (path / "config.yaml").exists() and not (path / "encoder").is_dir()
    wanted = "the run has no encoder yet, finish it" if begun else f"give a run directory or a folder with {CARD}"
    card = read_card(EncoderCard, folder / CARD, FORMAT_VERSION, missing=wanted, remedy="train or save again")
    source = str(folder / CARD)
    layout = parse_layout(card.layout, f"{source}: layout")
    if card.stream not in STREAMS:
        raise unknown("", card.stream, STREAMS, where=f"{source}: stream")
    options = BACKBONES.config(card.backbone.get("name"), f"{source}: backbone.name")
    config = parse_config(options, card.backbone, f"{source}: backbone")
    encoder = build_encoder(config, layout, channels=card.channels, num_frames=card.num_frames, stream=card.stream)
    _read_weights(folder / WEIGHTS, encoder)
    return encoder, card


def _read_weights(path: Path, encoder: SkeletonEncoder) -> None:
    try:
        weights = safetensors.torch.load_file(path)
    except OSError as error:
        raise UserError(f"{path}: {error.strerror or error}; the weights belong beside {CARD}") from error
    except safetensors.SafetensorError as error:
        raise UserError(f"{path}: is no safetensors file ({error}); it is damaged, save the encoder again") from error
    own = encoder.state_dict()
    wrong = sorted(own.keys() ^ weights.keys()) + [n for n in own if n in weights and own[n].shape != weights[n].shape]
    if wrong:
        raise UserError(
            f"{path}: {len(wrong)} tensors do not fit {CARD}, first {wrong[0]!r}; the two are not of one run"
        )
    encoder.load_state_dict(weights)
