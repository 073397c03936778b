"""What an evaluation can be told."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from finetune.protocols import PROTOCOLS
from ssl_skel.backbones import Readout
from ssl_skel.config import RowConfig, RowOf, Section


def _listed(value: Any) -> Any:
    """One thing is a list of one; what is in it is left for validation to judge."""
    return tuple(value) if isinstance(value, list | tuple) else (value,)


Encoders = Annotated[
    tuple[Path, ...], Field(min_length=1), BeforeValidator(_listed, json_schema_input_type=Path | tuple[Path, ...])
]


class DataConfig(Section):
    """Which clips."""

    store: Path
    """Folder of the store. Its layout must be the one the encoders were trained for."""

    batch_size: int = Field(128, ge=1)
    """Clips a step while features are extracted; changes speed and memory only."""

    resident: Literal["auto", "never", "always"] = "auto"
    """Whether the store's joints are moved whole to the device; auto does so where they fit easily."""


class FinetuneConfig(Section):
    """One evaluation. Frames, stream and layout come from each encoder's card."""

    name: str = Field(pattern=r"^[\w.+-]+$")
    """Of the evaluation; its folder is ``<runs>/<name>``."""

    data: DataConfig
    """Which clips."""

    encoders: dict[str, Encoders] = Field(min_length=1)
    """Split -> run directory of the encoder to measure on it; or a list of them, one a pretraining seed."""

    protocols: tuple[Annotated[RowConfig, RowOf(PROTOCOLS)], ...] = Field(min_length=1)
    """Rows of ``PROTOCOLS``; their figures share one table."""

    readout: Readout = "mean"
    """How features of frames and joints become a clip's vector, trained or not: see ``SkeletonEncoder``."""

    baselines: tuple[Literal["raw", "untrained"], ...] = ("raw", "untrained")
    """What stands beside: resampled coordinates, and the same encoder with fresh weights."""

    seeds: tuple[Annotated[int, Field(ge=0)], ...] = Field((0,), min_length=1)
    """Of untrained weights and of probes that are trained step by step."""

    device: Literal["auto", "cpu", "cuda"] = "auto"
    """auto takes an accelerator where there is one."""

    precision: Literal["no", "bf16", "fp16"] = "no"
    """Of the encoder; no is float32."""

    runs: Path = Path("runs")
    """Folder that run directories are made in."""
