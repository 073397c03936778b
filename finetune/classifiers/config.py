"""Options of the heads that an encoder can be trained with."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from ssl_skel.config import EntryConfig


class LinearHeadConfig(EntryConfig):
    """Options of ``Classifier``'s head: a linear layer."""

    name: Literal["linear"] = "linear"
    norm: bool = True
    """A BatchNorm before it, as MAMP and MAE put there to probe frozen features. Networks that papers train with labels
    (CTR-GCN, ST-GCN) have none: with it, their large rates make the logits of a small batch jump."""


class MLPHeadConfig(EntryConfig):
    """Options of ``MLPClassifier``."""

    name: Literal["mlp"] = "mlp"
    hidden: int = Field(2048, ge=1)
    """Hidden units (MAMP: 2048)."""


class BottleneckConfig(EntryConfig):
    """Options of ``BottleneckClassifier``. Defaults: InfoGCN's for NTU 60 X-Sub (released code, args.py)."""

    name: Literal["bottleneck"] = "bottleneck"
    dim: int = Field(256, ge=1)
    """Numbers in a latent code (InfoGCN: 256)."""
    conditional: float = Field(0.1, ge=0)
    """Weight of the distance between the codes of a class and its prior (lambda 2: 0.1)."""
    marginal: float = Field(1e-4, ge=0)
    """Weight of the distance between all codes and zero (lambda 1: 1e-4)."""
    prior_gain: float = Field(3.0, gt=0)
    """Length of each class's prior; they stand at right angles while there are no more classes than ``dim`` (3)."""
    noise: float = Field(0.5, ge=0)
    """Factor r on the log-variance: 0.5 makes exp(r log-variance) the standard deviation (0.5)."""


HeadConfig = LinearHeadConfig | MLPHeadConfig | BottleneckConfig
"""Options of any head."""
