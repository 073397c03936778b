"""The card of an encoder, ``card.json``: what it is, what it must be fed, and where it comes from.

Reading a card needs no torch, so that a missing or outdated one is reported at once.
"""

from __future__ import annotations

import platform
import subprocess
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import Field

from ssl_skel.config import Section, read_card
from ssl_skel.data.conversion import Conversion
from ssl_skel.data.crop import NumFrames
from ssl_skel.data.normalize import RecordedNormalization
from ssl_skel.encoders.pooling_config import PoolingConfig
from ssl_skel.encoders.stream_names import Extent
from ssl_skel.encoders.training_data import RecordedData
from ssl_skel.names import unknown
from ssl_skel.shipped_configs import command_for

if TYPE_CHECKING:
    from ssl_skel.encoders.encoder import SkeletonEncoder

FORMAT_VERSION = 1
CARD, WEIGHTS = "card.json", "encoder.safetensors"
BOX = Path(__file__).resolve().parents[1] / "box"
"""Encoders that come with the package, a folder each; ``box/NAME`` works wherever the path of a run does."""


def _revision() -> str:
    """Git revision of this package's own checkout, ``-dirty`` if edited; empty if it is in none."""
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


class ReleasedWeights(Section):
    """Where imported weights come from."""

    format: str
    """Format they were imported as."""
    repository: str
    """Where the code of the release is."""
    file: str
    """Name of the file."""
    sha256: str
    """sha256 of the file."""
    remark: str = ""
    """Parts of the release that could not be kept."""


class Origin(Section):
    """Where an encoder's weights come from."""

    pretext: dict[str, Any] | None = None
    """Config of the pretext."""
    data: RecordedData = None
    """What it was trained on; None: nothing."""
    init: Origin | None = None
    """Origin of the weights it started from; None: they were fresh."""
    released: ReleasedWeights | None = None
    """Origin of weights that others trained; None: they were trained here."""


class EncoderCard(Section):
    """What an encoder is, what it must be fed, and where it comes from."""

    layout: dict[str, Any]
    """Skeleton layout in its YAML form."""
    stream: str
    """Entry of ``STREAMS`` that the encoder computes from joints."""
    extent: Extent = "none"
    """How it moves and scales each clip before that; cards from before it was an option lack it, and mean none."""
    num_frames: NumFrames
    """T it was built for."""
    channels: int = Field(ge=1, le=16)
    """C, coordinates per joint."""
    backbone: dict[str, Any]
    """Resolved config of its entry in ``BACKBONES``."""
    pooling: PoolingConfig | None = None
    """How it pools by default; None, in cards of 0.1: ``PoolingConfig.default`` of the backbone."""
    normalization: RecordedNormalization = None
    """How its clips were normalised; new clips need the same. None: not known."""
    conversions: tuple[Conversion, ...] = ()
    """How recordings became its clips; raw ones are converted the same way. Empty: not known."""
    pretext: dict[str, Any] | None = None
    """Config of the pretext that trained it; None: fresh or supervised weights."""
    data: RecordedData = None
    """What it was trained on; None: nothing."""
    init: Origin | None = None
    """Origin of the encoder whose weights it started from; None: they were fresh."""
    released: ReleasedWeights | None = None
    """Origin of weights that others trained, see ``ssl-skel import-weights``; None: they were trained here."""
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
        return cls(**identity(encoder), pooling=encoder.pooling.config, **origin)

    @property
    def origin(self) -> Origin:
        """The entry ``init`` of the card of an encoder that starts from these weights."""
        return Origin(pretext=self.pretext, data=self.data, init=self.init, released=self.released)


def identity(encoder: SkeletonEncoder) -> dict[str, Any]:
    """What an encoder is, apart from its weights, in the fields of its card; encoders that agree can share weights."""
    backbone = encoder.backbone
    return {
        "layout": encoder.layout.to_dict(),
        "stream": encoder.stream,
        "extent": encoder.extent,
        "num_frames": backbone.num_frames,
        "channels": encoder.channels,
        "backbone": backbone.config.model_dump(mode="json"),
    }


def find_encoder(path: Path) -> Path:
    """The folder of an encoder: the path itself, ``encoder`` below a run directory, or one in the box, by its name."""
    if not path.exists() and path.parent in (Path("box"), Path()) and (BOX / path.name / CARD).exists():
        return BOX / path.name
    return path if (path / CARD).exists() or not (path / "encoder").is_dir() else path / "encoder"


def boxed_encoders() -> list[str]:
    """Names of the encoders in the box, sorted."""
    return sorted(folder.parent.name for folder in BOX.glob(f"*/{CARD}"))


def load_card(path: Path) -> EncoderCard:
    """Read the card of an encoder.

    Args:
        path: folder of an encoder, a run directory that holds one as ``encoder``, or ``box/NAME``.

    Raises:
        UserError: it is missing, damaged or of another version.
    """
    if path.parent == Path("box") and not path.exists() and path.name not in boxed_encoders():
        raise unknown("encoder in the box", path.name, boxed_encoders())
    begun = (path / "config.yaml").exists() and not (path / "encoder").is_dir()
    maker = "" if path.exists() else command_for(path.name)
    wanted = f"give a run directory or a folder with {CARD}"
    if begun:
        wanted = f"the run has no encoder yet, finish it: ssl-skel pretrain {path / 'config.yaml'} resume=auto"
    elif maker:
        wanted = f"train it first: {maker}"
    file = find_encoder(path) / CARD
    return read_card(EncoderCard, file, FORMAT_VERSION, missing=wanted, remedy="train or save again")
