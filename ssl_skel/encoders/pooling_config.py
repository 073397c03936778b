"""How a network's grid of features becomes one vector, as an option: ``part``, ``mean``, ``part:4``.

Needs no torch, so that command lines and configs can check it. The module that pools is ``Pooling``.
"""

from __future__ import annotations

import warnings
from typing import Any, Literal, get_args

from pydantic import Field, GetJsonSchemaHandler, model_serializer, model_validator
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from ssl_skel.config import FormerName, Section, parse_config

Over = Literal["mean", "body", "part", "joint"]
MOST_BINS = 1024
"""More time bins than a clip has steps only repeat them; without a limit a slip of the finger fills the memory."""
FORMER_TEXTS = {"part_quarters": "part:4"}
"""Text of the last release -> the text that took its place."""


class PoolingConfig(Section):
    """Options of ``Pooling``. Its short text is ``over``, or ``over:time_bins``; configs take either form.

    >>> PoolingConfig.of("part:4")
    PoolingConfig(over='part', time_bins=4)
    >>> str(PoolingConfig(over="mean"))
    'mean'
    """

    over: Over = "mean"
    """``mean``: one mean over all joints, as most papers do. ``body``, ``part`` or ``joint``: a mean over the joints of
    each group of that level of the layout, concatenated; MAMP's fine-tuning head (Mao et al., ICCV 2023) pools joints
    that way."""

    time_bins: int = Field(1, ge=1, le=MOST_BINS)
    """Time bins of equal length that are pooled separately and concatenated, so that the order of events counts; 1: one
    mean over time. Ours."""

    @classmethod
    def of(cls, given: PoolingConfig | str, source: str = "pooling") -> PoolingConfig:
        """Options from their short text; options pass as they are, a former text with a warning.

        Args:
            given: text or options.
            source: what messages begin with.

        Raises:
            UserError: the text is unknown.
        """
        if isinstance(given, str) and given in FORMER_TEXTS:
            warnings.warn(f"{source}: {given} is now called {FORMER_TEXTS[given]}", FormerName, stacklevel=2)
            given = FORMER_TEXTS[given]
        return given if isinstance(given, PoolingConfig) else parse_config(cls, given, source)

    @classmethod
    def default(cls, keeps_joints: bool) -> PoolingConfig:
        """An encoder's default: ``part`` if its network keeps joints, else ``mean``."""
        return cls(over="part" if keeps_joints else "mean")

    @model_serializer
    def __str__(self) -> str:
        return self.over if self.time_bins == 1 else f"{self.over}:{self.time_bins}"

    @model_validator(mode="before")
    @classmethod
    def _from_text(cls, given: Any) -> Any:
        if not isinstance(given, str):
            return given
        over, colon, bins = given.partition(":")
        if over not in get_args(Over):
            raise ValueError(f"unknown {given!r}; known: {', '.join(get_args(Over))}, with time bins as in part:4")
        if colon and not (bins.isdecimal() and len(bins) < 5 and 0 < int(bins) <= MOST_BINS):
            raise ValueError(f"{given[:40]!r} has no valid time bins, 1 to {MOST_BINS}; write them as in part:4")
        return {"over": over, "time_bins": int(bins or 1)}

    @classmethod
    def __get_pydantic_json_schema__(cls, core: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        text = {"type": "string", "pattern": f"^({'|'.join(get_args(Over))})(:[1-9][0-9]*)?$"}
        return {"anyOf": [text, handler(core)]}
