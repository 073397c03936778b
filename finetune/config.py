"""Options of an evaluation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from finetune.protocols import PROTOCOLS
from finetune.protocols.configs.base import ProtocolConfig
from ssl_skel.backbones import BACKBONES
from ssl_skel.backbones.configs.base import BackboneConfig
from ssl_skel.config import EntryOf, RunName, Section
from ssl_skel.data.crop import NumFrames
from ssl_skel.encoders.pooling_config import FORMER_TEXTS, PoolingConfig
from ssl_skel.encoders.stream_names import Extent, Stream
from ssl_skel.evaluation.baseline_names import RawBaseline


def _once_each(values: Sequence[Any]) -> Any:
    """Refuse repeated values, which would count one figure as several that agree."""
    twice = next((value for at, value in enumerate(values) if value in values[:at]), None)
    if twice is not None:
        raise ValueError(f"{twice} is given twice; a repetition would look like one more that agrees")
    return values


def _listed(value: Any) -> Any:
    """A single value becomes a list of one; validation checks what is in it."""
    return tuple(value) if isinstance(value, list | tuple) else (value,)


Encoders = Annotated[
    tuple[Path, ...],
    Field(min_length=1),
    BeforeValidator(_listed, json_schema_input_type=Path | tuple[Path, ...]),
    AfterValidator(_once_each),
]


class DataConfig(Section):
    """Which clips."""

    store: Path
    """Folder of the store. Its layout must be the one the encoders were trained for, unless ``transfer``; encoders for
    merged corpora (``common15``), such as those in the box, take any."""

    transfer: bool = False
    """Transfer to a store of another layout: its joints are mapped by name to those of the encoders, for baselines too,
    and the report states which of them have no counterpart; see ``finetune.transfer``."""

    batch_size: int = Field(128, ge=1)
    """Clips per step while features are extracted; changes speed and memory only."""

    resident: Literal["auto", "never", "always"] = "auto"
    """Whether the store's joints are moved whole to the device; auto does so where they fit easily."""


class ScratchConfig(Section):
    """Fresh weights without any pretrained encoder: what a card would say is given here."""

    splits: tuple[str, ...] = Field(min_length=1)
    """Splits to measure on."""

    backbone: Annotated[BackboneConfig, EntryOf(BACKBONES)]
    """Entry of ``BACKBONES``."""

    stream: Stream = "joint"
    """What the encoder computes from the joints before its first layer."""

    extent: Extent = "none"
    """How it moves and scales each clip before that; see ``data.extent`` of pretraining."""

    num_frames: NumFrames = 64
    """T, frames that each crop is resampled to (CTR-GCN, Chen et al., ICCV 2021: 64)."""


class FinetuneConfig(Section):
    """One evaluation. Frames, stream and layout come from each encoder's card."""

    elsewhere: ClassVar[Mapping[str, str]] = {"pretext": "pretrain"}
    former: ClassVar[Mapping[str, str]] = {"readout": "pooling"}
    former_values: ClassVar[Mapping[str, Mapping[str, str]]] = {"pooling": FORMER_TEXTS}

    name: RunName
    """Name of the evaluation; its folder is ``<runs>/<name>``."""

    data: DataConfig
    """Which clips."""

    encoders: dict[str, Encoders] = Field(default_factory=dict)
    """Split -> run directory of the encoder to measure on it; or a list of them, one per pretraining seed."""

    scratch: ScratchConfig | None = None
    """Instead of ``encoders``: measure fresh weights only, trained by protocols such as ``full``."""

    protocols: tuple[Annotated[ProtocolConfig, EntryOf(PROTOCOLS)], ...] = Field(min_length=1)
    """Entries of ``PROTOCOLS``; their figures share one table."""

    pooling: PoolingConfig | None = None
    """How features of frames and joints become a clip's vector, trained or not, as in ``part`` or ``part:4``; default:
    as the encoders' cards say."""

    baselines: tuple[Literal[RawBaseline, "untrained"], ...] = ("raw", "untrained")
    """What to compare with: the same encoder with fresh weights, and coordinates that are resampled (``raw``), in the
    box of their clip (``raw_box``), minus their mean pose (``raw_deviation``), or distances between two people
    (``raw_pairs``, for stores with two). The report states the gain over the strongest."""

    seeds: Annotated[tuple[Annotated[int, Field(ge=0)], ...], Field(min_length=1), AfterValidator(_once_each)] = (0,)
    """Seeds of untrained weights and of probes that are trained step by step."""

    device: Literal["auto", "cpu", "cuda"] = "auto"
    """auto uses an accelerator if there is one."""

    precision: Literal["no", "bf16", "fp16"] = "no"
    """Precision of the encoder; no is float32."""

    runs: Path = Path("runs")
    """Folder that run directories are made in."""

    @model_validator(mode="after")
    def _one_source(self) -> FinetuneConfig:
        if bool(self.encoders) == (self.scratch is not None):
            raise ValueError("encoders: name at least one, or give scratch with a backbone; not both")
        if self.scratch and self.data.transfer:
            raise ValueError("data.transfer: maps joints to an encoder's, and scratch has none; leave it out")
        return self

    @property
    def used_pooling(self) -> PoolingConfig | None:
        """The pooling requested, else the one that a protocol needs; None: that of the encoders' cards."""
        needed = next((text for _, text in self._needed_poolings()), None)
        return self.pooling or (None if needed is None else PoolingConfig.of(needed))

    @model_validator(mode="after")
    def _pooling_that_all_can_use(self) -> FinetuneConfig:
        for name, needed in self._needed_poolings():
            if self.pooling and needed != str(self.pooling):
                raise ValueError(
                    f"pooling: {name} needs {needed}, not {self.pooling}; give it an evaluation of its own with "
                    f"pooling: {needed}"
                )
        return self

    def _needed_poolings(self) -> list[tuple[str, str]]:
        return [(row.name, row.required_pooling) for row in self.protocols if row.required_pooling]
